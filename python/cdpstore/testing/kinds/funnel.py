"""Funnel by brute force: the attempts that count (`attempts`), by step and by the values of a breakdown."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.event_spec import question_selector
from cdpstore.testing.kinds.attempts import Attempt, attempts
from cdpstore.testing.predicates import selects
from cdpstore.testing.quantiles import is_quantile, quantile
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import (
    Fields,
    bad,
    boolean,
    choice,
    duration,
    each,
    integer,
    interval,
    name_of,
    unit,
)
from cdpstore.testing.values import exact_mean, typed
from cdpstore.testing.view import View, of_row, operand_names, operand_values

__all__ = ["answer", "counted", "parse"]

_REST = ("the key of the rest",)
_STATISTICS = ("mean", "min", "max")


Found = tuple[Person, Attempt, int]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """Steps, window and every rule; which of them go together."""
    found = fields.require("steps", each(_step, 1, 32))
    steps, optional = [step for step, *_ in found], {at for at, own in enumerate(found) if own[1]}
    first, anchored = [own[2] for own in found], {at for at, own in enumerate(found) if own[3]}
    events = [at for at, each in enumerate(first) if each == "event"]
    if len(events) > 15:
        bad(f"{fields.path('steps')}[{events[15]}].first", "expected at most 15 steps of first events")
    for at in optional & {0, len(steps) - 1}:
        bad(f"{fields.path('steps')}[{at}].optional", "the first and the last step are never optional")
    window = fields.take("window", _window) if fields.has("window") else 7 * 86_400_000
    order = fields.take("order", choice(["in_order", "strict_steps", "strict_all", "any_order"])) or "in_order"
    attempt = fields.take("attempt", choice(["longest", "first_entry"])) or "longest"
    count = fields.take("count", choice(["profiles", "totals", "all_entries", "profiles_by_interval"])) or "profiles"
    same_time = fields.take("same_time", _same_time) or "counts"
    has_mode = fields.has("exclude_mode")
    mode = fields.take("exclude_mode", choice(["drop", "remove", "any_clean_path"])) or "drop"
    exclude = fields.take("exclude", each(lambda node, path: _exclusion(node, path, len(steps), order), 1, 16))
    if exclude is None and has_mode:
        bad(fields.path("exclude_mode"), "exclude says nothing")
    own = {
        "steps": steps,
        "optional": optional,
        "first": first,
        "anchored": anchored,
        "window": window,
        "order": order,
        "attempt": attempt,
        "count": count,
        "same_time": same_time,
        "event_fills": fields.take("event_fills", choice(["one_step", "several_steps"])) or "one_step",
        "interval": fields.take("interval", interval),
        "exclude": exclude or [],
        "exclude_mode": mode,
        "hold": fields.take("hold", each(name_of, 1, 3)) or [],
        "times": _times(fields),
        "attribution": _attribution(fields, common, len(steps)),
        "frequency": _frequency(fields, len(steps)),
    }
    if own["frequency"] and own["interval"]:
        bad(fields.path("frequency"), "rows are by the bucket of the entry already")
    if own["frequency"] and len(steps) + len(own["exclude"]) + len(events) > 62:
        bad(fields.path("frequency"), "over 62 steps, exclusions and first events beside it")
    _check_together(fields, own)
    return own


def _step(node: Any, path: str) -> tuple[dict[str, Any], bool, str | None, bool]:
    if not isinstance(node, Mapping):
        return question_selector(node, path), False, None, False
    rest = {name: value for name, value in node.items() if name not in ("optional", "first", "anchored")}
    parsed = question_selector(rest, path)
    optional, first, anchored = node.get("optional"), node.get("first"), node.get("anchored")
    return (
        parsed,
        False if optional is None else boolean(optional, f"{path}.optional"),
        None if first is None else choice(["event", "matching"])(first, f"{path}.first"),
        False if anchored is None else boolean(anchored, f"{path}.anchored"),
    )


def _window(node: Any, path: str) -> Any:
    if not isinstance(node, Mapping):
        return duration(node, path)
    fields = Fields(node, path)
    parsed: dict[str, Any]
    if fields.has("step"):
        parsed = {"step": fields.require("step", duration)}
    elif fields.has("session"):
        parsed = {"session": fields.require("session", duration)}
    elif fields.has("calendar"):
        parsed = {"calendar": fields.require("calendar", unit)}
    else:
        bad(path, "expected a duration, a calendar, a step's or a session's")
    fields.done()
    return parsed


def _same_time(node: Any, path: str) -> Any:
    if not isinstance(node, Mapping):
        return choice(["counts", "later"])(node, path)
    fields = Fields(node, path)
    parsed = {"grace": fields.require("grace", duration)}
    fields.done()
    return parsed


def _exclusion(node: Any, path: str, steps: int, order: str) -> dict[str, Any]:
    return _between_steps(node, path, steps, in_order=order != "any_order")


def _frequency(fields: Fields, steps: int) -> dict[str, Any] | None:
    node, path = fields.take_null("frequency"), fields.path("frequency")
    if node is None:
        return None
    if steps < 2:
        bad(path, "there is one step")
    return _between_steps(node, path, steps)


def _between_steps(node: Any, path: str, steps: int, *, in_order: bool = True) -> dict[str, Any]:
    """A selector, and the steps between which it is looked for: the first and the last when not said."""
    between = node.get("between") if isinstance(node, Mapping) else None
    rest = {name: value for name, value in node.items() if name != "between"} if isinstance(node, Mapping) else node
    parsed = {"selector": question_selector(rest, path), "from": 0, "to": steps - 1}
    if between is None:
        return parsed
    at = f"{path}.between"
    if not in_order:
        bad(at, "steps in any order have no between")
    if not isinstance(between, list | tuple) or len(between) != 2:
        bad(at, "expected two steps")
    first = integer(1, steps - 1)(between[0], f"{at}[0]")
    last = integer(first + 1, steps)(between[1], f"{at}[1]")
    return {**parsed, "from": first - 1, "to": last - 1}


def _times(fields: Fields) -> list[str]:
    def one(node: Any, path: str) -> str:
        if isinstance(node, Mapping):
            inner = Fields(node, path)
            within = inner.require("within", duration)
            inner.done()
            return f"within_{within}"
        if not isinstance(node, str) or not (node in _STATISTICS or is_quantile(node)):
            bad(path, "expected mean, min, max, median or p90")
        return node

    names = fields.take("times", each(one, 1, 64)) or []
    for at, name in enumerate(names):
        if name in names[:at]:
            bad(f"{fields.path('times')}[{at}]", "asked for twice")
    return names


def _attribution(fields: Fields, common: dict[str, Any], steps: int) -> Any:
    node, path = fields.take_null("attribution"), fields.path("attribution")
    if node is None:
        return {"step": 1}
    if not any(of_row(operand) for operand in common["breakdown"]):
        bad(path, "there is no breakdown by a property")
    if isinstance(node, Mapping):
        inner = Fields(node, path)
        parsed = {"step": inner.require("step", integer(1, steps))}
        inner.done()
        return parsed
    name = choice(["entry", "first_touch", "last_touch", "every_step"])(node, path)
    return {"step": 1} if name == "entry" else name


def _check_together(fields: Fields, own: dict[str, Any]) -> None:
    any_order = own["order"] == "any_order"
    if own["anchored"] and not any_order:
        bad(fields.path("steps"), "anchored steps are for steps in any order")
    if own["optional"] and any_order:
        bad(fields.path("steps"), "steps in any order cannot be optional")
    if isinstance(own["same_time"], dict) and own["order"] != "in_order":
        bad(fields.path("same_time"), "a grace is for steps in order")
    by_step = isinstance(own["window"], dict) and "step" in own["window"]
    if by_step and (any_order or isinstance(own["same_time"], dict)):
        bad(f"{fields.path('window')}.step", "for steps that follow one another")
    if own["event_fills"] == "several_steps" and own["same_time"] != "counts":
        bad(fields.path("event_fills"), "it does so at one time")
    if own["same_time"] == "later" and any_order:
        bad(fields.path("same_time"), "steps in any order need not be later")
    if own["count"] == "profiles_by_interval" and not own["interval"]:
        bad(fields.path("count"), "profiles by interval need an interval")
    if own["attempt"] == "first_entry" and own["count"] not in ("profiles", "profiles_by_interval"):
        bad(fields.path("attempt"), "first_entry picks one attempt of a profile")


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Attempts by the steps they took, split by their values; under a limit by most entries."""
    buckets = view.calendar(spec["interval"]) if spec["interval"] else None
    if buckets:
        return _by_bucket(
            view, spec, "start_ms", lambda attempt: buckets.start(attempt.rows[min(attempt.rows)].clock_ms)
        )
    if spec["frequency"]:
        return _by_bucket(view, spec, "frequency", lambda attempt: _times_between(view, spec["frequency"], attempt))
    return _table(view, spec, _found(view, spec))


