"""The wire: frames of msgpack arrays, without I/O. Client and server share it (docs/wire.md)."""

from cdpstore.wire.frames import FrameReader, frame
from cdpstore.wire.messages import (
    PROTOCOL_VERSION,
    Append,
    Cancel,
    Define,
    Fault,
    Hello,
    Message,
    Ping,
    Push,
    Query,
    ReadProfile,
    Reply,
    Stats,
    Watch,
    decode_message,
    encode_message,
    fault_of,
)

__all__ = [
    "PROTOCOL_VERSION",
    "Append",
    "Cancel",
    "Define",
    "Fault",
    "FrameReader",
    "Hello",
    "Message",
    "Ping",
    "Push",
    "Query",
    "ReadProfile",
    "Reply",
    "Stats",
    "Watch",
    "decode_message",
    "encode_message",
    "fault_of",
    "frame",
]
