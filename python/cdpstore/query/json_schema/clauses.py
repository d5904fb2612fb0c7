"""Predicates: a clause a form, told apart by the field that names it."""

from typing import Any, Final

from cdpstore.query.json_schema.events import BESIDE_A_TRAIT, FOUND, MEASURES, OWN_WHERE, WHERE, selecting
from cdpstore.query.json_schema.parts import (
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
)
from cdpstore.query.json_schema.question import QUANTILE
from cdpstore.query.json_schema.values import TEST_FIELDS, number_fields

__all__ = ["CLAUSES", "PREDICATE"]

_CLAUSES_MOST: Final = 1_000
_WINDOW: Final = {"window": ref("window")}
_CUT: Final[Schema] = {"type": "string", "pattern": f"^(median|{QUANTILE})$"}
_AT: Final = {"at": ref("local_times")}
_ANY: Final = "Which events: a name, several, null for any, or alternatives."


def _tested(title: str, own: dict[str, Schema], more: dict[str, Schema] | None = None, **rules: Any) -> Schema:
    """Something and its test."""
    return closed(
        title, {**own, "op": TEST_FIELDS["op"]}, {**(more or {}), **TEST_FIELDS}, allOf=[ref("test")], **rules
    )


_HAS_BEEN: Final = {"has_been": ref("has_been")}
_TRAIT: Final = {"trait": ref("key", "Of which trait.")}
_SPLIT: Final = chosen(
    [
        (has("property"), {"required": ["values"], "properties": {"hours": NEVER, "weekdays": NEVER, "zone": NEVER}}),
        (has("hours"), {"properties": {"values": NEVER, "weekdays": NEVER}}),
    ],
    {"required": ["weekdays"], "properties": {"values": NEVER}},
)

_EVENT_CLAUSES: Final[dict[str, Schema]] = {
    "did": closed(
        "Did",
        {"did": ref("own_clause_events", _ANY)},
        {
            **OWN_WHERE,
            **_AT,
            **_WINDOW,
            **MEASURES,
            "include_zero": may("false: only profiles that did it at all; default true."),
            "first_ever": enum(
                "Only the first event of these names ever, if it meets the rest; or the first that meets where and at.",
                *("event", "matching"),
            ),
            "not_followed_by": ref("timed", "Only events that none of these came behind, `within` that time;"),
            "within": ref("duration", "how long after."),
            "by": ref("key", "Only one with an equal value of this property ends it."),
        },
        description="Events were found that meet all of these; all measures must hold.",
        dependentRequired={"not_followed_by": ["within"], "within": ["not_followed_by"], "by": ["not_followed_by"]},
    ),
    "did_not": closed("Did not", {"did_not": ref("own_clause_events", _ANY)}, {**OWN_WHERE, **_AT, **_WINDOW}),
    "stopped": closed(
        "Stopped",
        {"stopped": ref("clause_events", _ANY), "for": ref("duration", "Not since so long ago,")},
        {**WHERE, "before": ref("duration", "but in the time before, up to so long ago; longer than `for`.")},
    ),
    "restarted": closed(
        "Restarted",
        {
            "restarted": ref("clause_events", _ANY),
            "last": ref("duration", "In (now - last, now],"),
            "gap": ref("duration", "not for so long before that, and some time before."),
        },
        WHERE,
    ),
    "regularly": closed(
        "Regularly",
        {
            "regularly": ref("clause_events", _ANY),
            "every": ref("duration", "In each span of this length,"),
            "times": integer(1, 60, "of the last so many; all together at most a century."),
        },
        {
            **WHERE,
            "at_least": integer(1, 60, "In at least so many of them; in each when left out. Not over `times`."),
            "count": ref("count", "So many events in a span; default ge 1."),
        },
    ),
    "sequence": closed(
        "Sequence",
        {"sequence": array(ref("timed"), 2, 16, "One event a step, each behind the one before.")},
        {
            "within": ref("duration", "From the first to the last at most so long."),
            "gaps": array(
                chosen([({"type": "null"}, {})], ref("gap")),
                1,
                15,
                "The time from each step to the next, one fewer than steps; null for any.",
            ),
            "between": array(
                chosen(
                    [({"type": "null"}, {})],
                    selecting(
                        "Events between two steps",
                        {
                            "count": closed(
                                "How many come between",
                                {
                                    "op": enum("How the two compare.", "lt", "le", "gt", "ge", "eq"),
                                    "value": integer(0, 1_000_000_000, "So many events."),
                                },
                                description="How many of them come between.",
                            ),
                        },
                        _AT,
                    ),
                ),
                1,
                15,
                "How often some event comes between each step and the next, one fewer than steps; null for any.",
            ),
            "without": ref("timed", "No such event anywhere between the first and the last."),
            **_WINDOW,
            "count": ref("count", "How many fit one behind the other; default ge 1."),
            "hold": ref("key", "All events have an equal value of this property."),
        },
    ),
    "predominantly": closed(
        "Predominantly",
        {
            "predominantly": {
                "description": "One of these values is the most frequent, or as frequent as the most.",
                **selecting("Events, and a part of them", {}, FOUND, **_SPLIT),
            }
        },
    ),
    "share": closed(
        "Share",
        {
            "share": {
                "description": "Events of this part divided by all events found; false where nothing was found.",
                **selecting(
                    "Share of events",
                    number_fields("A number from 0 to 1"),
                    FOUND,
                    allOf=[ref("number_test"), _SPLIT],
                ),
            }
        },
    ),
}

