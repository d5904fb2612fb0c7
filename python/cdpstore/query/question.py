"""What all questions share: who (`where`), when (`range`, `now`, `as_of`), the calendar, and how many rows."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias

from cdpstore.errors import BadQuery
from cdpstore.query.predicate import Predicate, predicate_spec
from cdpstore.query.zone import zone_kept_in

__all__ = ["BrokenDown", "Question", "Spec", "to_spec"]

Spec: TypeAlias = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question(ABC):
    """An immutable question; each method returns a new one. `common` holds the fields every kind takes."""

    common: tuple[tuple[str, Any], ...] = ()

    def where(self, predicate: Predicate | Mapping[str, Any]) -> Self:
        """Only profiles of which the predicate is true; called again, both must be."""
        added = predicate_spec(predicate)
        before = dict(self.common).get("where")
        return self._with(where={"and": [before, added]} if before else added)

    def between(self, start_ms: int, end_ms: int) -> Self:
        """Only events of [start_ms, end_ms)."""
        return self._with(range={"start_ms": start_ms, "end_ms": end_ms})

    def last(self, duration: str | int) -> Self:
        """Only events of (now - duration, now]."""
        return self._with(range={"last": duration})

    def last_days(self, count: int) -> Self:
        """Only events of the last so many local days, today included."""
        return self._with(range={"last": f"{count}d", "calendar": True})

    def this(self, unit: str, *, count: int | None = None) -> Self:
        """Only events of this local hour, day, week, month, quarter or year; `count`: of so many, this one the last."""
        return self._with(range={"this": unit} if count is None else {"this": unit, "count": count})

    def previous(self, unit: str, *, count: int | None = None) -> Self:
        """Only events of the whole local hour, day, .. or year before this one; `count`: of so many."""
        return self._with(range={"previous": unit} if count is None else {"previous": unit, "count": count})

    def calendar(self, *, zone: str | None = None, week_start: str | None = None) -> Self:
        """In which zone days begin, and on which day weeks do."""
        return self._with(zone=zone, week_start=week_start)

    def in_zone_kept_in(self, trait: str, *, otherwise: str | None = None) -> Self:
        """Each profile by its own clock, in the zone that a trait of it names; `otherwise` (UTC) where it names none.

        Of trends, funnels and retention. Times in the answer and in the range are then what clocks show, written as if
        in UTC.
        """
        return self._with(zone=zone_kept_in(trait, otherwise=otherwise))

    def now(self, now_ms: int) -> Self:
        """The instant that relative times count from; later events are invisible."""
        return self._with(now_ms=now_ms)

    def as_of(self, as_of_ms: int) -> Self:
        """The world as it was valid then: later events, trait operations and joins are left out."""
        return self._with(as_of_ms=as_of_ms)

    def limit(self, count: int) -> Self:
        """At most so many rows or breakdown values."""
        return self._with(limit=count)

    def spec(self) -> Spec:
        """The question as the one map that Python, msgpack and JSON share."""
        return {**self._fields(), **dict(self.common)}

    @abstractmethod
    def _fields(self) -> Spec:
        """The kind and its own fields."""

    def _with(self, **fields: Any) -> Self:
        given = {name: value for name, value in fields.items() if value is not None}
        return dataclasses.replace(self, common=tuple({**dict(self.common), **given}.items()))


class BrokenDown(Question):
    """A question whose answer can be split, in the order of the calls."""

    __slots__ = ()

    def by(
        self,
        *keys: str,
        borders: Sequence[int | float] | None = None,
        buckets: int | None = None,
        unit: str | None = None,
        elements: bool | str | None = None,
        name: str | None = None,
    ) -> Self:
        """Splits by properties of the event: by their values, or by one of these.

        `borders`: numbers by the bucket they lie in, each closed at its lower end. `buckets`: so many buckets of equal
        count. `unit`: datetimes by the hour .. year they lie in. `elements`: a list counts once under each of its
        elements, a list of objects under each value of the field named. `name`: what the column is called.
        """
        groups = _given(borders=borders, buckets=buckets, unit=unit, elements=elements, name=name)
        return self._split({"property": key, **groups} for key in keys)

    def by_trait(
        self,
        *keys: str,
        borders: Sequence[int | float] | None = None,
        buckets: int | None = None,
        unit: str | None = None,
        elements: bool | str | None = None,
        at: str | None = None,
        name: str | None = None,
    ) -> Self:
        """Splits by traits of the profile: by their values, or as in `by`.

        As they are now, or with `at="event"` as they were valid when the event happened, by the joins that lived then.
        """
        groups = _given(borders=borders, buckets=buckets, unit=unit, elements=elements, at=at, name=name)
        return self._split({"trait": key, **groups} for key in keys)

    def by_time(self, unit: str, *, name: str | None = None) -> Self:
        """Splits by the hour, day, week, month, quarter or year of the event."""
        return self._split([{"time": unit, **_given(name=name)}])

    def by_event(self, *, name: str | None = None) -> Self:
        """Splits by the event's own name."""
        return self._split([{"event": "name", **_given(name=name)}])

    def by_segment(self, *named: str, **segments: Predicate | Mapping[str, Any]) -> Self:
        """Splits by segments: live ones by name, and predicates under the names given.

        A profile counts in the row of every one that it is in, and in the row of none (null) when it is in none.
        """
        given = [{"name": name, "where": predicate_spec(segment)} for name, segment in segments.items()]
        return self._split([{"segments": [*named, *given]}])

    def by_group(self, kind: str, trait: str | None = None) -> Self:
        """Splits by the groups of a kind that a profile is in now, or by a trait of theirs; null for none."""
        return self._split([{"group": kind} if trait is None else {"group": kind, "trait": trait}])

    def _split(self, operands: Any) -> Self:
        return self._with(breakdown=[*dict(self.common).get("breakdown", []), *operands])


def _given(**fields: Any) -> dict[str, Any]:
    return {field: list(value) if field == "borders" else value for field, value in fields.items() if value is not None}


def to_spec(question: Question | Mapping[str, Any]) -> Spec:
    """The spec of a question, or the dict that already is one. Raises `BadQuery` for what is neither."""
    if isinstance(question, Question):
        return question.spec()
    if not isinstance(question, Mapping):
        raise BadQuery("query.invalid", f"expected a map, got {type(question).__name__}")
    return dict(question)
