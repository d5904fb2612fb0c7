"""What the demo's numbers must be: computed here from the files by plain loops, or known from elsewhere."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cdpstore.client import Client
from examples.demo.orders import MONEY_UNIT, Order, known_totals

__all__ = ["equal", "expected_entries", "year"]

_WINDOW_MS = 30 * 86_400_000
_DAY_MS = 86_400_000


def equal(what: str, ours: object, expected: object) -> None:
    """Ends the demo with both values when they differ."""
    if ours != expected:
        raise SystemExit(f"{what}: got {ours!r}, expected {expected!r}")


def expected_entries(history: Sequence[Order], live: Sequence[Order], start_ms: int) -> Counter[str]:
    """How often each customer enters the live segment during the replay, by going through their orders."""
    orders: dict[str, list[Order]] = defaultdict(list)
    for order in history:
        if order.name == "Order Completed":
            orders[order.user_id].append(order)
    inside = {user for user, known in orders.items() if _is_keen(known, start_ms)}
    entries: Counter[str] = Counter()
    for order in live:
        known = orders[order.user_id]
        if order.user_id in inside and not _is_keen(known, order.time_ms):
            inside.discard(order.user_id)  # their window ran out before this order
        if order.name == "Order Completed":
            known.append(order)
        if order.user_id not in inside and _is_keen(known, order.time_ms):
            inside.add(order.user_id)
            entries[order.user_id] += 1
    return entries


def _is_keen(orders: Sequence[Order], now_ms: int) -> bool:
    times = [order.time_ms for order in orders]
    recent = orders[bisect_right(times, now_ms - _WINDOW_MS) :]
    return len(recent) >= 2 and sum(order.revenue for order in recent) >= 500 * MONEY_UNIT


def year(client: Client, now_ms: int) -> Iterator[tuple[str, Any, Any]]:
    """(what, ours, known) for every total that the data set's authors published or others computed."""
    known = known_totals()
    bought = {"kind": "trend", "event": "Order Completed", "interval": None, "now_ms": now_ms}
    ((orders, customers, revenue),) = client.query({**bought, "measures": ["total", "unique", {"sum": "revenue"}]})
    yield "orders", orders, known["conversion"]["orders"]
    yield "customers who bought", customers, known["users_by_event"]["purchase"]
    yield "revenue in GBP", str(Decimal(revenue) / MONEY_UNIT), str(Decimal(str(known["conversion"]["revenue"])))
    ((returners,),) = client.query({**bought, "event": "Order Returned", "measures": ["unique"]})
    yield "customers who returned", returners, known["users_by_event"]["return"]
    for unit in ("day", "week", "month"):
        yield f"customers each {unit}", *_active(client, unit, now_ms, known[f"distinct_users_by_{unit}"])
    yield "weekly retention, all cells", *_retention(client, now_ms, known["weekly_first_purchase_retention"])
    yield from _segments(client, known["segments"])


def _active(client: Client, unit: str, now_ms: int, known: dict[str, int]) -> tuple[Any, Any]:
    spec = {
        "kind": "trend",
        "event": ["Order Completed", "Order Returned"],
        "interval": unit,
        "measures": ["unique"],
        "now_ms": now_ms,
    }
    ours = {_date(start): count for start, count in client.query(spec)}
    return _summary(ours, known)


def _retention(client: Client, now_ms: int, known: dict[str, dict[str, int]]) -> tuple[Any, Any]:
    spec = {"kind": "retention", "start": "Order Completed", "interval": "week", "now_ms": now_ms}
    ours: dict[str, dict[str, int]] = defaultdict(dict)
    for cohort_ms, period, profiles, _ in client.query(spec):
        if profiles:
            ours[_date(cohort_ms)][str(period)] = profiles
    return _summary(dict(ours), known)


def _segments(client: Client, known: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    now_ms = known["T_ms"] - 1
    sizes = {segment["id"]: segment["users"] for segment in known["list"]}
    bought = {"did": "Order Completed"}
    predicates = {
        "S1": ("3 or more orders", {**bought, "count": {"op": "ge", "value": 3}}),
        "S2": (
            "bought, but not in 90 days",
            {
                "and": [
                    bought,
                    {"did_not": "Order Completed", "window": {"start_ms": known["T_ms"] - 90 * _DAY_MS}},
                ]
            },
        ),
        "S3": (
            "not in the UK, with a return",
            {"and": [{"trait": "country", "op": "ne", "value": "United Kingdom"}, {"did": "Order Returned"}]},
        ),
    }
    for segment, (words, predicate) in predicates.items():
        answer = client.query({"kind": "profiles", "where": predicate, "now_ms": now_ms, "limit": 0})
        yield words, answer.notes["count"], sizes[segment]


def _summary(ours: Any, known: Any) -> tuple[Any, Any]:
    if ours == known:
        return f"{len(ours)} rows", f"{len(known)} rows"
    return ours, known


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).strftime("%Y-%m-%d")
