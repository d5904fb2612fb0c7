"""The JSON Schema says what the store says: what it accepts, what it refuses and where, by the grammar's words."""

import ast
import doctest
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import msgpack
import pytest
from click.testing import CliRunner
from hypothesis import given

import cdpstore.query
from cdpstore._core import CoreError
from cdpstore.errors import CDPError
from cdpstore.model import milliseconds_of
from cdpstore.query import Predicate, Question, Selector, Where, json_schema
from cdpstore.server.cli import main
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.python.spec_examples import ACCEPTED, NOW, REFUSED

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def as_json(value: Any) -> Any:
    """The value as JSON writes it."""
    if isinstance(value, datetime):
        return {"$time": milliseconds_of(value)}
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def faults(spec: Any) -> list[str]:
    """Where the schema finds a fault."""
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(as_json(spec))]


def ask(store: Store, spec: Any) -> None:
    """Puts the question to the store; raises what it raises."""
    if isinstance(spec, Mapping) and spec.get("kind") == "profile":
        store._engine.profile_by_spec(msgpack.packb(spec), NOW)
    else:
        store.query(spec, now_ms=NOW)


@pytest.fixture(scope="module", name="store")
def _store() -> Iterator[Store]:
    with Store.open(background=False) as store:
        store.watch("paying", {"did": "Charged"}, now_ms=NOW)
        yield store


def test_the_schema_is_one_and_says_which() -> None:
    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_a_schema_belongs_to_who_asked_for_it() -> None:
    changed = json_schema()
    changed["$defs"].clear()
    assert json_schema() == SCHEMA


def test_the_command_prints_the_schema_without_a_question_and_a_server() -> None:
    printed = CliRunner().invoke(main, ["query", "--json-schema"])
    assert (printed.exit_code, json.loads(printed.output)) == (0, SCHEMA)


def test_every_kind_is_there() -> None:
    assert set(cdpstore.query.KINDS) <= set(SCHEMA["properties"]["kind"]["enum"])


@pytest.mark.parametrize("spec", ACCEPTED, ids=lambda spec: json.dumps(spec)[:90])
def test_an_example_is_accepted_by_the_schema_and_by_the_store(store: Store, spec: dict[str, Any]) -> None:
    assert not faults(spec)
    ask(store, spec)


@pytest.mark.parametrize(("spec", "path"), REFUSED, ids=lambda value: json.dumps(value)[:90])
def test_a_wrong_spec_is_refused_at_its_place_by_the_schema_and_by_the_store(
    store: Store, spec: Any, path: str
) -> None:
    assert {error.json_path for error in VALIDATOR.iter_errors(spec)} == {path}
    with pytest.raises((CDPError, CoreError)):
        ask(store, spec)


@pytest.mark.timeout(300)
@examples(150)
@given(strategies.queries() | strategies.ruled_trends())
def test_a_question_that_the_store_accepts_is_one_of_the_schema(spec: dict[str, Any]) -> None:
    with Store.open(background=False) as store:
        try:
            ask(store, spec)
        except CDPError:
            return
    assert not faults(spec), spec


@examples(50)
@given(strategies.profile_queries())
def test_a_profile_that_the_store_reads_is_one_of_the_schema(spec: dict[str, Any]) -> None:
    whose = {"profile" if isinstance(spec["ids"], int) else "ids": spec["ids"]}
    assert not faults({"kind": "profile", **whose, "events": spec["events"]})


def _cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((ROOT / "tests" / "cases").rglob("*.json")):
        for index, each in enumerate(json.loads(path.read_text())["ask"]):
            name = f"{path.parent.name}/{path.stem}[{index}]"
            if "spec" in each:
                kind = path.parent.name if path.parent.name in ("trend", "funnel", "retention") else "profiles"
                yield name, {"kind": kind, **_with_instants(each["spec"])}
            else:  # of one value
                yield name, {"kind": "profiles", "where": {"trait": "t", **_with_instants(each["test"])}}


def _with_instants(value: Any) -> Any:
    """Instants that are written as texts, as they are asked."""
    if isinstance(value, dict):
        timed = isinstance(value.get("$time"), str)
        return {"$time": NOW} if timed else {key: _instant(key, item) for key, item in value.items()}
    return [_with_instants(item) for item in value] if isinstance(value, list) else value


def _instant(name: str, value: Any) -> Any:
    return NOW if name.endswith("_ms") and isinstance(value, str) else _with_instants(value)


@pytest.mark.parametrize("spec", [pytest.param(spec, id=name) for name, spec in _cases()])
def test_a_case_of_the_book_is_a_question_of_the_schema(spec: dict[str, Any]) -> None:
    assert not faults(spec)


BUILDERS = sorted(module.name for module in pkgutil.iter_modules(cdpstore.query.__path__, "cdpstore.query."))


def _built(name: str) -> Iterator[dict[str, Any]]:
    """Every spec of a builder that the examples of a module show."""
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        for example in test.examples:
            tree = ast.parse(example.source)
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "spec":
                    built = eval(ast.unparse(node.func.value), test.globs)
                    yield _question(built)
            exec(compile(tree, name, "exec"), test.globs)


