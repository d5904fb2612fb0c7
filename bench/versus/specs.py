"""The questions as query specs of ours."""

from typing import Any

from bench.data import schema

DAY_MS, END_MS = schema.DAY_MS, schema.END_MS
WHOLE = {"start_ms": schema.START_MS, "end_ms": END_MS}


def since(days: int) -> dict[str, int]:
    """The last so many days, half-open as in the peers' SQL."""
    return {"start_ms": END_MS - days * DAY_MS, "end_ms": END_MS}


def did(name: str, days: int, at_least: int = 1, **more: Any) -> dict[str, Any]:
    """Did it at least so often in the last so many days."""
    return {"did": name, "window": since(days), "count": {"op": "ge", "value": at_least}, **more}


def equals(key: str, value: str) -> dict[str, Any]:
    """A condition on a property."""
    return {"property": key, "op": "eq", "value": value}


def any_of(key: str, values: list[str], subject: str = "property") -> dict[str, Any]:
    """A property or trait is one of the values."""
    return {subject: key, "op": "in", "value": values}


VOLUMES = {
    "kind": "trend",
    "event": {"event": None},
    "measures": ["total"],
    "interval": "day",
    "breakdown": [{"event": "name"}],
    "range": WHOLE,
}
ACTIVE = {
    "kind": "trend",
    "event": {"event": None},
    "measures": ["unique"],
    "interval": ["day", "week", {"days": 30}],
    "range": WHOLE,
}
SPENDERS = {
    "kind": "profiles",
    "where": {
        "and": [
            any_of("country", schema.SPENDERS_COUNTRIES, "trait"),
            did("Charged", 30, 3, sum={"property": "price", "op": "ge", "value": schema.SPENDERS_SUM}),
            {"did_not": "App Uninstalled"},
        ]
    },
}
NESTED = {
    "kind": "profiles",
    "where": {
        "or": [
            {
                "and": [
                    did("Charged", 30, 2),
                    {
                        "or": [
                            did("Product Viewed", 7, 5),
                            did("Added To Cart", 3, where=[equals("category", "electronics")]),
                        ]
                    },
                    {"not": did("Notification Dismissed", 14, 3)},
                ]
            },
            {
                "and": [
                    any_of("plan", ["premium", "business"], "trait"),
                    {"did_not": "App Launched", "window": since(14)},
                    {"trait": "age", "op": "ge", "value": 25},
                ]
            },
        ]
    },
}
FUNNEL_SHORT = {
    "kind": "funnel",
    "steps": schema.FUNNEL_SHORT,
    "window": schema.FUNNEL_WINDOW_MS,
    "same_time": "later",
    "breakdown": [{"trait": "country"}],
    "range": WHOLE,
}
FUNNEL_LONG = {
    "kind": "funnel",
    "steps": schema.FUNNEL_LONG,
    "window": schema.FUNNEL_WINDOW_MS,
    "same_time": "later",
    "range": WHOLE,
}
WEEKLY = {"kind": "retention", "start": "App Launched", "interval": "week", "range": WHOLE}
DAILY = {"kind": "retention", "start": {"event": None}, "interval": "day", "periods": 31, "range": WHOLE}
TOP_PRODUCTS = {
    "kind": "trend",
    "event": {
        "event": "Charged",
        "where": [equals("platform", "android"), any_of("category", schema.TOP_CATEGORIES)],
    },
    "measures": [{"sum": "price"}, "total"],
    "interval": None,
    "range": since(60),
    "breakdown": [{"property": "product_id"}],
    "limit": 20,
}
VIEWERS = {
    "kind": "trend",
    "event": "Product Viewed",
    "measures": ["unique"],
    "interval": None,
    "range": since(30),
    "breakdown": [{"property": "category"}, {"property": "platform"}],
}
BOUGHT_AT_ONCE = {
    "kind": "profiles",
    "where": {"sequence": ["Added To Cart", "Charged"], "within": schema.AT_ONCE_MS, "without": "Item Removed"},
    "limit": 1,  # how many there are is told in any case
}
SPECS: dict[str, dict[str, Any]] = {
    "q1": VOLUMES,
    "q2": ACTIVE,
    "q3": SPENDERS,
    "q4": NESTED,
    "q5": FUNNEL_SHORT,
    "q6": FUNNEL_LONG,
    "q7": WEEKLY,
    "q8": DAILY,
    "q9": TOP_PRODUCTS,
    "q10": VIEWERS,
    "q15": BOUGHT_AT_ONCE,
}
