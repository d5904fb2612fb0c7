"""What kinds of questions share: who, when, the calendar, breakdowns, statistics."""

from typing import Any, Final

from cdpstore.query.json_schema.events import selecting
from cdpstore.query.json_schema.parts import (
    NEVER,
    Schema,
    array,
    chosen,
    closed,
    has,
    integer,
    ref,
    text,
)

__all__ = [
    "BY_PROPERTY",
    "CLOCK_ZONE",
    "COMMON",
    "QUANTILE",
    "ROWS_MOST",
    "STATISTICS",
    "WHEN",
    "WHO",
    "by_clocks",
    "kind",
    "selector_with",
]

ROWS_MOST: Final = 1_000_000_000
QUANTILE: Final = r"p(?:0*[1-9][0-9]?(?:\.[0-9]{1,3})?|0+\.(?:[1-9][0-9]{0,2}|0[1-9][0-9]?|00[1-9]))"
STATISTICS: Final[Schema] = {
    "type": "string",
    "pattern": f"^(?:mean|min|max|median|{QUANTILE})$",
    "description": "mean, min, max, median, or a quantile above p0 and below p100 like p90 or p99.9.",
}
BY_PROPERTY: Final[Schema] = {
    "properties": {
        "breakdown": {
            "contains": {
                "anyOf": [
                    has("property"),
                    has("time"),
                    has("event"),
                    {**has("at"), "properties": {"at": {"const": "event"}}},
                ]
            }
        }
    },
    "required": ["breakdown"],
}

WHEN: Final[dict[str, Schema]] = {
    "zone": text(1, 256, "Where days begin: the name of an IANA zone; default UTC."),
    "week_start": ref("weekday", "On which day weeks begin; default monday."),
    "now_ms": ref(
        "instant", "The instant asked at, not after as_of_ms; later events are invisible. Default: the clock."
    ),
    "as_of_ms": ref("instant", "The store as it was valid then: its events, operations and joins."),
}
# Of trends, funnels and retention: the zone, or the trait that profiles keep theirs in; and what then has no meaning.
CLOCK_ZONE: Final[dict[str, Schema]] = {
    "zone": {
        "description": "Where days begin: the name of an IANA zone, default UTC; or each profile by its own clock.",
        **chosen(
            [
                (
                    {"type": "object"},
                    closed(
                        "Clock of each profile",
                        {"trait": ref("key", "Where profiles keep the name of their zone.")},
                        {"else": text(1, 256, "The zone of those that keep none; default UTC.")},
                    ),
                )
            ],
            text(1, 256),
        ),
    }
}
_HAS_CLOCKS: Final[Schema] = {"required": ["zone"], "properties": {"zone": {"type": "object"}}}
_BY_CLOCKS: Final[dict[str, Schema]] = {
    "range": {"not": has("zone")},
    "breakdown": {"items": {"properties": {"unit": NEVER}}},
}


def by_clocks(**fields: Schema) -> Schema:
    """What is asked of a question in a zone of profiles, and of these fields of its kind."""
    return chosen([(_HAS_CLOCKS, {"properties": {**_BY_CLOCKS, **fields}})], {})


WHO: Final[dict[str, Schema]] = {"where": ref("predicate", "Only profiles of which this is true at now_ms.")}
COMMON: Final[dict[str, Schema]] = {
    **WHO,
    "range": ref("range"),
    **WHEN,
    "breakdown": array(ref("operand"), 0, 8, "Split by properties, times, traits, segments and groups."),
    "limit": integer(0, ROWS_MOST, "So many groups of the breakdown; the rest is one exact `other`."),
}


def kind(name: str, title: str, required: dict[str, Schema], optional: dict[str, Schema], **rules: Any) -> Schema:
    return closed(
        title, {"kind": {"const": name, "description": "The kind of the question."}, **required}, optional, **rules
    )


def selector_with(title: str, more: dict[str, Schema]) -> Schema:
    """A selector whose map may say more."""
    return chosen([({"type": "object"}, selecting(title, {}, more, own=True))], ref("event_names"))
