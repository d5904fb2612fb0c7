"""Which events: names, selectors and conditions; and what is measured of those that `did` finds."""

from typing import Any, Final

from cdpstore.query.json_schema.parts import NEVER, Schema, array, chosen, closed, enum, has, may, ref
from cdpstore.query.json_schema.values import TEST_FIELDS, number_fields

__all__ = ["BESIDE_A_TRAIT", "EVENTS", "FOUND", "MEASURES", "OWN_WHERE", "WHERE", "selecting"]

_CONDITIONS_MOST: Final = 64
_ALTERNATIVES_MOST: Final = 64
_OWN: Final = ("", "own_")  # what is named for conditions beside what is the profile's own
_NAMES_MOST: Final = 1_000
DEVICE_FIELDS: Final = (
    *("id", "platform", "token", "app_version", "zone", "reason"),
    *("dead", "first_seen", "last_seen"),
)

# A map whose value is a trait or an aggregate of the profile.
BESIDE_A_TRAIT: Final[Schema] = {
    "required": ["value"],
    "properties": {"value": {"type": "object", "anyOf": [has("trait"), has("own")]}},
}
_TIMES: Final[dict[str, Schema]] = {
    "times": {"type": "number", "description": "Times this factor, rounded once; then both have to be numbers."}
}

WHERE: Final[dict[str, Schema]] = {"where": ref("conditions", "Only those that meet all of these.")}
# The same of `did` and of a question's selector: beside what is the profile's own too.
OWN_WHERE: Final[dict[str, Schema]] = {"where": ref("did_conditions", "Only those that meet all of these.")}
_EVENT: Final[dict[str, Schema]] = {"event": ref("event_names", "Their name, some names, or null for any.")}
# A selector names its events or gives alternatives.
_EITHER: Final = chosen(
    [(has("event"), {"properties": {"any_of": NEVER}}), (has("any_of"), {})], {"required": ["event"]}
)


def selecting(
    title: str, required: dict[str, Schema], optional: dict[str, Schema], /, *, own: bool = False, **rules: Any
) -> Schema:
    """The map of a selector that says more; `own`: its conditions may be beside what is the profile's own."""
    alternatives = ref(f"{_OWN[own]}alternatives", "In place of event: what one of these means.")
    conditions = OWN_WHERE if own else WHERE
    fields = {**_EVENT, "any_of": alternatives, **conditions, **optional}
    return closed(title, required, fields, allOf=[*rules.pop("allOf", []), _EITHER], **rules)


def _alternatives(own: bool) -> Schema:
    title = "Alternative of did" if own else "Alternative"
    map_of_one = closed(title, _EVENT, OWN_WHERE if own else WHERE)
    one = {
        "description": "A name, some names, null for any event; or these with conditions of their own.",
        **chosen([({"type": "object"}, map_of_one)], ref("event_names")),
    }
    return array(one, 1, _ALTERNATIVES_MOST, "Events that one of these means, each by its own names and conditions.")


def _clause_events(own: bool) -> Schema:
    any_of = {"any_of": ref(f"{_OWN[own]}alternatives", "Events that one of these means.")}
    return {
        "title": "Events of did" if own else "Events of a clause",
        "description": "A name, any of several, null for any event but the system's, or alternatives.",
        **chosen(
            [({"type": "object"}, closed("Alternatives of did" if own else "Alternatives", any_of))], ref("event_names")
        ),
    }


def joined(name: str, plain: Schema) -> Schema:
    """A condition of this name: one, or several joined."""
    return chosen(
        [
            (has("and"), closed("Conditions: and", {"and": array(ref(name), 1, _CONDITIONS_MOST, "All hold.")})),
            (has("or"), closed("Conditions: or", {"or": array(ref(name), 1, _CONDITIONS_MOST, "Some of them holds.")})),
            (
                has("not"),
                closed("Condition: not", {"not": ref(name, "It does not hold; a missing value fails a test.")}),
            ),
        ],
        plain,
    )


def _condition(title: str, field: Schema) -> Schema:
    """One property and its test, or what its items meet."""
    return chosen(
        [
            (
                has("any_element"),
                closed(
                    f"{title}: one of its items",
                    {"property": field, "any_element": ref("item_conditions")},
                ),
            )
        ],
        closed(title, {"property": field, "op": TEST_FIELDS["op"]}, TEST_FIELDS, allOf=[ref("test")]),
    )


