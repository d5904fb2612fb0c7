"""Tests on values: texts, lists, times and dates, versions, against their plain definitions."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.model import milliseconds_of
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from cdpstore.testing.strategies import END_MS
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, outcome

CASES = sorted((Path(__file__).parents[1] / "cases" / "values").glob("*.json"))
TEXTS = (
    "",
    "a",
    "B",
    "ab",
    "aab",
    "b.a",
    "a\nb",
    "ab\n",
    "_1",
    "12",
    "ä",
    "aäb",
    "\U0001f600",
    "a-b",
    "]",
    "x{2}",
    "A B",
)
LETTERS = st.sampled_from([*"abAB1_. -", "ä", "\n", "\U0001f600"])
ATOMS = st.sampled_from(
    [*"abB1_ä-,", ".", r"\.", r"\-", r"\]", r"\d", r"\W", r"\s", r"\S", r"\w", r"\n", r"\x61", r"\u00e4", r"\^"]
) | st.sampled_from(
    ["[a-b]", "[^a]", r"[\w.]", "[-a]", "[a-]", r"[^\d\n]", r"[\]\\]", "[^a-zä]", r"[\x30-\x39]", "[.^$]"]
)
REPEATS = st.sampled_from(
    ["*", "+", "?", "{2}", "{0}", "{1,}", "{0,2}", "{,2}", "*?", "+?", "??", "{1,2}?", "**", "*+"]
)


def expressions() -> st.SearchStrategy[str]:
    """Expressions, most of them sound."""
    single = ATOMS | ATOMS | st.sampled_from(["^", "$", r"\b", "(", ")", "[", "{", "\\", "(?i)", "(?=a)", r"\1", r"\B"])
    parts = ATOMS | ATOMS | single
    return st.recursive(
        parts,
        lambda inner: (
            st.lists(inner, max_size=4).map("".join)
            | st.lists(inner, min_size=2, max_size=3).map(lambda each: f"({'|'.join(each)})")
            | st.builds(lambda one, many: f"(?:{one}){many}", inner, REPEATS)
            | st.builds(lambda one, many: one + many, ATOMS, REPEATS)
        ),
        max_leaves=8,
    )


@pytest.fixture(name="pair", scope="module")
def _pair() -> Iterator[tuple[Store, ModelStore]]:
    batch = [
        {"type": "traits", "ids": {"user_id": f"u{number}"}, "set": {"text": text, "texts": [text, "aab", 7]}}
        for number, text in enumerate((*TEXTS, 12, ["a", "B"], True))
    ]
    model = ModelStore.open()
    with Store.open(background=False) as store:
        for each in (store, model):
            each.append(batch, now_ms=END_MS)
        yield store, model


@examples(400)
@given(expressions(), st.sampled_from(["regex", "not_regex"]), st.booleans(), st.sampled_from(["text", "texts"]))
def test_an_expression_finds_what_re_finds(pair: Any, expression: str, op: str, ignore_case: bool, key: str) -> None:
    where = {"trait": key, "op": op, "value": expression, "ignore_case": ignore_case}
    question = {"kind": "profiles", "where": where}
    found = [outcome(lambda each=each: each.query(question, now_ms=END_MS)) for each in pair]
    assert found[0] == found[1], where


@examples(150)
@given(st.lists(LETTERS, max_size=12).map("".join), expressions())
def test_an_expression_finds_what_re_finds_in_any_text(text: str, expression: str) -> None:
    where = {"trait": "text", "op": "regex", "value": expression}
    found = []
    with Store.open(background=False) as store:
        for each in (store, ModelStore.open()):
            each.append([{"type": "traits", "ids": {"user_id": "u"}, "set": {"text": text}}], now_ms=END_MS)
            found.append(outcome(lambda each=each: each.query({"kind": "profiles", "where": where}, now_ms=END_MS)))
    assert found[0] == found[1]


def _tested() -> st.SearchStrategy[dict[str, Any]]:
    tests = strategies.value_tests() | strategies.value_tests().map(lambda test: {**test, "missing": True})
    of_traits = st.builds(lambda key, test: {"trait": key, **test}, st.sampled_from(strategies.TRAITS), tests)
    where = st.builds(lambda key, test: [{"property": key, **test}], st.sampled_from(strategies.KEYS), tests)
    of_events = where.map(lambda conditions: {"did": None, "where": conditions})
    of_groups = where.map(lambda conditions: {"group": None, "where": conditions})
    of_devices = st.builds(
        lambda key, test: {"device": [{"property": key, **test}]}, st.sampled_from(["app_version", "last_seen"]), tests
    )
    return of_traits | of_traits | of_events | of_groups | of_devices


@examples(40)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.tuples(_tested(), st.sampled_from(strategies.ZONES)), min_size=1, max_size=20),
)
def test_values_are_tested_as_defined(history: Any, care: Any, asked: Any) -> None:
    twins = Twins.of(history, care)
    try:
        for where, zone in asked:
            twins.ask({"kind": "profiles", "where": where, "zone": zone})
            if "did" in where:
                event = {"event": None, "where": where["where"]}
                twins.ask({"kind": "trend", "event": event, "zone": zone})
    finally:
        twins.close()


def _at(text: str) -> int:
    return milliseconds_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _of_born(store: Any, test: dict[str, Any], now_ms: int, zone: str = "UTC") -> list[int]:
    where = {"trait": "born", **test}
    return [row[0] for row in store.query({"kind": "profiles", "where": where, "zone": zone}, now_ms=now_ms).rows()]


def _literal(node: Any) -> Any:
    if isinstance(node, dict) and node.keys() == {"$time"}:
        return datetime.fromisoformat(node["$time"])
    if isinstance(node, dict):
        return {name: _literal(each) for name, each in node.items()}
    return [_literal(each) for each in node] if isinstance(node, list) else node


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_case_is_decided_as_it_says(case: Path) -> None:
    told = _literal(json.loads(case.read_text(encoding="utf-8")))
    now_ms = milliseconds_of(datetime.fromisoformat(told.get("now", "2026-03-16T00:00Z")))
    with Store.open(background=False) as store:
        for each in (store, ModelStore.open()):
            for number, value in enumerate(told["values"]):
                ids = {"user_id": f"u{number}"}
                event = {"type": "event", "name": "Told", "ids": ids, "properties": {"value": value}}
                each.append([{"type": "traits", "ids": ids, "set": {"value": value}}, event], now_ms=now_ms)
            for asked in told["ask"]:
                did = {"did": "Told", "where": [{"property": "value", **asked["test"]}]}
                for where in ({"trait": "value", **asked["test"]}, did):
                    found = each.query({"kind": "profiles", "where": where}, now_ms=now_ms)
                    assert [row[0] for row in found.rows()] == asked["passes"], asked["why"]


BIRTHS = ("2000-02-29T12:00", "2001-12-31T23:30", "1999-03-01T00:30", "2030-02-28T00:00")


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Pacific/Kiritimati", "Africa/Casablanca"])
@pytest.mark.parametrize(
    "rule", [{}, {"leap_day": "mar_1"}, {"days_before": 1}, {"days_after": 366}, {"days_before": 7}]
)
def test_anniversaries_come_on_their_local_day(zone: str, rule: dict[str, Any]) -> None:
    model = ModelStore.open()
    with Store.open(background=False) as store:
        for each in (store, model):
            for number, born in enumerate(BIRTHS):
                moment = datetime.fromisoformat(born).replace(tzinfo=UTC)
                each.set_traits({"user_id": f"u{number}"}, {"born": moment}, now_ms=_at("2024-01-01"))
        test = {"op": "anniversary", "value": rule}
        for day in ("2024-02-28", "2024-02-29", "2024-03-01", "2025-02-28", "2025-03-01", "2025-12-31", "2026-01-01"):
            for hours in (-14, -1, 0, 1, 14):
                now_ms = _at(day) + hours * 3_600_000
                assert _of_born(store, test, now_ms, zone) == _of_born(model, test, now_ms, zone), (day, hours)


def test_a_live_anniversary_has_the_zone_of_its_condition(tmp_path: Any) -> None:
    born = datetime(1990, 6, 1, 3, tzinfo=UTC)  # 31 May in New York
    test = {"trait": "born", "op": "anniversary", "value": {}, "zone": "America/New_York"}
    with Store.open(tmp_path, background=False) as store:
        store.watch("birthday", test, now_ms=_at("2026-05-30"))
        store.set_traits({"user_id": "u"}, {"born": born}, now_ms=_at("2026-05-30"))
        ((_, _, body),) = store.definitions()
        assert body["zone"]["name"] == "America/New_York"
        digest = store.digest()
    with Store.open(tmp_path, background=False) as store:
        assert store.digest() == digest
        for now, is_in in (("2026-05-31T03:59", False), ("2026-05-31T04:00", True), ("2026-06-01T04:00", False)):
            store.tick(_at(now))
            assert (list(store.members("birthday")) == [0]) is is_in, now


def test_a_live_segment_follows_what_is_relative_to_now() -> None:
    ends = datetime(2026, 3, 10, tzinfo=UTC)
    instants = {"soon": ("2026-03-03", "2026-03-10"), "past": ("2026-03-10", "2026-03-12")}
    ticks = sorted({_at(day) + step for pair in instants.values() for day in pair for step in (-1, 0)})
    with Store.open(background=False) as store:
        store.watch("soon", {"trait": "ends", "op": "within", "value": {"next": "7d"}}, now_ms=_at("2026-01-01"))
        store.watch("past", {"trait": "ends", "op": "within", "value": {"last": "2d"}}, now_ms=_at("2026-01-01"))
        store.set_traits({"user_id": "u"}, {"ends": ends}, now_ms=_at("2026-01-01"))
        for now_ms in ticks:
            store.tick(now_ms)
            for name, (enters, leaves) in instants.items():
                is_in = _at(enters) <= now_ms < _at(leaves)
                assert (list(store.members(name)) == [0]) is is_in, (name, now_ms)


@pytest.mark.parametrize(
    ("test", "path"),
    [
        ({"op": "regex", "value": "("}, "value"),
        ({"op": "regex", "value": 7}, "value"),
        ({"op": "regex", "value": "a" * 1_025}, "value"),
        ({"op": "regex", "value": "(" * 100 + ")" * 100}, "value"),
        ({"op": "regex", "value": r"(a)\1"}, "value"),
        ({"op": "regex", "value": "(?=a)"}, "value"),
        ({"op": "any", "value": "a"}, "value"),
        ({"op": "all", "value": [None]}, "value[0]"),
        ({"op": "size", "value": 3}, "value"),
        ({"op": "size", "value": {"op": "contains", "value": "a"}}, "value.op"),
        ({"op": "size", "value": {"op": "ge", "value": "a"}}, "value.value"),
        ({"op": "size", "value": {"op": "ge", "value": 1, "missing": True}}, "value.missing"),
        ({"op": "before", "value": 7}, "value"),
        ({"op": "on", "value": "2026-02-30"}, "value"),
        ({"op": "on", "value": "2026-2-3"}, "value"),
        ({"op": "within", "value": {}}, "value"),
        ({"op": "within", "value": {"last": "1d", "next": "1d"}}, "value"),
        ({"op": "within", "value": {"last": 0}}, "value.last"),
        ({"op": "anniversary", "value": {"days_before": -1}}, "value.days_before"),
        ({"op": "anniversary", "value": {"leap_day": "mar_2"}}, "value.leap_day"),
        ({"op": "anniversary", "value": {}, "zone": "Mars/Olympus"}, "zone"),
        ({"op": "version_lt", "value": "1..2"}, "value"),
        ({"op": "version_lt", "value": "1.2", "ignore_case": True}, "ignore_case"),
        ({"op": "version_lt"}, "value"),
        ({"op": "exists", "missing": True}, "missing"),
        ({"op": "eq", "value": 1, "missing": 1}, "missing"),
        ({"op": "regex", "value": "a", "zone": "UTC"}, "zone"),
    ],
)
def test_a_test_that_cannot_be_meant_is_refused(test: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store:
        for each in (store, ModelStore.open()):
            with pytest.raises(BadQuery) as caught:
                each.query({"kind": "profiles", "where": {"trait": "a", **test}}, now_ms=END_MS)
            assert caught.value.path == f"where.{path}"


@pytest.mark.parametrize(
    "expression", ["(a{1000}){6}", "((((a{1000}){1000}){1000}){1000})", "((((){1000}){1000}){1000})"]
)
def test_an_expression_of_too_many_states_is_refused(expression: str) -> None:
    where = {"trait": "a", "op": "regex", "value": expression}
    with Store.open(background=False) as store, pytest.raises(BadQuery, match=r"states|repetitions"):
        store.query({"kind": "profiles", "where": where}, now_ms=END_MS)


def test_a_small_query_cannot_ask_for_much_memory() -> None:
    test = {"trait": "a", "op": "regex", "value": "(a{1000}){4}"}
    with Store.open(background=False) as store, pytest.raises(BadQuery, match="32 MiB"):
        store.query({"kind": "profiles", "where": {"or": [test] * 999}}, now_ms=END_MS)


def test_a_condition_takes_a_zone_as_its_table() -> None:
    table = {"name": "Here", "transitions": [[0, 3_600_000]]}
    test = {"op": "on", "value": "2026-03-02", "zone": table}
    with Store.open(background=False) as store:
        store.set_traits({"user_id": "u"}, {"born": datetime(2026, 3, 1, 23, tzinfo=UTC)}, now_ms=END_MS)
        assert _of_born(store, test, END_MS) == [0]
        for wrong in (
            {"name": "Here"},
            {**table, "transitions": [[5, 0], [5, 0]]},
            {**table, "transitions": [[0, 10**9]]},
        ):
            with pytest.raises(BadQuery):
                _of_born(store, {**test, "zone": wrong}, END_MS)


def test_no_expression_takes_long() -> None:
    """What makes a matcher that tracks back run for hours."""
    with Store.open(background=False) as store:
        store.set_traits({"user_id": "u"}, {"text": "a" * 4_000}, now_ms=END_MS)
        began = datetime.now(UTC)
        for expression in ("(a+)+$b", "(a|a)*b", "(.*)(.*)(.*)(.*)(.*)[^a]", "(a?){500}a{500}b"):
            where = {"trait": "text", "op": "regex", "value": expression}
            assert len(store.query({"kind": "profiles", "where": where}, now_ms=END_MS)) == 0
        assert datetime.now(UTC) - began < timedelta(seconds=10)