_INT64: Final = 2**63


def _no(*names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, NEVER)


def _place(rules: Schema) -> Schema:
    return {"properties": {"at": rules}}


_OF_FUNNEL: Final = {
    "properties": _no("cohort_ms", "period", "returned", "series"),
    **chosen([(has("reached"), {"properties": {"lost": NEVER}})], has("lost")),
}


def _cell_of(kind: str) -> Schema:
    return {"properties": {"cell": {"properties": {"kind": {"const": kind}}}}}


_STATE: Final[Schema] = {"enum": ["unsubscribed", "pending", "subscribed", "opted_in"]}
_FOLDS: Final[Schema] = {"required": ["ignore_case"], "properties": {"ignore_case": {"const": True}}}
# Of tests for equal values, when they do not fold letters.
_STATES: Final = chosen(
    [
        (_FOLDS, {}),
        ({"properties": {"op": {"enum": ["eq", "ne"]}}}, {"properties": {"value": _STATE}}),
        (
            {"properties": {"op": {"enum": ["in", "not_in", "any", "none", "all"]}}},
            {"properties": {"value": {"items": _STATE}}},
        ),
    ],
    {},
)

_STATE_CLAUSES: Final[dict[str, Schema]] = {
    "trait": {
        "title": "Trait",
        "type": "object",
        **chosen(
            [
                (
                    has("any_element"),
                    closed("Trait: one of its items", {**_TRAIT, "any_element": ref("item_conditions")}, _HAS_BEEN),
                ),
                (
                    BESIDE_A_TRAIT,
                    closed(
                        "Trait beside another",
                        {
                            **_TRAIT,
                            "op": enum("How the two compare.", "eq", "ne", "lt", "le", "gt", "ge"),
                            "value": ref("trait_operand"),
                        },
                        {"missing": TEST_FIELDS["missing"]},
                    ),
                ),
            ],
            _tested("Test of a trait", _TRAIT, _HAS_BEEN),
        ),
    },
    "device": closed(
        "Device", {"device": array(ref("device_condition"), 0, 64, "One and the same device meets all of these.")}
    ),
    "group": closed(
        "Group",
        {"group": {**chosen([({"type": "null"}, {})], ref("name")), "description": "Kind of the group; null: any."}},
        {
            "where": array(
                ref("item_condition"), 0, 64, "One and the same group meets all; of its traits, $id and $role."
            )
        },
    ),
    "list": closed("List", {"list": ref("name", "The profile is on the list of this name.")}),
    "suppressed": closed("Suppressed", {"suppressed": may("Whether the profile is suppressed.")}),
    "consent": {
        **_tested(
            "Consent",
            {"consent": ref("name", "Of which channel.")},
            {"topic": ref("name", "Of which topic; left out, of the whole channel.")},
            description="Its state: unsubscribed, pending, subscribed or opted_in.",
        ),
        "allOf": [ref("test"), _STATES],
    },
    "identity": _tested(
        "Identity",
        {"identity": enum("Some identity of this kind passes.", "user_id", "anonymous_id", "email", "phone")},
    ),
    "profile_time": _tested(
        "Time of a profile",
        {"profile": enum("Which of its datetimes.", "created", "first_seen", "last_seen")},
    ),
    "bucket": closed(
        "Bucket",
        {
            "bucket": closed(
                "Buckets",
                {"salt": text(0, 256, "Buckets of two salts are independent.")},
                {
                    "from": integer(0, 10_000, "The first bucket; default 0."),
                    "to": integer(0, 10_000, "Up to this one, not included, and not before `from`; default 10,000."),
                },
                description="A keyed hash of the profile id, mod 10,000: the same profiles in every store.",
            )
        },
    ),
    "segment": closed("Segment", {"segment": ref("name", "In the live segment of this name.")}),
    "quantile": closed(
        "Quantile",
        {
            "quantile": {
                "description": "The profile's number: a trait, or an aggregate over its own events.",
                **chosen(
                    [(has("own"), closed("Own aggregate", {"own": ref("own_aggregate", "Over its own events.")}))],
                    closed("Trait", {"trait": ref("key", "Key of the trait.")}),
                ),
            },
            "op": enum("How it lies to the cut.", "ge", "gt", "le", "lt", "between"),
            "value": {
                "description": "The cut: a quantile of the numbers of all profiles; of between two.",
                **chosen([({"type": "array"}, pair(_CUT, _CUT, "From, to."))], _CUT),
            },
        },
        {
            "method": enum(
                "Between two numbers in proportion (type 7), or one of the numbers.",
                *("linear", "nearest_rank", "lower", "higher"),
            ),
            "among": ref("predicate", "Quantiles of these profiles; left out, of all."),
        },
        allOf=[
            chosen(
                [({"properties": {"op": {"const": "between"}}}, {"properties": {"value": {"type": "array"}}})],
                {"properties": {"value": {"type": "string"}}},
            )
        ],
        description="In questions and exports only.",
    ),
    "cell": closed(
        "Cell",
        {
            "cell": {
                "description": "A funnel, retention or trend, without limit and as_of_ms.",
                "properties": {"kind": {"enum": ["funnel", "retention", "trend"]}, "limit": NEVER, "as_of_ms": NEVER},
                "$ref": "#",
            },
            "at": {
                **closed(
                    "Place in the answer",
                    {},
                    {
                        "reached": integer(1, 32, "Of a funnel: a step that was reached."),
                        "lost": integer(
                            2, 32, "Of a funnel, in place of reached: a step that was not, of the one before."
                        ),
                        "cohort_ms": integer(-_INT64, _INT64 - 1, "Of a retention: the cohort's start."),
                        "period": integer(-_INT64, _INT64 - 1, "Of a retention: the period."),
                        "returned": may("Of a retention: false for those of the cohort who did not; default true."),
                        "start_ms": integer(
                            -_INT64, _INT64 - 1, "Of a trend, or a funnel with an interval: the bucket's start."
                        ),
                        "series": {"description": "Of a trend: the series' name.", "type": "string"},
                        "group": {
                            "description": "One value a breakdown, null where there is none.",
                            "type": "array",
                            "items": chosen([({"type": "null"}, {})], ref("literal")),
                        },
                    },
                    description="Which number of the answer: a step, a period, a bucket; and which group.",
                ),
            },
        },
        description="The profiles behind a number of an answer. In a live segment some of funnels and retentions.",
        **chosen(
            [
                (_cell_of("funnel"), _place(_OF_FUNNEL)),
                (_cell_of("retention"), _place({"properties": _no("reached", "lost", "start_ms", "series")})),
            ],
            _place({"properties": _no("reached", "lost", "cohort_ms", "period", "returned")}),
        ),
    ),
}

_JOINS: Final[dict[str, Schema]] = {
    word: closed(word.capitalize(), {word: array(ref("predicate"), 1, _CLAUSES_MOST, description)})
    for word, description in (("and", "All of these are true."), ("or", "Any of these is true."))
} | {"not": closed("Not", {"not": ref("predicate", "This is false.")})}

CLAUSES: Final[dict[str, Schema]] = {
    f"clause_{name}": schema for name, schema in {**_JOINS, **_EVENT_CLAUSES, **_STATE_CLAUSES}.items()
}
_FORMS: Final = {
    **{name: f"clause_{name}" for name in {**_JOINS, **_EVENT_CLAUSES, **_STATE_CLAUSES} if name != "profile_time"},
    "profile": "clause_profile_time",
    "geo": "place",
}

PREDICATE: Final[dict[str, Schema]] = {
    "predicate": {
        "title": "Predicate",
        "description": "Who: one clause of these forms. At most 1,000 of them, nested 32 deep.",
        "type": "object",
        "properties": dict.fromkeys(_FORMS, True),
        "anyOf": [has(form) for form in _FORMS],
        "allOf": [{"if": has(form), "then": ref(part)} for form, part in _FORMS.items()],
    }
}