def counted(spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The question that counts each group over the whole range, and the column that does."""
    return {**spec, "interval": None, "frequency": None, "times": []}, "step_1"


def _found(view: View, spec: dict[str, Any]) -> list[Found]:
    """Attempts with whose they are, numbered."""
    return [(person, one, at) for person in view.people for at, one in enumerate(attempts(view, person, spec))]


def _times_between(view: View, frequency: dict[str, Any], attempt: Attempt) -> int | None:
    """How many such events lie between the two; None where one of them is not there."""
    first, last = attempt.rows.get(frequency["from"]), attempt.rows.get(frequency["to"])
    if first is None or last is None:
        return None
    least, most = sorted((first.event_order, last.event_order))
    return sum(
        least < row.event_order < most and row.time_ms <= view.now_ms and selects(frequency["selector"], row)
        for row in attempt.unit
    )


def _by_bucket(view: View, spec: dict[str, Any], name: str, bucket: Callable[[Attempt], int | None]) -> Table:
    """The same of each bucket of entries, or by how often, groups ranked over all of them."""
    found = _found(view, spec)
    entered: dict[int | None, list[Found]] = {}
    for one in found:
        entered.setdefault(bucket(one[1]), []).append(one)
    shown, is_cut = _shown(view, spec, found)
    rows, names = [], list[str]()
    for of, of_bucket in sorted(entered.items(), key=lambda item: -1 if item[0] is None else item[0]):
        table = _table(view, spec, of_bucket, (shown, is_cut))
        names = [name, *table.names]
        rows += [[of, *row] for row in table.rows()]
    return view.table(names or [name, *_table(view, spec, []).names], rows)


def _counted(
    view: View, spec: dict[str, Any], found: Sequence[Found]
) -> tuple[dict[Any, dict[int, dict[Any, int]]], dict[Any, dict[Any, int]], dict[Any, list[Any]]]:
    breakdown, steps = spec["breakdown"], range(len(spec["steps"]))
    taken: dict[Any, dict[int, dict[Any, int]]] = {}  # by group, step and attempt: how long it took
    totals: dict[Any, dict[Any, int]] = {}
    values: dict[Any, list[Any]] = {}
    for person, attempt, number in found:
        who = person.profile_id, number
        before = attempt.rows[min(attempt.rows)]
        for step, row in sorted(attempt.rows.items()):
            for group in itertools.product(*_values(view, breakdown, spec["attribution"], person, attempt, row)):
                key = tuple(map(typed, group))
                values.setdefault(key, list(group))
                taken.setdefault(key, {}).setdefault(step, {})[who] = row.time_ms - before.time_ms
                if step == steps[-1]:
                    first = attempt.rows[min(attempt.rows)]
                    totals.setdefault(key, {})[who] = row.time_ms - first.time_ms
            before = row
    if not breakdown:
        taken.setdefault((), {})
    return taken, totals, values


def _shown(view: View, spec: dict[str, Any], found: Sequence[Found]) -> tuple[list[Any], bool]:
    """The keys of the groups that a limit leaves, and whether there are others."""
    taken, _, _ = _counted(view, spec, found)
    ranked = sorted(taken, key=lambda key: (-len(taken[key].get(0, {})), key))
    limit = spec["limit"]
    is_cut = limit is not None and bool(spec["breakdown"]) and len(ranked) > limit
    return (ranked[:limit] if is_cut else ranked), is_cut


def _table(
    view: View,
    spec: dict[str, Any],
    found: Sequence[Found],
    given: tuple[list[Any], bool] | None = None,
) -> Table:
    breakdown, steps = spec["breakdown"], range(len(spec["steps"]))
    taken, totals, values = _counted(view, spec, found)
    shown, is_cut = given or _shown(view, spec, found)
    ranked = [key for key in shown if key in taken]
    rest = [key for key in taken if key not in shown]
    if is_cut and rest:
        ranked = [*ranked, _REST]
        values[_REST] = ["other"] * len(breakdown)
        # An attempt counts once, however many of the groups its profile is in.
        taken[_REST] = {step: dict(each for key in rest for each in taken[key].get(step, {}).items()) for step in steps}
        totals[_REST] = dict(each for key in rest for each in totals.get(key, {}).items())
    rows = [
        [
            *values.get(key, []),
            *(len(taken[key].get(step, {})) for step in steps),
            *(
                _statistic(name, [*took.values()])
                for name in spec["times"]
                for took in (*(taken[key].get(step, {}) for step in steps[1:]), totals.get(key, {}))
                if len(steps) > 1
            ),
        ]
        for key in ranked
    ]
    columns = [f"step_{step + 1}" for step in steps]
    of_times = (*columns[1:], "total") if len(steps) > 1 else ()
    times = [f"{of}_{name}_ms" for name in spec["times"] for of in of_times]
    return view.table([*operand_names(breakdown), *columns, *times], rows)


def _values(
    view: View, breakdown: Any, attribution: Any, person: Person, attempt: Attempt, own: Row
) -> Iterator[list[Any]]:
    """The groups of each operand that the attempt counts in; of a step that was not taken there are none."""
    ordered: Sequence[Row] = [row for _, row in sorted(attempt.rows.items())]
    for operand in breakdown:
        if not of_row(operand) or attribution == "every_step":
            yield operand_values(view, operand, person, own)
            continue
        match attribution:
            case {"step": step}:
                row = attempt.rows.get(step - 1)
                yield [None] if row is None else operand_values(view, operand, person, row)
            case _:
                touched = ordered if attribution == "first_touch" else ordered[::-1]
                found = (operand_values(view, operand, person, row) for row in touched)
                yield next((values for values in found if values != [None]), [None])


def _statistic(name: str, took: list[int]) -> Any:
    if name.startswith("within_"):
        return sum(each <= int(name.removeprefix("within_")) for each in took)
    if not took:
        return None
    match name:
        case "mean":
            return exact_mean(took)
        case "min":
            return min(took)
        case "max":
            return max(took)
        case _:
            return quantile(took, name)
