"""The fields of a retention, and which go together."""

from typing import Final

from cdpstore.query.json_schema.parts import (
    NEVER,
    array,
    chosen,
    closed,
    enum,
    has,
    integer,
    may,
    pair,
    ref,
)
from cdpstore.query.json_schema.question import (
    BY_PROPERTY,
    CLOCK_ZONE,
    COMMON,
    by_clocks,
    kind,
)

__all__ = ["RETENTION"]

_PERIOD: Final = integer(0, 65_534)
RETENTION: Final = kind(
    "retention",
    "Retention: who came back",
    {
        "start": {"allOf": [ref("selector")], "not": {"type": "null"}, "description": "With what a profile starts."},
        "interval": ref("unit", "Of cohorts and of periods."),
    },
    {
        "return": {
            "allOf": [ref("selector")],
            "not": {"type": "null"},
            "description": "With what it returns; the start event again when left out.",
        },
        "population": enum(
            "With its first start of the range, its first ever, or the first of every period.",
            *("first_in_range", "first_ever", "every_period"),
        ),
        "alignment": enum("Where periods begin.", "calendar", "rolling", "rolling_hour"),
        "criterion": {
            "description": "In the period, in it or later, in it or earlier, in all up to it; in any of a bracket.",
            **chosen(
                [
                    (
                        {"type": "object"},
                        closed(
                            "Brackets",
                            {"brackets": array(pair(_PERIOD, _PERIOD), 1, 100, "[first, last] period, in this order.")},
                        ),
                    )
                ],
                {"enum": ["on", "on_or_after", "on_or_before", "streak"]},
            ),
        },
        "min_count": integer(1, 1_000_000_000, "So many returns are needed; default 1."),
        "count_birth": may("The start counts as a return of period 0; default true where return is start."),
        "share_value": may("Only returns with the start's values of the breakdown's properties count."),
        "order": enum("Whether a return of period 0 may also lie before the start.", "later", "ignored"),
        "fill": may("Every period that has begun for a cohort has a row, also when nobody returned in it."),
        "measures": array(
            closed(
                "Measure of the returns",
                {},
                {"sum": ref("key", "The sum of it."), "mean": ref("key", "The mean of its numbers.")},
                minProperties=1,
                maxProperties=1,
            ),
            1,
            16,
            "Of a property of the returns that a cell counts: a column each, sum(key) or mean(key).",
        ),
        "periods": integer(1, 65_534, "Only periods below this number; not with brackets."),
        **COMMON,
        **CLOCK_ZONE,
    },
    allOf=[
        by_clocks(),
        chosen(
            [({"required": ["share_value"], "properties": {"share_value": {"const": True}}}, BY_PROPERTY)],
            {},
        ),
        chosen(
            [
                (
                    {"required": ["criterion"], "properties": {"criterion": {"type": "object"}}},
                    {"properties": {"periods": NEVER}},
                )
            ],
            {},
        ),
        chosen([(has("limit"), {"required": ["breakdown"], "properties": {"breakdown": {"minItems": 1}}})], {}),
    ],
)
