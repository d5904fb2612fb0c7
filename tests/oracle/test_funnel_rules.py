"""Funnels by every rule: random ones against the model, and what systems disagree about (`tests/cases/funnel`),
by the store and by the model."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import funnel, named, step
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, table_key

T = 1_700_000_000_000
NOW = T + 40 * 86_400_000
CASES = sorted((Path(__file__).parents[1] / "cases" / "funnel").glob("*.json"))


def _records(events: list[Any]) -> list[dict[str, Any]]:
    """`[name, milliseconds]`, with a profile and properties when they matter."""
    out = []
    for name, at_ms, *rest in events:
        more = rest[0] if rest else {}
        ids = {"user_id": more.get("who", "u")}
        properties = {key: value for key, value in more.items() if key != "who"}
        out.append({"type": "event", "name": name, "time_ms": T + at_ms, "ids": ids, "properties": properties})
    return out


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_of_the_book(store: Any, path: Path) -> None:
    case = json.loads(path.read_text())
    store.append(_records(case["events"]), now_ms=NOW)
    for ask in case["ask"]:
        answer = store.query({"kind": "funnel", **ask["spec"]}, now_ms=NOW)
        assert [list(row) for row in answer.rows()] == ask["rows"], ask["why"]


_dense_windows = st.sampled_from(
    [None, 10, 20, 50, 100, {"step": 10}, {"step": 20}, {"step": 30}, {"session": 10}, {"session": 20}]
)


@pytest.mark.timeout(900)
@examples(40)
@given(
    strategies.histories(max_batches=4, max_records=14),
    st.lists(st.sampled_from(CARE), min_size=5, max_size=5),
    st.lists(strategies.ruled_funnels(), min_size=1, max_size=6),
)
def test_funnels_of_any_rules_answer_as_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


_names = st.sampled_from("ABCX")
_dense_events = st.lists(
    st.tuples(
        _names,
        st.integers(0, 12).map(lambda at: at * 10),
        st.fixed_dictionaries(
            {"who": st.sampled_from("uv")},
            optional={"s": st.sampled_from(["x", "y", 1, ["x", "z"]]), "t": st.booleans()},
        ),
    ).map(list),
    min_size=2,
    max_size=14,
)
_some = _names | st.just({"event": ["A", "B"]}) | st.just({"event": None}) | st.just({"event": ["B", "C"]})
_dense_steps = (
    st.lists(_some, min_size=2, max_size=4)
    | st.builds(
        lambda first, middle, last: [first, *({"event": name, "optional": True} for name in middle), last],
        _some,
        st.lists(_names, max_size=2),
        _some,
    )
    | st.lists(
        _some
        | st.builds(
            lambda event, which: {
                "event": event,
                "where": [{"property": "t", "op": "eq", "value": True}],
                "first": which,
            },
            st.sampled_from("ABC"),
            st.sampled_from(["event", "matching"]),
        ),
        min_size=1,
        max_size=3,
    )
)
_dense_steps |= st.lists(
    _some
    | st.builds(lambda name: {"event": name, "anchored": True}, _some.filter(lambda event: isinstance(event, str))),
    min_size=2,
    max_size=5,
)
_excluded = st.builds(
    lambda name, first: {"event": name, **({"between": [first, first + 1]} if first else {})},
    _names,
    st.sampled_from([0, 0, 1]),
)


def _dense_specs() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"kind": st.just("funnel"), "steps": _dense_steps, "window": _dense_windows},
        optional={
            "order": st.sampled_from(["in_order", "strict_steps", "strict_all", "any_order"]),
            "attempt": st.sampled_from(["longest", "first_entry"]),
            "count": st.sampled_from(["profiles", "totals", "all_entries"]),
            "same_time": st.sampled_from(["counts", "later", {"grace": 5}, {"grace": 10}, {"grace": 40}]),
            "exclude": st.lists(_excluded, min_size=1, max_size=2),
            "exclude_mode": st.sampled_from(["drop", "remove", "any_clean_path"]),
            "hold": st.sampled_from([["s"], ["s", "t"]]),
            "times": st.just(["mean", "p25", "max", {"within": 20}]),
            "event_fills": st.just("several_steps"),
            "interval": st.sampled_from(["hour", "day"]),
            "frequency": _excluded,
            "attribution": st.sampled_from(["entry", "first_touch", "last_touch", "every_step", {"step": 2}]),
            "breakdown": st.sampled_from([[{"property": "s"}], [{"property": "s"}, {"property": "t"}]]),
            "limit": st.integers(0, 3),
            "range": st.builds(lambda at: {"start_ms": T + at, "end_ms": T + at + 60}, st.sampled_from([0, 20, 45])),
        },
    ).map(strategies.mostly_sound)


@pytest.mark.timeout(900)
@examples(60)
@given(_dense_events, _dense_events, st.booleans(), st.lists(_dense_specs(), min_size=4, max_size=10))
def test_attempts_of_crowded_profiles_are_those_of_the_model(
    first: list[Any], second: list[Any], seals: bool, questions: list[dict[str, Any]]
) -> None:
    model = ModelStore.open()
    with Store.open(background=False) as real:
        for events in (first, second):
            for each in (model, real):
                each.append(_records(events), now_ms=NOW)
            if seals:
                real.seal()
        for question in questions:
            expected, answer = (_outcome(each, question) for each in (model, real))
            assert answer == expected, question


def _outcome(store: Any, question: dict[str, Any]) -> Any:
    try:
        return table_key(store.query(question, now_ms=NOW))
    except BadQuery as error:
        return error.code, error.path


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"order": "backwards"}, "query.invalid", "order"),
    ({"attempt": "best"}, "query.invalid", "attempt"),
    ({"count": "users"}, "query.invalid", "count"),
    ({"same_time": "never"}, "query.invalid", "same_time"),
    ({"same_time": {"grace": -1}}, "query.invalid", "same_time.grace"),
    ({"same_time": {"grace": 5, "x": 1}}, "query.field.unknown", "same_time.x"),
    ({"same_time": {"grace": 5}, "order": "strict_all"}, "query.invalid", "same_time"),
    ({"same_time": "later", "order": "any_order"}, "query.invalid", "same_time"),
    ({"steps": ["A", {"event": "B", "optional": 1}, "C"]}, "query.invalid", "steps[1].optional"),
    ({"steps": [{"event": "A", "optional": True}, "B"]}, "query.invalid", "steps[0].optional"),
    ({"steps": ["A", {"event": "B", "optional": True}]}, "query.invalid", "steps[1].optional"),
    ({"steps": ["A", {"event": "B", "optional": True}, "C"], "order": "any_order"}, "query.invalid", "steps"),
    ({"steps": ["A", {"event": "B", "between": [1, 2]}]}, "query.field.unknown", "steps[1].between"),
    ({"window": {"calendar": "fortnight"}}, "query.invalid", "window.calendar"),
    ({"window": {"days": 3}}, "query.invalid", "window"),
    ({"window": {}}, "query.invalid", "window"),
    ({"window": {"step": "1h", "session": "1h"}}, "query.field.unknown", "window.session"),
    ({"window": {"session": 0}}, "query.invalid", "window.session"),
    ({"window": {"step": "1h"}, "order": "any_order"}, "query.invalid", "window.step"),
    ({"window": {"step": "1h"}, "same_time": {"grace": 1}}, "query.invalid", "window.step"),
    ({"event_fills": "two"}, "query.invalid", "event_fills"),
    ({"event_fills": "several_steps", "same_time": "later"}, "query.invalid", "event_fills"),
    ({"interval": "second"}, "query.invalid", "interval"),
    ({"steps": []}, "query.invalid", "steps"),
    ({"steps": ["A", {"event": "B", "anchored": True}]}, "query.invalid", "steps"),
    ({"steps": ["A", {"event": "B", "anchored": 1}], "order": "any_order"}, "query.invalid", "steps[1].anchored"),
    ({"steps": [{"event": "A", "first": "ever"}]}, "query.invalid", "steps[0].first"),
    ({"steps": [{"event": "A", "first": "event"}] * 16}, "query.invalid", "steps[15].first"),
    ({"times": [{"within": "0s"}]}, "query.invalid", "times[0].within"),
    ({"times": [{"in": "1d"}]}, "query.invalid", "times[0].within"),
    ({"times": [{"within": "1d"}, {"within": "24h"}]}, "query.invalid", "times[1]"),
    ({"window": -5}, "query.invalid", "window"),
    ({"exclude": []}, "query.invalid", "exclude"),
    ({"exclude": ["X"] * 17}, "query.invalid", "exclude"),
    ({"exclude": [{"event": "X", "between": [2, 2]}]}, "query.invalid", "exclude[0].between[1]"),
    ({"exclude": [{"event": "X", "between": [0, 1]}]}, "query.invalid", "exclude[0].between[0]"),
    ({"exclude": [{"event": "X", "between": [1, 4]}]}, "query.invalid", "exclude[0].between[1]"),
    ({"exclude": [{"event": "X", "between": 1}]}, "query.invalid", "exclude[0].between"),
    ({"exclude": [{"event": "X", "between": [1, 2]}], "order": "any_order"}, "query.invalid", "exclude[0].between"),
    ({"exclude_mode": "drop"}, "query.invalid", "exclude_mode"),
    ({"exclude": ["X"], "exclude_mode": "forget"}, "query.invalid", "exclude_mode"),
    ({"hold": []}, "query.invalid", "hold"),
    ({"hold": ["a", "b", "c", "d"]}, "query.invalid", "hold"),
    ({"hold": [""]}, "query.invalid", "hold[0]"),
    ({"times": ["p100"]}, "query.invalid", "times[0]"),
    ({"times": ["mean", "mean"]}, "query.invalid", "times[1]"),
    ({"times": []}, "query.invalid", "times"),
    ({"attribution": "entry"}, "query.invalid", "attribution"),
    ({"attribution": {"step": 4}, "breakdown": [{"property": "p"}]}, "query.invalid", "attribution.step"),
    ({"attribution": "last", "breakdown": [{"property": "p"}]}, "query.invalid", "attribution"),
    ({"attempt": "first_entry", "count": "totals"}, "query.invalid", "attempt"),
    ({"frequency": {"event": "X", "between": [2, 2]}}, "query.invalid", "frequency.between[1]"),
    ({"frequency": {"event": "X", "between": [0, 2]}}, "query.invalid", "frequency.between[0]"),
    ({"frequency": {"event": "X", "between": [1, 4]}}, "query.invalid", "frequency.between[1]"),
    ({"frequency": {"event": "X", "between": [1]}}, "query.invalid", "frequency.between"),
    ({"frequency": {"event": "X", "more": 1}}, "query.field.unknown", "frequency.more"),
    ({"frequency": "X", "steps": ["A"]}, "query.invalid", "frequency"),
    ({"frequency": "X", "interval": "day"}, "query.invalid", "frequency"),
]


def test_how_often_an_event_was_done_between_two_steps_is_a_row_each(store: Any) -> None:
    story = {"u": "AXXB", "v": "AXB", "w": "XAB", "x": "AXX", "y": "AXXBX"}
    store.append(
        _records([[name, at, {"who": who}] for who, names in story.items() for at, name in enumerate(names)]),
        now_ms=NOW,
    )
    asked = funnel("A", "B", window="1h").frequency("X")
    answer = store.query(asked, now_ms=NOW)
    assert answer.names == ("frequency", "step_1", "step_2")
    assert answer.rows() == [(None, 1, 0), (0, 1, 1), (1, 1, 1), (2, 2, 2)]
    assert store.query(asked.strict_all(), now_ms=NOW).rows() == [(None, 4, 0), (0, 1, 1)]


def test_a_cell_is_not_told_by_how_often() -> None:
    cell = {"cell": funnel("A", "B").frequency("X").spec(), "at": {"reached": 2}}
    with Store.open(background=False) as store, pytest.raises(BadQuery) as caught:
        store.query({"kind": "profiles", "where": cell}, now_ms=NOW)
    assert (caught.value.code, caught.value.path) == ("query.invalid", "where.cell.frequency")


@pytest.mark.parametrize(("fields", "code", "path"), REFUSED, ids=lambda value: str(value)[:60])
def test_rules_that_cannot_be_meant_are_refused(store: Any, fields: dict[str, Any], code: str, path: str) -> None:
    spec = {"kind": "funnel", "steps": ["A", "B", "C"], "window": "1d", **fields}
    with pytest.raises(BadQuery) as caught:
        store.query(spec, now_ms=NOW)
    assert (caught.value.code, caught.value.path) == (code, path)


def test_builders_write_every_rule() -> None:
    question = (
        funnel("A", step("B", optional=True), named("C").where("x").eq(1), window={"calendar": "day"})
        .strict_steps()
        .totals()
        .without("X")
        .without(named("Y", "Z"), between=(1, 2))
        .excluding("any_clean_path")
        .holding("item")
        .times("median", "p90")
        .by("source")
        .attributed(3)
    )
    assert question.spec() == {
        "kind": "funnel",
        "steps": [
            "A",
            {"event": "B", "optional": True},
            {"event": "C", "where": [{"property": "x", "op": "eq", "value": 1}]},
        ],
        "window": {"calendar": "day"},
        "order": "strict_steps",
        "count": "totals",
        "exclude": ["X", {"event": ["Y", "Z"], "between": [1, 2]}],
        "exclude_mode": "any_clean_path",
        "hold": ["item"],
        "times": ["median", "p90"],
        "breakdown": [{"property": "source"}],
        "attribution": {"step": 3},
    }


def test_a_profile_of_many_events_is_walked_within_the_deadline_or_told_so(store: Any) -> None:
    events = [[name, at] for at, name in enumerate("AAAB" * 250)]
    store.append(_records(events), now_ms=NOW)
    for rules in ({"exclude": ["X"]}, {"order": "strict_steps"}, {"count": "totals"}, {"order": "any_order"}):
        spec = {"kind": "funnel", "steps": ["A", "B"], "window": 100, **rules}
        assert store.query(spec, now_ms=NOW).rows()[0][1] > 0
