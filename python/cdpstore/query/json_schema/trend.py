"""The fields of a trend, and which go together."""

from typing import Final

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
    ref,
    text,
    told,
)
from cdpstore.query.json_schema.question import (
    CLOCK_ZONE,
    COMMON,
    QUANTILE,
    STATISTICS,
    by_clocks,
    kind,
    selector_with,
)

__all__ = ["TREND"]

_SERIES: Final = {
    "first": enum(
        "Only a profile's first event ever of these names, if it meets where; or its first ever that meets it.",
        *("event", "matching"),
    )
}
_MEASURE: Final[Schema] = {
    "title": "Measure",
    "description": "Events, profiles, or something of a property.",
    **chosen(
        [
            (
                {"type": "object"},
                closed(
                    "Measure of a property",
                    {},
                    {
                        "sum": ref("key", "Exact sum of its numbers."),
                        "mean": ref("key", "Mean of its numbers."),
                        "min": ref("key", "Least of its numbers."),
                        "max": ref("key", "Greatest of its numbers."),
                        "median": ref("key", "Median of its numbers; any quantile like p90 too. Linear, type 7."),
                        "distinct": ref("key", "How many different values; types are kept apart."),
                        "per_profile": told(STATISTICS, "Of events a profile, over those that have some: a statistic."),
                    },
                    patternProperties={f"^{QUANTILE}$": ref("key", "A quantile of its numbers.")},
                    minProperties=1,
                    maxProperties=1,
                ),
            )
        ],
        enum("total: events. unique: profiles, each once a row.", "total", "unique"),
    ),
}
_NO_BUCKETS: Final[Schema] = {
    "properties": {"cumulative": {"const": False}, "fill": {"const": False}, "rolling": NEVER, "moving_mean": NEVER}
}
_HAS_START: Final[Schema] = {
    "required": ["range"],
    "properties": {"range": {"anyOf": [has("last"), has("this"), has("previous"), has("start_ms")]}},
}
_HAS_INTERVAL: Final[Schema] = {"required": ["interval"], "properties": {"interval": {"not": {"type": "null"}}}}

TREND: Final = kind(
    "trend",
    "Trend: how often, how many, how much",
    {},
    {
        "event": {
            **selector_with("Series", _SERIES),
            "not": {"type": "null"},
            "description": "What is measured.",
        },
        "events": array(
            selector_with(
                "Series", {**_SERIES, "name": ref("name", "What it is called; A, B, .. by default, no two alike.")}
            ),
            1,
            26,
            "Several, a series each; in place of `event`.",
        ),
        "measures": array(_MEASURE, 1, 64, "What is measured of them, a column each; default total."),
        "interval": {
            "description": "A row a unit; a list gives several series; left out or null, one row over the range.",
            **chosen([({"type": "array"}, array(ref("interval"), 1, 8)), ({"type": "null"}, {})], ref("interval")),
        },
        "order": integer(0, 63, "Index of the measure that ranks the breakdown; default 0, the first."),
        "cumulative": may("A row measures everything from the start of the range on. Needs an interval."),
        "rolling": integer(2, 366, "A row measures so many buckets up to its own. Needs an interval; not cumulative."),
        "moving_mean": integer(
            2,
            366,
            "A number is its mean over so many buckets up to its own. Needs an interval; not rolling, not cumulative.",
        ),
        "previous": {
            "description": "Rows beside those of the range before: as long right before it, or that unit earlier.",
            **chosen([({"const": "period"}, {}), ({"const": "hour"}, NEVER)], ref("unit")),
        },
        "fill": may("Every bucket of the range has a row. Needs an interval."),
        "formula": array(
            text(1, 500), 1, 16, "In place of the measures: arithmetic over the series, `B / A * 100`, `A.sum(price)`."
        ),
        **COMMON,
        **CLOCK_ZONE,
    },
    allOf=[
        chosen([(has("event"), {"properties": {"events": NEVER}}), (has("events"), {})], has("event")),
        chosen([(_HAS_INTERVAL, {})], _NO_BUCKETS),
        chosen(
            [
                (
                    {"required": ["cumulative"], "properties": {"cumulative": {"const": True}}},
                    {"properties": {"rolling": NEVER, "moving_mean": NEVER}},
                )
            ],
            {},
        ),
        chosen([(has("rolling"), {"properties": {"moving_mean": NEVER}})], {}),
        chosen([(has("previous"), _HAS_START)], {}),
        by_clocks(
            **{name: {"const": False} for name in ("cumulative", "fill")},
            **{name: NEVER for name in ("rolling", "moving_mean", "previous")},
        ),
    ],
)
