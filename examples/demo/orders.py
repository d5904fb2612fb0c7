"""Online Retail's order lines as records: one event a line, one an order, and what the order says of the person.

Money is kept in tenths of a penny, as an integer: some prices have three decimals, and integers add up exactly.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cdpstore.model import event, traits

__all__ = [
    "BOUGHT",
    "COMPLETED",
    "MONEY_UNIT",
    "RETURNED",
    "TAKEN_BACK",
    "Order",
    "address_of",
    "known_totals",
    "order_records",
    "profile_records",
    "read_orders",
]

DATA: Final = Path(__file__).parent.parent / "data" / "online_retail"
MONEY_UNIT: Final = 1000
"""Units of `revenue` in a pound."""

BOUGHT: Final = "Product Bought"
TAKEN_BACK: Final = "Product Returned"
COMPLETED: Final = "Order Completed"
RETURNED: Final = "Order Returned"

_ORDER_NAMES: Final = {"purchase": COMPLETED, "return": RETURNED}
_LINE_NAMES: Final = {COMPLETED: BOUGHT, RETURNED: TAKEN_BACK}


@dataclass
class Order:
    """The lines of one invoice."""

    name: str
    order_id: str
    user_id: str
    time_ms: int
    country: str
    revenue: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)


def address_of(user_id: str) -> str:
    """An address made up for the demo: the data has none, and `.test` can never be delivered to."""
    return f"customer-{user_id}@example.test"


def known_totals() -> dict[str, Any]:
    """Totals that others computed from the same files."""
    totals: dict[str, Any] = json.loads((DATA / "known_totals.json").read_text())
    return totals


def read_orders() -> list[Order]:
    """Every order, by time."""
    orders: dict[tuple[str, str, str], Order] = {}
    with gzip.open(DATA / "events.ndjson.gz", "rt") as lines:
        for text in lines:
            line = json.loads(text, parse_float=Decimal)
            fields = line["properties"]
            key = (line["event"], fields["order_id"], line["user_id"])
            order = orders.get(key)
            if order is None:
                name, order_id, user_id = key
                order = Order(_ORDER_NAMES[name], order_id, user_id, line["ts"], fields["country"])
                orders[key] = order
            revenue = _units(Decimal(fields["quantity"]) * Decimal(fields["price"]))
            order.revenue += revenue
            order.lines.append(
                {
                    "sku": fields["sku"],
                    "product": fields["name"],
                    "quantity": fields["quantity"],
                    "price": float(fields["price"]),
                    "revenue": revenue,
                    "order_id": order.order_id,
                }
            )
    return sorted(orders.values(), key=lambda order: order.time_ms)


def order_records(order: Order) -> Iterator[dict[str, Any]]:
    """The events of an order and of its lines, and the traits it changes."""
    ids = {"user_id": order.user_id}
    for number, line in enumerate(order.lines):
        yield event(
            _LINE_NAMES[order.name],
            ids=ids,
            time_ms=order.time_ms,
            event_id=f"{order.order_id}/{number}",
            properties=line,
        )
    yield event(
        order.name,
        ids=ids,
        time_ms=order.time_ms,
        event_id=f"{order.name}/{order.order_id}",
        properties={
            "order_id": order.order_id,
            "revenue": order.revenue,
            "lines": len(order.lines),
            "country": order.country,
        },
    )
    if order.name == COMPLETED:
        yield traits(
            ids,
            time_ms=order.time_ms,
            set={"last_order_id": order.order_id},
            increment={"orders": 1, "spent": order.revenue},
        )


def profile_records(first_ms: int) -> Iterator[dict[str, Any]]:
    """What is known of each person before the first order."""
    with gzip.open(DATA / "profiles.ndjson.gz", "rt") as lines:
        for text in lines:
            line = json.loads(text)
            user_id = line["user_id"]
            yield traits(
                {"user_id": user_id},
                time_ms=first_ms,
                set={"country": line["traits"]["country"], "email": address_of(user_id)},
            )


def _units(pounds: Decimal) -> int:
    units = pounds * MONEY_UNIT
    if units != units.to_integral_value():
        raise ValueError(f"{pounds} has more than three decimals")
    return int(units)
