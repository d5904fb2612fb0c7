"""Records as sent, turned into records as logged: the rules of acceptance, in the order in which defects are found.

Fields are judged in the order sent; what is missing comes last. A record over the size limit is refused for that alone.
"""

import dataclasses
import uuid
from collections.abc import Iterator
from typing import Any, Final

from cdpstore.model import datetime_of
from cdpstore.testing.decode import Pairs, RawRecord, is_utf8
from cdpstore.testing.facts import FORMS, FactRecord, check_fact, text_of
from cdpstore.testing.fields import Defect, flatten, joined, key_of, refuse, time_of
from cdpstore.testing.identity import KINDS, Identified, is_generic, normalise
from cdpstore.testing.limits import LIMITS
from cdpstore.testing.values import is_number

__all__ = [
    "Defect",
    "EventRecord",
    "GroupRecord",
    "LoggedRecord",
    "PairRecord",
    "TraitsRecord",
    "UnmergeRecord",
    "canonical",
]

_UNSUPPORTED: Final = ("erase",)
_OPERATIONS: Final = ("set", "set_once", "increment", "append", "remove", "unset")
_FIELDS: Final = {
    "event": ("name", "time_ms", "ids", "properties", "event_id"),
    "traits": ("ids", "time_ms", *_OPERATIONS),
    "identify": ("anonymous", "known", "time_ms"),
    "merge": ("winner", "loser", "time_ms"),
    "unmerge": ("sequence", "time_ms"),
    "group": ("kind", "id", "time_ms", *_OPERATIONS),
    **{kind: ("ids", "state", "time_ms", *form.subjects, *form.texts) for kind, form in FORMS.items()},
}
_REQUIRED: Final = {
    "event": ("name", "ids"),
    "traits": ("ids",),
    "identify": ("anonymous", "known"),
    "merge": ("winner", "loser"),
    "unmerge": ("sequence",),
    "group": ("kind", "id"),
    **{kind: form.required for kind, form in FORMS.items()},
}


@dataclasses.dataclass(frozen=True)
class EventRecord:
    """An event with its identities, highest rank first; `event_id` is the dedupe key."""

    name: str
    time_ms: int
    ids: list[Identified]
    properties: dict[str, Any]
    event_id: Any


@dataclasses.dataclass(frozen=True)
class TraitsRecord:
    """(key, kind, value) operations of one profile at one time, in the order sent."""

    time_ms: int
    ids: list[Identified]
    operations: list[tuple[str, str, Any]]


@dataclasses.dataclass(frozen=True)
class PairRecord:
    """identify: `loser` is the anonymous identity, `winner` the known one; merge: as named."""

    type: str
    time_ms: int
    loser: Identified
    winner: Identified


@dataclasses.dataclass(frozen=True)
class UnmergeRecord:
    """Kills the link that the record `sequence` made."""

    time_ms: int
    sequence: int


@dataclasses.dataclass(frozen=True)
class GroupRecord:
    """(key, kind, value) operations on the traits of a group, which is a kind and an id."""

    time_ms: int
    group: tuple[str, str]
    operations: list[tuple[str, str, Any]]


LoggedRecord = EventRecord | TraitsRecord | PairRecord | UnmergeRecord | FactRecord | GroupRecord


def canonical(raw: RawRecord, received_ms: int, *, system: bool = False) -> LoggedRecord:
    """The record as logged; raises `Defect` when it is refused."""
    if raw.size_bytes > LIMITS["kRecordBytes"]:
        refuse("record.too_large")
    if not isinstance(raw.body, Pairs):
        refuse("record.not_a_map")
    kind = _type_of(raw.body)
    parsed: dict[str, Any] = {"operations": []}
    seen: set[str] = set()
    for name, value in raw.body:
        _check_field(kind, name, seen)
        seen.add(name)
        if kind in FORMS and name not in ("type", "ids", "time_ms"):
            parsed[name] = check_fact(kind, name, value)
        else:
            _parse(name, value, parsed, system)
    _check_complete(kind, seen, parsed)
    return _built(kind, parsed, received_ms)


