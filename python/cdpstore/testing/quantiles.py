"""Quantiles by definition: linear between the order statistics around rank p (n - 1), exact, rounded once."""

import math
from collections.abc import Sequence
from fractions import Fraction

from cdpstore.testing.values import rounded

__all__ = ["cut", "is_quantile", "quantile"]


def is_quantile(name: str) -> bool:
    """`median`, or `p` and a percentage between 0 and 100 with up to three decimals.

    >>> [is_quantile(name) for name in ("median", "p90", "p99.9", "p0", "p100", "p", "p.5", "p1.2345", "p9.")]
    [True, True, True, False, False, False, False, False, False]
    """
    return name == "median" or _percent(name) is not None


def quantile(values: Sequence[int | float], name: str) -> float:
    """The quantile of at least one value.

    >>> quantile([1, 2, 3, 4], "median"), quantile([10, 20], "p90"), quantile([7], "p1")
    (2.5, 19.0, 7.0)
    """
    percent = Fraction(50) if name == "median" else _percent(name)
    assert percent is not None
    ordered = sorted(map(Fraction, values))
    rank = percent / 100 * (len(ordered) - 1)
    low = int(rank)
    if rank == low:
        return rounded(ordered[low])
    return rounded(ordered[low] + (ordered[low + 1] - ordered[low]) * (rank - low))


def cut(values: Sequence[int | float], name: str, method: str) -> int | float:
    """The quantile of at least one value, interpolated or one of the values.

    >>> [cut([10, 20, 30, 40], "p70", method) for method in ("linear", "lower", "higher", "nearest_rank")]
    [31.0, 30, 40, 30]
    """
    if method == "linear":
        return quantile(values, name)
    percent = Fraction(50) if name == "median" else _percent(name)
    assert percent is not None
    ordered = sorted(values, key=Fraction)
    place = percent / 100 * (len(ordered) - 1)
    match method:
        case "lower":
            return ordered[math.floor(place)]
        case "higher":
            return ordered[math.ceil(place)]
        case _:
            return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]


def _percent(name: str) -> Fraction | None:
    whole, point, decimals = name[1:].partition(".")
    digits = whole + decimals
    if name[:1] != "p" or not whole or bool(point) != bool(decimals) or len(decimals) > 3:
        return None
    if not (digits.isascii() and digits.isdigit()) or len(whole) > 6:
        return None
    value = Fraction(int(digits), 10 ** len(decimals))
    return value if 0 < value < 100 else None
