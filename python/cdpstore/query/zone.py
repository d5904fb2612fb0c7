"""The zone that a clause goes by: named, or kept in a trait of each profile.

>>> from cdpstore.query import did
>>> did("Opened").at(hours=[(9, 12)], zone=zone_kept_in("timezone", otherwise="Europe/Vienna")).spec()["at"]["zone"]
{'trait': 'timezone', 'else': 'Europe/Vienna'}
"""

from typing import Any, TypeAlias

__all__ = ["ZoneOf", "zone_kept_in"]

ZoneOf: TypeAlias = str | dict[str, Any]


def zone_kept_in(trait: str, *, otherwise: str | None = None) -> ZoneOf:
    """The zone whose name each profile keeps in a trait; `otherwise`, else the question's, where that names none."""
    return {"trait": trait} if otherwise is None else {"trait": trait, "else": otherwise}
