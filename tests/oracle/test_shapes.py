"""Data as real customers have it: a profile with a million events, thousands of names, hundreds of properties, millions
of strings, types that change from row to row, values at every limit, components of a thousand origins, a tenth of
everybody merged. Small versions of each shape answer every kind of question as the model does; large ones what counting
says."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from cdpstore.model import datetime_of, event, identify, merge, traits, unmerge
from cdpstore.store import Store
from cdpstore.testing.limits import LIMITS
from cdpstore.testing.strategies import Batch
from tests.oracle.test_export import exported, rows_key
from tests.oracle.twins import Twins

T = 1_700_000_000_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CHUNK_ROWS = 65_535  # more in one block and its rows need wider numbers
Shape = Iterator[Batch]


def user(number: int) -> dict[str, str]:
    return {"user_id": f"u{number}"}


# ---- the shapes, each at a size


def one_profile_has_most(rows: int) -> Shape:
    """Nine in ten events are one profile's, in ties and out of order."""
    draw = random.Random(1)
    for first in range(0, rows, 500):
        yield Batch(
            [
                event(
                    draw.choice(["Viewed", "Charged"]),
                    ids=user(0 if draw.random() < 0.9 else draw.randint(1, 5)),
                    time_ms=T + draw.randint(0, 60) * DAY_MS // 2,
                    properties={"n": draw.randint(0, 9)},
                )
                for _ in range(min(500, rows - first))
            ],
            T + 40 * DAY_MS,
        )


def many_names(names: int) -> Shape:
    """Every event name a few times, those of the questions among them."""
    named = ["Viewed", "Charged", *(f"Event {number}" for number in range(names - 2))]
    records = [
        event(named[at % names], ids=user(at % 23), time_ms=T + at * HOUR_MS, properties={"n": at % 7})
        for at in range(2 * names)
    ]
    for first in range(0, len(records), 400):
        yield Batch(records[first : first + 400], T + 2 * names * HOUR_MS)


