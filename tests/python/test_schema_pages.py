"""A registry in pages: whatever they hold, together they are the registry."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.schema import EventSchema, Schema, SchemaPage, joined, page_of
from cdpstore.wire import FRAME_BYTES_MOST, Reply, encode_message

names = st.text(min_size=1, max_size=4)
counts = st.integers(1, 2**62)
types = st.dictionaries(st.sampled_from(["int", "float", "string"]), counts, min_size=1)
keyed = st.dictionaries(names, types, max_size=6)
events = st.builds(EventSchema, names, counts, counts, counts, keyed)
schemas = st.builds(
    Schema,
    st.lists(events, max_size=6, unique_by=lambda event: event.name).map(
        lambda found: tuple(sorted(found, key=lambda event: event.name))
    ),
    keyed,
    st.dictionaries(names, st.integers(0, 9), max_size=4),
    st.integers(0, 9),
)


def pages_of(schema: Schema, bytes_most: int) -> list[SchemaPage]:
    pages = [page_of(schema, None, bytes_most)]
    while pages[-1].next is not None:
        pages.append(page_of(schema, pages[-1].next, bytes_most))
    return pages


@given(schemas, st.integers(1, 600))
def test_pages_of_any_size_are_the_registry(schema: Schema, bytes_most: int) -> None:
    pages = pages_of(schema, bytes_most)
    assert joined(pages) == schema
    ends = [page.next for page in pages if page.next is not None]
    assert ends == sorted(ends)
    assert len(set(ends)) == len(ends)


@given(schemas)
def test_a_small_registry_is_one_page(schema: Schema) -> None:
    (page,) = pages_of(schema, 4 << 20)
    assert page.next is None


def test_an_event_of_many_thousand_keys_fits_frames() -> None:
    every = {kind: 2**62 for kind in ("null", "bool", "int", "float", "string", "datetime", "list", "items")}
    event = EventSchema("E" * 256, 0, 1, 2**62, {f"{at:06}" + "k" * 250: dict(every) for at in range(30_000)})
    schema = Schema((event,), {}, {}, 3)
    pages = [page_of(schema, None)]
    while pages[-1].next is not None:
        pages.append(page_of(schema, pages[-1].next))
    assert len(pages) > 2
    assert all(len(encode_message(Reply(1, page))) < FRAME_BYTES_MOST for page in pages)
    assert joined(msgspec.convert(msgspec.to_builtins(page), SchemaPage) for page in pages) == schema


def test_a_place_that_is_gone_goes_on_behind_it() -> None:
    schema = Schema((EventSchema("A", 0, 1, 1, {}), EventSchema("C", 0, 1, 1, {})), {}, {}, 1)
    assert [event.name for event in page_of(schema, (0, "B", "")).events] == ["C"]


@pytest.mark.parametrize("after", [(0, "zzz", ""), (2, "zzz", "zzz")])
def test_behind_the_end_is_an_empty_last_page(after: tuple[int, str, str]) -> None:
    schema = Schema((EventSchema("A", 0, 1, 1, {}),), {}, {}, 1)
    assert page_of(schema, after) == SchemaPage((), {}, {}, 1)
