"""Attempts at a funnel by definition: every path from every entry, the best one; `cpp/query/kinds/funnel_attempts.hpp`
has the same meaning in words."""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise, product
from typing import Any

from cdpstore.testing.predicates import selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.values import Typed, typed
from cdpstore.testing.view import View

__all__ = ["Attempt", "attempts"]


@dataclasses.dataclass(frozen=True)
class Attempt:
    """The rows by step (from 0), and the place from which another attempt may enter."""

    rows: dict[int, Row]
    places: dict[int, int]
    next_place: int
    excluded: bool = False
    unit: Sequence[Row] = ()  # all rows of the profile that hold the same values


def attempts(view: View, person: Person, spec: dict[str, Any]) -> list[Attempt]:
    """Every attempt of the profile that counts."""
    ever = [row for row in person.rows if row.time_ms <= view.now_ms]
    return [
        dataclasses.replace(attempt, unit=rows)
        for rows in _units(person, spec)
        for attempt in _Walk(view, rows, ever, spec).run()
    ]


def _first_ever(rows: Sequence[Row], first: str | None, step: dict[str, Any]) -> Any:
    """Where the row lies that alone may take the step: the first of its names, or the first that it selects."""
    wanted = {"event": step["event"], "where": []} if first == "event" else step
    return next((row.event_order for row in rows if selects(wanted, row)), ()) if first else None


def _sessions(rows: Sequence[Row], gap_ms: int) -> list[int]:
    """A number for each row, the same for those of one session."""
    out: list[int] = []
    for place, row in enumerate(rows):
        goes_on = place > 0 and row.time_ms - rows[place - 1].time_ms <= gap_ms
        out.append(0 if place == 0 else out[-1] + (not goes_on))
    return out


def _units(person: Person, spec: dict[str, Any]) -> list[list[Row]]:
    """The rows that hold one and the same tuple of values; a row whose value is a list is in several."""
    if not spec["hold"]:
        return [person.rows]
    units: dict[tuple[Typed, ...], list[Row]] = {}
    for row in person.rows:
        for held in product(*(_elements(row.properties.get(key)) for key in spec["hold"])):
            units.setdefault(held, []).append(row)
    return list(units.values())


def _elements(value: Any) -> Iterable[Typed]:
    if isinstance(value, list):
        return {typed(each) for each in value if each is not None and not isinstance(each, dict)}
    return [] if value is None else [typed(value)]


