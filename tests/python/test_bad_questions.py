"""What a stranger may write wrong (`bad_questions.jsonl`): each is refused with its place and what was expected, by the
store and by the model, and nothing else ever comes of it."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdpstore.errors import BadQuery, CDPError
from cdpstore.store import Store
from cdpstore.testing import ModelStore
from tests.python.spec_examples import nested

NOW = 1_780_272_000_000
QUESTIONS = [json.loads(line) for line in Path(__file__).with_name("bad_questions.jsonl").read_text().splitlines()]


@pytest.fixture(name="stores", scope="module")
def _stores() -> Iterator[tuple[Store, ModelStore]]:
    properties = {"x": 1, "s": "t", "l": [1, 2], "o": [{"a": 1}]}
    records = [
        {
            "type": "event",
            "name": "A",
            "time_ms": NOW - 10_000_000 * at,
            "ids": {"user_id": f"u{at % 3}"},
            "properties": properties,
        }
        for at in range(20)
    ]
    with Store.open(background=False) as store:
        model = ModelStore.open()
        for each in (store, model):
            each.append(records, now_ms=NOW)
        yield store, model


@pytest.mark.parametrize("case", QUESTIONS, ids=lambda case: f"{case['path']}: {json.dumps(case['spec'])[:80]}")
def test_a_bad_question_is_refused_at_its_place(stores: tuple[Any, Any], case: dict[str, Any]) -> None:
    text = json.dumps(case["spec"])
    unknown_to_the_model = '"explain"' in text or '"segment": ' in text or '"cell"' in text
    for store in stores[:1] if unknown_to_the_model else stores:
        with pytest.raises(BadQuery) as refused:
            store.query(case["spec"], now_ms=NOW)
        assert refused.value.path == case["path"]
        assert str(refused.value)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(nested("not", 100), id="deep"),
        pytest.param(nested("and", 3_000), id="deeper than the wire carries"),
        pytest.param({"kind": "trend", "event": "A", "now_ms": 10**20}, id="over 64 bits"),
        pytest.param(
            {"kind": "trend", "event": {"event": "A", "where": [{"property": "x", "op": "gt", "value": float("nan")}]}},
            id="nan",
        ),
        pytest.param({"kind": "trend", "event": "A", "range": {"start_ms": object()}}, id="an object"),
        pytest.param(
            {"kind": "profiles", "where": {"trait": "x", "op": "in", "value": [*range(10_001)]}}, id="a large set"
        ),
        pytest.param({"kind": "profiles", "where": {"or": [{"and": [{"did": "A"}] * 60}] * 60}}, id="many clauses"),
        pytest.param(
            {"kind": "trend", "event": "A", "formula": ["(" * 3_000 + "A" + ")" * 3_000]}, id="a long formula"
        ),
        pytest.param({"kind": "trend", "event": "A" * 100_000}, id="a long name"),
    ],
)
def test_what_is_too_large_or_no_spec_at_all_is_refused(stores: tuple[Any, Any], spec: dict[str, Any]) -> None:
    with pytest.raises(BadQuery):
        stores[0].query(spec, now_ms=NOW)


def _mangled(choose: random.Random, value: Any) -> Any:
    """The same with a part of it lost, doubled, or of another type."""
    if isinstance(value, dict) and value and choose.random() < 0.8:
        key = choose.choice(sorted(value))
        if choose.random() < 0.15:
            return {name: part for name, part in value.items() if name != key}
        return {**value, key: _mangled(choose, value[key])}
    if isinstance(value, list) and value and choose.random() < 0.8:
        at = choose.randrange(len(value))
        return [*value[:at], _mangled(choose, value[at]), *value[at + 1 :]]
    return choose.choice(
        [None, True, -1, 0, 2**63 - 1, -(2**63), 1e308, "", "7d", "A", [], [value], {}, {"op": "eq"}, value]
    )


def test_any_mangled_question_is_answered_or_refused(stores: tuple[Any, Any]) -> None:
    choose = random.Random(20_261_122)
    good = [
        json.loads(line)["spec"] for line in Path(__file__).with_name("bad_questions.jsonl").read_text().splitlines()
    ]
    refused = 0
    for _ in range(4_000):
        spec = _mangled(choose, _mangled(choose, choose.choice(good)))
        try:
            stores[0].query(spec, now_ms=NOW)
        except CDPError:
            refused += 1
    assert refused > 1_000
