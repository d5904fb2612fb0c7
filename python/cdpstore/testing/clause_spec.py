"""Predicates of a spec, validated, and the fields that all kinds take: one case a clause."""

from collections.abc import Mapping
from typing import Any, Final

from cdpstore.testing import event_spec
from cdpstore.testing.breakdowns import operand
from cdpstore.testing.calendars import WEEKDAYS
from cdpstore.testing.identity import KINDS
from cdpstore.testing.quantiles import is_quantile
from cdpstore.testing.spec import (
    Fields,
    bad,
    boolean,
    choice,
    conditions,
    each,
    geo,
    integer,
    name_of,
    one_duration,
    operand_test,
    parse_test,
    time,
    unsupported,
    value_condition,
    zone_of,
)

__all__ = ["common_fields", "predicate"]

CLAUSES: Final = (
    *("and", "or", "not", "trait", "did", "did_not", "device", "consent", "group", "list", "suppressed"),
    *("identity", "profile", "bucket", "geo", "segment", "quantile", *event_spec.FORMS),
)
_OF_DEVICE: Final = (
    *("id", "platform", "token", "app_version", "zone", "reason"),
    *("dead", "first_seen", "last_seen"),
)


def common_fields(fields: Fields) -> dict[str, Any]:
    """The fields that every kind takes, with their defaults."""
    zone = fields.take("zone", _question_zone) or "UTC"
    own = zone if isinstance(zone, dict) else None
    return {
        "as_of_ms": fields.take("as_of_ms", time),
        "clock": own,
        "zone": zone if own is None else own["else"] or "UTC",
        "week_start": fields.take("week_start", choice(WEEKDAYS)) or "monday",
        "where": fields.take("where", predicate),
        "range": fields.take("range", _question_range),
        "now_ms": fields.take("now_ms", time),
        "breakdown": fields.take("breakdown", each(lambda node, at: operand(node, at, predicate), 0, 8)) or [],
        "limit": fields.take("limit", integer(0, 1_000_000_000)),
    }


def _question_zone(node: Any, path: str) -> Any:
    if not isinstance(node, dict):
        return zone_of(node, path)
    fields = Fields(node, path)
    parsed = {"trait": fields.require("trait", name_of), "else": fields.take("else", zone_of)}
    fields.done()
    return parsed


def _question_range(node: Any, path: str) -> dict[str, Any]:
    parsed = event_spec.time_range(node, path)
    if isinstance(parsed.get("zone"), dict):
        unsupported(f"{path}.zone", "a zone kept in a trait is for clauses of predicates")
    return parsed


def predicate(node: Any, path: str, depth: int = 0) -> dict[str, Any]:
    """A clause, or clauses joined."""
    if depth > 32:
        bad(path, "nested over 32 levels")
    fields = Fields(node, path)
    forms = [form for form in CLAUSES if fields.has(form)]
    if len(forms) != 1:
        bad(fields.path(forms[1]) if forms else path, f"a clause has one of {', '.join(CLAUSES)}")
    parsed = _clause(forms[0], fields, depth)
    fields.done()
    return parsed


def _clause(form: str, fields: Fields, depth: int) -> dict[str, Any]:
    match form:
        case "and" | "or":
            return {form: fields.require(form, each(lambda node, at: predicate(node, at, depth + 1), 1, 1_000))}
        case "not":
            return {form: fields.require(form, lambda node, at: predicate(node, at, depth + 1))}
        case "trait":
            return {form: fields.require(form, name_of), **_trait_test(fields)}
        case "identity":
            return {form: fields.require(form, choice(tuple(KINDS))), **parse_test(fields)}
        case "profile":
            return {form: fields.require(form, choice(("created", "first_seen", "last_seen"))), **parse_test(fields)}
        case "bucket":
            return {form: fields.require(form, _bucket)}
        case "geo":
            return geo(fields)
        case "quantile":
            return _quantile(fields)
        case "segment":
            return {form: fields.require(form, name_of), "path": fields.path(form)}
        case "group":
            kind = fields.take_null(form)
            where = fields.take("where", conditions(check=_of_group)) or []
            return {form: None if kind is None else name_of(kind, fields.path(form)), "where": where}
        case "list":
            return {form: fields.require(form, name_of)}
        case "suppressed":
            return {form: fields.require(form, boolean)}
        case "device":
            return {form: fields.require(form, conditions(check=_of_device))}
        case "consent":
            return {form: fields.require(form, name_of), "topic": fields.take("topic", name_of), **_state_test(fields)}
        case "did" | "did_not":
            return event_spec.did(form, fields)
        case _:
            return event_spec.clause(form, fields)


