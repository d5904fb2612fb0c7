"""What a question reads of events, and whether the store still has it."""

from collections.abc import Iterator
from typing import Any, Final

from cdpstore.testing.history import SYSTEM, History
from cdpstore.testing.spec import bad

__all__ = ["check_kept", "events_read"]

# Fields whose value names events: a name, several, or None for any.
_NAMING: Final = ("event", "did", "did_not", "share", "predominantly", "stopped", "restarted", "regularly")


def events_read(parsed: Any) -> set[str | None]:
    """Names of events in a question, read to its end; None among them when it reads every event.

    >>> sorted(events_read({"and": [{"did": ["Seen"]}, {"sequence": [{"event": ["Paid"]}]}]}))
    ['Paid', 'Seen']
    """
    return set(_named_in(parsed))


def _named_in(node: Any) -> Iterator[str | None]:
    if isinstance(node, dict):
        if node.get("order") == "strict_all":  # any event between breaks it
            yield None
        for key, value in node.items():
            if key in _NAMING and (value is None or _is_names(value)):
                yield from [None] if value is None else value
            else:
                yield from _named_in(value)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _named_in(each)


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def check_kept(history: History, read: set[str | None], instant_ms: int, path: str) -> None:
    """Raises `BadQuery` when retention has let go of all rows up to the instant of some event that is read."""
    names = {row.name for row in history.rows_ever()}
    for name in sorted(names if None in read else names & read):
        gone_ms = history.gone_until_ms(name, instant_ms)
        if gone_ms is not None and instant_ms <= gone_ms and not name.startswith(SYSTEM):
            bad(path, f"events of {name} up to then are past retention")
