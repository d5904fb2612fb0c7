"""Breakdowns of tens of thousands of values: groups are divided into parts, and are those of a plain dictionary."""

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import msgpack
import pytest

from cdpstore.model import identify
from cdpstore.store import Store
from cdpstore.testing.values import exact_sum, is_number, rounded, typed

NOW = 1_700_000_000_000
PROFILES = 40_000  # several tasks
ROWS = 60_000
BATCH = 10_000


def _value(draw: random.Random) -> Any:
    """Mostly small integers, which are found by their place; every other kind of value beside them."""
    number = draw.randrange(25_000)
    match draw.randrange(20):
        case 0:
            return f"text {number % 7_000}"
        case 1:
            return float(number % 5_000) / 4
        case 2:
            return -number
        case 3:
            return number * 1_000_003  # beyond those found by their place
        case 4:
            return draw.choice([True, False, None, [number % 50], [{"sku": number % 40}]])
        case _:
            return number


def _events(seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    events = []
    for row in range(ROWS):
        properties = {"product": _value(draw), "price": draw.choice([row, row / 8, 2**62, None, "none"])}
        if draw.random() < 0.05:
            del properties["product"]
        ids = {"user_id": f"u{draw.randrange(PROFILES)}"}
        if draw.random() < 0.01:  # joined below: read one by one
            ids = {"anonymous_id": f"a{draw.randrange(PROFILES)}"}
        events.append({"type": "event", "name": "Charged", "time_ms": NOW - row, "ids": ids, "properties": properties})
    return events


def _joins() -> list[dict[str, Any]]:
    return [identify({"anonymous_id": f"a{number}"}, {"user_id": f"u{number}"}) for number in range(0, PROFILES, 40)]


@pytest.fixture(scope="module", name="events")
def _given_events() -> list[dict[str, Any]]:
    return _events(3)


@pytest.fixture(scope="module", name="filled")
def _given_store(events: list[dict[str, Any]]) -> Iterator[Store]:
    with Store.open() as store:
        for first in range(0, ROWS, BATCH):
            store.append(msgpack.packb(events[first : first + BATCH]), now_ms=NOW)
            if first == ROWS // 2:
                store.compact()
        assert not store.append(msgpack.packb(_joins()), now_ms=NOW).rejects
        yield store


Groups: TypeAlias = dict[Any, tuple[Any, list[Any]]]  # by typed value: the value, prices of its rows


def _groups(events: list[dict[str, Any]]) -> Groups:
    groups: Groups = {}
    for event in events:
        value = event["properties"].get("product")
        groups.setdefault(typed(value), (value, []))[1].append(event["properties"]["price"])
    return groups


def _measure(measure: str, prices: list[Any]) -> Any:
    numbers = [price for price in prices if is_number(price)]
    match measure:
        case "total":
            return len(prices)
        case "sum":
            return exact_sum(numbers)
        case "mean":
            return rounded(sum(map(Fraction, numbers), Fraction(0)) / len(numbers)) if numbers else None
        case "min":
            return min(numbers, default=None)
        case _:
            return max(numbers, default=None)


def _expected(groups: Groups, measures: list[str], limit: int | None) -> list[tuple[Any, ...]]:
    """Groups by their first measure, falling, ties by value; those behind the limit as one."""
    ranks = {key: _measure(measures[0], prices) for key, (_, prices) in groups.items()}
    order = sorted(groups, key=lambda key: (ranks[key] is None, -Fraction(ranks[key] or 0), key))
    shown = order if limit is None else order[:limit]
    lines = [groups[key] for key in shown]
    if len(shown) < len(order):
        lines.append(("other", [price for key in order[len(shown) :] for price in groups[key][1]]))
    return [(value, *(_measure(measure, prices) for measure in measures)) for value, prices in lines]


@pytest.fixture(scope="module", name="groups")
def _given_groups(events: list[dict[str, Any]]) -> Groups:
    return _groups(events)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("limit", [None, 20, 0])
@pytest.mark.parametrize(
    "measures",
    [["total"], ["sum", "total"], ["max", "mean"], ["mean", "min", "sum"]],
    ids=lambda measures: "+".join(measures),
)
def test_every_value_of_tens_of_thousands_is_a_group_of_its_own(
    filled: Store, groups: Groups, measures: list[str], limit: int | None, threads: int
) -> None:
    asked = ["total" if name == "total" else {name: "price"} for name in measures]
    spec: dict[str, Any] = {"kind": "trend", "event": "Charged", "breakdown": [{"property": "product"}]}
    spec |= {"measures": asked, "interval": None}
    if limit is not None:
        spec["limit"] = limit
    answer = filled.query(spec, now_ms=NOW, threads=threads).rows()
    assert [(typed(row[0]), row) for row in answer] == [
        (typed(row[0]), row) for row in _expected(groups, measures, limit)
    ]


def test_tens_of_thousands_of_values_that_a_filter_leaves_are_those_of_its_profiles(
    filled: Store, events: list[dict[str, Any]]
) -> None:
    where = {"did": "Charged", "where": [{"property": "price", "op": "eq", "value": 2**62}]}
    joined = {f"a{number}": f"u{number}" for number in range(0, PROFILES, 40)}

    def who(event: dict[str, Any]) -> str:
        name = next(iter(event["ids"].values()))
        return joined.get(name, name)

    members = {who(event) for event in events if event["properties"]["price"] == 2**62}
    kept = [event for event in events if who(event) in members]
    spec = {"kind": "trend", "event": "Charged", "breakdown": [{"property": "product"}], "interval": None}
    answer = filled.query({**spec, "measures": ["total"], "where": where, "limit": 1_000}, now_ms=NOW).rows()
    assert answer == _expected(_groups(kept), ["total"], 1_000)
