"""Acting on transitions: campaigns, messages, channels (DESIGN of the loop: docs/architecture.md, Log)."""

from cdpstore.server.delivery.campaign import Campaign
from cdpstore.server.delivery.dispatcher import Dispatcher

__all__ = ["Campaign", "Dispatcher"]