def _check_complete(kind: str, seen: set[str], parsed: dict[str, Any]) -> None:
    for name in _REQUIRED[kind]:
        if name not in seen:
            refuse("record.field.missing", name)
    if kind == "traits" and not seen & set(_OPERATIONS):
        refuse("record.field.missing", "set")
    if "ids" in seen and not parsed["ids"]:
        refuse("identity.none", "ids")
    if kind == "identify":
        _check_kinds(parsed["anonymous"][0], parsed["known"][0])


def _check_kinds(anonymous: str, known: str) -> None:
    if KINDS[anonymous].unique:
        refuse("identify.kinds", "anonymous")
    if KINDS[known].rank >= KINDS[anonymous].rank:
        refuse("identify.kinds", "known")


def _type_of(body: Pairs) -> str:
    kinds = [value for key, value in body if key == "type"]
    if not kinds:
        refuse("record.type.missing", "type")
    kind = kinds[0]
    if not isinstance(kind, str):
        refuse("record.field.type", "type")
    if kind in _UNSUPPORTED:
        refuse("record.type.unsupported", "type")
    if kind not in _FIELDS:
        refuse("record.type.unknown", "type")
    return kind


def _check_field(kind: str, name: Any, seen: set[str]) -> None:
    if not isinstance(name, str):
        refuse("record.key.not_string")
    if name != "type" and name not in _FIELDS[kind]:
        refuse("record.field.unknown", name)
    if name in seen:
        refuse("record.key.duplicate")


def _parse(name: str, value: Any, parsed: dict[str, Any], system: bool) -> None:
    match name:
        case "name":
            parsed[name] = _name_of(value, system)
        case "time_ms":
            parsed[name] = time_of(value, name)
        case "ids":
            parsed[name] = _ids_of(value, name)
        case "properties":
            parsed[name] = _properties_of(value)
        case "event_id":
            parsed[name] = _event_id_of(value)
        case "anonymous" | "known" | "winner" | "loser":
            parsed[name] = _one_id_of(name, value)
        case "sequence":
            parsed[name] = _sequence_of(value)
        case "kind":
            parsed[name] = text_of(value, name, LIMITS["kNameBytes"])
        case "id":
            parsed[name] = text_of(value, name, LIMITS["kIdentityBytes"])
        case _ if name in _OPERATIONS:
            for path, operation in _operations_of(name, value):
                if len(parsed["operations"]) == LIMITS["kProperties"]:
                    refuse("traits.operations.too_many", path)
                parsed["operations"].append(operation)


def _built(kind: str, parsed: dict[str, Any], received_ms: int) -> LoggedRecord:
    sent_ms = parsed.get("time_ms", received_ms)
    time_ms = _snapped(sent_ms, received_ms)
    match kind:
        case _ if kind in FORMS:
            return _fact_of(kind, parsed, time_ms)
        case "event":
            properties = parsed.get("properties", {})
            if time_ms != sent_ms:
                properties = {**properties, "$client_time_ms": datetime_of(sent_ms)}
            return EventRecord(parsed["name"], time_ms, parsed["ids"], properties, parsed.get("event_id"))
        case "group":
            return GroupRecord(time_ms, (parsed["kind"], parsed["id"]), parsed["operations"])
        case "traits":
            return TraitsRecord(time_ms, parsed["ids"], parsed["operations"])
        case "identify":
            return PairRecord(kind, time_ms, parsed["anonymous"], parsed["known"])
        case "merge":
            return PairRecord(kind, time_ms, parsed["loser"], parsed["winner"])
        case _:
            return UnmergeRecord(time_ms, parsed["sequence"])


def _fact_of(kind: str, parsed: dict[str, Any], time_ms: int) -> FactRecord:
    form = FORMS[kind]
    subject = tuple(parsed.get(name) for name in form.subjects)
    given = {name: parsed[name] for name in form.texts if name in parsed}
    texts = {name: text for name, text in given.items() if text is not None or name in form.stay}
    return FactRecord(kind, time_ms, parsed["ids"], subject, parsed.get("state", form.states[0]), texts)


def _snapped(sent_ms: int, received_ms: int) -> int:
    """Clocks run ahead: by up to two minutes, the received time stands."""
    return received_ms if received_ms < sent_ms <= received_ms + LIMITS["kFutureSnapMs"] else sent_ms


def _text_of(value: Any, path: str) -> str:
    if not isinstance(value, str):
        refuse("record.field.type", path)
    return value if is_utf8(value) else refuse("value.string.utf8", path)


