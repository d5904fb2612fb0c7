"""A campaign: which live segment's entries send what through which channel. A definition in the log, so replay knows
it.

    define("campaign", name, {"segment", "channel", "from", "to_trait"?, "subject", "body", "on_unknown"?})
"""

from typing import Any, Literal

import msgspec

from cdpstore.errors import InvalidRequest

__all__ = ["CAMPAIGN_KIND", "Campaign", "campaign_of"]

CAMPAIGN_KIND = "campaign"


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
    it;
    otherwise it is counted and listed, and then dropped (at most once) or sent again (at least once)."""


def campaign_of(body: dict[str, Any]) -> Campaign:
    """The campaign in a definition's body. Raises `InvalidRequest` with what was expected where."""
    try:
        return msgspec.convert(body, Campaign)
    except msgspec.ValidationError as error:
        raise InvalidRequest("definition.invalid", str(error), path="body") from None