def wide_events(properties: int) -> Shape:
    """Hundreds of properties on an event, of all types, most of them on every event."""
    values: list[Any] = [True, 7, 2.5, "text", datetime_of(T), [1, "a"], [{"a": 1, "b": [2]}], None]
    for at in range(40):
        wide = {f"p{number}": values[(number + at // 20) % 8] for number in range(properties) if (number + at) % 11}
        name = ["Viewed", "Charged"][at % 2]
        yield Batch(
            [event(name, ids=user(at % 7), time_ms=T + at * DAY_MS, properties={"n": at % 3, **wide})], T + 40 * DAY_MS
        )


def distinct_strings(rows: int) -> Shape:
    """No value comes twice."""
    for first in range(0, rows, 500):
        yield Batch(
            [
                event(
                    ["Viewed", "Charged"][at % 2],
                    ids=user(at % 31),
                    time_ms=T + at * 60_000,
                    properties={"session": f"session {at:09}", "n": at % 5, "note": "é" * (at % 50) + str(at)},
                )
                for at in range(first, min(first + 500, rows))
            ],
            T + rows * 60_000,
        )


def changing_types(rows: int) -> Shape:
    """The same keys hold another type on every row, numbers that are equal across types among them."""
    values: list[Any] = [
        1,
        1.0,
        "1",
        True,
        None,
        datetime_of(T),
        [1],
        [{"n": 1}],
        -0.0,
        0,
        2**53,
        float(2**53),
        2**53 + 1,
    ]
    records = [
        event(
            ["Viewed", "Charged"][at % 2],
            ids=user(at % 11),
            time_ms=T + at * HOUR_MS,
            properties={"n": values[at % len(values)], "m": values[(3 * at) % len(values)]},
        )
        for at in range(rows)
    ]
    records += [
        traits(user(at % 11), set={"plan": values[at % len(values)]}, time_ms=T + at) for at in range(rows // 4)
    ]
    for first in range(0, len(records), 100):
        yield Batch(records[first : first + 100], T + rows * HOUR_MS)


def values_at_every_limit(_: int) -> Shape:
    """The longest and deepest that is taken; one step further is refused."""
    longest = "x" * LIMITS["kStringBytes"]
    deep: Any = 1
    for _step in range(LIMITS["kDepth"] - 2):
        deep = {"d": deep}
    kept: list[dict[str, Any]] = [
        {"s": longest, "n": 1},
        {f"p{number}": number for number in range(LIMITS["kProperties"])},
        {"deep": deep},
        {"list": list(range(4_000))},
        {"items": [{"sku": f"s{at}", "price": at / 4, "tags": ["a", None]} for at in range(400)], "n": 2},
        {"empty": [], "n": None},
        {"n": -(2**63), "m": 2**63 - 1, "f": 1.7976931348623157e308, "g": 5e-324},
        {"k" * LIMITS["kNameBytes"]: 1},
        {f"t{number}": longest for number in range(15)},
    ]
    over: list[dict[str, Any]] = [
        {"s": longest + "x"},
        {f"p{number}": number for number in range(LIMITS["kProperties"] + 1)},
        {"k" * (LIMITS["kNameBytes"] + 1): 1},
        {"n": 2**63},
        {f"t{number}": longest for number in range(17)},
    ]
    for at, properties in enumerate([*kept, *over]):
        yield Batch([event("Viewed", ids=user(at % 4), time_ms=T + at, properties=properties)], T + DAY_MS)
    yield Batch([event("Charged", ids=user(at), properties={"n": at}) for at in range(4)], T + DAY_MS)


def a_tenth_merged(people: int) -> Shape:
    """A tenth of everybody is joined with somebody, and some of it undone; late rows on both sides."""
    draw = random.Random(2)
    made: list[int] = []
    sequence = 0
    for day in range(12):
        now_ms = T + (day + 5) * 7 * DAY_MS
        records: list[dict[str, Any]] = [
            event(
                draw.choice(["Viewed", "Charged"]),
                ids=user(draw.randrange(people)),
                time_ms=now_ms - draw.choice([0, 1, 2, 30]) * DAY_MS,
                properties={"n": draw.randint(0, 3)},
            )
            for _ in range(people // 2)
        ]
        for _ in range(max(1, people // 100)):
            if made and draw.random() < 0.3:
                records.append(unmerge(made.pop(draw.randrange(len(made)))))
            else:
                records.append(merge(user(draw.randrange(people)), user(draw.randrange(people))))
                made.append(sequence + len(records))
        sequence += len(records)
        yield Batch(records, now_ms)


def chains(length: int) -> Shape:
    """Everybody joined into one profile link by link, taken apart from the middle, and joined again the other way."""
    seen = [event("Viewed", ids=user(at), properties={"n": at % 3}) for at in range(length)]
    yield Batch(seen, T)
    yield Batch([merge(user(at), user(at + 1)) for at in range(length - 1)], T + DAY_MS)  # sequences length + 1 ..
    yield Batch([event("Charged", ids=user(at), properties={"n": at % 3}) for at in range(length)], T + 2 * DAY_MS)
    yield Batch([unmerge(length + 1 + at) for at in range(0, length - 1, 2)], T + 3 * DAY_MS)
    yield Batch([event("Viewed", ids=user(at)) for at in range(length)], T + 4 * DAY_MS)
    yield Batch([merge(user(at + 1), user(at)) for at in range(0, length - 1, 2)], T + 5 * DAY_MS)


SHAPES: Mapping[str, tuple[Callable[[int], Shape], int]] = {
    "one profile has most": (one_profile_has_most, 400),
    "many names": (many_names, 300),
    "wide events": (wide_events, 250),
    "distinct strings": (distinct_strings, 300),
    "changing types": (changing_types, 260),
    "values at every limit": (values_at_every_limit, 1),
    "a tenth merged": (a_tenth_merged, 120),
    "chains": (chains, 24),
}

QUESTIONS: list[dict[str, Any]] = [
    {
        "kind": "trend",
        "event": {"event": None},
        "measures": ["total", "unique", {"sum": "n"}, {"max": "n"}],
        "interval": "week",
    },
    {"kind": "trend", "event": "Viewed", "measures": ["total", "unique"], "breakdown": [{"property": "n"}]},
    {"kind": "trend", "event": ["Viewed", "Charged"], "breakdown": [{"property": "session"}], "limit": 3},
    {"kind": "funnel", "steps": ["Viewed", "Charged"], "window": "30d"},
    {"kind": "funnel", "steps": ["Viewed", "Charged"], "window": None, "breakdown": [{"property": "n"}], "limit": 4},
    {"kind": "funnel", "steps": ["Viewed", "Charged"], "window": "3d", "order": "any_order", "count": "totals"},
    {"kind": "retention", "start": "Viewed", "return": "Charged", "interval": "week"},
    {"kind": "retention", "start": "Viewed", "interval": "day", "alignment": "rolling", "criterion": "on_or_after"},
    {"kind": "profiles", "where": {"did": "Viewed", "where": [{"property": "n", "op": "ge", "value": 1}]}},
    {"kind": "profiles", "where": {"did": "Charged", "count": {"op": "ge", "value": 2}, "window": {"last": "30d"}}},
    {"kind": "profiles", "where": {"not": {"did": "Charged", "sum": {"property": "n", "op": "gt", "value": 3}}}},
    {"kind": "profiles", "where": {"trait": "plan", "op": "exists"}},
]


@pytest.mark.parametrize("care", ["nothing", "seal", "compact"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_small_version_answers_every_kind_as_the_model_does(shape: str, care: str) -> None:
    make, size = SHAPES[shape]
    twins = Twins()
    try:
        for batch in make(size):
            twins.append(batch)
            twins.care("seal" if care == "compact" else care)
        twins.care(care)
        for question in QUESTIONS:
            assert twins.answer(question)[0] != "BadQuery"
            twins.ask(question)
        for spec in ({"export": "events"}, {"export": "profiles"}):
            expected = rows_key(twins.model.export(spec, now_ms=twins.now_ms), spec["export"] == "profiles")
            assert rows_key(exported(twins.real, spec, twins.now_ms), spec["export"] == "profiles") == expected
        for number in range(6):
            twins.ask_profile(user(number), {"limit": 50, "newest_first": True})
        assert twins.real.schema() == twins.model.schema()
        if care == "compact":
            assert twins.real.memory()["split"]["count"] == 0
        twins.real.verify()
    finally:
        twins.close()


# ---- at size: what counting says


def _trend(store: Store, now_ms: int, **more: Any) -> Any:
    return store.query({"kind": "trend", "event": "Viewed", **more}, now_ms=now_ms).rows()


def _one_profile_with(rows: int) -> None:
    with Store.open(background=False) as store:
        random_times = random.Random(3)
        sums = 0
        for first in range(0, rows, 10_000):
            count = min(10_000, rows - first)
            numbers = [random_times.randint(0, 999) for _ in range(count)]
            sums += sum(numbers)
            records = [
                event("Viewed", ids=user(0), time_ms=T + number * 60_000 + at % 7, properties={"n": number})
                for at, number in enumerate(numbers)
            ]
            store.append(records, now_ms=T + 30 * DAY_MS)
            if first // 10_000 % 16 == 15:
                store.seal()
        now_ms = T + 30 * DAY_MS
        store.append([event("Charged", ids=user(0)), event("Viewed", ids=user(1))], now_ms=now_ms)
        for care in ("seal", "compact"):
            getattr(store, care)()
            store.verify()
            measures = ["total", "unique", {"sum": "n"}]
            assert _trend(store, now_ms, measures=measures) == [(rows + 1, 2, sums)]
            days = _trend(store, now_ms, interval="hour")
            assert sum(row[1] for row in days) == rows + 1
            groups = _trend(store, now_ms, breakdown=[{"property": "n"}])
            assert sum(row[1] for row in groups) == rows + 1
            funnel = {"kind": "funnel", "steps": ["Viewed", "Charged"], "window": None}
            assert store.query(funnel, now_ms=now_ms).rows() == [(2, 1)]
            retention = {"kind": "retention", "start": "Viewed", "return": "Charged", "interval": "week"}
            assert sum(row[2] for row in store.query(retention, now_ms=now_ms).rows()) >= 1
            many = {"did": "Viewed", "count": {"op": "ge", "value": rows}}
            assert store.query({"kind": "profiles", "where": many}, now_ms=now_ms).rows() == [(0,)]
            answer = store.profile(user(0), events={"limit": 3, "newest_first": True}, now_ms=now_ms)
            assert answer is not None
            assert [each.name for each in answer.events] == ["Charged", "Viewed", "Viewed"]
        store.append([merge(user(1), user(0))], now_ms=now_ms)
        assert store.memory()["split"]["count"] == 2
        assert _trend(store, now_ms, measures=["total", "unique"]) == [(rows + 1, 1)]
        store.compact()
        assert store.memory()["split"]["count"] == 0
        assert _trend(store, now_ms, measures=["total", "unique"]) == [(rows + 1, 1)]


def test_a_profile_of_more_rows_than_a_chunk_has() -> None:
    _one_profile_with(CHUNK_ROWS + 5_000)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a_profile_of_a_million_events() -> None:
    _one_profile_with(1_000_000)


def _strings(rows: int) -> None:
    with Store.open() as store:
        for batch in distinct_strings(rows):
            store.append(batch.records, now_ms=T + rows * 60_000, wait="none")
        store.flush()
        store.seal()
        now_ms = T + rows * 60_000
        one = f"session {rows // 2:09}"
        where = [{"property": "session", "op": "eq", "value": one}]
        name = ["Viewed", "Charged"][(rows // 2) % 2]
        assert store.query({"kind": "trend", "event": {"event": name, "where": where}}, now_ms=now_ms).rows() == [(1,)]
        some = [{"property": "session", "op": "starts", "value": "session 00000012"}]
        spec = {"kind": "trend", "event": {"event": None, "where": some}}
        assert store.query(spec, now_ms=now_ms).rows() == [(10,)]
        groups = store.query(
            {"kind": "trend", "event": {"event": None}, "breakdown": [{"property": "session"}], "limit": 5},
            now_ms=now_ms,
        )
        assert [row[-1] for row in groups.rows()] == [1] * 5 + [rows - 5]


def test_every_string_is_another() -> None:
    _strings(40_000)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_two_million_distinct_strings() -> None:
    _strings(2_000_000)


def test_two_thousand_names_each_with_its_own_properties() -> None:
    names = 2_000
    with Store.open(background=False) as store:
        draw = random.Random(4)
        counts: Counter[str] = Counter()
        for _ in range(8):
            records = []
            for _ in range(4_000):
                number = min(draw.randrange(names), draw.randrange(names))
                counts[f"Event {number}"] += 1
                properties = {f"key {number % 200}": number, "n": number % 5}
                records.append(
                    event(f"Event {number}", ids=user(draw.randrange(500)), time_ms=T, properties=properties)
                )
            store.append(records, now_ms=T)
            store.seal()
        store.compact()
        schema = store.schema()
        assert {each.name: each.volume for each in schema.events} == counts
        for name, count in counts.most_common(5) + counts.most_common()[-5:]:
            assert store.query({"kind": "trend", "event": name}, now_ms=T).rows() == [(count,)]
        assert store.query({"kind": "trend", "event": {"event": None}}, now_ms=T).rows() == [(32_000,)]


# ---- components


def _seen(store: Store, count: int) -> None:
    store.append([event("Viewed", ids=user(at)) for at in range(count)], now_ms=T)


@pytest.mark.parametrize("shards", [1, 16])
def test_a_component_has_a_thousand_origins_and_no_more(shards: int) -> None:
    most = LIMITS["kOriginsPerProfile"]
    with Store.open(shards=shards, background=False) as store:
        _seen(store, most + 2)
        store.append([{"type": "event", "name": "Viewed", "ids": {"anonymous_id": "a"}}], now_ms=T)
        ack = store.append([merge(user(0), user(at)) for at in range(1, most)], now_ms=T)
        assert ack is not None
        assert ack.accepted == most - 1
        for record in (
            merge(user(0), user(most)),
            merge(user(most), user(0)),
            identify({"anonymous_id": "a"}, user(0)),
        ):
            refused = store.append([record], now_ms=T)
            assert refused is not None
            assert [each.code for each in refused.rejects] == ["merge.too_large"]
        store.compact()
        assert store.memory()["split"]["count"] == 0
        assert _trend(store, T, measures=["total", "unique"]) == [(most + 3, 4)]
        answer = store.profile(user(most - 1), events={"limit": 5}, now_ms=T)
        assert answer is not None
        assert (answer.profile_id, len(answer.identities)) == (0, most)
        undone = store.append([unmerge(ack.sequence)], now_ms=T)
        assert undone is not None
        assert undone.accepted == 1
        assert store.append([merge(user(0), user(most))], now_ms=T).accepted == 1  # type: ignore[union-attr]
        assert _trend(store, T, measures=["total", "unique"]) == [(most + 3, 4)]


@pytest.mark.parametrize("shards", [1, 4])
def test_the_split_set_of_a_tenth_of_everybody_drains(shards: int) -> None:
    people = 6_000
    with Store.open(shards=shards, background=False) as store:
        for day in range(4):
            store.append([event("Viewed", ids=user(at)) for at in range(people)], now_ms=T + day * 20 * DAY_MS)
            store.seal()
        now_ms = T + 60 * DAY_MS
        before = _trend(store, now_ms, measures=["total", "unique"])
        joins = [merge(user(at), user(at + people // 2)) for at in range(people // 10)]
        ack = store.append(joins, now_ms=now_ms)
        assert ack is not None
        assert store.memory()["split"]["count"] == 2 * len(joins)
        joined = [(4 * people, people - len(joins))]
        assert before == [(4 * people, people)]
        assert _trend(store, now_ms, measures=["total", "unique"]) == joined
        store.compact()
        assert store.memory()["split"]["count"] == 0
        assert _trend(store, now_ms, measures=["total", "unique"]) == joined
        store.append([unmerge(ack.sequence - at) for at in range(len(joins))], now_ms=now_ms)
        assert _trend(store, now_ms, measures=["total", "unique"]) == before
        store.compact()
        assert store.memory()["split"]["count"] == 0
        assert _trend(store, now_ms, measures=["total", "unique"]) == before
