"""A campaign: which live segment's entries send what through which channel. A definition in the log, so replay knows
it.

    define("campaign", name, {"segment", "channel", "from", "to_trait"?, "subject", "body", "on_unknown"?})
"""

from typing import Any, Final, Literal

import msgspec

from cdpstore.errors import InvalidRequest
from cdpstore.server.delivery.channels import address_of
from cdpstore.server.delivery.render import Renderer

__all__ = ["CAMPAIGN_KIND", "Campaign", "campaign_of", "check_campaign"]

CAMPAIGN_KIND: Final = "campaign"


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """One message to everyone who enters a segment."""

    segment: str
    channel: Literal["email"]
    sender: str
    subject: str
    body: str
    to_trait: str = "email"
    version: int = 1
    """Part of every message id: raise it to send again to those who had the earlier one."""
    on_unknown: Literal["drop", "resend"] = "drop"
    """A crash between the provider's answer and the log leaves a message unknown. A channel that can be asked settles
    it; otherwise it is counted and listed, and then dropped (at most once) or sent again (at least once). The same
    holds for a connection that broke after the data went out."""


def campaign_of(body: dict[str, Any]) -> Campaign:
    """The campaign in a definition's body. Raises `InvalidRequest` with what was expected where."""
    try:
        return msgspec.convert(body, Campaign)
    except msgspec.ValidationError as error:
        raise InvalidRequest("definition.invalid", str(error), path="body") from None


def check_campaign(body: dict[str, Any]) -> None:
    """Raises `InvalidRequest` for a campaign that could never send: to be refused before it is in the log."""
    campaign = campaign_of(body)
    try:
        address_of(campaign.sender)
    except ValueError as error:
        raise InvalidRequest("definition.invalid", str(error), path="body.from") from None
    renderer = Renderer()
    renderer.check(campaign.subject, "body.subject")
    renderer.check(campaign.body, "body.body")
