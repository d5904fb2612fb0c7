"""Profile: which events of the timeline come along."""

from collections.abc import Sequence
from typing import Any

from cdpstore.testing.rows import Row
from cdpstore.testing.spec import Fields, boolean, each, integer, name_of

__all__ = ["events_of", "parse_events"]


def parse_events(node: dict[str, Any] | None) -> dict[str, Any] | None:
    """limit, names, newest_first; None asks for no events."""
    if node is None:
        return None
    fields = Fields(node, "events")
    parsed = {
        "limit": fields.take("limit", integer(0, 1_000_000_000)),
        "names": fields.take("names", each(name_of, 0, 1_000)),
        "newest_first": fields.take("newest_first", boolean) or False,
    }
    fields.done()
    return parsed


def events_of(rows: Sequence[Row], options: dict[str, Any] | None) -> list[Row]:
    """The rows asked for, in event order or the other way round."""
    if options is None:
        return []
    kept = [row for row in rows if not options["names"] or row.name in options["names"]]
    return (kept[::-1] if options["newest_first"] else kept)[: options["limit"]]
