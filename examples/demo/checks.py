"""What the demo's numbers must be: computed here from the files by plain loops, or known from elsewhere."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from cdpstore.client import Client
from examples.demo.orders import BOUGHT, COMPLETED, MONEY_UNIT, RETURNED, TAKEN_BACK, Order, known_totals

__all__ = ["Check", "equal", "expected_entries", "year"]

_DAY_MS: Final = 86_400_000
_WINDOW_MS: Final = 30 * _DAY_MS

Check = tuple[str, str, Any, Any]
"""What it is, how to show it, ours, known."""


def equal(what: str, ours: object, expected: object) -> None:
    """Ends the demo with both values when they differ."""
    if ours != expected:
        raise SystemExit(f"{what}: got {ours!r}, expected {expected!r}")


def expected_entries(history: Sequence[Order], live: Sequence[Order], start_ms: int) -> Counter[str]:
    """How often each customer enters the live segment during the replay, by going through their orders."""
    orders: dict[str, list[Order]] = defaultdict(list)
    for order in history:
        if order.name == COMPLETED:
            orders[order.user_id].append(order)
    inside = {user for user, known in orders.items() if _is_keen(known, start_ms)}
    entries: Counter[str] = Counter()
    for order in live:
        known = orders[order.user_id]
        if order.user_id in inside and not _is_keen(known, order.time_ms):
            inside.discard(order.user_id)  # their window ran out before this order
        if order.name == COMPLETED:
            known.append(order)
        if order.user_id not in inside and _is_keen(known, order.time_ms):
            inside.add(order.user_id)
            entries[order.user_id] += 1
    return entries


def _is_keen(orders: Sequence[Order], now_ms: int) -> bool:
    times = [order.time_ms for order in orders]
    recent = orders[bisect_right(times, now_ms - _WINDOW_MS) :]
    return len(recent) >= 2 and sum(order.revenue for order in recent) >= 500 * MONEY_UNIT


def year(client: Client) -> Iterator[Check]:
    """Every total that the data set's authors published or others computed, asked again here."""
    known = known_totals()
    now_ms = known["segments"]["T_ms"] - 1
    yield from _totals(client, now_ms, known)
    yield from _active(client, now_ms, known)
    yield from _retention(client, now_ms, known["weekly_first_purchase_retention"])
    yield from _funnels(client, now_ms, known["funnels"])
    yield from _segments(client, known["segments"])
    yield from _churn(client, now_ms, known["churn_task"])


def _totals(client: Client, now_ms: int, known: Mapping[str, Any]) -> Iterator[Check]:
    def ask(name: str, *measures: Any, **more: Any) -> Any:
        spec = {"kind": "trend", "event": name, "interval": None, "measures": measures, "now_ms": now_ms, **more}
        return client.query(spec).rows()

    ((orders, customers, revenue),) = ask(COMPLETED, "total", "unique", {"sum": "revenue"})
    yield "orders", f"{orders:,}", orders, known["conversion"]["orders"]
    yield "customers who bought", f"{customers:,}", customers, known["users_by_event"]["purchase"]
    yield "revenue, GBP", f"{_pounds(revenue):,}", _pounds(revenue), _decimal(known["conversion"]["revenue"])
    ((lines,),) = ask(BOUGHT, "total")
    ((returned, returners),) = ask(TAKEN_BACK, "total", "unique")
    yield "order lines bought", f"{lines:,}", lines, known["events_by_name"]["purchase"]
    yield "order lines returned", f"{returned:,}", returned, known["events_by_name"]["return"]
    yield "customers who returned", f"{returners:,}", returners, known["users_by_event"]["return"]

    top = ask(BOUGHT, {"sum": "revenue"}, "total", breakdown=[{"property": "sku"}], limit=10)
    ours = [(sku, _pounds(total), count) for sku, total, count in top[:10]]
    theirs = [(row["product"], _decimal(row["revenue"]), row["events"]) for row in known["top_products_by_revenue"]]
    yield "top 10 products, revenue and lines", f"{', '.join(sku for sku, _, _ in ours[:3])}, …", ours, theirs


