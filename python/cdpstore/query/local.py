"""Clauses on one profile apart from its facts and events.

>>> from cdpstore.query import did
>>> (in_segment("paying") & bucket("spring", 0, 1_000) & ~identity("anonymous_id").exists()).spec()["and"][1]
{'bucket': {'salt': 'spring', 'from': 0, 'to': 1000}}
>>> did("Visited").near(lat=48.2, lon=16.37, meters=500).spec()["where"][0]["within"]
{'lat': 48.2, 'lon': 16.37, 'meters': 500}
>>> item("sku").eq(7).spec()
{'property': 'sku', 'op': 'eq', 'value': 7}
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cdpstore.query.comparison import Comparison, Threshold
from cdpstore.query.did import Did
from cdpstore.query.predicate import Predicate, predicate_spec
from cdpstore.query.selector import place
from cdpstore.query.where import Where, field

__all__ = [
    "bucket",
    "created",
    "first_seen",
    "identity",
    "in_segment",
    "item",
    "last_seen",
    "near",
    "own_value",
    "ranked",
    "trait_value",
]


@dataclasses.dataclass(frozen=True, slots=True)
class _Clause(Predicate):
    fields: tuple[tuple[str, Any], ...]

    def spec(self) -> dict[str, Any]:
        return dict(self.fields)


def _clause(fields: dict[str, Any]) -> Predicate:
    return _Clause(tuple(fields.items()))


def identity(kind: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Predicate]:
    """A condition that some identity of this kind passes (a negative one: that none fails)."""
    return Comparison(
        lambda condition: _clause({"identity": kind, **condition}), ignore_case=ignore_case, missing=missing
    )


def created(*, missing: bool = False) -> Comparison[Predicate]:
    """A condition on when the profile was first named by any record."""
    return Comparison(lambda condition: _clause({"profile": "created", **condition}), missing=missing)


def first_seen(*, missing: bool = False) -> Comparison[Predicate]:
    """A condition on the time of the profile's first event, the system's apart."""
    return Comparison(lambda condition: _clause({"profile": "first_seen", **condition}), missing=missing)


def last_seen(*, missing: bool = False) -> Comparison[Predicate]:
    """A condition on the time of the profile's latest event up to now, the system's apart.

    >>> last_seen().within_last("7d").spec()
    {'profile': 'last_seen', 'op': 'within', 'value': {'last': '7d'}}
    """
    return Comparison(lambda condition: _clause({"profile": "last_seen", **condition}), missing=missing)


def bucket(salt: str, start: int = 0, end: int = 10_000) -> Predicate:
    """The profile falls into [start, end) of 10,000; where it falls depends on its id and the salt alone, for ever."""
    return _clause({"bucket": {"salt": salt, "from": start, "to": end}})


def near(*, lat: float, lon: float, meters: float, lat_key: str = "lat", lon_key: str = "lon") -> Predicate:
    """Two traits are a place at most so many metres away, on the great circle."""
    return _clause(place(lat, lon, meters, (lat_key, lon_key)))


def in_segment(name: str) -> Predicate:
    """The profile meets the definition of the live segment of this name."""
    return _clause({"segment": name})


def item(key: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Where]:
    """A condition on a field of an item, for `any_element`."""
    return field(key, ignore_case=ignore_case, missing=missing)


def own_value(
    events: Did, measure: str = "count", key: str | None = None, *, times: float | None = None
) -> dict[str, Any]:
    """The right side of a comparison: an aggregate over the profile's own events, times a factor (rounded once).

    `measure` is "count", or "sum", "mean", "min", "max", "distinct" of the property `key`. Of `events` the names, the
    conditions, the local times and the window count.

    >>> from cdpstore.query import did
    >>> usual = own_value(did("Charged").within("90d"), "mean", "price", times=3)
    >>> did("Charged").sum("price").gt(usual).spec()["sum"]["value"]
    {'own': {'did': 'Charged', 'window': {'last': '90d'}, 'measure': {'mean': 'price'}}, 'times': 3}
    """
    found = {name: part for name, part in events.spec().items() if name in ("did", "where", "at", "window")}
    own = {"own": {**found, "measure": "count" if key is None else {measure: key}}}
    return own if times is None else {**own, "times": times}


def ranked(
    of: dict[str, Any], *, among: Predicate | Mapping[str, Any] | None = None, method: str = "linear"
) -> Threshold[Predicate]:
    """A profile's number beside a quantile of the numbers of all profiles, or of those of `among`.

    `of` is a `trait_value` or an `own_value`. Methods: "linear" (between two numbers, type 7), "nearest_rank", "lower",
    "higher". In questions and exports, not in live segments.

    >>> from cdpstore.query import did
    >>> spent = own_value(did("Charged").within("90d"), "sum", "amount")
    >>> ranked(spent).ge("p90").spec()["value"]  # the best tenth
    'p90'
    """
    more: dict[str, Any] = {} if method == "linear" else {"method": method}
    if among is not None:
        more["among"] = predicate_spec(among)
    return Threshold(lambda cut: _clause({"quantile": of, **cut, **more}))


def trait_value(key: str, *, times: float | None = None) -> dict[str, Any]:
    """The right side of a comparison: a trait of the same profile, times a factor (rounded once).

    >>> from cdpstore.query import trait
    >>> trait("spent").ge(trait_value("limit", times=0.5)).spec()["value"]
    {'trait': 'limit', 'times': 0.5}
    """
    return {"trait": key} if times is None else {"trait": key, "times": times}
