"""What a frame says: one msgpack array `[type, id, …]`, typed.

    client  ["hello", id, version, api_key, client_name]      ["append", id, batch, producer?, now_ms?]
            ["query", id, spec, now_ms?]                      ["profile", id, ids | profile_id, events?, as_of_ms?]
            ["watch", id, name, after_cursor]                 ["define", id, kind, name, body | nil]
            ["cancel", id, request_id]                        ["ping", id]                ["stats", id]
            ["schema", id, after?]                            ["segments_of", id, ids | profile_id]
    server  ["reply", id, value]                              ["fault", id, code, message, path, retry_after_ms, family]
            ["push", id, transitions]                         id = that of the watch

`batch` is a bin: the msgpack array of records, not looked into until C++ does; specs and bodies stay raw as well.
`producer` is `[16 bytes, epoch, number]`.
`id` is chosen by the client, 0 or more, and free again when its answer has come; -1 in a fault means the connection.
Anything else is a fault. Decoding is typed by msgspec: wrong types, missing and surplus fields are refused with a path.
"""

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from cdpstore.errors import BadFrame, CDPError, from_core

__all__ = [
    "PROTOCOL_VERSION",
    "Append",
    "Cancel",
    "Define",
    "Fault",
    "Hello",
    "Message",
    "Ping",
    "Push",
    "Query",
    "ReadGroup",
    "ReadProfile",
    "ReadSchema",
    "ReadSegments",
    "Reply",
    "Stats",
    "Watch",
    "decode_message",
    "encode_message",
    "fault_of",
]

PROTOCOL_VERSION: Final = 1


_Time = Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800_000)]
"""Milliseconds up to 2100, as for every time of a record."""
_Int64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Producer = tuple[
    Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)],
    Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)],
    _Int64,
]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    id: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]


class Hello(_Message, frozen=True, tag="hello"):
    """First frame of a connection: fixes tenant and rights."""

    version: int
    api_key: str
    client_name: str = ""


class Append(_Message, frozen=True, tag="append"):
    """A batch of records, untouched bytes."""

    batch: bytes
    producer: _Producer | None = None
    now_ms: _Time | None = None


class Query(_Message, frozen=True, tag="query"):
    """A query spec."""

    spec: msgspec.Raw
    now_ms: _Time | None = None


class ReadProfile(_Message, frozen=True, tag="profile"):
    """One profile, by identities or by number."""

    ids: dict[str, str] | _Int64
    events: dict[str, Any] | None = None
    as_of_ms: _Time | None = None


class ReadGroup(_Message, frozen=True, tag="group"):
    """One group, by its kind and id."""

    kind: str
    group_id: str


class ReadSegments(_Message, frozen=True, tag="segments_of"):
    """Names of the live segments that a profile is in now."""

    ids: dict[str, str] | _Int64


class ReadSchema(_Message, frozen=True, tag="schema"):
    """What has come in: the fields of `cdpstore.schema.SchemaPage`, of the entries behind `after`: a page's `next`."""

    after: tuple[Annotated[int, msgspec.Meta(ge=0, le=2)], str, str] | None = None


class Watch(_Message, frozen=True, tag="watch"):
    """Transitions of a live segment from a cursor on, pushed as they happen; an empty name means all segments."""

    name: str
    after_cursor: _Int64 = 0


class Define(_Message, frozen=True, tag="define"):
    """A definition into the log; a nil body removes it."""

    kind: str
    name: str
    body: msgspec.Raw


class Cancel(_Message, frozen=True, tag="cancel"):
    """Gives up a request or a watch of this connection, but no batch; the answer is whether there was one."""

    request_id: int


class Ping(_Message, frozen=True, tag="ping"):
    """Answered when everything sent before it was read."""


class Stats(_Message, frozen=True, tag="stats"):
    """How much the store holds: the fields of `cdpstore.model.StoreStats`."""


class Reply(_Message, frozen=True, tag="reply"):
    """The answer to the request with this id."""

    value: Any


class Push(_Message, frozen=True, tag="push"):
    """Transitions for the watch with this id."""

    transitions: list[Any]


class Fault(_Message, frozen=True, tag="fault"):
    """Why the request with this id has no answer; id -1 when the connection itself is at fault."""

    code: str
    message: str
    path: str = ""
    retry_after_ms: int | None = None
    family: str = "InternalError"

    def error(self) -> CDPError:
        """The error to raise at the client."""
        return from_core(self.family, self.code, self.message, self.path, self.retry_after_ms)


_Request: TypeAlias = (
    Hello
    | Append
    | Query
    | ReadProfile
    | ReadGroup
    | ReadSegments
    | ReadSchema
    | Watch
    | Define
    | Cancel
    | Ping
    | Stats
)
Message: TypeAlias = _Request | Reply | Push | Fault

_decoder: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(_Request | Reply | Push | Fault)
_encoder: Final = msgspec.msgpack.Encoder()


def decode_message(body: bytes) -> Message:
    """The message in a frame's body. Raises `BadFrame` saying what was expected where.

    >>> decode_message(encode_message(Ping(3)))
    Ping(id=3)
    """
    try:
        message: Message = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame("frame.message", f"not a message of this protocol: {error}") from None
    return message


def encode_message(message: Message) -> bytes:
    """The body of a frame."""
    return _encoder.encode(message)


def fault_of(request_id: int, error: CDPError) -> Fault:
    """The error as the wire says it."""
    return Fault(request_id, error.code, error.message, error.path, error.retry_after_ms, type(error).__name__)
