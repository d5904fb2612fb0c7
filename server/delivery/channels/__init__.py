"""Ways to reach a person, one file each."""

from cdpstore.server.delivery.channels.channel import Channel
from cdpstore.server.delivery.channels.email import EmailChannel, address_of
from cdpstore.server.delivery.channels.lookup import MessageLookup

__all__ = ["Channel", "EmailChannel", "MessageLookup", "address_of"]
