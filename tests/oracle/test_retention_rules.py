"""Retention by every rule: random ones against the model, and what systems disagree about (`tests/cases/retention`)."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import retention
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from cdpstore.testing.strategies import Batch
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, table_key

NOW = 1_705_000_000_000
DAY = 86_400_000
CASES = sorted((Path(__file__).parents[1] / "cases" / "retention").glob("*.json"))


def _records(events: list[Any]) -> list[dict[str, Any]]:
    out = []
    for name, time_ms, *rest in events:
        more = rest[0] if rest else {}
        ids = {"user_id": more.get("who", "u")}
        properties = {key: value for key, value in more.items() if key != "who"}
        out.append({"type": "event", "name": name, "time_ms": time_ms, "ids": ids, "properties": properties})
    return out


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_of_the_book(store: Any, path: Path) -> None:
    case = json.loads(path.read_text())
    store.append(_records(case["events"]), now_ms=NOW)
    for ask in case["ask"]:
        answer = store.query({"kind": "retention", **ask["spec"]}, now_ms=ask.get("now_ms", NOW))
        if "rows" in ask:
            assert [list(row) for row in answer.rows()] == ask["rows"], ask["why"]
            continue
        periods = Counter[str]()
        for row in answer.rows():
            periods[str(row[1])] += row[2]
        assert dict(periods) == ask["periods"], ask["why"]


def test_eligible_is_the_cohort_and_elapsed_who_has_the_period_over(store: Any) -> None:
    start = NOW - NOW % DAY - 2 * DAY
    events = [["S", start], ["R", start + DAY], ["S", start + 20 * 3_600_000, {"who": "v"}]]
    store.append(_records([*events, ["R", start + 30 * 3_600_000, {"who": "v"}]]), now_ms=NOW)
    spec = {"kind": "retention", "start": "S", "return": "R", "interval": "day"}
    at_ms = start + 2 * DAY + 1
    assert store.query(spec, now_ms=at_ms).rows() == [(start, 1, 2, 2, 2)]
    assert store.query(spec, now_ms=start + 2 * DAY - 1).rows() == [(start, 1, 2, 2, 0)]
    rolling = {**spec, "alignment": "rolling"}
    assert store.query(rolling, now_ms=at_ms).rows() == [(start, 0, 1, 2, 2), (start, 1, 1, 2, 1)]


def test_a_return_without_the_conditions_of_an_alternative_of_the_start_is_another_event(store: Any) -> None:
    store.append(_records([["S", NOW - 3 * DAY, {"p": "x"}], ["S", NOW - 2 * DAY, {"p": "y"}]]), now_ms=NOW)
    only_x = [{"event": "S", "where": [{"property": "p", "op": "eq", "value": "x"}]}]
    asked = {"kind": "retention", "start": {"any_of": only_x}, "return": "S", "interval": "day"}
    assert [row[1:4] for row in store.query(asked, now_ms=NOW).rows()] == [(1, 1, 1)]
    assert [row[1:4] for row in store.query({**asked, "return": {"any_of": only_x}}, now_ms=NOW).rows()] == [(0, 1, 1)]


def test_returns_may_have_to_share_the_value_of_the_start(store: Any) -> None:
    store.append(
        _records([["S", NOW - 3 * DAY, {"p": "x"}], ["R", NOW - 2 * DAY, {"p": "y"}], ["R", NOW - DAY, {"p": "x"}]]),
        now_ms=NOW,
    )
    spec = {"kind": "retention", "start": "S", "return": "R", "interval": "day", "breakdown": [{"property": "p"}]}
    assert [row[0:3:2] for row in store.query(spec, now_ms=NOW).rows()] == [("x", 1), ("x", 2)]
    assert [row[2] for row in store.query({**spec, "share_value": True}, now_ms=NOW).rows()] == [2]


def test_the_largest_groups_are_told_and_the_rest_is_one(store: Any) -> None:
    plans = ["pro", "pro", "pro", "free", "free", "trial"]
    events = [["S", NOW - DAY, {"who": f"u{at}", "plan": plan}] for at, plan in enumerate(plans)]
    store.append(_records(events), now_ms=NOW)
    spec = {"kind": "retention", "start": "S", "interval": "day", "breakdown": [{"property": "plan"}], "limit": 1}
    assert [(row[0], *row[2:5]) for row in store.query(spec, now_ms=NOW).rows()] == [
        ("pro", 0, 3, 3),
        ("other", 0, 3, 3),
    ]


@pytest.mark.timeout(900)
@examples(30)
@given(
    strategies.histories(max_batches=4, max_records=14),
    st.lists(st.sampled_from(CARE), min_size=5, max_size=5),
    st.lists(strategies.ruled_retentions(), min_size=1, max_size=6),
    st.sampled_from([0, 0, 5 * DAY]),
)
def test_retentions_of_any_rules_answer_as_the_model(history: Any, care: Any, questions: Any, wait_ms: int) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question, now_ms=twins.now_ms + wait_ms)


_HOURS = st.integers(0, 24 * 12)
_ODD = st.sampled_from([0, 0, 1, -1])
_events = st.lists(
    st.tuples(
        st.sampled_from(["S", "R", "R", "X"]),
        st.builds(lambda hour, odd: NOW - 15 * DAY + hour * 3_600_000 + odd, _HOURS, _ODD),
        st.fixed_dictionaries(
            {"who": st.sampled_from("uv")}, optional={"price": st.sampled_from([1, 2, 1.0]), "color": st.just("red")}
        ),
    ).map(list),
    min_size=1,
    max_size=30,
)


@pytest.mark.timeout(900)
@examples(60)
@given(_events, _events, st.booleans(), st.lists(strategies.ruled_retentions(("S", "R")), min_size=3, max_size=8))
def test_crowded_profiles_return_as_in_the_model(first: Any, second: Any, seals: bool, questions: Any) -> None:
    model = ModelStore.open()
    with Store.open(background=False) as real:
        for events in (first, second):
            for each in (model, real):
                each.append(_records(events), now_ms=NOW)
            if seals:
                real.seal()
        for question in questions:
            for now_ms in (NOW, NOW - 9 * DAY):
                answers = [table_key(each.query(question, now_ms=now_ms)) for each in (real, model)]
                assert answers[0] == answers[1], question


_LONG = st.lists(
    st.tuples(
        st.sampled_from(["S", "S", "R", "X"]),
        st.builds(lambda hour, odd: NOW - 200 * DAY + hour * 3_600_000 + odd, st.integers(0, 24 * 199), _ODD),
        st.fixed_dictionaries({"who": st.sampled_from("uvw")}),
    ).map(list),
    min_size=1,
    max_size=60,
)
_LONG_QUESTIONS = st.fixed_dictionaries(
    {
        "kind": st.just("retention"),
        "start": st.sampled_from(["S", {"event": None}, {"event": ["S", "R"]}]),
        "interval": st.sampled_from(["day", "day", "week", "hour", {"days": 3}]),
        "population": st.sampled_from(["first_in_range", "first_ever"]),
    },
    optional={
        "periods": st.integers(1, 200),
        "zone": st.sampled_from(["Asia/Kolkata", "Europe/Berlin", "America/Sao_Paulo"]),
        "range": st.fixed_dictionaries(
            {
                "start_ms": st.integers(0, 150).map(lambda day: NOW - 200 * DAY + day * DAY),
                "end_ms": st.integers(1, 60).map(lambda day: NOW - 50 * DAY + day * DAY),
            }
        ),
        "where": st.sampled_from([{"did": "X"}, {"not": {"did": "X"}}]),
    },
)


@pytest.mark.timeout(900)
@examples(60)
@given(_LONG, _LONG, st.booleans(), st.lists(_LONG_QUESTIONS, min_size=3, max_size=8))
def test_many_periods_are_counted_as_in_the_model(first: Any, second: Any, seals: bool, questions: Any) -> None:
    with Twins() as twins:
        for events in (first, second):
            twins.append(Batch(_records(events), NOW))
            if seals:
                twins.care("seal")
        for question in questions:
            for now_ms in (NOW, NOW - 90 * DAY):
                twins.ask_both_ways(question, now_ms=now_ms)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"population": "all"}, "query.invalid", "population"),
    ({"alignment": "loose"}, "query.invalid", "alignment"),
    ({"criterion": "ever"}, "query.invalid", "criterion"),
    ({"criterion": {"brackets": []}}, "query.invalid", "criterion.brackets"),
    ({"criterion": {"brackets": [[3, 1]]}}, "query.invalid", "criterion.brackets[0][1]"),
    ({"criterion": {"brackets": [[-1, 1]]}}, "query.invalid", "criterion.brackets[0][0]"),
    ({"criterion": {"brackets": [[1]]}}, "query.invalid", "criterion.brackets[0]"),
    ({"criterion": {"brackets": [[0, 0]], "x": 1}}, "query.field.unknown", "criterion.x"),
    ({"criterion": {"brackets": [[0, 0]]}, "periods": 3}, "query.invalid", "periods"),
    ({"min_count": 0}, "query.invalid", "min_count"),
    ({"count_birth": 1}, "query.invalid", "count_birth"),
    ({"share_value": True}, "query.invalid", "share_value"),
    ({"share_value": True, "breakdown": [{"trait": "plan"}]}, "query.invalid", "share_value"),
    ({"limit": 3}, "query.unsupported", "limit"),
    ({"breakdown": [{"property": "period"}]}, "query.invalid", "breakdown"),
]


@pytest.mark.parametrize(("fields", "code", "path"), REFUSED, ids=lambda value: str(value)[:60])
def test_rules_that_cannot_be_meant_are_refused(store: Any, fields: dict[str, Any], code: str, path: str) -> None:
    store.append(_records([["S", NOW - DAY]]), now_ms=NOW)
    with pytest.raises(BadQuery) as caught:
        store.query({"kind": "retention", "start": "S", "interval": "day", **fields}, now_ms=NOW)
    assert (caught.value.code, caught.value.path) == (code, path)


def test_builders_write_every_rule() -> None:
    question = retention("S", returned="R", interval="week").every_period().rolling().brackets((0, 0), (1, 3))
    question = question.at_least(2).counting_birth().by("plan").sharing_value()
    assert question.spec() == {
        "kind": "retention",
        "start": "S",
        "return": "R",
        "interval": "week",
        "population": "every_period",
        "alignment": "rolling",
        "criterion": {"brackets": [[0, 0], [1, 3]]},
        "min_count": 2,
        "count_birth": True,
        "breakdown": [{"property": "plan"}],
        "share_value": True,
    }