def _name_of(value: Any, system: bool) -> str:
    name = _text_of(value, "name")
    if not 1 <= len(name.encode()) <= LIMITS["kNameBytes"]:
        refuse("event.name.length", "name")
    if not system and name.startswith(("Message ", "Segment ")):
        refuse("event.name.reserved", "name")
    return name


def _event_id_of(value: Any) -> Any:
    text = _text_of(value, "event_id")
    if not 1 <= len(text.encode()) <= LIMITS["kNameBytes"]:
        refuse("event.event_id.length", "event_id")
    return _uuid_of(text) or text


def _uuid_of(text: str) -> uuid.UUID | None:
    """A UUID is the same in either case; every other id is its text."""
    if len(text) != 36 or [text[place] for place in (8, 13, 18, 23)] != ["-"] * 4:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _properties_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, Pairs):
        refuse("record.field.type", "properties")
    leaves = list(flatten(value, "properties", 1))
    if len(leaves) > LIMITS["kProperties"]:
        refuse("event.properties.too_many", "properties")
    return dict(leaves)


def _ids_of(value: Any, path: str) -> list[Identified]:
    if not isinstance(value, Pairs):
        refuse("record.field.type", path)
    found = [identity for identity in _identities_of(value, path) if identity is not None]
    return sorted(found, key=lambda identity: KINDS[identity[0]].rank)


def _identities_of(pairs: Pairs, path: str) -> list[Identified | None]:
    if len(pairs) > LIMITS["kIdentitiesPerRecord"]:
        refuse("identity.too_many", path)
    found: dict[str, Identified | None] = {}
    for raw_kind, raw_value in pairs:
        kind = _kind_of(raw_kind, path)
        if kind in found:
            refuse("record.key.duplicate", path)
        found[kind] = _identity_of(kind, raw_value, joined(path, kind))
    return list(found.values())


def _kind_of(raw: Any, path: str) -> str:
    if not isinstance(raw, str):
        refuse("record.key.not_string", path)
    if raw not in KINDS:
        refuse("identity.kind.unknown", path)
    if not KINDS[raw].identifies:
        refuse("identity.kind.not_identifying", path)
    return raw


def _identity_of(kind: str, raw: Any, path: str) -> Identified | None:
    value = normalise(kind, _identity_text(raw, path))
    if len(value.encode()) > LIMITS["kIdentityBytes"]:
        refuse("identity.length", path)
    return None if is_generic(value) else (kind, value)


def _identity_text(raw: Any, path: str) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw) if raw < 2**63 else refuse("value.int.out_of_range", path)
    return _text_of(raw, path)


def _one_id_of(name: str, value: Any) -> Identified:
    if not isinstance(value, Pairs) or len(value) != 1:
        refuse("record.field.type", name)
    identity = _identities_of(value, name)[0]
    return identity or refuse("identity.none", name)


def _sequence_of(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        refuse("record.field.type", "sequence")
    return value


def _operations_of(name: str, value: Any) -> Iterator[tuple[str, tuple[str, str, Any]]]:
    """Each operation with its path, in the order sent."""
    if name == "unset":
        for index, key in enumerate(_unset_keys(value)):
            yield f"unset[{index}]", (key, "unset", None)
        return
    if not isinstance(value, Pairs):
        refuse("record.field.type", name)
    for key, each in flatten(value, name, 1):
        path = joined(name, key)
        if name == "increment" and not is_number(each):
            refuse("traits.operation.invalid", path)
        if name in ("append", "remove") and isinstance(each, list):
            refuse("traits.operation.invalid", path)
        yield path, (key, name, each)


def _unset_keys(value: Any) -> list[str]:
    if not isinstance(value, list) or isinstance(value, Pairs):
        refuse("record.field.type", "unset")
    for index, key in enumerate(value):
        _check_dotted(key, f"unset[{index}]")
        if key in value[:index]:
            refuse("record.key.duplicate", f"unset[{index}]")
    return [str(key) for key in value]


def _check_dotted(key: Any, path: str) -> None:
    if not isinstance(key, str):
        refuse("record.field.type", path)
    if not 1 <= len(key.encode(errors="surrogateescape")) <= LIMITS["kNameBytes"]:
        refuse("record.key.length", path)
    for part in key.split("."):
        key_of(part, path)
