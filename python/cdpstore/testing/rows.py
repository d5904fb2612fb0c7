"""What a question sees: profiles with their rows in event order and their folded traits."""

import dataclasses
from collections.abc import Callable
from typing import Any

from cdpstore.testing.facts import Fact

__all__ = ["Person", "Row"]


@dataclasses.dataclass(frozen=True)
class Row:
    """An accepted event; `order` is its place in the log."""

    name: str
    time_ms: int
    origin: int
    order: int
    properties: dict[str, Any]
    own: Callable[[dict[str, Any]], Any] | None = dataclasses.field(default=None, compare=False)  # of its profile

    @property
    def event_order(self) -> tuple[int, int, int]:
        """Time, then origin, then log order."""
        return self.time_ms, self.origin, self.order


@dataclasses.dataclass(frozen=True)
class Person:
    """One profile at one instant: rows in event order, folded traits, facts by type, and every group's traits."""

    profile_id: int
    origins: list[int]
    rows: list[Row]
    traits: dict[str, Any]
    facts: dict[str, list[Fact]]
    groups: dict[tuple[str, str], dict[str, Any]]
    identities: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    created_ms: int | None = None
    members: dict[str, Any] = dataclasses.field(default_factory=dict)  # what a breakdown takes it to be in, by column
    traits_at: Callable[[int], dict[str, Any]] = lambda _: {}  # as a query at that instant would have seen them
    trait_times: Callable[[str], set[int]] = lambda _: set()  # of the visible operations on a key
