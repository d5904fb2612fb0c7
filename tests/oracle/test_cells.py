"""Cells: the profiles behind each number of an answer are exactly so many."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, row_by_row

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 10 * DAY


def _behind(twins: Twins, question: Any, at: Any) -> int:
    spec = {"kind": "profiles", "where": {"cell": question, "at": at}}
    answer = twins.real.query(spec, now_ms=twins.now_ms)
    assert row_by_row(twins.real, spec, twins.now_ms) == twins.answer(spec)
    return len(answer.rows())


def _plain(spec: dict[str, Any]) -> dict[str, Any]:
    """Without what a cell cannot have: the rest of a limit, lists as the values of a group."""
    dropped = ("limit", "fill", "count", "formula", "moving_mean", "previous", "frequency")
    kept = {key: value for key, value in spec.items() if key not in dropped}
    if "breakdown" in kept:
        kept["breakdown"] = [each for each in kept["breakdown"] if "tags" not in each.values()]
    return kept


histories = strategies.histories(max_batches=3)
cares = st.lists(st.sampled_from(CARE), min_size=6, max_size=6)


@pytest.mark.timeout(900)
@examples(30)
@given(histories, cares, strategies.funnels().map(_plain))
def test_as_many_reached_and_lost_a_step_as_the_funnel_says(history: Any, care: Any, question: Any) -> None:
    with Twins.of(history, care) as twins:
        try:
            answer = twins.real.query(question, now_ms=twins.now_ms)
        except BadQuery:
            return
        groups = len(question.get("breakdown", []))
        for row in answer.rows()[:4]:
            group = {"group": list(row[:groups])} if groups else {}
            steps = row[groups : groups + len(question["steps"])]
            for number, count in enumerate(steps, 1):
                if question.get("hold") or question.get("attribution") == "every_step":
                    continue  # a profile may be there several times over
                assert _behind(twins, question, {"reached": number, **group}) == count
                if number > 1:
                    assert _behind(twins, question, {"lost": number, **group}) == steps[number - 2] - count


@pytest.mark.timeout(900)
@examples(30)
@given(histories, cares, strategies.retentions().map(_plain))
def test_as_many_are_in_a_cell_of_a_retention_as_it_says(history: Any, care: Any, question: Any) -> None:
    with Twins.of(history, care) as twins:
        try:
            answer = twins.real.query(question, now_ms=twins.now_ms)
        except BadQuery:
            return
        groups = len(question.get("breakdown", []))
        for row in answer.rows()[:6]:
            group = {"group": list(row[:groups])} if groups else {}
            cohort_ms, period, profiles, eligible = row[groups : groups + 4]
            at = {"cohort_ms": cohort_ms, "period": period, **group}
            assert _behind(twins, question, at) == profiles
            assert _behind(twins, question, {**at, "returned": False}) == eligible - profiles


@pytest.mark.timeout(900)
@examples(30)
@given(histories, cares, (strategies.trends() | strategies.ruled_trends()).map(_plain), st.booleans())
def test_as_many_are_in_a_cell_of_a_trend_as_are_unique_there(
    history: Any, care: Any, question: Any, in_unit: bool
) -> None:
    question = {**question, "measures": ["unique"], "order": 0}
    if isinstance(question.get("interval"), list):
        question["interval"] = question["interval"][0]
    if not in_unit and not question.keys() & {"rolling", "cumulative"}:
        question.pop("interval", None)
    with Twins.of(history, care) as twins:
        answer = twins.real.query(question, now_ms=twins.now_ms)
        names = [name for name in ("series", "start_ms") if name in answer.names]
        groups = len(question.get("breakdown", []))
        for row in answer.rows()[:6]:
            at: dict[str, Any] = dict(zip(names, row, strict=False))
            if groups:
                at["group"] = list(row[len(names) : len(names) + groups])
            assert _behind(twins, question, at) == row[-1]


def _event(who: str, day: float, name: str) -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": T + int(day * DAY), "ids": {"user_id": who}}


def test_who_was_lost_at_a_step_is_a_segment_like_any_other() -> None:
    with Store.open(background=False) as store:
        store.append([_event("a", 1, "Viewed"), _event("a", 2, "Added"), _event("b", 1, "Viewed")], now_ms=NOW)
        store.set_traits({"user_id": "b"}, {"plan": "pro"}, now_ms=NOW)
        lost = {"cell": {"kind": "funnel", "steps": ["Viewed", "Added"], "window": "7d"}, "at": {"lost": 2}}
        pro = {"trait": "plan", "op": "eq", "value": "pro"}
        for where, expected in ((lost, [(1,)]), ({"and": [lost, pro]}, [(1,)]), ({"not": lost}, [(0,)])):
            assert store.query({"kind": "profiles", "where": where}, now_ms=NOW).rows() == expected


def test_who_never_returned_is_of_the_cohort_and_in_none_of_its_cells() -> None:
    question = {"kind": "retention", "start": "A", "return": "B", "interval": "day"}
    with Store.open(background=False) as store:
        rows = [("a", 1, "A"), ("a", 2, "B"), ("b", 1, "A"), ("c", 2, "A"), ("c", 3, "B"), ("d", 1, "A"), ("d", 3, "B")]
        store.append([_event(*row) for row in rows], now_ms=NOW)

        def away(**at: Any) -> list[int]:
            where = {"cell": question, "at": {**at, "returned": False}}
            return [who for (who,) in store.query({"kind": "profiles", "where": where}, now_ms=NOW).rows()]

        first = T + DAY
        assert away() == away(cohort_ms=first) == [1]
        assert away(cohort_ms=first, period=1) == [1, 3]
        assert away(period=1) == [1, 3]
        assert away(cohort_ms=first, period=9) == [0, 1, 3]
        assert away(cohort_ms=T) == away(cohort_ms=T + 2 * DAY) == []


def test_of_several_cohorts_one_without_a_return_is_enough() -> None:
    question = {"kind": "retention", "start": "A", "return": "B", "interval": "day", "population": "every_period"}
    with Store.open(background=False) as store:
        store.append([_event("a", 1, "A"), _event("a", 2, "B"), _event("a", 3, "A")], now_ms=NOW)
        for at, expected in (({}, [(0,)]), ({"cohort_ms": T + DAY}, []), ({"cohort_ms": T + 3 * DAY}, [(0,)])):
            where = {"cell": question, "at": {**at, "returned": False}}
            assert store.query({"kind": "profiles", "where": where}, now_ms=NOW).rows() == expected


FUNNEL = {"kind": "funnel", "steps": ["A", "B"], "window": "1d"}
TREND = {"kind": "trend", "event": "A", "interval": "day"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"cell": FUNNEL}, "where.at"),
    ({"cell": FUNNEL, "at": {}}, "where.at.reached"),
    ({"cell": FUNNEL, "at": {"reached": 1, "lost": 2}}, "where.at.reached"),
    ({"cell": FUNNEL, "at": {"lost": 1}}, "where.at.lost"),
    ({"cell": FUNNEL, "at": {"reached": 3}}, "where.at.reached"),
    ({"cell": FUNNEL, "at": {"lost": 3}}, "where.at.lost"),
    ({"cell": FUNNEL, "at": {"reached": 1, "start_ms": 0}}, "where.at.start_ms"),
    ({"cell": FUNNEL, "at": {"period": 1}}, "where.at.reached"),
    ({"cell": FUNNEL, "at": {"reached": 1, "group": ["x"]}}, "where.at.group"),
    ({"cell": {**FUNNEL, "limit": 1}, "at": {"reached": 1}}, "where.cell.limit"),
    ({"cell": {**FUNNEL, "steps": []}, "at": {"reached": 1}}, "where.cell.steps"),
    ({"cell": {"kind": "profiles", "where": {"did": "A"}}, "at": {}}, "where.cell.kind"),
    ({"cell": TREND, "at": {"series": "A"}}, "where.at.series"),
    ({"cell": TREND, "at": {"returned": False}}, "where.at.returned"),
    ({"cell": {"kind": "retention", "start": "A", "interval": "day"}, "at": {"returned": 0}}, "where.at.returned"),
    ({"cell": {**TREND, "measures": [{"sum": "x"}]}, "at": {}}, "where.cell.measures"),
]


@pytest.mark.parametrize(("where", "path"), BAD)
def test_a_bad_cell_says_where(where: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "profiles", "where": where}, now_ms=NOW)
    assert raised.value.path == path
