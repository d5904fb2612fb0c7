"""Profiles: the members of a predicate, as ascending ids.

>>> profiles({"trait": "plan", "op": "eq", "value": "trial"}).limit(100).spec()
{'kind': 'profiles', 'where': {'trait': 'plan', 'op': 'eq', 'value': 'trial'}, 'limit': 100}
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from cdpstore.query.predicate import Predicate
from cdpstore.query.question import Question, Spec

__all__ = ["Profiles", "profiles"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Profiles(Question):
    """Every profile of which the predicate is true; pages go on `after` the last id seen."""

    after_id: int | None = None

    def after(self, profile_id: int) -> Self:
        """Only ids above this one."""
        return dataclasses.replace(self, after_id=profile_id)

    def _fields(self) -> Spec:
        return {"kind": "profiles", **({} if self.after_id is None else {"after": self.after_id})}


def profiles(where: Predicate | Mapping[str, Any]) -> Profiles:
    """The profiles of which the predicate is true."""
    return Profiles().where(where)
