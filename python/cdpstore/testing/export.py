"""Exports by definition: every visible event, every profile, fact of a type, or group, as a table of plain values.

Columns are named by the rule of `docs/architecture.md`, Export: of a key one column if its values have one type, else
one a type. Lists stay lists here; a real export gives their JSON.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from cdpstore.model import datetime_of
from cdpstore.schema import VALUE_TYPES
from cdpstore.table import Table
from cdpstore.testing.calendars import Moment, absolute
from cdpstore.testing.clause_spec import predicate
from cdpstore.testing.clauses import holds
from cdpstore.testing.event_spec import time_range
from cdpstore.testing.facts import FORMS
from cdpstore.testing.history import History
from cdpstore.testing.identity import KINDS
from cdpstore.testing.population import with_cuts
from cdpstore.testing.rows import Person
from cdpstore.testing.spec import Fields, bad, choice, each, integer, name_of
from cdpstore.testing.value_tests import at_instant
from cdpstore.testing.values import type_name
from cdpstore.testing.view import resolved

__all__ = ["TYPES", "answer"]

TYPES: Final = VALUE_TYPES
_CENTURY_MS: Final = 100 * 366 * 86_400_000

Column = tuple[str, Callable[[Mapping[str, Any]], Any]]


def answer(history: History, spec: Mapping[str, Any], now_ms: int) -> Table:
    """The rows of the export that the spec asks for."""
    fields = Fields(spec, "")
    what = fields.require("export", choice(("events", "profiles", "facts", "groups")))
    fact = fields.require("type", choice(tuple(FORMS))) if what == "facts" else ""
    names = fields.take("names", _names) if what == "events" else None
    span = fields.take("range", time_range) if what == "events" else None
    kind = fields.take("kind", name_of) if what == "groups" else None
    where = fields.take("where", predicate) if what != "groups" else None
    columns = None
    if not fact:
        columns = fields.take("columns", each(_column("property" if what == "events" else "trait"), 0, 10_000))
    given_ms = fields.take("now_ms", integer(-_CENTURY_MS, _CENTURY_MS))
    fields.done()
    now_ms = now_ms if given_ms is None else given_ms
    if what == "groups":
        return _groups(history, kind, columns, now_ms)
    where = at_instant(where, "UTC", now_ms)
    moment = Moment(now_ms)
    everybody = history.people(now_ms, None)
    where = with_cuts(where, everybody, moment)
    people = [person for person in everybody if where is None or holds(where, person, moment)]
    if fact:
        return _facts(history, people, fact, now_ms)
    if what == "profiles":
        return _profiles(history, people, columns, now_ms)
    return _events(history, people, names, resolved(span and absolute(span, moment), now_ms), columns, now_ms)


def _events(
    history: History,
    people: Iterable[Person],
    names: list[str] | None,
    span: tuple[int, int],
    columns: list[dict[str, Any]] | None,
    now_ms: int,
) -> Table:
    def selects(name: str) -> bool:
        return name in names if names is not None else not name.startswith(("Message ", "Segment "))

    start_ms, end_ms = span
    ever = [row for row in history.kept_rows(now_ms) if selects(row.name)]
    chosen = _choose([row.properties for row in ever], columns, "property", ["profile_id", "event", "time"])
    rows = [
        [person.profile_id, row.name, datetime_of(row.time_ms), *(value(row.properties) for _, value in chosen)]
        for person in sorted(people, key=lambda each: each.profile_id)
        for row in person.rows
        if selects(row.name) and start_ms <= row.time_ms < end_ms
    ]
    heads = ["profile_id", "event", "time", *(name for name, _ in chosen)]
    return Table.from_rows(heads, rows, watermark=history.sequence, now_ms=now_ms)


def _profiles(history: History, people: Iterable[Person], columns: list[dict[str, Any]] | None, now_ms: int) -> Table:
    kinds = [kind for kind, rule in KINDS.items() if rule.identifies]
    fixed = ["profile_id", "created", *kinds]
    ever = [
        {key: each for key, each in person.traits.items() if each is not None}
        for person in history.people(now_ms, None)
    ]
    chosen = _choose(ever, columns, "trait", fixed)
    rows = []
    for person in sorted(people, key=lambda each: each.profile_id):
        created_ms = history.created_ms(person.origins)
        known = history.identities(person.origins)
        rows.append(
            [
                person.profile_id,
                None if created_ms is None else datetime_of(created_ms),
                *([value for of, value in known if of == kind] for kind in kinds),
                *(value(person.traits) for _, value in chosen),
            ]
        )
    return Table.from_rows([*fixed, *(name for name, _ in chosen)], rows, watermark=history.sequence, now_ms=now_ms)


def _facts(history: History, people: Iterable[Person], of: str, now_ms: int) -> Table:
    form = FORMS[of]
    rows = [
        [
            *(person.profile_id, *fact.subject, fact.state),
            *map(datetime_of, (fact.first_ms, fact.since_ms, fact.last_ms[fact.state])),
            *(fact.texts.get(name) for name in form.texts),
        ]
        for person in sorted(people, key=lambda each: each.profile_id)
        for fact in person.facts[of]
    ]
    heads = ["profile_id", *form.subjects, "state", "first_time", "since", "time", *form.texts]
    return Table.from_rows(heads, rows, watermark=history.sequence, now_ms=now_ms)


def _groups(history: History, kind: str | None, columns: list[dict[str, Any]] | None, now_ms: int) -> Table:
    traits = {name: each for name, each in history.groups(now_ms).items() if kind in (None, name[0])}
    told = [{key: each for key, each in of.items() if each is not None} for of in traits.values()]
    chosen = _choose(told, columns, "trait", ["kind", "id", "created"])
    rows = []
    for name, of in traits.items():
        created_ms = history.group_created_ms(name)
        created = None if created_ms is None else datetime_of(created_ms)
        rows.append([*name, created, *(value(of) for _, value in chosen)])
    heads = ["kind", "id", "created", *(name for name, _ in chosen)]
    return Table.from_rows(heads, rows, watermark=history.sequence, now_ms=now_ms)


def _choose(
    maps: Sequence[Mapping[str, Any]], columns: list[dict[str, Any]] | None, prefix: str, fixed: Sequence[str]
) -> list[Column]:
    """The columns after the fixed ones: name, and how to get its value out of a row's map."""
    types: dict[str, set[str]] = {}
    for values in maps:
        for key, value in values.items():
            types.setdefault(key, set()).add(type_name(value))
    taken = set(fixed)
    for index, column in enumerate(columns or []):
        if column["as"] in taken:
            bad(f"columns[{index}]", "two columns of one name")
        if column["as"] is not None:
            taken.add(column["as"])
    chosen: list[Column] = []

    def add(name: str, key: str, wanted: str | None, *, is_free: bool) -> None:
        while is_free and name in taken:
            name = f"{prefix}:{name}"
        taken.add(name)
        chosen.append((name, _getter(key, wanted)))

    asked = columns
    if asked is None:
        keys = sorted(types, key=str.encode)
        asked = [{"key": key, "type": None, "as": None} for key in keys]
    for column in asked:
        key, wanted, given = column["key"], column["type"], column["as"]
        if wanted is not None:
            add(given or f"{key}:{wanted}", key, wanted, is_free=given is None)
            continue
        found = [each for each in TYPES[1:] if each in types.get(key, set())]
        if len(found) <= 1:
            add(given or key, key, found[0] if found else "", is_free=given is None)
            continue
        for each_type in found:
            add(f"{given or key}:{each_type}", key, each_type, is_free=True)
    return chosen


def _getter(key: str, wanted: str | None) -> Callable[[Mapping[str, Any]], Any]:
    if wanted == "null":
        return lambda values: key in values and values[key] is None
    return lambda values: values[key] if key in values and type_name(values[key]) == wanted else None


def _names(node: Any, path: str) -> list[str]:
    return [name_of(node, path)] if isinstance(node, str) else each(name_of, 1, 1_000)(node, path)


def _column(field: str) -> Callable[[Any, str], dict[str, Any]]:
    def parse(node: Any, path: str) -> dict[str, Any]:
        if isinstance(node, str):
            return {"key": name_of(node, path), "type": None, "as": None}
        fields = Fields(node, path)
        parsed = {
            "key": fields.require(field, name_of),
            "type": fields.take("type", choice(TYPES)),
            "as": fields.take("as", name_of),
        }
        fields.done()
        return parsed

    return parse
