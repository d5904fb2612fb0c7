"""How much the oracle tests try, in one place: little by default, `CDPSTORE_ORACLE_SCALE` times as much when asked
(the long tests take `LONG` times as much by themselves)."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

__all__ = ["LONG", "examples"]

LONG: Final = 20
_SCALE: Final = float(os.environ.get("CDPSTORE_ORACLE_SCALE", "1"))


def examples(count: int) -> settings:
    """Settings that try so many examples, times the scale."""
    return settings(
        max_examples=max(1, round(count * _SCALE)),
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.filter_too_much,
        ],
    )
