"""Clauses on events: the store's answer is that of their definition, whatever way it is computed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, Batch
from tests.oracle.scale import LONG, examples
from tests.oracle.twins import CARE, Twins, outcome

pytestmark = pytest.mark.timeout(900)  # as in test_store_equals_model

cares = st.lists(st.sampled_from(CARE), min_size=6, max_size=6)
clauses = st.lists(strategies.event_clauses(), min_size=4, max_size=12)
calendars = st.fixed_dictionaries(
    {},
    optional={
        "zone": st.sampled_from(strategies.ZONES),
        "week_start": st.sampled_from(["monday", "sunday", "thursday"]),
    },
)
waits = st.sampled_from([0, 1, DAY_MS, 3 * DAY_MS, 40 * DAY_MS, -30 * DAY_MS])


def _check(history: Any, care: Any, predicates: Any, calendar: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for predicate in predicates:
            twins.ask({"kind": "profiles", "where": predicate, **calendar}, now_ms=twins.now_ms + wait_ms)
    finally:
        twins.close()


@examples(150)
@given(strategies.histories(), cares, clauses, calendars, waits)
def test_clauses_on_events_are_true_of_those_of_whom_they_are_by_definition(
    history: Any, care: Any, predicates: Any, calendar: Any, wait_ms: int
) -> None:
    _check(history, care, predicates, calendar, wait_ms)


@pytest.mark.long
@pytest.mark.timeout(1800)
@examples(150 * LONG)
@given(strategies.histories(), cares, clauses, calendars, waits)
def test_clauses_on_events_at_length(history: Any, care: Any, predicates: Any, calendar: Any, wait_ms: int) -> None:
    _check(history, care, predicates, calendar, wait_ms)


@examples(60)
@given(strategies.event_clauses())
def test_every_clause_drawn_is_answered(predicate: Any) -> None:
    twins = Twins()
    try:
        answer = outcome(lambda: twins.model.query({"kind": "profiles", "where": predicate}, now_ms=0))
        assert answer == outcome(lambda: twins.real.query({"kind": "profiles", "where": predicate}, now_ms=0))
        assert answer == (("profile_id",), []), predicate
    finally:
        twins.close()


REFUSED = [
    ({"did": "A", "window": {"last": "1d", "until": "1d"}}, "query.invalid", "window.until"),
    ({"did": "A", "window": {"last": "2d", "until": "1d", "calendar": True}}, "query.invalid", "window.until"),
    ({"did": "A", "window": {"until": "1d", "calendar": True}}, "query.invalid", "window.until"),
    ({"did": "A", "window": {"last": "1d", "zone": "UTC"}}, "query.field.unknown", "window.zone"),
    ({"did": "A", "window": {"this": "day", "zone": "Mars/Olympus"}}, "query.zone.unknown", "window.zone"),
    ({"did": "A", "window": {"this": "day", "week_start": "someday"}}, "query.invalid", "window.week_start"),
    ({"did": "A", "window": {"since": "plan"}}, "query.invalid", "window.since"),
    ({"did": "A", "window": {"since": {"trait": "t"}, "within": 0}}, "query.invalid", "window.within"),
    ({"did": "A", "at": {}}, "query.invalid", "at"),
    ({"did": "A", "at": {"zone": "UTC"}}, "query.invalid", "at"),
    ({"did": "A", "at": {"hours": []}}, "query.invalid", "at.hours"),
    ({"did": "A", "at": {"hours": [[9, 9]]}}, "query.invalid", "at.hours[0]"),
    ({"did": "A", "at": {"hours": [[24, 3]]}}, "query.invalid", "at.hours[0]"),
    ({"did": "A", "at": {"hours": [[9, 25]]}}, "query.invalid", "at.hours[0][1]"),
    ({"did": "A", "at": {"hours": [["9:00", 12]]}}, "query.invalid", "at.hours[0][0]"),
    ({"did": "A", "at": {"hours": [["24:30", 12]]}}, "query.invalid", "at.hours[0][0]"),
    ({"did": "A", "at": {"weekdays": ["funday"]}}, "query.invalid", "at.weekdays[0]"),
    ({"did": "A", "at": {"days_of_month": [0]}}, "query.invalid", "at.days_of_month[0]"),
    ({"did": "A", "at": {"months": [13]}}, "query.invalid", "at.months[0]"),
    ({"did": "A", "first_ever": "once"}, "query.invalid", "first_ever"),
    ({"did": "A", "first": {"op": "eq", "value": 1}}, "query.invalid", "first.property"),
    ({"did": "A", "first_time": {"op": "lt", "value": 1}}, "query.invalid", "first_time.op"),
    ({"did": "A", "first_time": {"op": "before", "value": "1d"}}, "query.invalid", "first_time.value"),
    ({"did": "A", "last_time": {"op": "older_than", "value": 0}}, "query.invalid", "last_time.value"),
    ({"did": "A", "distinct_days": {"op": "contains", "value": "a"}}, "query.invalid", "distinct_days.op"),
    ({"did": "A", "distinct_days": {"op": "ge", "value": "a"}}, "query.invalid", "distinct_days.value"),
    (
        {"did": "A", "mean": {"property": "p", "op": "ge", "value": 1, "missing": "one"}},
        "query.invalid",
        "mean.missing",
    ),
    ({"did": "A", "count": {"op": "ge", "value": 1, "missing": "zero"}}, "query.field.unknown", "count.missing"),
    (
        {"did": "A", "min": {"property": "p", "op": "ge", "value": {"$time": 0}, "missing": "zero"}},
        "query.invalid",
        "min.missing",
    ),
    ({"did": "A", "not_followed_by": "B"}, "query.invalid", "within"),
    ({"did": "A", "within": "1d"}, "query.field.unknown", "within"),
    ({"did": "A", "not_followed_by": {"event": "B", "at": 5}, "within": 1}, "query.invalid", "not_followed_by.at"),
    ({"did_not": "A", "first_ever": "event"}, "query.field.unknown", "first_ever"),
    ({"did_not": "A", "include_zero": True}, "query.field.unknown", "include_zero"),
    ({"sequence": ["A"]}, "query.invalid", "sequence"),
    ({"sequence": ["A"] * 17}, "query.invalid", "sequence"),
    ({"sequence": ["A", {"where": []}]}, "query.invalid", "sequence[1].event"),
    ({"sequence": ["A", "B"], "gaps": [None, None]}, "query.invalid", "gaps"),
    ({"sequence": ["A", "B"], "gaps": [{"op": "ne", "value": 1}]}, "query.invalid", "gaps[0].op"),
    ({"sequence": ["A", "B"], "between": [None, None]}, "query.invalid", "between"),
    ({"sequence": ["A", "B"], "between": ["X"]}, "query.invalid", "between[0]"),
    ({"sequence": ["A", "B"], "between": [{"event": "X"}]}, "query.invalid", "between[0].count"),
    (
        {"sequence": ["A", "B"], "between": [{"event": "X", "count": {"op": "ne", "value": 1}}]},
        "query.invalid",
        "between[0].count.op",
    ),
    (
        {"sequence": ["A", "B"], "between": [{"event": "X", "count": {"op": "eq", "value": -1}}]},
        "query.invalid",
        "between[0].count.value",
    ),
    ({"sequence": ["A", "B"], "within": -1}, "query.invalid", "within"),
    ({"sequence": ["A", "B"], "hold": ["a"]}, "query.invalid", "hold"),
    ({"sequence": ["A", "B"], "count": {"op": "exists"}}, "query.invalid", "count.op"),
    ({"sequence": ["A", "B"], "did": "A"}, "query.invalid", "sequence"),
    ({"stopped": "A"}, "query.invalid", "for"),
    ({"stopped": "A", "for": "2d", "before": "1d"}, "query.invalid", "before"),
    ({"restarted": "A", "last": "1d"}, "query.invalid", "gap"),
    ({"regularly": "A", "every": "1d", "times": 61}, "query.invalid", "times"),
    ({"regularly": "A", "every": "20000d", "times": 2}, "query.invalid", "times"),
    ({"share": {"event": "A", "property": "p", "values": [1]}}, "query.invalid", "share.op"),
    ({"share": {"event": "A", "op": "ge", "value": 0.5}}, "query.invalid", "share"),
    ({"share": {"event": "A", "property": "p", "op": "ge", "value": 0.5}}, "query.invalid", "share.values"),
    ({"share": {"property": "p", "values": [1], "op": "ge", "value": 0.5}}, "query.invalid", "share.event"),
    ({"predominantly": {"event": "A", "hours": [[1, 2]], "weekdays": ["monday"]}}, "query.invalid", "predominantly"),
    ({"predominantly": {"event": "A", "property": "p", "values": [None]}}, "query.invalid", "predominantly.values[0]"),
    ({"predominantly": "A"}, "query.invalid", "predominantly"),
]


@pytest.mark.parametrize(("predicate", "code", "path"), REFUSED, ids=lambda each: str(each)[:60])
def test_what_cannot_be_meant_is_refused_with_its_path(predicate: Any, code: str, path: str) -> None:
    twins = Twins()
    try:
        spec = {"kind": "profiles", "where": predicate}
        for store in (twins.real, twins.model):
            answer = outcome(lambda store=store: store.query(spec, now_ms=0))
            assert answer[1:] == (code, ("where." + path).removesuffix(".")), store
    finally:
        twins.close()


NOON = strategies.START_MS + DAY_MS // 2


def _holds(times: dict[str, list[int]], predicate: Any, now_ms: int, **properties: Any) -> bool:
    """What both say of a profile with these events."""
    twins = Twins()
    try:
        records = [
            {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": "u"}, "properties": properties}
            for name, of_name in times.items()
            for time_ms in of_name
        ]
        twins.append(Batch(records, max(now_ms, strategies.END_MS)))
        spec = {"kind": "profiles", "where": predicate}
        twins.ask(spec, now_ms=now_ms)
        return len(twins.real.query(spec, now_ms=now_ms).rows()) == 1
    finally:
        twins.close()


def test_inaction_qualifies_a_millisecond_after_its_time_and_an_end_at_its_border_counts() -> None:
    rule = {"did": "A", "not_followed_by": "B", "within": 1_000}
    assert [_holds({"A": [NOON]}, rule, NOON + wait) for wait in (0, 1_000, 1_001)] == [False, False, True]
    assert [_holds({"A": [NOON], "B": [NOON + gap]}, rule, NOON + DAY_MS) for gap in (1_000, 1_001)] == [False, True]


def test_of_one_millisecond_the_order_of_events_decides_what_followed() -> None:
    rule = {"did": "A", "not_followed_by": "B", "within": 1_000}
    assert not _holds({"A": [NOON], "B": [NOON]}, rule, NOON + DAY_MS)
    assert _holds({"B": [NOON], "A": [NOON]}, rule, NOON + DAY_MS)
    assert _holds({"A": [NOON]}, {**rule, "not_followed_by": "A"}, NOON + DAY_MS)  # it does not follow itself


def test_a_lagging_window_takes_an_event_in_at_its_near_border_and_lets_it_go_at_its_far_one() -> None:
    window = {"did": "A", "window": {"last": 3_000, "until": 1_000}}
    assert [_holds({"A": [NOON]}, window, NOON + age) for age in (999, 1_000, 2_999, 3_000)] == [
        False,
        True,
        True,
        False,
    ]


def test_an_hour_that_the_clock_skips_never_matches_and_one_that_comes_twice_matches_twice() -> None:
    zone, spring, autumn = "Europe/London", 1_679_792_400_000, 1_698_537_600_000  # 01:00 UTC, 00:00 UTC
    skipped = {"did": "A", "at": {"hours": [[1, 2]], "zone": zone}}
    assert not _holds({"A": [spring - 1, spring]}, skipped, NOON + 90 * DAY_MS)
    twice = {**skipped, "count": {"op": "eq", "value": 2}}
    assert _holds({"A": [autumn + 1_800_000, autumn + 5_400_000]}, twice, NOON + 90 * DAY_MS)


def test_a_sequence_takes_the_start_that_still_fits() -> None:
    within = {"sequence": ["A", "B", "C"], "within": 3_000_000}
    minutes = {"A": [0, 30], "B": [45], "C": [75]}
    times = {name: [NOON + each * 60_000 for each in of_name] for name, of_name in minutes.items()}
    assert _holds(times, within, NOON + DAY_MS)
    assert not _holds({**times, "A": [NOON]}, within, NOON + DAY_MS)
    assert not _holds({"A": [NOON]}, {"sequence": ["A", "A"]}, NOON + DAY_MS)  # one event fills one step
    assert _holds(
        {"A": [NOON, NOON + 1, NOON + 2, NOON + 3]},
        {"sequence": ["A", "A"], "count": {"op": "eq", "value": 2}},
        NOON + DAY_MS,
    )


def test_a_sequence_counts_what_comes_between_its_steps() -> None:
    def holds(story: str, op: str, value: int, **more: Any) -> bool:
        times: dict[str, list[int]] = {}
        for at, name in enumerate(story):
            times.setdefault(name, []).append(NOON + at * 1_000)
        between = [{"event": "X", "count": {"op": op, "value": value}}]
        return _holds(times, {"sequence": ["A", "B"], "between": between, **more}, NOON + DAY_MS)

    assert holds("AB", "eq", 0)
    assert not holds("AXB", "eq", 0)
    assert holds("AXAB", "eq", 0)  # of another beginning
    assert holds("XAXXBX", "eq", 2)
    assert not holds("XAXXBX", "gt", 2)
    assert holds("AXAXB", "ge", 2)  # the earlier beginning
    assert not holds("AXAXB", "ge", 2, within="2s")
    assert holds("AXXXB", "le", 3)
    assert not holds("AXXXB", "lt", 3)
    assert not holds("AB", "lt", 0)


def test_each_gap_of_a_sequence_counts_events_of_its_own() -> None:
    none, two = {"op": "eq", "value": 0}, {"op": "ge", "value": 2}
    between = [{"event": "X", "count": none}, {"event": ["X", "B"], "count": two}]
    clause = {"sequence": ["A", "B", "C"], "between": between}
    times = {"A": [NOON], "B": [NOON + 1, NOON + 3], "X": [NOON + 2], "C": [NOON + 4]}
    assert _holds(times, clause, NOON + DAY_MS)
    assert not _holds({**times, "X": [NOON + 5]}, clause, NOON + DAY_MS)
    assert _holds(times, {**clause, "between": [None, between[1]]}, NOON + DAY_MS)


def test_a_tie_is_predominant_and_nothing_is_not() -> None:
    mostly = {"predominantly": {"event": ["A", "B"], "weekdays": ["monday"]}}
    assert _holds({"A": [NOON], "B": [NOON + DAY_MS]}, mostly, NOON + 2 * DAY_MS)
    assert not _holds({"A": [NOON], "B": [NOON + DAY_MS, NOON + DAY_MS + 1]}, mostly, NOON + 2 * DAY_MS)
    assert not _holds({"C": [NOON]}, mostly, NOON + 2 * DAY_MS)


def test_an_integer_and_the_float_of_its_value_are_two_distinct_values() -> None:
    twins = Twins()
    try:
        records = [
            {"type": "event", "name": "A", "time_ms": NOON, "ids": {"user_id": "u"}, "properties": {"n": value}}
            for value in (1, 1.0, 1, "1")
        ]
        twins.append(Batch(records, strategies.END_MS))
        for count, expected in ((3, 1), (2, 0)):
            spec = {
                "kind": "profiles",
                "where": {"did": "A", "distinct": {"property": "n", "op": "eq", "value": count}},
            }
            twins.ask(spec)
            assert len(twins.real.query(spec, now_ms=twins.now_ms).rows()) == expected
    finally:
        twins.close()
