"""The questions by their definition, one file a kind; this is their list."""

from collections.abc import Callable
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.kinds import funnel, overlap, profiles, retention, trend
from cdpstore.testing.spec import Fields
from cdpstore.testing.view import View

__all__ = ["KINDS"]

Parse = Callable[[Fields, dict[str, Any]], dict[str, Any]]
Answer = Callable[[View, dict[str, Any]], Table]

KINDS: dict[str, tuple[Parse, Answer]] = {
    "trend": (trend.parse, trend.answer),
    "funnel": (funnel.parse, funnel.answer),
    "retention": (retention.parse, retention.answer),
    "profiles": (profiles.parse, profiles.answer),
    "overlap": (overlap.parse, overlap.answer),
}
