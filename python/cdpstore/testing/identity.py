"""Who is who: identities in their one form, origins, and the links that join origins into profiles."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["KINDS", "Identified", "IdentityBook", "Link", "component", "home", "is_generic", "normalise"]

Identified = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Kind:
    """Lower rank is higher ranked; a profile with a unique identity counts as identified."""

    rank: int
    identifies: bool
    unique: bool


KINDS: Final = {
    "user_id": Kind(0, identifies=True, unique=True),
    "anonymous_id": Kind(1000, identifies=True, unique=False),
    "email": Kind(2000, identifies=False, unique=False),
    "phone": Kind(3000, identifies=False, unique=False),
}
_GENERIC: Final = frozenset(
    ("", "null", "none", "nil", "undefined", "nan", "0", "-1", "true", "false", "guest", "anonymous", "unknown")
) | {"n/a", "00000000-0000-0000-0000-000000000000", "[object object]"}
_SPACE: Final = " \t\n\v\f\r"
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def normalise(kind: str, value: str) -> str:
    """The value in its kind's one form.

    >>> normalise("user_id", "  Ann "), normalise("email", "A@B.org"), normalise("phone", "+43 (1) 2")
    ('Ann', 'a@b.org', '+4312')
    """
    trimmed = value.strip(_SPACE)
    match kind:
        case "email":
            return trimmed.translate(_LOWER)
        case "phone":
            digits = "".join(char for char in trimmed if char in "0123456789")
            return f"+{digits}" if digits else ""
        case _:
            return trimmed


def is_generic(normalised: str) -> bool:
    """Whether the value names nobody: blank, null, guest and their like."""
    return normalised.translate(_LOWER) in _GENERIC


class IdentityBook:
    """Which origin each identity points to, for ever. Origins count from 0 in order of first sight."""

    def __init__(self) -> None:
        self.origin_of: dict[Identified, int] = {}
        self.identities: list[list[Identified]] = []

    def resolve(self, identities: Sequence[Identified]) -> int:
        """The origin of a record with these identities, highest rank first; unseen lower ones become its own."""
        highest = identities[0]
        if highest not in self.origin_of:
            self.origin_of[highest] = len(self.identities)
            self.identities.append([highest])
        origin = self.origin_of[highest]
        for identity in identities[1:]:
            if identity not in self.origin_of:
                self.add(identity, origin)
        return origin

    def add(self, identity: Identified, origin: int) -> None:
        """REQUIRES: unseen."""
        assert identity not in self.origin_of
        self.origin_of[identity] = origin
        self.identities[origin].append(identity)

    def is_identified(self, origins: Iterable[int]) -> bool:
        """Whether any of the origins has a unique identity."""
        return any(KINDS[kind].unique for origin in origins for kind, _ in self.identities[origin])


@dataclasses.dataclass
class Link:
    """Winner and loser were homes when the record `sequence` joined them."""

    winner: int
    loser: int
    sequence: int
    time_ms: int
    dead_sequence: int = 0
    dead_from_ms: int = 0

    def lives(self, as_of_ms: int | None) -> bool:
        """Whether it is alive now, or was at that valid time."""
        if as_of_ms is None:
            return self.dead_sequence == 0
        return self.time_ms <= as_of_ms and (self.dead_sequence == 0 or self.dead_from_ms > as_of_ms)


def component(origin: int, links: Sequence[Link]) -> list[int]:
    """All origins that these links connect with this one, ascending."""
    reached = {origin}
    grown = True
    while grown:
        grown = False
        for link in links:
            if len({link.winner, link.loser} & reached) == 1:
                reached |= {link.winner, link.loser}
                grown = True
    return sorted(reached)


def home(origin: int, links: Sequence[Link]) -> int:
    """The surviving origin of the component: links in order of their records, each puts a home under a home."""
    homes: dict[int, int] = {}

    def find(each: int) -> int:
        while each in homes:
            each = homes[each]
        return each

    for link in sorted(links, key=lambda link: link.sequence):
        winner, loser = find(link.winner), find(link.loser)
        if winner != loser:
            homes[loser] = winner
    return find(origin)
