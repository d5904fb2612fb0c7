"""The fields of a funnel, and which go together."""

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
    pair,
    ref,
)
from cdpstore.query.json_schema.question import (
    BY_PROPERTY,
    CLOCK_ZONE,
    COMMON,
    STATISTICS,
    by_clocks,
    kind,
    selector_with,
)

__all__ = ["FUNNEL"]

_NOT_OPTIONAL: Final[Schema] = {"properties": {"optional": {"const": False}}}
_NO_STEP_WINDOW: Final[Schema] = {"properties": {"step": NEVER}}
_IN_ORDER_ONLY: Final[Schema] = {
    "properties": {
        "order": {"const": "in_order"},
        "window": _NO_STEP_WINDOW,
    }
}

FUNNEL: Final = kind(
    "funnel",
    "Funnel: how many reached each step",
    {
        "steps": array(
            selector_with(
                "Step",
                {
                    "optional": may("Attempts may leave it out; not the first nor the last."),
                    "anchored": may("Of steps in any order: behind all before it, and in front of all behind it."),
                    "first": enum(
                        "Only a profile's first event of these names ever, if it meets where; or the first that does.",
                        *("event", "matching"),
                    ),
                },
            ),
            1,
            32,
            "One event each.",
            allOf=[{"prefixItems": [_NOT_OPTIONAL]}],
        ),
    },
    {
        "window": {
            "description": "From the entry, its end included; one unit of the calendar; from each step to the next; "
            "one session; null: no end. Default 7d.",
            "type": ["integer", "string", "object", "null"],
            **chosen(
                [
                    (
                        {"type": "object"},
                        chosen(
                            [
                                (
                                    has("step"),
                                    closed("Window of each step", {"step": ref("duration", "From the one before.")}),
                                ),
                                (
                                    has("session"),
                                    closed(
                                        "Session",
                                        {"session": ref("duration", "Events no further from one another are one.")},
                                    ),
                                ),
                            ],
                            closed("Calendar", {"calendar": ref("unit", "Of which unit.")}),
                        ),
                    ),
                    ({"type": "null"}, {}),
                ],
                ref("duration"),
            ),
        },
        "event_fills": enum("Whether one event may take several steps.", "one_step", "several_steps"),
        "interval": ref("interval", "A row for each bucket of entries."),
        "order": enum(
            "What may come between steps: anything, no event of another step, no event at all; or steps in any order.",
            *("in_order", "strict_steps", "strict_all", "any_order"),
        ),
        "attempt": enum("Which attempt of a profile counts.", "longest", "first_entry"),
        "count": enum(
            "One attempt a profile, one behind the other, one an entry, or one a profile and bucket of the interval.",
            "profiles",
            "totals",
            "all_entries",
            "profiles_by_interval",
        ),
        "same_time": {
            "description": "Whether an event of the same millisecond follows; or of so much before, a grace.",
            **chosen(
                [
                    (
                        {"type": "object"},
                        closed("Grace", {"grace": ref("duration", "Also when it lies at most so long before.")}),
                    )
                ],
                {"enum": ["counts", "later"]},
            ),
        },
        "exclude": array(
            selector_with(
                "Exclusion",
                {
                    "between": pair(
                        integer(1, 31),
                        integer(2, 32),
                        "Between which steps, numbers from 1, the second later; left out, between all.",
                    )
                },
            ),
            1,
            16,
            "Events that must not come between.",
        ),
        "exclude_mode": enum(
            "An excluded event ends the attempt, takes out the profile, or makes another choice of events needed.",
            *("drop", "remove", "any_clean_path"),
        ),
        "hold": array(ref("key"), 1, 3, "All events of an attempt have the same values of these properties."),
        "times": array(
            chosen(
                [
                    (
                        {"type": "object"},
                        closed("Within", {"within": ref("duration", "How many took no longer.")}),
                    )
                ],
                STATISTICS,
            ),
            1,
            64,
            "Of the time from each step to the next and over all.",
            uniqueItems=True,
        ),
        "frequency": {
            "description": "A row for each number of such events between two steps of an attempt.",
            **selector_with(
                "Frequency",
                {
                    "between": pair(
                        integer(1, 31),
                        integer(2, 32),
                        "Between which steps, numbers from 1, the second later; left out, from the first to the last.",
                    )
                },
            ),
        },
        "attribution": {
            "description": "Which event a breakdown by a property reads.",
            **chosen(
                [
                    (
                        {"type": "object"},
                        closed("Of a step", {"step": integer(1, 32, "Its number from 1, one of the funnel's.")}),
                    )
                ],
                {"enum": ["entry", "first_touch", "last_touch", "every_step"]},
            ),
        },
        **COMMON,
        **CLOCK_ZONE,
    },
    dependentRequired={"exclude_mode": ["exclude"]},
    allOf=[
        chosen(
            [({"required": ["order"], "properties": {"order": {"const": "any_order"}}}, {})],
            {"properties": {"steps": {"items": {"properties": {"anchored": {"const": False}}}}}},
        ),
        chosen([(has("attribution"), BY_PROPERTY)], {}),
        chosen([(has("frequency"), {"not": has("interval"), "properties": {"steps": {"minItems": 2}}})], {}),
        by_clocks(),
        chosen([({"required": ["same_time"], "properties": {"same_time": {"type": "object"}}}, _IN_ORDER_ONLY)], {}),
        chosen(
            [
                (
                    {"required": ["order"], "properties": {"order": {"const": "any_order"}}},
                    {
                        "properties": {
                            "same_time": {"const": "counts"},
                            "window": _NO_STEP_WINDOW,
                            "steps": {"items": _NOT_OPTIONAL},
                            "exclude": {"items": {"properties": {"between": NEVER}}},
                        }
                    },
                )
            ],
            {},
        ),
        chosen(
            [
                (
                    {"required": ["event_fills"], "properties": {"event_fills": {"const": "several_steps"}}},
                    {"properties": {"same_time": {"const": "counts"}}},
                )
            ],
            {},
        ),
        chosen(
            [
                (
                    {"required": ["attempt"], "properties": {"attempt": {"const": "first_entry"}}},
                    {"properties": {"count": {"not": {"enum": ["totals", "all_entries"]}}}},
                )
            ],
            {},
        ),
        chosen(
            [
                (
                    {"required": ["count"], "properties": {"count": {"const": "profiles_by_interval"}}},
                    {"required": ["interval"]},
                )
            ],
            {},
        ),
    ],
)
