"""Strategies for clauses on events: windows of every form, local times, measures, sequences, shares."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, TypeVar

from hypothesis import strategies as st

from cdpstore.testing.calendars import WEEKDAYS

__all__ = ["Blocks", "alternatives_of", "briefly", "event_clauses_of", "windows_of"]

Value = TypeVar("Value")
Drawn: TypeAlias = st.SearchStrategy[dict[str, Any]]
DURATIONS: Final = (1, "1h", "1d", "30d", "12w", "100d")


def briefly(strategy: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    """The same, told by its name alone: whatever holds it recursively is written out, megabytes of it."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Value:
        return draw(strategy)

    return drawn()


@dataclasses.dataclass(frozen=True)
class Blocks:
    """What the clauses are made of: the same names, keys, values and times as all other strategies."""

    names: Sequence[str]
    keys: Sequence[str]
    traits: Sequence[str]
    zones: Sequence[str]
    times: st.SearchStrategy[int]
    literals: st.SearchStrategy[Any]
    wheres: st.SearchStrategy[list[dict[str, Any]]]
    tests: Drawn
    thresholds: Drawn


def windows_of(blocks: Blocks) -> Drawn:
    """Rolling, absolute, open, in the calendar of any zone, since a trait's date."""
    lasts = st.sampled_from(DURATIONS).map(lambda last: {"last": last})
    ended = st.sampled_from([("1d", 1), ("30d", "1d"), ("100d", "30d"), ("12w", "1h")])
    lags = ended.map(lambda pair: {"last": pair[0], "until": pair[1]})
    untils = st.sampled_from(DURATIONS).map(lambda until: {"until": until})
    opened = blocks.times.map(lambda at: {"start_ms": at}) | blocks.times.map(lambda at: {"end_ms": at})
    absolute = st.tuples(blocks.times, blocks.times).map(sorted)
    between = absolute.map(lambda pair: {"start_ms": pair[0], "end_ms": pair[1]})
    traits = st.sampled_from((*blocks.traits, "never")).map(lambda key: {"since": {"trait": key}})
    since = st.builds(_with, traits, st.fixed_dictionaries({}, optional={"within": st.sampled_from(DURATIONS)}))
    return lasts | lags | untils | opened | between | since | _calendar_windows(blocks)


def _calendar_windows(blocks: Blocks) -> Drawn:
    names = st.sampled_from(["hour", "day", "week", "month", "quarter", "year"])
    counts = st.fixed_dictionaries({}, optional={"count": st.integers(1, 13)})
    units = st.builds(lambda at, unit, count: {at: unit, **count}, st.sampled_from(["this", "previous"]), names, counts)
    days = st.sampled_from(["1d", "30d", "12w"]).map(lambda last: {"last": last, "calendar": True})
    own = {"zone": st.sampled_from(blocks.zones), "week_start": st.sampled_from(WEEKDAYS)}
    return st.builds(_with, units | days, st.fixed_dictionaries({}, optional=own))


def _local_times(blocks: Blocks) -> Drawn:
    days = st.integers(-31, 31).filter(bool)
    some = {
        "hours": _hours(),
        "weekdays": st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4),
        "days_of_month": st.lists(days, min_size=1, max_size=8),
        "months": st.lists(st.integers(1, 12), min_size=1, max_size=6),
    }
    given = st.fixed_dictionaries({}, optional=some).filter(bool)
    return st.builds(_with, given, _zone(blocks))


def _zone(blocks: Blocks) -> Drawn:
    return st.fixed_dictionaries({}, optional={"zone": st.sampled_from(blocks.zones)})


def _hours() -> st.SearchStrategy[list[list[Any]]]:
    spans: st.SearchStrategy[list[Any]] = st.sampled_from(
        [[9, 18], [22, 6], [0, 24], [0, 12], ["00:15", "01:00"], ["23:30", "00:30"], [12, 0]]
    )
    return st.lists(spans, min_size=1, max_size=2)


