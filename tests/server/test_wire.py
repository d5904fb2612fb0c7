"""The wire: however the bytes are cut the messages are the same, and no bytes raise anything but `BadFrame`."""

import contextlib
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdpstore.errors import FAMILIES, BadFrame, from_core
from cdpstore.wire import (
    FRAME_BYTES_MOST,
    Append,
    Cancel,
    Define,
    Fault,
    FrameReader,
    Hello,
    Message,
    Ping,
    Push,
    Query,
    ReadGroup,
    ReadProfile,
    ReadSegments,
    Reply,
    Stats,
    Watch,
    decode_message,
    encode_message,
    fault_of,
    frame,
)

ids = st.integers(0, 2**63 - 1)
times = st.none() | st.integers(0, 4_102_444_800_000)
text = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | text | st.binary(max_size=20)
values = st.recursive(
    scalars, lambda each: st.lists(each, max_size=4) | st.dictionaries(text, each, max_size=4), max_leaves=10
)
raws = values.map(lambda value: msgspec.Raw(msgpack.packb(value)))
producers = st.none() | st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), ids)

messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Hello, ids, st.integers(-5, 5), text, text),
    st.builds(Append, ids, st.binary(max_size=300), producers, times),
    st.builds(Query, ids, raws, times),
    st.builds(ReadProfile, ids, ids | st.dictionaries(text, text, max_size=3), st.none() | st.just({"limit": 1})),
    st.builds(ReadGroup, ids, text, text),
    st.builds(ReadSegments, ids, ids | st.dictionaries(text, text, max_size=3)),
    st.builds(Watch, ids, text, ids),
    st.builds(Define, ids, text, text, raws),
    st.builds(Cancel, ids, st.integers(0, 100)),
    st.builds(Ping, ids),
    st.builds(Stats, ids),
    st.builds(Reply, ids, values),
    st.builds(Push, ids, st.lists(values, max_size=3)),
    st.builds(Fault, st.integers(-1, 100), text, text, text, st.none() | st.integers(0, 10_000), text),
)


def plain(message: Message) -> tuple[Any, ...]:
    fields = [getattr(message, name) for name in message.__struct_fields__]
    return type(message).__name__, *(bytes(each) if isinstance(each, msgspec.Raw) else each for each in fields)


@settings(max_examples=200, deadline=None)
@given(messages)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    assert plain(decode_message(encode_message(message))) == plain(message)


@settings(max_examples=200, deadline=None)
@given(st.lists(messages, min_size=1, max_size=8), st.data())
def test_any_cut_of_the_stream_gives_the_same_messages(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(frame(encode_message(message)) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    reader = FrameReader()
    got: list[Message] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[begin:end])
        got += [decode_message(body) for body in reader.bodies()]
    assert [plain(message) for message in got] == [plain(message) for message in sent]
    assert reader.buffered_bytes == 0


@settings(max_examples=1_000, deadline=None)
@given(st.binary(max_size=400))
def test_random_bodies_raise_nothing_but_bad_frame(body: bytes) -> None:
    with contextlib.suppress(BadFrame):
        decode_message(body)


@settings(max_examples=500, deadline=None)
@given(messages.map(encode_message), st.data())
def test_a_damaged_message_raises_nothing_but_bad_frame(body: bytes, data: st.DataObject) -> None:
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadFrame):
        decode_message(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_random_streams_raise_nothing_but_bad_frame(parts: list[bytes]) -> None:
    reader = FrameReader(1_000)
    with contextlib.suppress(BadFrame):
        for part in parts:
            reader.feed(part)
            assert all(len(body) <= 1_000 for body in reader.bodies())


def test_a_long_stream_does_not_keep_what_was_read() -> None:
    reader = FrameReader()
    for _ in range(100):
        reader.feed(frame(b"x" * 100_000)[:-1])
        assert list(reader.bodies()) == []
        reader.feed(b"x")
        assert list(reader.bodies()) == [b"x" * 100_000]
        assert reader.buffered_bytes == 0


def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    reader = FrameReader()
    reader.feed(frame(b"x" * FRAME_BYTES_MOST))
    assert [len(body) for body in reader.bodies()] == [FRAME_BYTES_MOST]
    with pytest.raises(BadFrame):
        frame(b"x" * (FRAME_BYTES_MOST + 1))
    reader.feed((FRAME_BYTES_MOST + 1).to_bytes(4, "little"))
    with pytest.raises(BadFrame):
        list(reader.bodies())


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_an_error_crosses_the_wire_whole(family: str) -> None:
    error = from_core(family, "some.code", "what happened", "steps[1]", 250)
    message = decode_message(encode_message(fault_of(7, error)))
    assert isinstance(message, Fault)
    other = message.error()
    assert type(other) is type(error)
    assert (other.code, other.message, other.path, other.retry_after_ms) == (
        error.code,
        error.message,
        error.path,
        error.retry_after_ms,
    )