def _question(built: Question | Predicate | Selector | Where) -> dict[str, Any]:
    match built:
        case Question():
            return built.spec()
        case Predicate():
            return {"kind": "profiles", "where": built.spec()}
        case Where():
            return {"kind": "trend", "event": {"event": "A", "where": [built.spec()]}}
        case _:
            return {"kind": "trend", "event": built.spec()}


@pytest.mark.parametrize("name", [name for name in BUILDERS if list(_built(name))])
def test_what_a_builder_writes_is_a_question_of_the_schema(name: str) -> None:
    for spec in _built(name):
        assert not faults(spec), spec


@pytest.mark.parametrize("name", ["docs/queries.md", "docs/values.md", "docs/events.md"])
def test_what_a_document_asks_is_a_question_of_the_schema(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    query = Store.query

    def recorded(self: Store, question: Any, **when: Any) -> Any:
        asked.append(cdpstore.query.to_spec(question))
        return query(self, question, **when)

    monkeypatch.setattr(Store, "query", recorded)
    doctest.testfile(str(ROOT / name), module_relative=False)
    assert asked
    for spec in asked:
        assert not faults(spec), spec


# ---- nothing is missing, nothing is made up


def _parts(schema: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema that asks for something, with its place."""
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from _parts(each, f"{place}/{index}")
    if not isinstance(schema, dict):
        return
    yield place, schema
    for keyword, value in schema.items():
        if keyword in ("properties", "patternProperties", "$defs"):
            for name, each in value.items():
                yield from _parts(each, f"{place}/{keyword}/{name}")
        elif keyword not in ("if", "not", "enum", "const", "required", "dependentRequired"):
            yield from _parts(value, f"{place}/{keyword}")


CLOSED = {place: part for place, part in _parts(SCHEMA) if part.get("additionalProperties") is False}
FIELDS = {(id(part), name): f"{place}: {name}" for place, part in CLOSED.items() for name in part["properties"]}


def _used(spec: Any) -> set[tuple[int, Any]]:
    """Which fields of which closed maps, and which choices of which lists of them, the spec has."""
    used = set()

    def properties(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if isinstance(instance, dict):
            used.update((id(schema), name) for name in instance if name in value)
        return standard["properties"](validator, value, instance, schema)

    def choices(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        used.add((id(schema), instance if isinstance(instance, str) else None))
        return standard["enum"](validator, value, instance, schema)

    standard = jsonschema.Draft202012Validator.VALIDATORS
    extended = jsonschema.validators.extend(
        jsonschema.Draft202012Validator, {"properties": properties, "enum": choices}
    )
    assert extended(SCHEMA).is_valid(spec)
    return used


def test_every_map_of_fields_is_closed_and_every_field_is_explained() -> None:
    for place, part in _parts(SCHEMA):
        if part.get("type") != "object" or place in ("#", "#/$defs/predicate") or "if" in part:
            continue
        assert part["additionalProperties"] is False or not part.get("properties"), place
    for place, part in CLOSED.items():
        assert part["title"], place
        for name, field in part["properties"].items():
            target = SCHEMA["$defs"].get(field.get("$ref", "").removeprefix("#/$defs/"), {})
            assert field.get("description") or target.get("description"), f"{place}: {name}"
    for name, part in SCHEMA["$defs"].items():
        assert part.get("title") or part.get("description") or "then" in part, name


def test_every_field_and_every_choice_has_an_example_and_no_example_passes_without_its_field() -> None:
    shown: dict[tuple[int, Any], Any] = {}
    for spec in ACCEPTED:
        for use in _used(spec):
            shown.setdefault(use, spec)
    assert [place for use, place in FIELDS.items() if use not in shown] == []
    lists = [(place, part) for place, part in _parts(SCHEMA) if "enum" in part]
    assert [(place, one) for place, part in lists for one in part["enum"] if (id(part), one) not in shown] == []
    for part in CLOSED.values():
        for name in list(part["properties"]):
            kept = part["properties"].pop(name)
            assert not VALIDATOR.is_valid(shown[id(part), name]), name
            part["properties"][name] = kept
    assert json_schema() == SCHEMA


def _grammar() -> str:
    text = (ROOT / "docs" / "architecture.md").read_text()
    return text[text.index("## Query spec") : text.index("Answers are a `Table`")]


def test_the_schema_has_every_word_of_the_grammar() -> None:
    known = {name for _, part in _parts(SCHEMA) for name in part.get("properties", {})}
    known |= {str(choice) for _, part in _parts(SCHEMA) for choice in [*part.get("enum", []), part.get("const")]}
    block = _grammar().split("```")[1]
    names_of_events = {"Name", "A", "B"}
    values = {"500ms", "10s", "15m", "12h", "30d", "2w", "2026-03-01", "09:30", "UTC", "p90"}
    assert set(re.findall(r'"([^"\s]+)"', block)) - known - names_of_events - values == set()
    ops = re.search(r"^op +(.*?)^zone", re.sub(r"\(.*?\)", "", block), re.MULTILINE | re.DOTALL)
    assert ops is not None
    assert set(re.findall(r"\w+", ops[1])) == set(SCHEMA["$defs"]["op"]["enum"])


def test_the_grammar_has_every_word_of_the_schema() -> None:
    words = set(re.findall(r"[\w$]+", _grammar()))
    fields = {name for part in CLOSED.values() for name in part["properties"]}
    elsewhere = {"$time"}
    assert fields - words - elsewhere == set()