def _state_test(fields: Fields) -> dict[str, Any]:
    path = fields.path("value")
    test = parse_test(fields)
    if test["op"] in ("eq", "ne", "in", "not_in", "any", "none", "all"):
        several = isinstance(test["value"], list)
        for index, state in enumerate(test["value"] if several else [test["value"]]):
            told = state.lower() if test["ignore_case"] and isinstance(state, str) else state
            if told not in ("unsubscribed", "pending", "subscribed", "opted_in"):
                bad(f"{path}[{index}]" if several else path, "expected a state of a consent")
    return test


def _quantile(fields: Fields) -> dict[str, Any]:
    of = fields.require("quantile", _of_whom)
    op = fields.require("op", choice(("ge", "gt", "le", "lt", "between")))
    return {
        "quantile": of,
        "op": op,
        "value": fields.require("value", each(_cut, 2, 2) if op == "between" else _cut),
        "method": fields.take("method", choice(("linear", "nearest_rank", "lower", "higher"))) or "linear",
        "among": fields.take("among", predicate),
    }


def _of_whom(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    if fields.has("own") and fields.has("trait"):
        bad(fields.path("own"), "either a trait or an aggregate, not both")
    parse: tuple[str, Any] = ("own", event_spec.own_aggregate) if fields.has("own") else ("trait", name_of)
    parsed = {parse[0]: fields.require(*parse)}
    fields.done()
    return parsed


def _cut(node: Any, path: str) -> str:
    return node if isinstance(node, str) and is_quantile(node) else bad(path, "expected a quantile")


def _trait_test(fields: Fields) -> dict[str, Any]:
    compared = operand_test(fields, event_spec.own_aggregate)
    if compared is not None:
        return {**compared, "missing": fields.take("missing", boolean) or False}
    test = value_condition(fields)
    has_been = fields.take("has_been", one_duration("at_least", "less_than"))
    if has_been is not None and _is_timed(test):
        bad(fields.path("has_been"), "it takes no test relative to now")
    return test if has_been is None else {**test, "has_been": has_been}


def _is_timed(test: Mapping[str, Any]) -> bool:
    parts = [*test.get("any_element", ()), *test.get("and", ()), *test.get("or", ())]
    parts += [test["not"]] if "not" in test else []
    return test.get("op") in ("within", "anniversary") or any(map(_is_timed, parts))


def _bucket(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    salt = fields.require("salt", _salt)
    from_, to = fields.take("from", integer(0, 10_000)), fields.take("to", integer(0, 10_000))
    start, end = from_ or 0, 10_000 if to is None else to
    if end < start:
        bad(fields.path("to"), "expected a bucket not before from")
    fields.done()
    return {"salt": salt, "from": start, "to": end}


def _salt(node: Any, path: str) -> str:
    return node if isinstance(node, str) and len(node.encode()) <= 256 else bad(path, "expected a text")


def _of_device(parsed: dict[str, Any], path: str) -> None:
    if "geo" in parsed:
        bad(f"{path}.geo", "a device has no place of its own")
    if parsed["property"] not in _OF_DEVICE:
        bad(f"{path}.property", f"expected one of {', '.join(_OF_DEVICE)}")


def _of_group(parsed: dict[str, Any], path: str) -> None:
    if "geo" in parsed:
        bad(f"{path}.geo", "a group has no place of its own")
