"""Which test exercises which field of the schema, found by looking at what the strategies of tests draw, and at the
specs that stand in test files. `python -m tests.python.matrix` prints the table.

Nothing is listed by hand: the fields are those of `json_schema()`, the tests those that the files define. A test
exercises a field where some spec of it has the field at that very place of the schema, with this value.
"""

import ast
import inspect
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, Final

import jsonschema
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from cdpstore.query import json_schema
from cdpstore.testing import question_strategies, strategies
from tests.python.spec_examples import ACCEPTED

__all__ = ["ASKED", "Matrix", "fields", "wanted"]

SCHEMA: Final = json_schema()
_VALIDATOR: Final = jsonschema.Draft202012Validator(SCHEMA)
_KINDS: Final = frozenset(SCHEMA["properties"]["kind"]["enum"])
_FORMS: Final = frozenset(SCHEMA["$defs"]["predicate"]["properties"])
_UNKNOWN: Final = "?"  # of a spec in a source: what is no literal
_DRAWS, _TURNS = 20, 4  # of each strategy, and again while there are gaps
_ROOT: Final = Path(__file__).parents[2]
ASKED: Final = "spec_examples: asked, not compared"

Field = tuple[str, str]  # title of the map, name


def fields() -> dict[Field, dict[str, Any]]:
    """Every field of every map of the schema that says which it has."""
    return {
        (part["title"], name): field
        for part in _parts(SCHEMA)
        if "additionalProperties" in part and "title" in part
        for name, field in part["properties"].items()
    }


def wanted(field: Mapping[str, Any]) -> set[str] | int:
    """The values that have to be seen, or how many: one of what is there or is not, and of what says only one thing."""
    while field.get("$ref", "#") != "#":
        field = SCHEMA["$defs"][field["$ref"].removeprefix("#/$defs/")]
    if "const" in field or field.get("type") == "boolean":
        return 1
    return {json.dumps(value) for value in field["enum"]} if "enum" in field else 2


