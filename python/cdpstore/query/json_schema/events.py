"""Which events: names, selectors and conditions; and what is measured of those that `did` finds."""

from typing import Final

from cdpstore.query.json_schema.parts import NEVER, Schema, array, chosen, closed, enum, has, may, ref
from cdpstore.query.json_schema.values import TEST_FIELDS, number_fields

__all__ = ["BESIDE_A_TRAIT", "EVENTS", "FOUND", "MEASURES", "OWN_WHERE", "SELECTOR", "WHERE"]

_CONDITIONS_MOST: Final = 64
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
# The fields of a selector, for maps that have others beside them.
SELECTOR: Final[dict[str, Schema]] = {"event": ref("event_names", "Their name, some names, or null for any.")}


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
    "selector": {
        "title": "Selector",
        "description": "Which events: a name, several, null for any; or these with conditions.",
        **chosen(
            [({"type": "object"}, closed("Events with conditions", SELECTOR, OWN_WHERE))],
            ref("event_names"),
        ),
    },
    "timed": {
        "title": "Selector with local times",
        "description": "Which events, and at which local times.",
        **chosen(
            [({"type": "object"}, closed("Events with conditions", SELECTOR, {**WHERE, "at": ref("local_times")}))],
            ref("event_names"),
        ),
    },
    "did_conditions": array(ref("did_condition"), 0, _CONDITIONS_MOST, "All must hold."),
    "did_condition": {
        "title": "Condition of did",
        "description": "A condition, or a property beside a trait of the profile.",
        "type": "object",
        **_beside_a_trait(
            "Property",
            {"property": ref("key", "Of which property.")},
            {"missing": TEST_FIELDS["missing"]},
            ref("condition"),
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
            "did": ref("event_names", "Their name, some names, or null for any."),
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
        "description": "On one property, on one item of a list, or on a place.",
        "type": "object",
        **chosen([(has("geo"), ref("place"))], _condition("Test of a property", ref("key", "Of which property."))),
    },
    "item_conditions": array(
        {"type": "object", **chosen([(has("geo"), {"properties": {"geo": NEVER}})], ref("condition"))},
        1,
        _CONDITIONS_MOST,
        "Of a list of objects one and the same item meets all of these; `property` is its field.",
    ),
    "device_condition": {
        "title": "Condition on a device",
        "type": "object",
        **_condition("Test of a device", enum("Of which of its fields.", *DEVICE_FIELDS)),
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