def _active(client: Client, now_ms: int, known: Mapping[str, Any]) -> Iterator[Check]:
    anything = {"kind": "trend", "event": [COMPLETED, RETURNED], "measures": ["unique"], "now_ms": now_ms}
    for unit in ("day", "week", "month"):
        ours = {_date(start): count for start, count in client.query({**anything, "interval": unit})}
        yield f"active customers by {unit}", f"{len(ours)} {unit}s", ours, known[f"distinct_users_by_{unit}"]
    lines: dict[str, dict[str, int]] = defaultdict(dict)
    for name, theirs in ((BOUGHT, "purchase"), (TAKEN_BACK, "return")):
        spec = {"kind": "trend", "event": name, "interval": "month", "measures": ["total"], "now_ms": now_ms}
        for start, count in client.query(spec):
            lines[_date(start)][theirs] = count
    yield "lines bought and returned by month", f"{2 * len(lines)} cells", lines, known["events_by_month_by_name"]


def _retention(client: Client, now_ms: int, known: Mapping[str, Mapping[str, int]]) -> Iterator[Check]:
    spec = {"kind": "retention", "start": COMPLETED, "interval": "week", "now_ms": now_ms}
    ours: dict[str, dict[str, int]] = defaultdict(dict)
    for cohort_ms, period, profiles, *_ in client.query(spec):
        if profiles:
            ours[_date(cohort_ms)][str(period)] = profiles
    yield "weekly retention", f"{sum(map(len, ours.values())):,} cells", ours, known


def _funnels(client: Client, now_ms: int, known: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    def bought(sku: str) -> dict[str, Any]:
        return {"event": BOUGHT, "where": [{"property": "sku", "op": "eq", "value": sku}]}

    steps = {
        "bought, returned, bought": [BOUGHT, TAKEN_BACK, BOUGHT],
        "heart holder, cake stand, anything": [bought("85123A"), bought("22423"), BOUGHT],
    }
    for (words, selectors), expected in zip(steps.items(), known, strict=True):
        for days in (7, 30):
            spec = {"kind": "funnel", "steps": selectors, "window": f"{days}d", "same_time": "later", "now_ms": now_ms}
            ours = list(client.query(spec).rows()[0])
            shown = " > ".join(f"{count:,}" for count in ours)
            yield f"{words}: {days} days", shown, ours, expected[f"{days}_days"]["any_start"]


def _segments(client: Client, known: Mapping[str, Any]) -> Iterator[Check]:
    bought = {"did": COMPLETED}
    quarter = {"last": "90d"}

    def product(verb: str, sku: str) -> dict[str, Any]:
        return {verb: BOUGHT, "where": [{"property": "sku", "op": "eq", "value": sku}]}

    abroad = {"trait": "country", "op": "ne", "value": "United Kingdom"}
    thousand = {"property": "revenue", "op": "ge", "value": 1000 * MONEY_UNIT}
    predicates: dict[str, tuple[str, dict[str, Any]]] = {
        "S1": ("3 or more orders", {**bought, "count": {"op": "ge", "value": 3}}),
        "S2": ("bought, but not in the last 90 days", {"and": [bought, {"did_not": COMPLETED, "window": quarter}]}),
        "S3": ("outside the UK, with a return", {"and": [abroad, {"did": RETURNED}]}),
        "S4": ("1,000 GBP or more in the last 90 days", {**bought, "window": quarter, "sum": thousand}),
        "S5": (
            "heart holder, but never the cake stand",
            {"and": [product("did", "85123A"), product("did_not", "22423")]},
        ),
    }
    for segment in known["list"]:
        words, predicate = predicates[segment["id"]]
        size = _size(client, predicate, known["T_ms"] - 1)
        yield f"segment: {words}", f"{size:,}", size, segment["users"]


def _churn(client: Client, now_ms: int, known: Mapping[str, Any]) -> Iterator[Check]:
    before = {"did": COMPLETED, "window": {"end_ms": known["cut_ms"]}}
    after = {"did_not": COMPLETED, "window": {"start_ms": known["cut_ms"], "end_ms": known["end_ms"]}}
    eligible = _size(client, before, now_ms)
    churned = _size(client, {"and": [before, after]}, now_ms)
    yield "bought before September", f"{eligible:,}", eligible, known["eligible_users"]
    yield "of them, never again", f"{churned:,}", churned, known["churned_users"]


def _size(client: Client, predicate: Mapping[str, Any], now_ms: int) -> int:
    answer = client.query({"kind": "profiles", "where": predicate, "now_ms": now_ms, "limit": 0})
    size: int = answer.notes["count"]
    return size


def _pounds(units: int) -> Decimal:
    """As the known totals are: exact, then rounded to pennies."""
    return (Decimal(units) / MONEY_UNIT).quantize(Decimal("0.01"))


def _decimal(amount: float) -> Decimal:
    return Decimal(str(amount)).quantize(Decimal("0.01"))


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).strftime("%Y-%m-%d")
