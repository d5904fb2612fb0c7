"""Profile: all that is known of one.

>>> profile(ids={"user_id": "u1"}).events(limit=10, newest_first=True).spec()
{'kind': 'profile', 'ids': {'user_id': 'u1'}, 'events': {'limit': 10, 'newest_first': True}}
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from cdpstore.query.question import Question, Spec

__all__ = ["Profile", "profile"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Question):
    """One profile, by any of its identities or by its id."""

    own: tuple[tuple[str, Any], ...]

    def events(
        self, *, limit: int | None = None, names: Sequence[str] | None = None, newest_first: bool | None = None
    ) -> Self:
        """Which of its events come along, and in which direction."""
        fields = {"limit": limit, "names": names and list(names), "newest_first": newest_first}
        given = {name: value for name, value in fields.items() if value is not None}
        return dataclasses.replace(self, own=(*self.own, ("events", given)))

    def _fields(self) -> Spec:
        return {"kind": "profile", **dict(self.own)}


def profile(profile_id: int | None = None, *, ids: Mapping[str, str | int] | None = None) -> Profile:
    """One profile by its id or by an identity; exactly one of the two must be given."""
    if (profile_id is None) == (ids is None):
        raise ValueError("either a profile id or ids")
    return Profile(own=(("profile", profile_id) if ids is None else ("ids", dict(ids)),))