class Matrix:
    """By field, the tests with the values that they gave it."""

    def __init__(self) -> None:
        self.seen: dict[Field, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    @classmethod
    def of_all_tests(cls) -> "Matrix":
        """What the tests beside this file ask; ~10 s."""
        matrix, drawn = cls(), dict[str, Matrix]()
        for spec in ACCEPTED:
            matrix.add(ASKED, spec)
        for turn in range(_TURNS):
            for name, strategy in _public_strategies():
                drawn.setdefault(name, cls()).add(name, _drawn(strategy, turn))
            for path in sorted(_ROOT.glob("tests/*/test_*.py")):
                matrix.add_source(path, drawn)
            if not matrix.gaps():
                break
        return matrix

    def add_source(self, path: Path, drawn: Mapping[str, "Matrix"]) -> None:
        """The specs in a file of tests, and what the strategies draw that its tests name, through whatever helper."""
        body = ast.parse(path.read_text(encoding="utf-8")).body
        helpers = {name: node for node in body for name in _names_of(node)}
        for node in body:
            test = f"{path.stem}::{getattr(node, 'name', 'its tables')}"
            for spec in _specs_in(node):
                self.add(test, spec)
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for name in _reached(node, helpers) & drawn.keys():
                    for field, by_strategy in drawn[name].seen.items():
                        self.seen[field][test].update(*by_strategy.values())

    def add(self, test: str, value: Any) -> bool:
        """Traces the specs in what a test was given; whether there are some."""
        if isinstance(value, list | tuple):
            return any([self.add(test, each) for each in value])
        if not isinstance(value, Mapping):
            return False
        if isinstance(value.get("kind"), str) and value["kind"] in _KINDS and "type" not in value:
            self._trace(test, SCHEMA["$defs"][value["kind"]], _plain(value))
            return True
        if _FORMS & value.keys() and "type" not in value and "property" not in value:
            self._trace(test, SCHEMA["$defs"]["predicate"], _plain(value))
            return True
        return any([self.add(test, each) for each in value.values()])

    def _trace(self, test: str, schema: Any, value: Any) -> None:
        if not isinstance(schema, Mapping):
            return
        if schema.get("$ref") == "#":
            self.add(test, value)
        elif "$ref" in schema:
            self._trace(test, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], value)
        for each in schema.get("allOf", ()):
            self._trace(test, each, value)
        if "if" in schema:
            holds = _VALIDATOR.evolve(schema=schema["if"]).is_valid(value)
            self._trace(test, schema.get("then" if holds else "else"), value)
        if isinstance(value, Mapping):
            self._trace_map(test, schema, value)
        elif isinstance(value, list):
            head = schema.get("prefixItems", [])
            for at, each in enumerate(value):
                self._trace(test, head[at] if at < len(head) else schema.get("items"), each)

    def _trace_map(self, test: str, schema: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        own = schema.get("properties", {})
        for name, each in value.items():
            if name not in own:
                continue
            if "additionalProperties" in schema and "title" in schema and each != _UNKNOWN:
                self.seen[schema["title"], name][test].add(json.dumps(each, sort_keys=True, default=str))
            self._trace(test, own[name], each)

    def rows(self) -> list[tuple[Field, int, list[str]]]:
        """By field how many values were seen, and in which tests: those that saw most first."""
        out = []
        for field in sorted(fields()):
            by_test = self.seen.get(field, {})
            names = sorted(by_test, key=lambda test: (-len(by_test[test]), test))
            out.append((field, len(set().union(*by_test.values())) if by_test else 0, names))
        return out

    def gaps(self) -> list[str]:
        """Fields that no test gives, and such as are never given enough: fields of one name and one schema are one."""
        pooled: dict[str, set[str]] = defaultdict(set)
        for field, schema in fields().items():
            pooled[_same(field, schema)].update(*self.seen.get(field, {}).values())
        out = []
        for field, schema in fields().items():
            values, need = pooled[_same(field, schema)], wanted(schema)
            if not self.seen.get(field):
                out.append(f"{field[0]}: {field[1]} is never given")
            elif isinstance(need, int) and len(values) < need:
                out.append(f"{field[0]}: {field[1]} has {len(values)} values")
            elif isinstance(need, set) and need - values:
                out.append(f"{field[0]}: {field[1]} is never {', '.join(sorted(need - values))}")
        return out


def _same(field: Field, schema: Mapping[str, Any]) -> str:
    return field[1] + json.dumps({key: each for key, each in schema.items() if key != "description"})


def _parts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _parts(each)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else {"$time": 0}


def _public_strategies() -> Iterator[tuple[str, st.SearchStrategy[Any]]]:
    """Those that need nothing to be drawn, and draw no histories."""
    for module in (strategies, question_strategies):
        for name in module.__all__:
            maker = getattr(module, name)
            if isinstance(maker, FunctionType) and name != "histories" and _needs_nothing(maker):
                yield name, maker()


def _needs_nothing(maker: FunctionType) -> bool:
    return all(each.default is not each.empty for each in inspect.signature(maker).parameters.values())


def _drawn(strategy: st.SearchStrategy[Any], turn: int) -> list[Any]:
    out: list[Any] = []

    @seed(turn)
    @settings(
        max_examples=_DRAWS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.none().flatmap(lambda _: strategy))  # its own text would be large
    def draw(value: Any) -> None:
        out.append(value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # of large texts
        draw()
    return out


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _reached(node: ast.AST, helpers: Mapping[str, ast.stmt]) -> set[str]:
    """Every name in the node, and in those of the file's own definitions that it names."""
    found: set[str] = set()
    left = [node]
    while left:
        for each in ast.walk(left.pop()):
            name = each.id if isinstance(each, ast.Name) else each.attr if isinstance(each, ast.Attribute) else None
            if name is not None and name not in found:
                found.add(name)
                left += [helpers[name]] if name in helpers else []
    return found


def _specs_in(node: ast.AST) -> Iterator[Any]:
    """Maps that are written out, from the outermost in."""
    if isinstance(node, ast.Dict):
        yield _literal(node)
        return
    for child in ast.iter_child_nodes(node):
        yield from _specs_in(child)


def _literal(node: ast.AST | None) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
            return -value
        case ast.Dict(keys=keys, values=values):
            named = zip(keys, values, strict=True)
            return {str(key.value): _literal(each) for key, each in named if isinstance(key, ast.Constant)}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(each) for each in items]
        case _:
            return _UNKNOWN


def main() -> None:
    """Prints the table."""
    for (title, name), count, names in Matrix.of_all_tests().rows():
        print(f"{title} | {name} | {count} | {', '.join(names[:3])}{', ..' if len(names) > 3 else ''}")


if __name__ == "__main__":
    main()
