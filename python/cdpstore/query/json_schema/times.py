"""Instants, durations, units, zones, ranges and windows, local times."""

from typing import Final

from cdpstore.query.json_schema.parts import (
    Schema,
    array,
    chosen,
    closed,
    enum,
    has,
    integer,
    pair,
    ref,
    text,
    told,
)

__all__ = ["CENTURY_MS", "INSTANT_MS", "TIMES", "UNITS"]

CENTURY_MS: Final = 100 * 366 * 86_400_000
INSTANT_MS: Final = 20 * CENTURY_MS  # either way from 1970
UNITS: Final = ("hour", "day", "week", "month", "quarter", "year")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_OFFSET_MS: Final = 26 * 3_600_000 - 1


def _up_to(most: int) -> str:
    """An expression for the numbers from 1 to `most`: of fewer digits, then by the first digit that is smaller."""
    digits = str(most)
    shorter = [f"[1-9][0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else []
    smaller = []
    for at, digit in enumerate(digits):
        low = 1 if at == 0 else 0
        if int(digit) > low:
            rest = len(digits) - at - 1
            upto = int(digit) - 1
            smaller.append(
                digits[:at] + (str(low) if low == upto else f"[{low}-{upto}]") + (f"[0-9]{{{rest}}}" if rest else "")
            )
    return "|".join([*shorter, *smaller, digits])


_DURATION: Final = "|".join(f"(?:{_up_to(CENTURY_MS // unit_ms)}){unit}" for unit, unit_ms in _UNIT_MS.items())

_CALENDAR: Final = {
    "zone": ref("zone", "Where days begin; the question's when left out."),
    "week_start": ref("weekday", "On which day weeks begin; the question's when left out."),
}
_LAST: Final = {
    "last": ref("duration", "How far back: (now - last, now]."),
    "calendar": told({"const": False}, "Not by the calendar, as when left out."),
    "until": ref("duration", "Ends so long before now; shorter than `last`: (now - last, now - until]."),
}
_DAYS_BACK: Final = {
    "last": ref("whole_days", "So many local days, today included."),
    "calendar": told({"const": True}, "From the start of the local day so many - 1 days ago, up to now."),
}
_THIS: Final = {"this": ref("unit", "From the start of this local hour, day, week, month, quarter or year, up to now.")}
_PREVIOUS: Final = {"previous": ref("unit", "The whole local hour, day, week, month, quarter or year before this one.")}
_UNITS: Final = {"count": integer(1, 1_000, "So many of them, one after the other; 1 when left out.")}
_BORDERS: Final = {
    "start_ms": ref("instant", "From here on; left out, from the beginning."),
    "end_ms": ref("instant", "Up to here, not included; not before `start_ms`."),
}


def _range(**calendar: Schema) -> Schema:
    """By which of its fields a range is told apart; unknown ones are those of half-open borders."""
    by_days = {"required": ["last", "calendar"], "properties": {"calendar": {"const": True}}}
    return chosen(
        [
            (by_days, closed("Local days", _DAYS_BACK, calendar)),
            (
                has("last"),
                closed("Rolling", {"last": _LAST["last"]}, {"until": _LAST["until"], "calendar": _LAST["calendar"]}),
            ),
            (has("until"), closed("Up to some time ago", {"until": _LAST["until"]}, {"calendar": _LAST["calendar"]})),
            (has("this"), closed("This unit of the calendar", _THIS, _UNITS | calendar)),
            (has("previous"), closed("Units of the calendar that are over", _PREVIOUS, _UNITS | calendar)),
        ],
        closed("Between two instants", {}, _BORDERS, minProperties=1),
    )


_SINCE: Final = closed(
    "Since a trait's datetime",
    {
        "since": closed(
            "Trait",
            {"trait": ref("key", "Key of the trait.")},
            description="The datetime it holds, from which on events are looked for.",
        )
    },
    {"within": ref("duration", "Up to so long after it; left out, without end.")},
    description="A profile without that datetime has no event in the window.",
)

TIMES: Final[dict[str, Schema]] = {
    "instant": {
        "title": "Instant",
        "description": "Milliseconds since 1970-01-01 UTC, bare or as a datetime.",
        "if": {"type": "object"},
        "then": closed("Datetime", {"$time": integer(-INSTANT_MS, INSTANT_MS, "Milliseconds since 1970-01-01 UTC.")}),
        "else": integer(-INSTANT_MS, INSTANT_MS),
    },
    "duration": {
        "title": "Duration",
        "description": 'Milliseconds, or a text: "500ms" "10s" "15m" "12h" "30d" "2w"; above 0, up to a century.',
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": CENTURY_MS,
        "pattern": f"^0*(?:{_DURATION})$",
        "maxLength": 17,
    },
    "whole_days": {
        "title": "Whole days",
        "description": 'A duration of whole days: "7d", "2w", or milliseconds; hours and less must add up to days.',
        "$ref": "#/$defs/duration",
        "multipleOf": 86_400_000,
    },
    "unit": {
        "title": "Unit of the calendar",
        "description": "What the wall clock shows; or so many local days, counted from the start of the range.",
        **chosen(
            [({"type": "object"}, closed("Days", {"days": integer(1, 36_600, "How many local days.")}))],
            {"enum": list(UNITS)},
        ),
    },
    "interval": {
        "title": "Interval",
        "description": "A unit of the calendar, a minute, or so many minutes from local midnight on.",
        **chosen(
            [
                (
                    {"type": "object", "required": ["minutes"]},
                    closed(
                        "Minutes",
                        {"minutes": integer(1, 720, "How many: 1, 5, 15, .. that divide a day.")},
                    ),
                ),
                ({"const": "minute"}, enum("Each minute.", "minute")),
            ],
            ref("unit"),
        ),
    },
    "zone": {
        "title": "Zone",
        "description": "The name of an IANA zone, or its table; in questions also the trait that profiles keep it in.",
        "type": ["string", "object"],
        **chosen(
            [
                (
                    {"type": "object", "required": ["trait"]},
                    closed(
                        "Zone of the profile",
                        {"trait": ref("key", "The trait that has its name.")},
                        {"else": text(1, 256, "Where that names none; the question's when left out.")},
                    ),
                ),
                (
                    {"type": "object"},
                    closed(
                        "Table of a zone",
                        {
                            "name": text(1, 256, "What it is called."),
                            "transitions": array(
                                pair(
                                    integer(-INSTANT_MS, INSTANT_MS, "From this instant on,"),
                                    integer(-_OFFSET_MS, _OFFSET_MS, "the clock is so far ahead of UTC."),
                                ),
                                1,
                                2_000,
                                "[utc_ms, offset_ms], each later than the one before.",
                            ),
                        },
                        {"table": text(1, 256, "Release of the tables it is from.")},
                    ),
                ),
            ],
            text(1, 256),
        ),
    },
    "range": {
        "title": "Range",
        "description": "Of which time; left out, all up to now.",
        "type": "object",
        **_range(),
    },
    "window": {
        "title": "Window",
        "description": "In which time events are looked for, as of now; left out, all up to now.",
        "type": "object",
        **chosen([(has("since"), _SINCE)], _range(**_CALENDAR)),
    },
    "local_times": closed(
        "Local times",
        {},
        {
            "hours": ref("hours"),
            "weekdays": ref("weekdays"),
            "days_of_month": array(
                {"type": "integer", "anyOf": [integer(1, 31), integer(-31, -1)]},
                1,
                62,
                "Days from 1 to 31, or from -1, the month's last, to -31.",
            ),
            "months": array(integer(1, 12), 1, 12, "Months, 1 is January."),
            "zone": ref("zone", "Whose wall clock; the question's when left out."),
        },
        description="Events at these times of the local clock and calendar; all that is given must hold.",
        anyOf=[has("hours"), has("weekdays"), has("days_of_month"), has("months")],
    ),
    "weekday": enum("A day of the week.", *_DAYS),
    "hours": array(
        pair(
            {
                "type": ["integer", "string"],
                "minimum": 0,
                "maximum": 23,
                "pattern": "^(?:[01][0-9]|2[0-3]):[0-5][0-9]$",
            },
            {
                "type": ["integer", "string"],
                "minimum": 0,
                "maximum": 24,
                "pattern": "^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            },
        ),
        1,
        1_000,
        'Spans of the day, [from, to): hours from 0 to 24 or like "09:30"; over midnight when `to` is before `from`; '
        "never equal.",
    ),
    "weekdays": array(ref("weekday"), 1, 7, "Days of the week."),
    "gap": closed(
        "Gap",
        {
            "op": enum("How the time between the two compares.", "lt", "le", "gt", "ge", "eq"),
            "value": ref("duration", "With what."),
        },
        description="Between a step and the one before.",
    ),
}