def _beside_a_trait(title: str, own: dict[str, Schema], more: dict[str, Schema], plain: Schema) -> Schema:
    """What is compared with a trait of the profile, else what is plain."""
    op = enum("How the two compare.", "eq", "ne", "lt", "le", "gt", "ge")
    return chosen(
        [(BESIDE_A_TRAIT, closed(f"{title} beside a trait", {**own, "op": op, "value": ref("trait_operand")}, more))],
        plain,
    )


def _measure(title: str, test: str, **more: Schema) -> Schema:
    """Of a property of the events found."""
    scalar = "A number, or of datetimes a datetime" if test == "extreme_test" else "A number"
    key = {"property": ref("key", "Of which property.")}
    plain = closed(title, {**key, **number_fields(scalar)}, more, allOf=[ref(test)])
    return {"type": "object", **_beside_a_trait(title, key, more, plain)}


_MISSING: Final = enum(
    "What an event without a number there counts as; default skip. Not for datetimes.", "skip", "zero"
)

MEASURES: Final[dict[str, Schema]] = {
    "count": ref("did_count", "How many events were found; default ge 1, unless something else is measured."),
    "sum": ref("sum_or_mean", "The sum of a property; of no numbers it is 0."),
    "mean": ref("sum_or_mean", "The mean of a property; of no numbers it is missing, which is false."),
    "min": ref("extreme", "The least number, or the earliest datetime, of a property."),
    "max": ref("extreme", "The greatest number, or the latest datetime, of a property."),
    "distinct": ref("distinct", "How many different values of a property; types are kept apart."),
    "distinct_days": ref("distinct_days", "On how many local days events were found."),
    "first": ref("value_of_one", "The property of the first event found."),
    "last": ref("value_of_one", "The property of the last event found."),
    "first_time": ref("time_of_one", "The time of the first event found."),
    "last_time": ref("time_of_one", "The time of the last event found."),
}

# The events of a clause that splits them by the values of something, and the part of them that is meant.
FOUND: Final[dict[str, Schema]] = {
    "at": ref("local_times"),
    "window": ref("window"),
    "property": ref("key", "Split by this property;"),
    "values": array(ref("literal"), 1, 10_000, "the part with one of these values."),
    "hours": ref("hours", "Split by local hours; the part within these."),
    "weekdays": ref("weekdays", "Split by local days of the week; the part on these."),
    "zone": ref("zone", "Of hours and weekdays; the question's when left out."),
}

_OLDNESS: Final = ("older_than", "newer_than")

