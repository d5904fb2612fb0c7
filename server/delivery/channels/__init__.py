"""Ways to reach a person, one file each."""

from cdpstore.server.delivery.channels.channel import Channel
from cdpstore.server.delivery.channels.email import EmailChannel

__all__ = ["Channel", "EmailChannel"]
