"""Hypothesis strategies: histories worth asking about, and the questions to ask.

A history is a list of `Batch`es: few profiles, few names, few keys and few values, so that collisions, ties, joins and
repeats happen often; times in three partitions of 28 days, on their borders, late, tied, ahead of the clock and in the
future; keys whose values change type from event to event; and, when asked, records that must be refused.

>>> from hypothesis import find
>>> len(find(histories(), lambda batches: len(batches) == 2))
2
"""

import dataclasses
from datetime import datetime
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from cdpstore.model import datetime_of, encode_batch
from cdpstore.testing.event_strategies import Blocks, alternatives_of, briefly, event_clauses_of, windows_of

__all__ = [
    "END_MS",
    "START_MS",
    "Batch",
    "alternatives",
    "broken_down_by_members",
    "column_of",
    "consent_records",
    "device_records",
    "event_clauses",
    "events",
    "exports",
    "fact_clauses",
    "fact_records",
    "funnels",
    "group_records",
    "histories",
    "hostile_records",
    "identities",
    "joined",
    "list_records",
    "local_clauses",
    "membership_records",
    "mostly_sound",
    "own_comparisons",
    "own_conditions",
    "own_values",
    "predicates",
    "profile_queries",
    "profiles_queries",
    "queries",
    "records",
    "retentions",
    "ruled_funnels",
    "ruled_retentions",
    "ruled_trends",
    "selectors",
    "sound_split",
    "suppress_records",
    "times",
    "trait_records",
    "trends",
    "value_tests",
    "values",
]

DAY_MS: Final = 86_400_000
PARTITION_MS: Final = 28 * DAY_MS
START_MS: Final = 4 * DAY_MS + 700 * PARTITION_MS  # a partition's first millisecond, a Monday in 2023
END_MS: Final = START_MS + 3 * PARTITION_MS
MOMENTS: Final = (
    *(datetime_of(START_MS), datetime_of(START_MS + DAY_MS + 1), datetime_of(END_MS + DAY_MS)),
    *(datetime.fromisoformat(day) for day in ("2019-11-27T23:30Z", "2020-02-29T12:00Z")),
)
NAMES: Final = ("Viewed", "Added", "Charged", "Seen")
SYSTEM_NAME: Final = "Message Sent"
KEYS: Final = ("price", "color", "tags", "nested.deep")
TRAITS: Final = ("plan", "score", "tags", "city")
DEVICES: Final = ("d1", "d2", "d3")
CHANNELS: Final = ("email", "push")
TOPICS: Final = ("news", "sale")
GROUPS: Final = (("company", "g1"), ("company", "g2"), ("family", "g1"))
LISTS: Final = ("vip", "trial")
USERS: Final = ("u1", "u2", "u3", "u4")
ANONYMOUS: Final = ("a1", "a2", "a3")
EXPRESSIONS: Final = (
    *("", "^$", "e", "^r.d$", "[a-d]+", "^[^a-z]", r"\d\.?\d", r"\bb", r"(?:re|blu)[de]?", "(x{2}){3,}$", "\u00e4."),
    *(r"^\w+$", r"a\n\d", "a.1", "(r|e|d)*?$", r"[\w.-]{4,}", r"\S\s", "(?:|t)rue", "B", r"[^\W\d_]{3}"),
)
ZONES: Final = (  # half and quarter hours, and the ends and starts of summer in autumn 2023
    *("UTC", "UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"),
    *("Australia/Lord_Howe", "Africa/Cairo", "Pacific/Kiritimati"),
)


@dataclasses.dataclass(frozen=True)
class Batch:
    """Records and when they were received."""

    records: list[dict[str, Any]]
    received_ms: int
    system: bool = False

    def packed(self) -> bytes:
        """The batch as bytes."""
        return encode_batch(self.records)


@cache
def times() -> st.SearchStrategy[int]:
    """Event times: round ones that tie, the borders of hours, days, partitions, and any others."""
    days = st.integers(0, 83).map(lambda day: START_MS + day * DAY_MS)
    few = st.sampled_from([START_MS, START_MS + 1, START_MS + 1000, START_MS + 60_000, START_MS + DAY_MS])
    borders = st.builds(lambda day, step: day + step, days, st.sampled_from([-1, 0, 1, 900_000, 3_600_000]))
    partitions = st.sampled_from([START_MS + PARTITION_MS, START_MS + 2 * PARTITION_MS])
    near = st.builds(lambda border, step: border + step, partitions, st.integers(-2, 2))
    return few | borders | near | st.integers(START_MS, END_MS)


