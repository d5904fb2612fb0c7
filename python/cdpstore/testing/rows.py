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
    shown_ms: int | None = None  # by its profile's own clock, where a question goes by that
    is_inside: bool | None = None  # and whether it then lies in the question's range
    own: Callable[[dict[str, Any]], Any] | None = dataclasses.field(default=None, compare=False)  # of its profile

    @property
    def clock_ms(self) -> int:
        """The time by which the question places it."""
        return self.time_ms if self.shown_ms is None else self.shown_ms

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
    zone: str | None = None  # of its own clock, where a question goes by that
    members: dict[str, Any] = dataclasses.field(default_factory=dict)  # what a breakdown takes it to be in, by column
    traits_when: Callable[[int, int], dict[str, Any]] = lambda _, __: {}  # of the profile an origin was of, valid then
    traits_at: Callable[[int], dict[str, Any]] = lambda _: {}  # as a query at that instant would have seen them
    trait_times: Callable[[str], set[int]] = lambda _: set()  # of the visible operations on a key
