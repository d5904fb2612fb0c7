"""What a store keeps and takes: the calls that change its rules, once for every way to a store. Each is a definition in
the log, in force from its place there on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Rules"]

Defined = TypeVar("Defined")


class Rules(ABC, Generic[Defined]):
    """`Defined` is what a definition gives back: the sequence it was applied at."""

    __slots__ = ()

    @abstractmethod
    def _define(self, kind: str, name: str, body: Mapping[str, Any] | None, now_ms: int | None) -> Defined:
        """Puts a definition into the log; None removes it."""

    def set_retention(self, rules: Mapping[str, str | int] | None, *, now_ms: int | None = None) -> Defined:
        """How long events stay, by name, in place of all rules before: `{"Page Viewed": "90d", "*": "400d"}`.

        `"*"` is every name without a rule of its own. An event is there until exactly its time plus the duration, and
        from then on to nobody: no question, predicate, profile, export or digest. Memory is given back by merges that
        follow. What was past retention once stays gone, also when a later rule is longer. None, or no rule for a name:
        its events stay from here on. Raises `InvalidRequest` (definition.invalid) with a path.

        >>> from cdpstore.store import Store
        >>> store, day = Store.open(), 86_400_000
        >>> for at in (0, 9):
        ...     _ = store.append([{"type": "event", "name": "Seen", "ids": {"user_id": "u"}}], now_ms=10**12 + at * day)
        >>> _ = store.set_retention({"Seen": "7d"}, now_ms=10**12 + 9 * day)
        >>> store.query({"kind": "trend", "event": "Seen"}, now_ms=10**12 + 9 * day).rows()
        [(1,)]
        """
        return self._define("retention", "events", None if rules is None else dict(rules), now_ms)

    def block(self, name: str, *, now_ms: int | None = None) -> Defined:
        """Events of this name are rejected from here on (`event.name.blocked`) and counted in `schema`. What is there
        stays.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> _ = store.block("Debug")
        >>> ack = store.append([{"type": "event", "name": "Debug", "ids": {"user_id": "u1"}}])
        >>> ack.rejects[0].code, store.schema().blocked
        ('event.name.blocked', {'Debug': 1})
        """
        return self._define("blocked", name, {}, now_ms)

    def unblock(self, name: str, *, now_ms: int | None = None) -> Defined:
        """Events of this name are taken again."""
        return self._define("blocked", name, None, now_ms)
