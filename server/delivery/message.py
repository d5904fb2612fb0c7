"""A message, and what became of it."""

import hashlib
import uuid
from enum import Enum

import msgspec

__all__ = ["Message", "Outcome", "Result", "message_id_of"]


class Message(msgspec.Struct, frozen=True):
    """Ready to hand to a provider."""

    message_id: str
    to: str
    sender: str
    subject: str
    body: str


class Outcome(Enum):
    """What a provider's answer means for the message."""

    SENT = "sent"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


class Result(msgspec.Struct, frozen=True):
    """The outcome of one attempt and the provider's own words."""

    outcome: Outcome
    detail: str = ""


def message_id_of(campaign: str, version: int, profile_id: int, occurrence: int) -> str:
    """The same message always has the same id: a UUID (version 8) of its four coordinates.

    >>> message_id_of("hello", 1, 7, 1) == message_id_of("hello", 1, 7, 1) != message_id_of("hello", 1, 7, 2)
    True
    """
    text = f"{len(campaign)}:{campaign}:{version}:{profile_id}:{occurrence}"
    digest = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))
