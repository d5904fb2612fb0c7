"""Names, literals and tests: what one value, or one number, is compared with."""

from collections.abc import Sequence
from typing import Any, Final

from cdpstore.query.json_schema.parts import (
    BOOLEAN,
    NEVER,
    Schema,
    array,
    chosen,
    closed,
    enum,
    has,
    integer,
    may,
    pair,
    ref,
    text,
    told,
)

__all__ = ["NUMBER_TEST", "TEST_FIELDS", "VALUES", "number_fields"]

_EQUAL: Final = ("eq", "ne")
_ORDER: Final = ("lt", "le", "gt", "ge")
_SETS: Final = ("in", "not_in", "any", "all", "none")
_TEXTS: Final = ("contains", "not_contains", "starts", "not_starts", "ends", "not_ends")
_REGEX: Final = ("regex", "not_regex")
_VERSIONS: Final = ("version_lt", "version_le", "version_gt", "version_ge", "version_eq")
_EXISTENCE: Final = ("exists", "not_exists")
_WITHOUT_LETTERS: Final = ("size", "before", "after", "on", "within", "anniversary", *_VERSIONS)
_OPS: Final = (
    *("eq", "ne", "in", "not_in", *_ORDER, "between", *_EXISTENCE, *_TEXTS, *_REGEX, "any", "all", "none"),
    *_WITHOUT_LETTERS,
)
_NUMBER_OPS: Final = ("eq", "ne", "in", "not_in", *_ORDER, "between")
_VALUES_MOST: Final = 10_000
_PART: Final = "[0-9A-Za-z-]+"
_VERSION: Final = rf"^[vV]?[0-9]+(?:\.[0-9]+)*(?:-{_PART}(?:\.{_PART})*)?(?:\+{_PART}(?:\.{_PART})*)?$"

# The fields of a test, for maps that have others beside them; `ref("test")` says which go together.
TEST_FIELDS: Final[dict[str, Schema]] = {
    "op": ref("op", "How the value is tested."),
    "value": {"description": "What with; depends on `op`, and none for exists and not_exists."},
    "ignore_case": may("ASCII letters of either case are equal."),
    "missing": may("true: a missing value passes."),
    "zone": ref("zone", "Of `on` and `anniversary`: whose calendar; the question's when left out."),
}


def number_fields(scalar: str = "A number") -> dict[str, Schema]:
    """The fields of a test of a number."""
    return {
        "op": ref("number_op", "How the number compares."),
        "value": {"description": f"{scalar}; of `in` and `not_in` a list; of `between` two, both included."},
    }


def _of(ops: Sequence[str], **properties: Any) -> Schema:
    """What is asked of the other fields where `op` is one of these."""
    needs = [name for name, schema in properties.items() if name == "value" and schema is not NEVER]
    return {
        "if": {"required": ["op"], "properties": {"op": {"enum": list(ops)}}},
        "then": {"properties": properties, **({"required": needs} if needs else {})},
    }


def _numbers(single: Schema, several: Schema, two: Schema) -> Schema:
    return {
        "allOf": [
            _of(("eq", "ne", *_ORDER), value=single),
            _of(("in", "not_in"), value=several),
            _of(("between",), value=two),
        ]
    }


_NUMBER: Final[Schema] = {"type": "number"}
NUMBER_TEST: Final = _numbers(_NUMBER, array(_NUMBER, 0, _VALUES_MOST), pair(_NUMBER, _NUMBER))


def _class_of_first(schema: Any) -> Schema:
    """True of a list that begins so."""
    return {"type": "array", "prefixItems": [schema], "minItems": 1}


def _alike(numbers: Schema, texts: Schema | None, datetimes: Schema) -> Schema:
    """A list of one class of values, that of its first."""
    cases = [(_class_of_first({"type": "object"}), datetimes)]
    if texts is not None:
        cases.append((_class_of_first({"type": "string"}), texts))
    return chosen(cases, numbers)


_DATETIME: Final = ref("datetime")
_TWO: Final = _alike(pair(_NUMBER, _NUMBER), pair({"type": "string"}, {"type": "string"}), pair(_DATETIME, _DATETIME))
_NUMBER_OR_TIME: Final[Schema] = chosen([({"type": "object"}, _DATETIME)], {"type": "number"})

_SEGMENT: Final = chosen(
    [
        (
            {"type": "object"},
            closed(
                "Named predicate",
                {"where": ref("predicate", "Who is in it.")},
                {"name": ref("name", "What its row is called; A, B, .. by default, no two alike.")},
            ),
        )
    ],
    ref("name", "A live segment."),
)

GROUPS: Final[dict[str, Schema]] = {
    "elements": told(
        {"anyOf": [BOOLEAN, ref("key")]},
        "A list counts once under each element; with a field's name, a list of objects by the values of that field.",
    ),
    "borders": array(_NUMBER, 1, 1_000, "Ascending: numbers by the bucket they lie in, each closed at its lower end."),
    "buckets": integer(2, 1_000, "So many buckets of equal count."),
    "unit": ref("calendar_unit", "Datetimes by the bucket they lie in."),
    "name": ref("name", "Of the column; default the key."),
}
ONE_FORM: Final[Schema] = {
    "allOf": [
        {"if": has(form), "then": {"properties": {other: NEVER for other in ("borders", "buckets", "unit")[at + 1 :]}}}
        for at, form in enumerate(("borders", "buckets"))
    ]
}