@cache
def values() -> st.SearchStrategy[Any]:
    """Values of every type, few enough to meet again; the hard ones among them."""
    texts = st.sampled_from(
        ["red", "Red", "blue", "", "1", "true", "\u00e4\u00df", "other", "x" * 40, "1.10", "v1.9-rc.1", "a\n1_b"]
    )
    integers = st.sampled_from([0, 1, 2, 3, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-5, 5)
    floats = st.sampled_from([0.0, -0.0, 0.1, 0.5, 1.0, 2.5, 1e300, -1e300, 5e-324, 2.0**53])
    moments = st.sampled_from(MOMENTS)
    scalars = st.none() | st.booleans() | integers | floats | texts | moments
    lists = st.lists(st.booleans() | st.integers(0, 2) | texts, max_size=3)
    items = st.lists(st.dictionaries(st.sampled_from(["sku", "qty"]), st.integers(0, 2), max_size=2), max_size=2)
    return scalars | lists | items


@cache
def identities(*, one: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """A user, a device, or (unless one is asked for) both."""
    users = st.sampled_from(USERS).map(lambda value: {"user_id": value})
    devices = st.sampled_from(ANONYMOUS).map(lambda value: {"anonymous_id": value})
    single = users | devices
    return single if one else single | st.builds(lambda left, right: {**left, **right}, users, devices)


@cache
def properties() -> st.SearchStrategy[dict[str, Any]]:
    """Properties under few keys, prices mostly numbers, one key nested."""
    prices = st.integers(0, 20) | st.sampled_from([0.5, 2.5, 0.1]) | values()
    return st.fixed_dictionaries(
        {},
        optional={
            "price": prices,
            "color": st.sampled_from(["red", "green", "blue"]) | values(),
            "tags": st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
            "nested": st.fixed_dictionaries({}, optional={"deep": values()}),
        },
    )


@cache
def events(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Events, some with an id that repeats, some without a time, some (unless not wanted) far ahead."""
    some_times = times() | _future_times() if future else times()
    return st.fixed_dictionaries(
        {"type": st.just("event"), "name": st.sampled_from(NAMES), "ids": identities(), "time_ms": some_times},
        optional={
            "properties": properties(),
            "event_id": st.sampled_from(["e1", "e2", "550e8400-e29b-41d4-a716-446655440000", "E1"]),
        },
    )


@cache
def _future_times() -> st.SearchStrategy[int]:
    return st.integers(END_MS + DAY_MS, END_MS + 2 * DAY_MS)


@cache
def trait_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Trait operations of every kind, on keys that hold several types, at times that tie."""
    scalars = values().filter(lambda value: not isinstance(value, list))
    keys = st.sampled_from(TRAITS)
    operations = {
        "set": st.dictionaries(keys, values(), max_size=3),
        "set_once": st.dictionaries(keys, values(), max_size=2),
        "increment": st.dictionaries(keys, st.sampled_from([1, -1, 0.5, 2**62]), max_size=2),
        "append": st.dictionaries(keys, scalars, max_size=2),
        "remove": st.dictionaries(keys, scalars, max_size=2),
        "unset": st.lists(keys, unique=True, max_size=2),
    }
    some = st.fixed_dictionaries({}, optional=operations).filter(bool)
    some_times = _some_times(future=future)
    base = st.fixed_dictionaries({"type": st.just("traits"), "ids": identities(), "time_ms": some_times})
    return st.builds(lambda record, fields: {**record, **fields}, base, some)


@cache
def device_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Devices seen and gone, their fields set and cleared, at times that tie."""
    texts = st.none() | st.sampled_from(["ios", "android", "1.0", "2.0"])
    fields = {name: texts for name in ("platform", "token", "app_version", "zone", "reason")}
    return st.fixed_dictionaries(
        {
            "type": st.just("device"),
            "ids": identities(),
            "id": st.sampled_from(DEVICES),
            "time_ms": _some_times(future=future),
        },
        optional={"state": st.sampled_from(["seen", "dead"]), **fields},
    )


@cache
def consent_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Consents to channels and their topics, given and taken back, at times that tie."""
    return st.fixed_dictionaries(
        {
            "type": st.just("consent"),
            "ids": identities(),
            "channel": st.sampled_from(CHANNELS),
            "state": st.sampled_from(["unsubscribed", "pending", "subscribed", "opted_in"]),
            "time_ms": _some_times(future=future),
        },
        optional={"topic": st.sampled_from(TOPICS), "source": st.none() | st.sampled_from(["form", "import"])},
    )


def membership_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Groups joined and left, in roles, at times that tie."""
    base = st.fixed_dictionaries(
        {"type": st.just("membership"), "ids": identities(), "time_ms": _some_times(future=future)},
        optional={"state": st.sampled_from(["joined", "left"]), "role": st.none() | st.sampled_from(["admin", "red"])},
    )
    groups = st.sampled_from(GROUPS).map(lambda name: {"kind": name[0], "id": name[1]})
    return st.builds(lambda record, group: {**record, **group}, base, groups)


def list_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Profiles put on lists and taken off, at times that tie."""
    return st.fixed_dictionaries(
        {
            "type": st.just("list"),
            "ids": identities(),
            "name": st.sampled_from(LISTS),
            "time_ms": _some_times(future=future),
        },
        optional={"state": st.sampled_from(["added", "removed"])},
    )


def suppress_records() -> st.SearchStrategy[dict[str, Any]]:
    """Profiles suppressed, and let be kept again more often."""
    return st.fixed_dictionaries(
        {
            "type": st.just("suppress"),
            "ids": identities(),
            "state": st.sampled_from(["suppressed", "lifted", "lifted"]),
            "time_ms": times() | _future_times(),
        },
        optional={"reason": st.none() | st.just("asked")},
    )


def group_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Operations of every kind on the traits of groups."""
    names = st.sampled_from(GROUPS).map(lambda name: {"type": "group", "kind": name[0], "id": name[1]})
    operations = trait_records(future=future).map(
        lambda record: {name: value for name, value in record.items() if name not in ("type", "ids")}
    )
    return st.builds(lambda group, fields: {**fields, **group}, names, operations)


@cache
def fact_records(*, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Facts of every type but suppression, after which nothing more is kept."""
    mine = device_records(future=future) | consent_records(future=future)
    return mine | membership_records(future=future) | list_records(future=future)


@cache
def _some_times(*, future: bool) -> st.SearchStrategy[int]:
    return times() | times() | _future_times() if future else times()


@cache
def link_records() -> st.SearchStrategy[dict[str, Any]]:
    """identify, merge and unmerge, of profiles that may or may not be there."""
    users = st.sampled_from(USERS).map(lambda value: {"user_id": value})
    devices = st.sampled_from(ANONYMOUS).map(lambda value: {"anonymous_id": value})
    identify = st.fixed_dictionaries(
        {"type": st.just("identify"), "anonymous": devices, "known": users}, optional={"time_ms": times()}
    )
    merge = st.fixed_dictionaries(
        {"type": st.just("merge"), "winner": identities(one=True), "loser": identities(one=True)},
        optional={"time_ms": times()},
    )
    unmerge = st.fixed_dictionaries({"type": st.just("unmerge"), "sequence": st.integers(1, 40)})
    return identify | merge | unmerge


@cache
def hostile_records() -> st.SearchStrategy[dict[str, Any]]:
    """Records that must be refused, each for one reason."""
    good = {"type": "event", "name": "Seen", "ids": {"user_id": "u1"}, "time_ms": START_MS}
    faults: list[dict[str, Any]] = [
        {"type": "nonsense"},
        {"type": "erase"},
        {"name": ""},
        {"name": 5},
        {"name": "Segment Entered"},
        {"time_ms": 0},
        {"time_ms": "yesterday"},
        {"time_ms": None},
        {"ids": {}},
        {"ids": {"user_id": "null"}},
        {"ids": {"email": "a@b.c"}},
        {"ids": {"shoe": "x"}},
        {"ids": {"user_id": 1.5}},
        {"properties": {"a.b": 1}},
        {"properties": {"$a": 1}},
        {"properties": {"a": 2**63}},
        {"properties": {"a": float("nan")}},
        {"properties": {"a": {"b": [1, {"c": 2}]}}},
        {"properties": {"a": b"raw"}},
        {"properties": {"a": "x" * 5000}},
        {"event_id": ""},
        {"extra": 1},
    ]
    return st.sampled_from(faults).map(lambda fault: {**good, **fault})


@cache
def records(*, hostile: bool = False, future: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Any record; events most often."""
    usual = (
        events(future=future)
        | events(future=future)
        | events(future=future)
        | trait_records(future=future)
        | fact_records(future=future)
        | group_records(future=future)
        | suppress_records()
        | link_records()
    )
    return usual | hostile_records() if hostile else usual


@st.composite
def histories(
    draw: st.DrawFn, *, hostile: bool = False, future: bool = True, max_batches: int = 5, max_records: int = 12
) -> list[Batch]:
    """Batches received in order of time, the first at `END_MS`; some by days apart, so that dedupe windows pass."""
    batches: list[Batch] = []
    received_ms = END_MS
    for _ in range(draw(st.integers(1, max_batches))):
        body = draw(st.lists(records(hostile=hostile, future=future), min_size=1, max_size=max_records))
        if draw(st.sampled_from([False, False, True])):
            batches.append(Batch([_of_system(record) for record in body], received_ms, system=True))
        else:
            batches.append(Batch(body, received_ms))
        received_ms += draw(st.sampled_from([0, 1, 60_000, DAY_MS, 31 * DAY_MS]))
    return batches


def _of_system(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "name": SYSTEM_NAME} if record.get("name") == "Seen" else record


def selectors() -> st.SearchStrategy[Any]:
    """Which events: a name, several, any; with conditions."""
    names = st.sampled_from((*NAMES, "Never", SYSTEM_NAME))
    several = st.lists(names, min_size=1, max_size=3, unique=True)
    some = st.none() | names | several
    with_where = st.builds(lambda event, where: {"event": event, "where": where}, some, _wheres())
    return names | names | with_where | alternatives()


@cache
def alternatives() -> st.SearchStrategy[dict[str, Any]]:
    """Events that one of several selectors means, some of which overlap, and what all of them must meet."""
    any_of = alternatives_of((*NAMES, "Never", SYSTEM_NAME), _wheres())
    return briefly(st.builds(lambda left, right: {**left, **right}, any_of, st.just({}) | _wheres().map(_as_where)))


def _as_where(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"where": conditions}


def predicates(max_leaves: int = 6) -> st.SearchStrategy[dict[str, Any]]:
    """and, or, not over traits, facts, and clauses on events of every form."""
    leaves = _trait_clauses() | _did_clauses() | event_clauses() | fact_clauses() | local_clauses()
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3))
            | st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3))
            | st.builds(lambda part: {"not": part}, inner)
        ),
        max_leaves=max_leaves,
    )


def trends() -> st.SearchStrategy[dict[str, Any]]:
    """Trends over every interval and measure, broken down by properties and traits."""
    measures = st.sampled_from(["total", "unique"]) | st.builds(
        lambda name, key: {name: key}, st.sampled_from(["sum", "mean", "min", "max"]), st.sampled_from(KEYS)
    )
    interval = st.none() | _units() | st.lists(_units(), min_size=1, max_size=2, unique_by=str)
    own = st.fixed_dictionaries(
        {"kind": st.just("trend"), "event": selectors()},
        optional={
            "measures": st.lists(measures, min_size=1, max_size=3, unique_by=str),
            "interval": interval,
            "breakdown": _breakdowns(("property", "trait")),
            "limit": st.integers(0, 3),
        },
    )
    return _with_common(own)


def ruled_trends() -> st.SearchStrategy[dict[str, Any]]:
    """Trends of several series, of first events, by every measure, over windows, filled, with formulas."""
    statistics = st.sampled_from(["mean", "min", "max", "median", "p90"])
    measures = (
        st.sampled_from(["total", "unique", "unique"])
        | st.builds(
            lambda name, key: {name: key},
            st.sampled_from(["sum", "mean", "min", "max", "median", "p99.9", "distinct"]),
            st.sampled_from(KEYS),
        )
        | st.builds(lambda statistic: {"per_profile": statistic}, statistics)
    )
    series = selectors() | st.builds(
        lambda event, first: {**_as_map(event), "first": first}, selectors(), st.sampled_from(["event", "matching"])
    )
    events = st.builds(lambda event: {"event": event}, series) | st.builds(
        lambda several: {"events": several}, st.lists(series, min_size=2, max_size=2)
    )
    interval = _units() | st.lists(_units(), min_size=1, max_size=2, unique_by=str)
    means: list[dict[str, Any]] = [{"moving_mean": 3}, {"moving_mean": 2, "fill": True}]
    windows = st.sampled_from([{"cumulative": True}, {"rolling": 2}, {"rolling": 7}, {}, {"fill": True}, *means])
    laid: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.builds(
        lambda unit, window: {"interval": unit, **window}, interval, windows
    )
    formulas = st.sampled_from(["A", "-A * 2", "A / (A - 1)", "A.total / 3 + 0.5"])
    own = st.builds(
        lambda left, middle, right: {"kind": "trend", **left, **middle, **right},
        events,
        laid,
        st.fixed_dictionaries(
            {"measures": st.lists(measures, max_size=2, unique_by=str).map(lambda some: ["total", *some])},
            optional={
                "breakdown": _breakdowns(("property", "trait")),
                "limit": st.integers(0, 3),
                "order": st.integers(0, 1),
                "formula": st.lists(formulas, min_size=1, max_size=2, unique=True),
                "previous": st.sampled_from(["period", "period", "month", "year"]) | _units(),
            },
        ),
    )
    return _with_common(own)


def funnels() -> st.SearchStrategy[dict[str, Any]]:
    """Funnels whose steps may overlap, with windows down to a millisecond, by every rule, split by anything."""
    own = st.fixed_dictionaries(
        {
            "kind": st.just("funnel"),
            "steps": st.lists(selectors(), min_size=2, max_size=4),
            "window": _windows(),
        },
        optional={
            "order": st.just("in_order"),
            "same_time": st.sampled_from(["counts", "later"]),
            "breakdown": _breakdowns(("property", "trait")),
            "limit": st.integers(0, 3),
        },
    )
    return _with_common(own) | ruled_funnels()


def ruled_funnels() -> st.SearchStrategy[dict[str, Any]]:
    """Funnels by every rule but the plain ones; some contradict themselves and must be refused."""
    optional = st.builds(lambda event: {**_as_map(event), "optional": True}, selectors())
    first = st.builds(
        lambda event, which: {**_as_map(event), "first": which}, selectors(), st.sampled_from(["event", "matching"])
    )
    end = selectors() | selectors() | selectors() | first
    anchored = st.builds(lambda event: {**_as_map(event), "anchored": True}, selectors())
    middle = st.lists(selectors() | selectors() | optional | first | anchored, max_size=2)
    steps = st.builds(lambda first, inner, last: [first, *inner, last], end, middle, end) | end.map(lambda one: [one])
    between = st.tuples(st.integers(1, 2), st.integers(2, 4)).map(list)
    excluded = selectors() | st.builds(lambda event, pair: {**_as_map(event), "between": pair}, selectors(), between)
    own = st.fixed_dictionaries(
        {"kind": st.just("funnel"), "steps": steps, "window": _windows()},
        optional={
            "order": st.sampled_from(["in_order", "strict_steps", "strict_all", "any_order"]),
            "attempt": st.sampled_from(["longest", "longest", "first_entry"]),
            "count": st.sampled_from(["profiles", "totals", "all_entries", "profiles_by_interval"]),
            "same_time": st.sampled_from(["counts", "later", {"grace": 1}]),
            "exclude": st.lists(excluded, min_size=1, max_size=2),
            "exclude_mode": st.sampled_from(["drop", "remove", "any_clean_path"]),
            "hold": st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True),
            "times": st.lists(
                st.sampled_from(["mean", "min", "max", "median", "p90", "p99.9", {"within": 1}, {"within": "1d"}]),
                min_size=1,
                max_size=3,
                unique_by=str,
            ),
            "event_fills": st.sampled_from(["one_step", "several_steps", "several_steps"]),
            "interval": _units(),
            "frequency": excluded,
            "attribution": st.sampled_from(["entry", "first_touch", "last_touch", "every_step", {"step": 2}]),
            "breakdown": _breakdowns(("property", "trait")),
            "limit": st.integers(0, 3),
        },
    )
    return _with_common(own).map(mostly_sound)


def mostly_sound(spec: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what is refused whatever else is asked, so that most of these questions have an answer."""
    unsound = set()
    if "exclude" not in spec:
        unsound.add("exclude_mode")
    if any("anchored" in step for step in spec["steps"] if isinstance(step, dict)):
        spec = {**spec, "order": "any_order"}
    if not any("property" in operand for operand in spec.get("breakdown", [])):
        unsound.add("attribution")
    if spec.get("count", "profiles") != "profiles":
        unsound.add("attempt")
    if isinstance(spec.get("same_time"), dict):
        unsound.add("order")
    if spec.get("same_time", "counts") != "counts":
        unsound.add("event_fills")
    if "interval" in spec:
        unsound.add("frequency")
    return {name: value for name, value in spec.items() if name not in unsound}


def _windows() -> st.SearchStrategy[Any]:
    calendar = st.sampled_from([{"calendar": "day"}, {"calendar": "week"}, {"calendar": "hour"}])
    own = st.sampled_from(
        [{"step": 1}, {"step": "1h"}, {"step": "7d"}, {"session": 1000}, {"session": "30m"}, {"session": "3d"}]
    )
    return st.sampled_from([None, 1, 1000, "1h", "1d", "7d", "40d"]) | calendar | own


def _as_map(selector: Any) -> dict[str, Any]:
    return selector if isinstance(selector, dict) else {"event": selector}


def retentions() -> st.SearchStrategy[dict[str, Any]]:
    """Retentions over every calendar unit and both populations."""
    own = st.fixed_dictionaries(
        {
            "kind": st.just("retention"),
            "start": selectors(),
            "interval": _units(),
        },
        optional={
            "return": selectors(),
            "population": st.sampled_from(["first_in_range", "first_ever"]),
            "criterion": st.just("on"),
            "periods": st.integers(1, 8),
        },
    )
    return _with_common(own) | ruled_retentions()


def ruled_retentions(names: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Retentions by every rule but the plain ones, of these names or of any selectors."""
    events = st.sampled_from([*names, {"event": None}]) if names else selectors()
    brackets = {"brackets": [[0, 0], [1, 3], [2, 30]]}
    own = st.fixed_dictionaries(
        {"kind": st.just("retention"), "start": events, "interval": _units()},
        optional={
            "return": events,
            "population": st.sampled_from(["first_in_range", "first_ever", "every_period"]),
            "alignment": st.sampled_from(["calendar", "rolling", "rolling_hour"]),
            "criterion": st.sampled_from(["on", "on_or_after", "on_or_before", "streak", brackets]),
            "min_count": st.integers(1, 3),
            "count_birth": st.booleans(),
            "share_value": st.booleans(),
            "measures": st.lists(
                st.builds(lambda name, key: {name: key}, st.sampled_from(["sum", "mean"]), st.sampled_from(KEYS)),
                min_size=1,
                max_size=2,
                unique_by=str,
            ),
            "order": st.sampled_from(["later", "ignored"]),
            "fill": st.booleans(),
            "periods": st.integers(1, 8),
            "breakdown": _breakdowns(("property", "trait")),
            "limit": st.integers(0, 3),
        },
    )
    return _with_common(own).map(_sound_retention)


def _sound_retention(spec: dict[str, Any]) -> dict[str, Any]:
    breakdown, unsound = spec.get("breakdown", []), set()
    if not breakdown:
        unsound.add("limit")
    if not any("property" in operand for operand in breakdown):
        unsound.add("share_value")
    if isinstance(spec.get("criterion"), dict):
        unsound.add("periods")
    elif spec["interval"] == "hour" and (spec.get("fill") or spec.get("criterion", "on") != "on"):
        spec = {"periods": 40, **spec}  # thousands of hours would say no more
    return {name: value for name, value in spec.items() if name not in unsound}


def profiles_queries() -> st.SearchStrategy[dict[str, Any]]:
    """Members of predicates, in pages."""
    return st.fixed_dictionaries(
        {"kind": st.just("profiles"), "where": predicates()},
        optional={"limit": st.integers(0, 3), "after": st.integers(0, 4)},
    )


def profile_queries() -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of `Store.profile`: whose, and which events."""
    options = st.fixed_dictionaries(
        {},
        optional={
            "limit": st.integers(0, 4),
            "names": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "newest_first": st.booleans(),
        },
    )
    return st.fixed_dictionaries({"ids": identities(one=True) | st.integers(0, 6), "events": options})


def queries() -> st.SearchStrategy[dict[str, Any]]:
    """A question of any kind that answers with a table."""
    return trends() | funnels() | retentions() | profiles_queries()


def exports() -> st.SearchStrategy[dict[str, Any]]:
    """Specs of rows out: events by names, range and profiles; profiles; some columns or all; facts of each type."""
    types = st.sampled_from(["null", "bool", "int", "float", "string", "datetime", "list", "items"])

    def columns(field: str, keys: tuple[str, ...]) -> st.SearchStrategy[list[Any]]:
        key = st.sampled_from((*keys, "never", "event"))
        mapped = st.fixed_dictionaries(
            {field: key}, optional={"type": types, "as": st.sampled_from(["x", "y", "time"])}
        )
        return st.lists(key | mapped, max_size=3)

    names = st.sampled_from((*NAMES, "Never", SYSTEM_NAME))
    of_events = st.fixed_dictionaries(
        {"export": st.just("events")},
        optional={
            "names": names | st.lists(names, min_size=1, max_size=3),
            "range": _ranges(),
            "where": predicates(2),
            "columns": columns("property", KEYS),
        },
    )
    of_profiles = st.fixed_dictionaries(
        {"export": st.just("profiles")},
        optional={"where": predicates(2), "columns": columns("trait", TRAITS)},
    )
    of_facts = st.fixed_dictionaries(
        {
            "export": st.just("facts"),
            "type": st.sampled_from(["device", "consent", "suppress", "membership", "list"]),
        },
        optional={"where": predicates(2)},
    )
    of_groups = st.fixed_dictionaries(
        {"export": st.just("groups")},
        optional={"kind": st.sampled_from(["company", "family", "never"]), "columns": columns("trait", TRAITS)},
    )
    return of_events | of_events | of_profiles | of_facts | of_groups


def _with_common(own: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    common = st.fixed_dictionaries(
        {},
        optional={
            "where": predicates(3),
            "range": _ranges(),
            "week_start": st.sampled_from(["monday", "sunday", "thursday"]),
            "zone": st.sampled_from(ZONES),
        },
    )
    return st.builds(lambda left, right: {**left, **right}, own, common)


def _units() -> st.SearchStrategy[Any]:
    days = st.sampled_from([{"days": 1}, {"days": 5}])
    return st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]) | days


def _ranges() -> st.SearchStrategy[dict[str, Any]]:
    borders = st.tuples(times(), times()).map(sorted)
    absolute = borders.map(lambda pair: {"start_ms": pair[0], "end_ms": pair[1]})
    rolling = absolute | _lasts()
    return rolling | _calendar_windows()


def _calendar_windows() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["day", "week", "month", "quarter", "year"])
    counts = st.fixed_dictionaries({}, optional={"count": st.integers(1, 13)})
    units = st.builds(lambda at, unit, count: {at: unit, **count}, st.sampled_from(["this", "previous"]), names, counts)
    return units | st.sampled_from(["1d", "30d", "12w"]).map(lambda days: {"last": days, "calendar": True})


def _lasts() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([1, "1h", "1d", "30d", "12w", "100d"]).map(lambda duration: {"last": duration})


@cache
def _wheres() -> st.SearchStrategy[list[dict[str, Any]]]:
    keys = st.sampled_from((*KEYS, "never"))
    condition = st.builds(lambda key, test: {"property": key, **test}, keys, _tests() | _any_elements())
    leaf = condition | condition | condition | _places(KEYS)
    return briefly(st.lists(leaf | leaf | leaf | joined(leaf), min_size=1, max_size=2))


def joined(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions joined by and, or, not, up to three deep."""
    some = st.lists(leaves, min_size=1, max_size=2)
    inner = st.builds(_join, st.sampled_from(["and", "or", "not"]), some)
    return briefly(
        st.builds(
            lambda word, parts, joined, more: _join(word, [*parts, joined] if more else parts),
            *(st.sampled_from(["and", "or", "or", "not"]), some, inner, st.booleans()),
        )
    )


def _join(word: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"not": parts[-1]} if word == "not" else {word: parts}


def event_clauses() -> st.SearchStrategy[dict[str, Any]]:
    """Clauses on events that read them in order, or in windows of the profile's own."""
    return event_clauses_of(_blocks())


def _blocks() -> Blocks:
    literals = values().filter(lambda value: value is not None and not isinstance(value, list))
    names, keys = (*NAMES, "Never", SYSTEM_NAME), (*KEYS, "never")
    return Blocks(names, keys, TRAITS, ZONES, times(), literals, _wheres(), _tests(), _thresholds())


def _trait_clauses() -> st.SearchStrategy[dict[str, Any]]:
    tests = _tests() | _tests() | _any_elements() | _trait_operands()
    return st.builds(lambda key, test: {"trait": key, **test}, st.sampled_from((*TRAITS, "never")), tests)


def _any_elements() -> st.SearchStrategy[dict[str, Any]]:
    """One and the same item: its fields are few and small."""
    numbers = st.builds(
        lambda op, value: {"op": op, "value": value}, st.sampled_from(["eq", "ne", "lt", "ge"]), st.integers(0, 2)
    )
    tests = numbers | numbers | st.just({"op": "not_exists"}) | numbers.map(lambda test: {**test, "missing": True})
    condition = st.builds(
        lambda key, test: {"property": key, **test}, st.sampled_from(["sku", "qty", "never"]), tests | value_tests()
    )
    some = st.lists(condition | condition | joined(condition), min_size=1, max_size=2)
    return some.map(lambda conditions: {"any_element": conditions})


def _trait_operands() -> st.SearchStrategy[dict[str, Any]]:
    factors = st.sampled_from([1, 2, -1, 0, 0.5, 0.1, 1e300, 5e-324, 2**63 - 1])
    sides = st.sampled_from([{"trait": key} for key in (*TRAITS, "never")]) | own_values()
    operand = st.builds(
        lambda side, more: {**side, **more}, sides, st.fixed_dictionaries({}, optional={"times": factors})
    )
    return st.builds(
        lambda op, value, more: {"op": op, "value": value, **more},
        st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
        operand,
        st.fixed_dictionaries({}, optional={"missing": st.booleans()}),
    )


def own_comparisons() -> st.SearchStrategy[dict[str, Any]]:
    """Traits, conditions and thresholds beside a trait or an aggregate, with rules that need the rows, and without."""
    traits = st.builds(lambda key, test: {"trait": key, **test}, st.sampled_from(TRAITS), _trait_operands())
    rules: list[dict[str, Any]] = [
        *({}, {"first_ever": "event"}, {"first_ever": "matching"}, {"at": {"weekdays": ["monday", "friday"]}}),
        *({"at": {"hours": [[22, 6]]}}, {"not_followed_by": "Seen", "within": "2d"}),
        *({"distinct_days": {"op": "ge", "value": 1}}, {"not_followed_by": "Added", "within": "1h", "by": "color"}),
    ]
    names = st.sampled_from([*NAMES, list(NAMES[:2]), None])
    dids = st.builds(lambda spec, rule: {**spec, **rule}, _dids_with_operands(names), st.sampled_from(rules))
    return traits | dids | dids


def own_conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Properties beside a trait or an aggregate of the profile."""
    return st.builds(lambda key, test: {"property": key, **test}, st.sampled_from(KEYS), _trait_operands())


def own_values() -> st.SearchStrategy[dict[str, Any]]:
    """Aggregates over the profile's own events."""
    keys = st.sampled_from((*KEYS, "never"))
    measure = st.just("count") | st.builds(
        lambda name, key: {name: key}, st.sampled_from(["sum", "mean", "min", "max", "distinct"]), keys
    )
    return st.builds(
        lambda names, of, more: {"own": {"did": names, "measure": of, **more}},
        st.sampled_from([*NAMES, list(NAMES[:2]), None]),
        measure,
        st.fixed_dictionaries({}, optional={"where": _wheres(), "window": _ranges()}),
    )


def _dids_with_operands(event: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions and thresholds against a trait of the profile."""
    condition = own_conditions()
    numbers = _trait_operands().map(lambda test: {"op": test["op"], "value": test["value"]})
    measures = st.fixed_dictionaries(
        {},
        optional={
            "count": numbers | _thresholds(),
            **{
                name: st.builds(lambda key, test: {"property": key, **test}, st.sampled_from(KEYS), numbers)
                for name in ("sum", "mean", "min", "max", "distinct")
            },
        },
    )
    where = st.lists(condition | condition | joined(condition), max_size=2)
    common = st.fixed_dictionaries({}, optional={"where": where, "window": _ranges()})
    return st.builds(lambda names, fields, more: {"did": names, **fields, **more}, event, common, measures)


def _places(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    key = st.sampled_from(keys)
    circle = st.fixed_dictionaries(
        {
            "lat": st.sampled_from([0, 1, 2.5, -90]),
            "lon": st.sampled_from([0, 2, 179.5, -180]),
            "meters": st.sampled_from([0, 120_000, 300_000.5, 20_100_000]),
        }
    )
    return st.builds(lambda lat, lon, within: {"geo": {"lat": lat, "lon": lon}, "within": within}, key, key, circle)


@cache
def local_clauses() -> st.SearchStrategy[dict[str, Any]]:
    """Clauses on one profile apart from its facts and events."""
    of_time = st.builds(
        lambda what, test: {"profile": what, **test},
        st.sampled_from(["created", "first_seen", "last_seen"]),
        _time_tests() | _time_tests() | _tests(),
    )
    of_identity = st.builds(
        lambda op, value: {"op": op, "value": value},
        st.sampled_from(["eq", "ne", "starts", "not_ends", "regex", "lt"]),
        st.sampled_from(["u1", "u", "U1", "a2"]),
    )
    identity = st.builds(
        lambda kind, test: {"identity": kind, **test},
        st.sampled_from(["user_id", "anonymous_id", "email"]),
        of_identity | st.sampled_from([{"op": "exists"}, {"op": "not_exists"}]) | _tests(),
    )
    borders = st.lists(st.sampled_from([0, 1, 2_500, 5_000, 9_999, 10_000]), min_size=2, max_size=2).map(sorted)
    bucket = st.builds(
        lambda salt, pair: {"bucket": {"salt": salt, "from": pair[0], "to": pair[1]}},
        st.sampled_from(["", "a", "spring", "\u00e4"]),
        borders,
    )
    has_been = st.builds(
        lambda key, test, word, span: {"trait": key, **test, "has_been": {word: span}},
        st.sampled_from((*TRAITS, "never")),
        _tests().filter(lambda test: test["op"] not in ("within", "anniversary")),
        st.sampled_from(["at_least", "less_than"]),
        st.sampled_from([1, "1h", "1d", "30d", "12w"]),
    )
    return of_time | identity | bucket | has_been | has_been | _places(TRAITS)


def fact_clauses() -> st.SearchStrategy[dict[str, Any]]:
    """Clauses on facts of every type."""
    of_device = ("id", "platform", "token", "app_version", "zone", "reason", "dead", "first_seen", "last_seen")
    told = st.sampled_from(["ios", "1.0", "2.0", "d1", True, False, datetime_of(START_MS)])
    texts = st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["eq", "ne"]), told)
    condition = st.builds(lambda key, test: {"property": key, **test}, st.sampled_from(of_device), texts | _tests())
    devices = st.lists(condition | condition | joined(condition), max_size=2).map(lambda some: {"device": some})
    state = st.sampled_from(["unsubscribed", "pending", "subscribed", "opted_in"])
    among = st.builds(
        lambda op, value: {"op": op, "value": value},
        st.sampled_from(["in", "not_in"]),
        st.lists(state, max_size=3),
    )
    states = st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["eq", "ne"]), state) | among
    consents = st.builds(
        lambda channel, topic, test: {"consent": channel, **topic, **test},
        st.sampled_from((*CHANNELS, "never")),
        st.fixed_dictionaries({}, optional={"topic": st.sampled_from((*TOPICS, "never"))}),
        states | _tests_of_states(),
    )
    kinds = st.none() | st.sampled_from(["company", "family", "never"])
    of_group = st.sampled_from((*TRAITS, "$id", "$role", "never"))
    asked = st.builds(lambda key, test: {"property": key, **test}, of_group, texts | _tests())
    named = st.sampled_from(["g1", "g2", "g3"]).map(lambda each: {"property": "$id", "op": "eq", "value": each})
    wheres = st.fixed_dictionaries({}, optional={"where": st.lists(asked | named | joined(asked), max_size=2)})
    groups = st.builds(lambda kind, where: {"group": kind, **where}, kinds, wheres)
    lists = st.sampled_from((*LISTS, "never")).map(lambda name: {"list": name})
    suppressed = st.booleans().map(lambda wanted: {"suppressed": wanted})
    return devices | consents | groups | lists | suppressed


def _tests_of_states() -> st.SearchStrategy[dict[str, Any]]:
    """Tests of what is one of few texts, but those that name a text that is none of them."""
    exact = ("eq", "ne", "in", "not_in", "any", "none", "all")
    folded = st.sampled_from(["Subscribed", "PENDING", "opted_in"]).map(
        lambda state: {"op": "eq", "value": state, "ignore_case": True}
    )
    return folded | _tests().filter(lambda test: test["op"] not in exact)


def _tests() -> st.SearchStrategy[dict[str, Any]]:
    literals = values().filter(lambda value: value is not None and not isinstance(value, list))
    ordered = literals.filter(lambda value: not isinstance(value, bool))
    texts = st.sampled_from(["r", "R", "red", "e", "", "d"])
    numbers = st.sampled_from([0, 1, 2, 0.5, 2.5, 10])
    pairs = st.tuples(numbers, numbers).map(sorted) | st.tuples(texts, texts).map(list)
    equal = st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["eq", "ne"]), literals)
    several = st.builds(
        lambda op, value: {"op": op, "value": value},
        st.sampled_from(["in", "not_in"]),
        st.lists(literals, max_size=3),
    )
    order = st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["lt", "le", "gt", "ge"]), ordered)
    between = pairs.map(lambda pair: {"op": "between", "value": pair})
    text = st.builds(
        lambda op, value: {"op": op, "value": value}, st.sampled_from(["contains", "starts", "ends"]), texts
    )
    exists = st.sampled_from(["exists", "not_exists"]).map(lambda op: {"op": op})
    plain = equal | several | order | between | text
    folded = st.builds(lambda test: {**test, "ignore_case": True}, equal | several | text)
    tests = plain | folded | value_tests()
    return tests | exists | st.builds(lambda test: {**test, "missing": True}, tests)


@cache
def value_tests() -> st.SearchStrategy[dict[str, Any]]:
    """Tests that are more than a comparison: texts, lists, times and dates, versions."""
    parts = st.sampled_from(["r", "R", "red", "e", "", "d"])
    text = st.builds(
        lambda op, value: {"op": op, "value": value}, st.sampled_from(["not_contains", "not_starts", "not_ends"]), parts
    )
    expressions = st.sampled_from(EXPRESSIONS)
    regex = st.builds(
        lambda op, value: {"op": op, "value": value}, st.sampled_from(["regex", "not_regex"]), expressions
    )
    scalars = values().filter(lambda value: value is not None and not isinstance(value, list))
    several = st.builds(
        lambda op, value: {"op": op, "value": value},
        st.sampled_from(["any", "all", "none"]),
        st.lists(scalars | st.sampled_from(["a", "b", "c"]), max_size=2),
    )
    folded = st.builds(lambda test: {**test, "ignore_case": True}, text | regex | several)
    size = _thresholds().map(lambda test: {"op": "size", "value": test})
    return text | regex | several | folded | size | _time_tests() | _version_tests()


def _time_tests() -> st.SearchStrategy[dict[str, Any]]:
    moments = st.sampled_from(MOMENTS)
    order = st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["before", "after"]), moments)
    spans = st.sampled_from([1, "1h", "1d", "30d", "12w", "100d"])
    within = st.builds(
        lambda word, span: {"op": "within", "value": {word: span}}, st.sampled_from(["last", "next"]), spans
    )
    on = moments.map(lambda moment: {"op": "on", "value": moment.date().isoformat()})
    rule = st.fixed_dictionaries(
        {},
        optional={
            "days_before": st.sampled_from([0, 1, 30, 120, 366]),
            "days_after": st.sampled_from([0, 1, 90]),
            "leap_day": st.sampled_from(["feb_28", "mar_1"]),
        },
    )
    anniversary = rule.map(lambda rule: {"op": "anniversary", "value": rule})
    zoned = st.builds(lambda test, zone: {**test, "zone": zone}, on | anniversary, st.sampled_from(ZONES))
    return order | within | within | on | anniversary | zoned


def _version_tests() -> st.SearchStrategy[dict[str, Any]]:
    ops = st.sampled_from(["version_lt", "version_le", "version_gt", "version_ge", "version_eq"])
    versions = st.sampled_from(["1", "1.9", "1.9.0-rc.1", "1.10.0", "V2-x.7", "01.10+7"])
    return st.builds(lambda op, version: {"op": op, "value": version}, ops, versions)


def _did_clauses() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from((*NAMES, "Never", SYSTEM_NAME))
    event = st.none() | names | st.lists(names, min_size=1, max_size=3, unique=True)
    common = st.fixed_dictionaries({}, optional={"where": _wheres(), "window": windows_of(_blocks())})
    measures = st.fixed_dictionaries(
        {},
        optional={
            "count": _thresholds(),
            **{
                name: st.builds(lambda key, test: {"property": key, **test}, st.sampled_from(KEYS), _thresholds())
                for name in ("sum", "mean", "min", "max", "distinct")
            },
        },
    )
    did = st.builds(lambda names, fields, more: {"did": names, **fields, **more}, event, common, measures)
    did |= _dids_with_operands(event)
    did_not = st.builds(lambda names, fields: {"did_not": names, **fields}, event, common)
    return did | did_not


def _thresholds() -> st.SearchStrategy[dict[str, Any]]:
    numbers = st.sampled_from([0, 1, 2, 3, 0.5, 5, 10.0, 2**53 + 1])
    single = st.builds(
        lambda op, value: {"op": op, "value": value}, st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), numbers
    )
    several = st.builds(
        lambda op, value: {"op": op, "value": value}, st.sampled_from(["in", "not_in"]), st.lists(numbers, max_size=2)
    )
    between = st.tuples(numbers, numbers).map(lambda pair: {"op": "between", "value": sorted(pair)})
    return single | several | between


def _breakdowns(kinds: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    keys = {"property": KEYS, "trait": TRAITS}
    operands: list[dict[str, Any]] = [{kind: key} for kind in kinds for key in keys[kind]]
    single = st.sampled_from(operands)
    return st.lists(single | single | single | _members(), max_size=2, unique_by=column_of)


def broken_down_by_members() -> st.SearchStrategy[dict[str, Any]]:
    """Trends, funnels and retentions split by segments and groups, and maybe by something else."""
    others = st.sampled_from([{"property": key} for key in KEYS] + [{"trait": key} for key in TRAITS])
    breakdown = st.lists(_members() | _members() | others, min_size=1, max_size=3, unique_by=column_of)
    questions = trends() | ruled_trends() | funnels() | retentions()
    return st.builds(lambda question, split: {**question, "breakdown": split}, questions, breakdown).map(sound_split)


def sound_split(spec: dict[str, Any]) -> dict[str, Any]:
    """The question without what needs a breakdown by something of the event, where there is none."""
    by_property = any(operand.keys() & {"property", "time", "event", "at"} for operand in spec["breakdown"])
    return spec if by_property else {key: spec[key] for key in spec if key not in ("attribution", "share_value")}


def _members() -> st.SearchStrategy[dict[str, Any]]:
    """Operands that put a profile into several groups: segments, some of which nobody is in, and groups."""
    segments = st.lists(st.builds(lambda where: {"where": where}, predicates(2)), min_size=1, max_size=3)
    kind = st.sampled_from(["company", "company", "family", "never"])
    by_trait = st.builds(lambda of, key: {"group": of, "trait": key}, kind, st.sampled_from((*TRAITS, "never")))
    by_id = st.builds(lambda of: {"group": of}, kind)
    return st.builds(lambda some: {"segments": some}, segments) | by_id | by_trait


def column_of(operand: dict[str, Any]) -> str:
    """What the operand's column is called."""
    if "segments" in operand or "name" in operand:
        return str(operand.get("name", "segment"))
    if "time" in operand or "event" in operand:
        return "time" if "time" in operand else "event"
    return str(operand.get("property", operand.get("trait"))) if "group" not in operand else _group_column(operand)


def _group_column(operand: dict[str, Any]) -> str:
    return ".".join(str(operand[name]) for name in ("group", "trait") if name in operand)
