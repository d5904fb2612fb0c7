"""The list of kinds; profiles, profile and overlap are short enough to stand beside it."""

from typing import Final

from cdpstore.query.json_schema.funnel import FUNNEL
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
)
from cdpstore.query.json_schema.question import (
    ROWS_MOST,
    WHEN,
    WHO,
    kind,
)
from cdpstore.query.json_schema.retention import RETENTION
from cdpstore.query.json_schema.trend import TREND

__all__ = ["KINDS"]

_ID_MOST: Final = 2**63 - 1

_PROFILES: Final = kind(
    "profiles",
    "Profiles: the members of a predicate",
    {"where": ref("predicate", "Of which profiles this is true.")},
    {
        "after": integer(0, _ID_MOST - 1, "Only profiles with a greater id: the next page."),
        "limit": integer(0, ROWS_MOST, "At most so many; the exact count is in the notes."),
        **WHEN,
    },
)

_IDS: Final[Schema] = {
    "description": "Its identities, a value a kind; the highest-ranked one that is known.",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 64,
    "additionalProperties": {"type": ["string", "integer"]},
}
_ONE_OF_IDS: Final = chosen([(has("ids"), {"properties": {"profile": NEVER}}), (has("profile"), {})], has("ids"))

_PROFILE: Final = kind(
    "profile",
    "Profile: all that is known of one",
    {},
    {
        "ids": _IDS,
        "profile": integer(0, _ID_MOST, "Its id; in place of ids."),
        "events": closed(
            "Events",
            {},
            {
                "limit": integer(0, ROWS_MOST, "At most so many."),
                "names": array(ref("name"), 0, 1_000, "Only of these names; none given, of any."),
                "newest_first": may("From the newest on; default false."),
            },
            description="Which events come along; left out, none.",
        ),
        **WHEN,
    },
    **_ONE_OF_IDS,
)

_NAMED_SEGMENT: Final = closed(
    "Segment",
    {"where": ref("predicate", "Who is in it.")},
    {"name": ref("name", "Its column; A, B, .. by default, no two alike, and not `profiles`.")},
)
_SEVERAL: Final = kind(
    "overlap",
    "Overlap of several segments",
    {"segments": array(_NAMED_SEGMENT, 2, 8, "A row for each combination that some profile is in.")},
    {**WHO, **WHEN},
)
_CHANGES: Final = kind(
    "overlap",
    "Overlap of one segment at two instants",
    {
        "segment": ref("predicate", "Who entered it, who left, and by what."),
        "from_ms": ref("instant", "Between this instant"),
        "to_ms": ref("instant", "and this one, which is later, and not after as_of_ms."),
    },
    {
        **WHO,
        "joins": enum("Profiles of now, or of each instant (without where, as_of_ms).", "now", "then"),
        "limit": integer(0, ROWS_MOST, "At most so many changes; the notes count all."),
        **WHEN,
    },
    allOf=[
        chosen(
            [
                (
                    {"required": ["joins"], "properties": {"joins": {"const": "then"}}},
                    {"properties": {"where": NEVER, "as_of_ms": NEVER}},
                )
            ],
            {},
        )
    ],
)

_EXPLAIN: Final = kind(
    "explain",
    "Explain: why one profile is in a segment, or is not",
    {"predicate": ref("predicate", "A row for every clause of it.")},
    {
        "ids": _IDS,
        "profile": integer(0, _ID_MOST, "Its id; in place of ids."),
        "events": closed(
            "Evidence",
            {},
            {"limit": integer(0, 10_000, "So many of the newest events a clause; default 10.")},
            description="How much each clause shows.",
        ),
        **WHEN,
    },
    **_ONE_OF_IDS,
)

KINDS: Final[dict[str, Schema]] = {
    "trend": TREND,
    "funnel": FUNNEL,
    "retention": RETENTION,
    "profiles": _PROFILES,
    "profile": _PROFILE,
    "explain": _EXPLAIN,
    "overlap": {"title": "Overlap: who is in which segments", **chosen([(has("segment"), _CHANGES)], _SEVERAL)},
}