VALUES: Final[dict[str, Schema]] = {
    "operand": chosen(
        [
            (
                has("segments"),
                closed(
                    "Segments",
                    {
                        "segments": array(
                            _SEGMENT, 1, 32, "A row for each, of the profiles in it; null for those in none."
                        )
                    },
                    {"name": ref("name", "Of the column; default segment.")},
                ),
            ),
            (
                has("group"),
                closed(
                    "Groups",
                    {"group": ref("name", "Their kind: a row for each that a profile is in now; null for none.")},
                    {
                        "trait": ref("key", "By the value that they have of it, in place of their ids."),
                        "name": ref("name", "Of the column; default the kind, and a dot and the trait."),
                    },
                ),
            ),
            (
                has("time"),
                closed(
                    "Time of the event",
                    {"time": ref("calendar_unit", "By the bucket it lies in, told by where that begins.")},
                    {"name": ref("name", "Of the column; default time.")},
                ),
            ),
            (
                has("event"),
                closed(
                    "Name of the event",
                    {"event": enum("What of it.", "name")},
                    {"name": ref("name", "Of the column; default event.")},
                ),
            ),
            (
                has("trait"),
                closed(
                    "Trait",
                    {"trait": ref("key", "Of the profile.")},
                    {
                        "at": {
                            "description": "As it is now (the default), or as it was valid when the event happened.",
                            "enum": ["now", "event"],
                        },
                        **GROUPS,
                    },
                    **ONE_FORM,
                ),
            ),
        ],
        closed("Property", {"property": ref("key", "Of the event.")}, GROUPS, **ONE_FORM),
    ),
    "calendar_unit": enum("A unit of the calendar.", "hour", "day", "week", "month", "quarter", "year"),
    "op": enum("How a value is tested.", *_OPS),
    "number_op": enum("How a number is compared.", *_NUMBER_OPS),
    "key": text(1, 256, "Key of a property or trait, of 1 to 256 bytes; nested ones are dotted: `address.city`."),
    "name": text(1, 256, "A name of 1 to 256 bytes."),
    "datetime": closed(
        "Datetime",
        {"$time": {"type": "integer", "description": "Milliseconds since 1970-01-01 UTC."}},
        description="A value that is an instant, as JSON writes it; msgpack has timestamps.",
    ),
    "literal": {
        "title": "Literal",
        "description": "A constant. Integers are of 64 bits. For missing values ask exists or not_exists.",
        "type": ["boolean", "number", "string", "object"],
        "if": {"type": "object"},
        "then": _DATETIME,
    },
    "ordered": {
        "title": "Literal with an order",
        "description": "A number, text or datetime.",
        "type": ["number", "string", "object"],
        "if": {"type": "object"},
        "then": _DATETIME,
    },
    "test": {
        "title": "Test of one value",
        "description": "Where a list is tested any element may pass; where the test is negative none may.",
        "required": ["op"],
        "allOf": [
            _of(_EQUAL, value=ref("literal")),
            _of(_ORDER, value=ref("ordered")),
            _of(("between",), value=told(_TWO, "Two values of one type, both included.")),
            _of(_SETS, value=array(ref("literal"), 0, _VALUES_MOST)),
            _of(_EXISTENCE, value=NEVER, missing=NEVER),
            _of(_TEXTS, value={"type": "string"}),
            _of(_REGEX, value=ref("regex")),
            _of(("size",), value=ref("size")),
            _of(("before", "after"), value=_DATETIME),
            _of(("on",), value=ref("date")),
            _of(("within",), value=ref("near_now")),
            _of(("anniversary",), value=ref("anniversary")),
            _of(_VERSIONS, value=ref("version")),
            _of(_WITHOUT_LETTERS, ignore_case={"const": False}),
            _of([op for op in _OPS if op not in ("on", "anniversary")], zone=NEVER),
        ],
    },
    "number_test": {
        "title": "Test of a number",
        "required": ["op"],
        **NUMBER_TEST,
    },
    "extreme_test": {
        "title": "Test of a least or greatest value",
        "description": "Numbers, or datetimes.",
        "required": ["op"],
        **_numbers(
            _NUMBER_OR_TIME,
            _alike(array(_NUMBER, 0, _VALUES_MOST), None, array(_DATETIME, 1, _VALUES_MOST)),
            _alike(pair(_NUMBER, _NUMBER), None, pair(_DATETIME, _DATETIME)),
        ),
    },
    "size": closed(
        "Size",
        number_fields(),
        description="Of the number of elements of a list.",
        allOf=[ref("number_test")],
    ),
    "regex": text(
        0,
        1_024,
        "Searched for in the text, in linear time: literals . [a-z] [^a-z] \\d \\D \\w \\W \\s \\S \\b ( ) (?: ) "
        "| * + ? {n,m} ^ $; at most 1,024 bytes. docs/values.md says what is refused.",
    ),
    "date": text(
        10,
        10,
        "A local date, 2026-03-01; one that exists.",
        pattern="^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$",
    ),
    "has_been": {
        "title": "Has been",
        "description": "For how long the test has passed without interruption; of no test relative to now.",
        **chosen(
            [(has("less_than"), closed("For less than", {"less_than": ref("duration", "For a shorter time.")}))],
            closed("For at least", {"at_least": ref("duration", "For so long or longer.")}),
        ),
    },
    "near_now": chosen(
        [(has("next"), closed("The time to come", {"next": ref("duration", "(now, now + next].")}))],
        closed("The time gone by", {"last": ref("duration", "(now - last, now].")}),
    ),
    "anniversary": closed(
        "Anniversary",
        {},
        {
            "days_before": integer(0, 366, "From so many days before the day on; default 0."),
            "days_after": integer(0, 366, "To so many days after it; default 0."),
            "leap_day": enum("What 29 February counts as in common years; default the 28th.", "feb_28", "mar_1"),
        },
        description="The local date of now lies around the month and day of the value, in any year.",
    ),
    "version": {
        "type": "string",
        "pattern": _VERSION,
        "description": 'Numbers apart by dots: "1.10", "v2", "2.0.0-rc.1"; by semantic versions\' order.',
    },
}