EVENTS: Final[dict[str, Schema]] = {
    "event_names": {
        "title": "Names of events",
        "description": "A name, any of several, or null for any event but the system's.",
        "type": ["string", "array", "null"],
        **chosen([({"type": "string"}, ref("name")), ({"type": "array"}, array(ref("name"), 1, _NAMES_MOST))], {}),
    },
    **{f"{_OWN[own]}clause_events": _clause_events(own) for own in (False, True)},
    **{f"{_OWN[own]}alternatives": _alternatives(own) for own in (False, True)},
    "selector": {
        "title": "Selector",
        "description": "Which events: a name, several, null for any; or these with conditions.",
        **chosen(
            [({"type": "object"}, selecting("Events with conditions", {}, {}, own=True))],
            ref("event_names"),
        ),
    },
    "timed": {
        "title": "Selector with local times",
        "description": "Which events, and at which local times.",
        **chosen(
            [({"type": "object"}, selecting("Events at times", {}, {"at": ref("local_times")}))],
            ref("event_names"),
        ),
    },
    "did_conditions": array(ref("did_condition"), 0, _CONDITIONS_MOST, "All must hold."),
    "did_condition": {
        "title": "Condition of did",
        "description": "A condition, or a property beside a trait of the profile; or such joined by and, or, not.",
        "type": "object",
        **joined(
            "did_condition",
            _beside_a_trait(
                "Property",
                {"property": ref("key", "Of which property.")},
                {"missing": TEST_FIELDS["missing"]},
                ref("condition"),
            ),
        ),
    },
    "trait_operand": {
        "description": "A trait of the same profile, or an aggregate over its own events; false where it is missing.",
        **chosen(
            [
                (
                    has("own"),
                    closed("Own aggregate", {"own": ref("own_aggregate", "Over the profile's own events.")}, _TIMES),
                )
            ],
            closed("Another trait", {"trait": ref("key", "Key of the other trait.")}, _TIMES),
        ),
    },
    "own_aggregate": closed(
        "Aggregate over the profile's own events",
        {
            "did": ref("clause_events", "Their name, some names, null for any, or alternatives."),
            "measure": {
                "description": "What is measured of them.",
                **chosen(
                    [
                        (
                            {"type": "object"},
                            closed(
                                "Measure of a property",
                                {},
                                {name: ref("key", f"The {name} of it.") for name in ("sum", "mean", "min", "max")}
                                | {"distinct": ref("key", "How many different values.")},
                                minProperties=1,
                                maxProperties=1,
                            ),
                        )
                    ],
                    enum("How many.", "count"),
                ),
            },
        },
        {**WHERE, "at": ref("local_times"), "window": ref("window")},
    ),
    "conditions": array(ref("condition"), 0, _CONDITIONS_MOST, "All must hold."),
    "condition": {
        "title": "Condition",
        "description": "On one property, on one item of a list, or on a place; or such joined by and, or, not.",
        "type": "object",
        **joined(
            "condition",
            chosen([(has("geo"), ref("place"))], _condition("Test of a property", ref("key", "Of which property."))),
        ),
    },
    "item_conditions": array(
        ref("item_condition"),
        1,
        _CONDITIONS_MOST,
        "Of a list of objects one and the same item meets all of these; `property` is its field.",
    ),
    "item_condition": {
        "title": "Condition on an item, or a group",
        "type": "object",
        **joined("item_condition", chosen([(has("geo"), {"properties": {"geo": NEVER}})], ref("condition"))),
    },
    "device_condition": {
        "title": "Condition on a device",
        "type": "object",
        **joined("device_condition", _condition("Test of a device", enum("Of which of its fields.", *DEVICE_FIELDS))),
    },
    "place": closed(
        "Place",
        {
            "geo": closed(
                "Where it is told",
                {"lat": ref("key", "Key of the latitude."), "lon": ref("key", "Key of the longitude.")},
                description="Two keys, of properties or traits, with numbers in degrees.",
            ),
            "within": closed(
                "Circle",
                {
                    "lat": {"type": "number", "minimum": -90, "maximum": 90, "description": "Latitude, in degrees."},
                    "lon": {"type": "number", "minimum": -180, "maximum": 180, "description": "Longitude, in degrees."},
                    "meters": {"type": "number", "minimum": 0, "maximum": 20_100_000, "description": "Radius."},
                },
                description="The border included, on a sphere of 6,371,008.8 m.",
            ),
        },
    ),
    "count": closed("Count", number_fields(), allOf=[ref("number_test")]),
    "did_count": {"type": "object", **_beside_a_trait("Count", {}, {}, ref("count"))},
    "sum_or_mean": _measure("Sum or mean", "number_test", missing=_MISSING),
    "extreme": _measure("Least or greatest", "extreme_test", missing=_MISSING),
    "distinct": _measure("Distinct values", "number_test"),
    "distinct_days": closed(
        "Distinct days",
        number_fields(),
        {"zone": ref("zone", "Where days begin; the question's when left out.")},
        allOf=[ref("number_test")],
    ),
    "value_of_one": closed(
        "Property of one event",
        {"property": ref("key", "Of which property."), "op": TEST_FIELDS["op"]},
        TEST_FIELDS,
        allOf=[ref("test")],
    ),
    "time_of_one": closed(
        "Time of one event",
        {
            "op": enum("Before or after an instant; older or newer than a duration.", "before", "after", *_OLDNESS),
            "value": {"description": "An instant in milliseconds, or a duration."},
        },
        {"missing": may("Whether a profile passes that has no such event; default false.")},
        **chosen(
            [({"properties": {"op": {"enum": list(_OLDNESS)}}}, {"properties": {"value": ref("duration")}})],
            {"properties": {"value": ref("instant")}},
        ),
    ),
}
