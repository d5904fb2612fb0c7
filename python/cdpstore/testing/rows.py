"""What a question sees: profiles with their rows in event order and their folded traits."""

import dataclasses
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