def event_clauses_of(blocks: Blocks) -> Drawn:
    """`did` by every rule that reads rows, habits, sequences, shares."""
    rules = _dids(blocks) | _dids(blocks)
    return rules | _habits(blocks) | _sequences(blocks) | _sequences(blocks) | _shares(blocks)


def _events(blocks: Blocks) -> st.SearchStrategy[Any]:
    names = st.sampled_from(blocks.names)
    return names | names | st.none() | st.lists(names, min_size=1, max_size=2, unique=True)


def alternatives_of(names: Sequence[str], wheres: st.SearchStrategy[list[dict[str, Any]]]) -> Drawn:
    """Events that one of several selectors means; any event stands beside no name of the system's."""
    name = st.sampled_from(names)
    some = name | name | st.lists(name, min_size=1, max_size=2, unique=True)
    named = st.fixed_dictionaries({"event": some}, optional={"where": wheres})
    any_event = st.fixed_dictionaries({"event": st.none()}, optional={"where": wheres})
    client = st.sampled_from([each for each in names if not each.startswith("Message ")])
    mixed = st.builds(lambda one, others: [one, *others], any_event, st.lists(client | any_event, max_size=2))
    return (st.lists(name | named | named, min_size=1, max_size=3) | mixed).map(lambda parts: {"any_of": parts})


def _alternatives(blocks: Blocks) -> Drawn:
    return briefly(alternatives_of(blocks.names, blocks.wheres))


def _heads(blocks: Blocks) -> st.SearchStrategy[Any]:
    """What a clause names its events by."""
    return _events(blocks) | _events(blocks) | _events(blocks) | _alternatives(blocks)


def _timed(blocks: Blocks) -> st.SearchStrategy[Any]:
    named = _events(blocks).map(lambda event: {"event": event})
    own = st.builds(_with, named | named | _alternatives(blocks), st.fixed_dictionaries({}, optional=_narrowed(blocks)))
    return _events(blocks) | own


def _narrowed(blocks: Blocks) -> dict[str, st.SearchStrategy[Any]]:
    return {"where": blocks.wheres, "at": _local_times(blocks)}


def _dids(blocks: Blocks) -> Drawn:
    keys = st.sampled_from(blocks.keys)
    filled = st.sampled_from([{}, {"missing": "zero"}, {"missing": "skip"}])
    numbers = st.builds(lambda key, test, fill: {"property": key, **test, **fill}, keys, blocks.thresholds, filled)
    values = st.builds(lambda key, test: {"property": key, **test}, keys, blocks.tests)
    optional = {
        **_narrowed(blocks),
        "window": windows_of(blocks),
        "count": blocks.thresholds,
        "include_zero": st.booleans(),
        "first": values,
        "last": values,
        "first_time": _times(blocks),
        "last_time": _times(blocks),
        "distinct_days": st.builds(_with, blocks.thresholds, _zone(blocks)),
        "first_ever": st.sampled_from(["event", "matching"]),
        **{name: numbers for name in ("sum", "mean", "min", "max")},
    }
    heads = _heads(blocks)
    few = st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True).flatmap(  # what is asked must all hold
        lambda names: st.fixed_dictionaries({"did": heads, **{name: optional[name] for name in names}})
    )
    did_not = st.fixed_dictionaries(
        {"did_not": _heads(blocks)}, optional={**_narrowed(blocks), "window": windows_of(blocks)}
    )
    return few | few | did_not | st.builds(_with, few, _endings(blocks))


def _times(blocks: Blocks) -> Drawn:
    instants = st.builds(_test, st.sampled_from(["before", "after"]), blocks.times)
    ages = st.builds(_test, st.sampled_from(["older_than", "newer_than"]), st.sampled_from(DURATIONS))
    return st.builds(_with, instants | ages, st.fixed_dictionaries({}, optional={"missing": st.booleans()}))


def _endings(blocks: Blocks) -> Drawn:
    within = st.sampled_from([1, 1_000, "1h", "1d", "30d"])
    return st.fixed_dictionaries(
        {"not_followed_by": _timed(blocks), "within": within}, optional={"by": st.sampled_from(blocks.keys)}
    )


