"""What a client may define, looked at before it enters the log: a bad definition there would be bad for ever."""

from typing import Any, Final

import msgpack

from cdpstore.errors import InvalidRequest
from cdpstore.server.delivery import CAMPAIGN_KIND, check_campaign

__all__ = ["checked_body"]

_NIL: Final = b"\xc0"
_ENGINE_KINDS: Final = ("watch", "retention", "blocked")  # their bodies are checked by the engine


def checked_body(kind: str, body: bytes) -> bytes:
    """The body as the log takes it: empty removes. Raises `InvalidRequest` for what nobody could act on.

    >>> checked_body("watch", b"\\xc0")
    b''
    """
    if kind not in (*_ENGINE_KINDS, CAMPAIGN_KIND):
        known = ", ".join(repr(each) for each in (*_ENGINE_KINDS, CAMPAIGN_KIND))
        raise InvalidRequest("definition.kind", f"{kind!r} is none of {known}", path="kind")
    if body == _NIL:
        return b""
    fields = _map_of(body)
    if kind == CAMPAIGN_KIND:
        check_campaign(fields)
    return body


def _map_of(body: bytes) -> dict[str, Any]:
    try:
        fields = msgpack.unpackb(body, timestamp=3)
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise InvalidRequest("definition.invalid", "the body is not msgpack", path="body") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("definition.invalid", "the body is a map", path="body")
    return fields
