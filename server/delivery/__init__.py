"""Acting on transitions: campaigns, messages, channels (DESIGN of the loop: docs/architecture.md, Log)."""

from cdpstore.server.delivery.campaign import CAMPAIGN_KIND, Campaign, check_campaign
from cdpstore.server.delivery.dispatcher import Dispatcher

__all__ = ["CAMPAIGN_KIND", "Campaign", "Dispatcher", "check_campaign"]