def _habits(blocks: Blocks) -> Drawn:
    stopped = st.sampled_from([{"for": "1d"}, {"for": "1d", "before": "30d"}, {"for": "30d", "before": "12w"}])
    restarted = st.sampled_from([{"last": "1h", "gap": 1}, {"last": "30d", "gap": "1d"}, {"last": "1d", "gap": "28d"}])
    regularly = st.sampled_from(
        [
            {"every": "1d", "times": 2},
            {"every": "28d", "times": 3},
            {"every": "28d", "times": 1},
            {"every": "28d", "times": 3, "at_least": 2},
            {"every": "12h", "times": 60, "at_least": 3},
            {"every": "7d", "times": 5, "at_least": 1, "count": {"op": "ge", "value": 2}},
            {"every": "28d", "times": 2, "count": {"op": "ge", "value": 2}},
            {"every": "1d", "times": 5, "at_least": 4, "count": {"op": "le", "value": 1}},
        ]
    )
    forms = {"stopped": stopped, "restarted": restarted, "regularly": regularly}
    where = st.fixed_dictionaries({}, optional={"where": blocks.wheres})
    heads = _heads(blocks)

    def of(form: str) -> Drawn:
        event = heads.map(lambda event: {form: event})
        return st.builds(_with, st.builds(_with, event, forms[form]), where)

    return st.sampled_from(sorted(forms)).flatmap(of)


def _sequences(blocks: Blocks) -> Drawn:
    durations = st.sampled_from([1, 1_000, "1m", "1h", "1d", "28d"])
    gap = st.none() | st.builds(_test, st.sampled_from(["lt", "le", "gt", "ge", "eq"]), durations)

    between = st.none() | st.builds(
        lambda event, test: {**(event if isinstance(event, dict) else {"event": event}), "count": test},
        _timed(blocks),
        st.builds(_test, st.sampled_from(["lt", "le", "gt", "ge", "eq"]), st.integers(0, 2)),
    )

    def with_gaps(steps: list[Any]) -> Drawn:
        gaps = st.lists(gap, min_size=len(steps) - 1, max_size=len(steps) - 1)
        counted = st.lists(between, min_size=len(steps) - 1, max_size=len(steps) - 1)
        return st.fixed_dictionaries({"sequence": st.just(steps)}, optional={"gaps": gaps, "between": counted})

    more = st.fixed_dictionaries(
        {},
        optional={
            "within": durations,
            "without": _timed(blocks),
            "window": windows_of(blocks),
            "count": blocks.thresholds,
            "hold": st.sampled_from(blocks.keys),
        },
    )
    return st.builds(_with, st.lists(_timed(blocks), min_size=2, max_size=3).flatmap(with_gaps), more)


def _shares(blocks: Blocks) -> Drawn:
    values = st.lists(blocks.literals, min_size=1, max_size=3)
    by_value = st.builds(lambda key, some: {"property": key, "values": some}, st.sampled_from(blocks.keys), values)
    days = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3).map(lambda some: {"weekdays": some})
    by_time = st.builds(_with, _hours().map(lambda hours: {"hours": hours}) | days, _zone(blocks))
    named = _events(blocks).map(lambda event: {"event": event})
    more = st.fixed_dictionaries({}, optional={**_narrowed(blocks), "window": windows_of(blocks)})
    found = st.builds(_with, named | named | _alternatives(blocks), more)
    split = st.builds(_with, found, by_value | by_time)
    ops = st.sampled_from(["ge", "gt", "lt", "le", "eq", "ne"])
    ratios = st.builds(_test, ops, st.sampled_from([0, 0.25, 1 / 3, 0.5, 1]))
    shares = st.builds(_with, split, ratios).map(lambda share: {"share": share})
    return shares | split.map(lambda clause: {"predominantly": clause})


def _with(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {**left, **right}


def _test(op: str, value: Any) -> dict[str, Any]:
    return {"op": op, "value": value}