class _Walk:
    def __init__(self, view: View, rows: Sequence[Row], ever: Sequence[Row], spec: dict[str, Any]) -> None:
        self._view, self._spec = view, spec
        self._steps, self._optional = spec["steps"], spec["optional"]
        steps, excluded = self._steps, spec["exclude"]
        session = spec["window"].get("session") if isinstance(spec["window"], dict) else None
        every = spec["order"] == "strict_all" or session is not None
        seen = [row for row in rows if row.time_ms <= view.now_ms]
        first = [_first_ever(ever, which, each) for which, each in zip(spec["first"], steps, strict=True)]
        fills = [
            {step for step, each in enumerate(steps) if selects(each, row) and first[step] in (None, row.event_order)}
            for row in seen
        ]
        hits = [{at for at, each in enumerate(excluded) if selects(each["selector"], row)} for row in seen]
        kept = [
            at
            for at, row in enumerate(seen)
            if fills[at] or hits[at] or (every and selects({"event": None, "where": []}, row))
        ]
        self._rows = [seen[at] for at in kept]
        self._fills = [fills[at] for at in kept]
        self._hits = [hits[at] for at in kept]
        window = spec["window"]
        unit = window.get("calendar") if isinstance(window, dict) else None
        calendar = view.calendar(unit) if unit else None
        # Of the calendar or of a session: rows lie in one window when they have the same number here.
        self._days = [calendar.start(row.clock_ms) for row in self._rows] if calendar else []
        if session is not None:
            self._days = _sessions(self._rows, session)
        self._step_window = window.get("step") if isinstance(window, dict) else None
        self._several = spec["event_fills"] == "several_steps"

    def run(self) -> list[Attempt]:
        """By profile the best, in turn, or one an entry."""
        spec, found = self._spec, list[Attempt]()
        place = 0
        while place < len(self._rows):
            if not self._enters(place):
                place += 1
                continue
            attempt = self._attempt(place)
            found.append(attempt)
            place = max(place + 1, attempt.next_place if spec["count"] == "totals" else 0)
            if spec["count"] == "profiles" and spec["attempt"] == "first_entry":
                break
        if spec["exclude_mode"] == "remove" and any(attempt.excluded for attempt in found):
            return []
        if spec["count"] == "profiles_by_interval":
            return self._one_a_bucket(found)
        if spec["count"] != "profiles" or not found:
            return found
        return [max(found, key=lambda attempt: self._worth(attempt.rows))]  # the first of equal ones

    def _one_a_bucket(self, found: Sequence[Attempt]) -> list[Attempt]:
        calendar = self._view.calendar(self._spec["interval"])
        buckets: dict[int, list[Attempt]] = {}
        for attempt in found:
            buckets.setdefault(calendar.start(attempt.rows[0].clock_ms), []).append(attempt)
        if self._spec["attempt"] == "first_entry":
            return [entered[0] for entered in buckets.values()]
        return [max(entered, key=lambda attempt: self._worth(attempt.rows)) for entered in buckets.values()]

    def _enters(self, place: int) -> bool:
        fills = self._fills[place]
        any_order = self._spec["order"] == "any_order"
        enters = any(self._stands(frozenset(), step) for step in fills) if any_order else 0 in fills
        return enters and self._view.in_range(self._rows[place])

    def _worth(self, steps: Iterable[int]) -> tuple[int, int, int]:
        taken = list(steps)
        optional = [step for step in taken if step in self._optional]
        return len(taken) - len(optional), len(optional), sum(2 ** (31 - step) for step in taken)

    def _in_window(self, entry: int, place: int) -> bool:
        window = self._spec["window"]
        if self._days:
            return self._days[entry] == self._days[place]
        if self._step_window is not None:
            return True
        return window is None or self._rows[place].time_ms <= self._rows[entry].time_ms + window

    def _window_end(self, entry: int) -> int:
        return max(place for place in range(entry, len(self._rows)) if self._in_window(entry, place)) + 1

    def _attempt(self, entry: int) -> Attempt:
        if self._spec["order"] == "any_order":
            return self._in_any_order(entry)
        grace = isinstance(self._spec["same_time"], dict)
        path = self._graced_path(entry) if grace else self._best_path(entry)
        return self._ended(entry, dict(path))

    def _made(self, places: dict[int, int], next_place: int, *, excluded: bool = False) -> Attempt:
        rows = {step: self._rows[place] for step, place in places.items()}
        return Attempt(rows, places, next_place, excluded)

    def _stands(self, taken: frozenset[int], step: int) -> bool:
        """Whether a step may be filled next: anchored ones keep their place among the others."""
        before = range(step)
        anchors = [at for at in before if at in self._spec["anchored"]]
        needed = before if step in self._spec["anchored"] else range(anchors[-1] + 1) if anchors else ()
        return all(at in taken for at in needed)

    def _all_at_once(self, taken: frozenset[int], fills: set[int]) -> frozenset[int]:
        more = {step for step in fills - taken if self._stands(taken, step)}
        return self._all_at_once(taken | more, fills) if more else taken

    def _in_any_order(self, entry: int) -> Attempt:
        fillable: set[frozenset[int]] = {frozenset()}
        done: dict[int, int] = {}
        for place in range(entry, self._window_end(entry)):
            if not self._in_window(entry, place):
                continue
            if self._several:
                fillable = {self._all_at_once(taken, self._fills[place]) for taken in fillable}
            else:
                fillable |= {
                    taken | {step} for taken in fillable for step in self._fills[place] if self._stands(taken, step)
                }
            if max(map(len, fillable)) > len(done):
                done |= dict.fromkeys(range(len(done), max(map(len, fillable))), place)
                if len(done) == len(self._steps):
                    return self._made(done, place + 1)
            elif self._hits[place]:
                return self._made(done, place + 1, excluded=True)
        return self._made(done, self._window_end(entry))

    def _best_path(self, entry: int) -> list[tuple[int, int]]:
        """(step, place) of the steps taken: the worthiest, of those the one that ends earliest."""
        clean = self._spec["exclude_mode"] == "any_clean_path"

        @cache
        def best(place: int, step: int) -> tuple[tuple[int, int], ...]:
            continuations: list[tuple[tuple[int, int], ...]] = [()]
            for to in self._next_steps(step):
                for later in range(place if self._several else place + 1, len(self._rows)):
                    if self._goes_on(entry, place, later, to):
                        continuations.append(((to, later), *best(later, to)))
                    if later == place:
                        continue
                    if self._forbids(step, to, later) or (clean and self._excludes(step, to, later)):
                        break  # it would lie between this row and any later one
            return max(continuations, key=rank)

        def rank(path: tuple[tuple[int, int], ...]) -> Any:
            return self._worth(step for step, _ in path), [-place for _, place in reversed(path)]

        return [(0, entry), *best(entry, 0)]

    def _next_steps(self, step: int) -> list[int]:
        later = range(step + 1, len(self._steps))
        return [to for to in later if all(between in self._optional for between in range(step + 1, to))]

    def _goes_on(self, entry: int, place: int, later: int, to: int) -> bool:
        if to not in self._fills[later] or not self._in_window(entry, later):
            return False
        if self._step_window is not None and self._rows[later].time_ms > self._rows[place].time_ms + self._step_window:
            return False
        return self._spec["same_time"] != "later" or self._rows[later].time_ms > self._rows[place].time_ms

    def _forbids(self, step: int, to: int, place: int) -> bool:
        match self._spec["order"]:
            case "strict_all":
                return True
            case "strict_steps":
                return bool(self._fills[place]) and not self._fills[place] & {step, to}
            case _:
                return False

    def _excludes(self, step: int, to: int, place: int) -> bool:
        return any(
            self._spec["exclude"][hit]["from"] < to and self._spec["exclude"][hit]["to"] > step
            for hit in self._hits[place]
        )

    def _ended(self, entry: int, places: dict[int, int]) -> Attempt:
        end = self._window_end(entry)
        drops = self._spec["exclude_mode"] != "any_clean_path"
        taken = sorted(places)
        for step, to in pairwise(taken):
            first, behind = sorted((places[step], places[to]))
            for place in range(first + 1, behind):
                if drops and self._excludes(step, to, place):
                    kept = {each: places[each] for each in taken if each <= step}
                    return self._made(kept, place + 1, excluded=True)
        last = taken[-1]
        if last + 1 == len(self._steps):
            return self._made(places, max(places.values()) + 1)
        if self._step_window is not None:
            until_ms = self._rows[places[last]].time_ms + self._step_window
            end = sum(row.time_ms <= until_ms for row in self._rows)
        for place in range(places[last] + 1, end):
            if drops and self._excludes(last, last + 1, place) and self._in_window(entry, place):
                return self._made(places, place + 1, excluded=True)
            if all(self._forbids(last, to, place) for to in self._next_steps(last)):
                return self._made(places, place)
        return self._made(places, end)

    def _graced_path(self, entry: int) -> list[tuple[int, int]]:
        """Rows of their own for the steps, each at most the grace before the one it follows."""
        grace, best = self._spec["same_time"]["grace"], [(0, entry)]
        clean = self._spec["exclude_mode"] == "any_clean_path"

        def rank(path: list[tuple[int, int]]) -> Any:
            return self._worth(step for step, _ in path), [-place for _, place in reversed(path)]

        def grow(path: list[tuple[int, int]]) -> None:
            nonlocal best
            best = max(best, path, key=rank)
            step, last = path[-1]
            for to in self._next_steps(step):
                for place, row in enumerate(self._rows):
                    if to not in self._fills[place] or not self._in_window(entry, place):
                        continue
                    if place in dict(path).values() or row.time_ms < self._rows[last].time_ms - grace:
                        continue
                    between = range(min(last, place) + 1, max(last, place))
                    if clean and any(self._excludes(step, to, each) for each in between):
                        continue
                    grow([*path, (to, place)])

        grow(best)
        return best
