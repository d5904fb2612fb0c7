"""Values as the model holds them: None, bool, int, float, str, aware datetime, list of scalars, list of dicts.

Python says 1 == 1.0 == True; the product keeps types apart. So whatever groups, dedupes or orders values does it by
`typed`, whose first part is the number of the type in `cpp/base/value.hpp`.
"""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any, TypeAlias, TypeGuard

import msgpack

from cdpstore.model import milliseconds_of
from cdpstore.schema import VALUE_TYPES

__all__ = ["Typed", "exact_mean", "exact_sum", "is_number", "rounded", "type_name", "typed"]

Typed: TypeAlias = tuple[int, Any]


def typed(value: Any) -> Typed:
    """A key that is equal for values of the same type and value only, and orders by type, then by value.

    >>> typed(1) == typed(1.0), typed(True) == typed(1), sorted(["b", 2, None, "a"], key=typed)
    (False, False, [None, 2, 'a', 'b'])
    """
    match value:
        case None:
            return 0, 0
        case bool():
            return 1, value
        case int():
            return 2, value
        case float():
            return 3, value
        case str():
            return 4, value.encode()
        case datetime():
            return 5, milliseconds_of(value)
        case list():
            return (7 if any(isinstance(each, dict) for each in value) else 6), _packed(value)
    raise TypeError(f"no value of the product: {value!r}")


def type_name(value: Any) -> str:
    """The value's type as schemas and exports name it.

    >>> type_name([1]), type_name([{"a": 1}]), type_name(None)
    ('list', 'items', 'null')
    """
    return VALUE_TYPES[typed(value)[0]]


def is_number(value: Any) -> TypeGuard[int | float]:
    """An integer or a float; a bool is neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def exact_sum(numbers: Iterable[int | float]) -> int | float:
    """The sum: an integer when all are, else the exact value rounded once.

    >>> exact_sum([1, 2**70]), exact_sum([0.1] * 10), exact_sum([1e308, 1e308, -1e308])
    (1180591620717411303425, 1.0, 1e+308)
    """
    kept = list(numbers)
    if all(isinstance(number, int) for number in kept):
        return sum(int(number) for number in kept)
    return rounded(sum(map(Fraction, kept), Fraction(0)))


def exact_mean(numbers: Iterable[int | float]) -> float | None:
    """The exact mean rounded once; None of nothing.

    >>> exact_mean([2**53, 2**53 + 2]), exact_mean([])
    (9007199254740992.0, None)
    """
    kept = [Fraction(number) for number in numbers]
    return rounded(sum(kept, Fraction(0)) / len(kept)) if kept else None


def rounded(value: Fraction) -> float:
    """The nearest float, half to even; infinite beyond the floats."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _packed(value: Any) -> bytes:
    packed = msgpack.packb(value, datetime=True)
    assert isinstance(packed, bytes)
    return packed
