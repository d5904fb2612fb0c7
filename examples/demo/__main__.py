"""A year of a real shop through cdpstore: collect, ask, act, crash, go on. Ends with exit code 0 only if every number
is right."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgpack
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Screen

from cdpstore.client import Client
from cdpstore.model import datetime_of
from cdpstore.table import Table
from cdpstore.testing.mail_host import MailHost
from cdpstore.testing.server_process import ServerProcess
from examples.demo import checks
from examples.demo.orders import MONEY_UNIT, Order, address_of, order_records, profile_records, read_orders

BATCH_ORDERS: Final = 200
REPLAY_FROM: Final = datetime(2011, 12, 1, tzinfo=UTC)
LIVE_SEGMENT: Final = "keen buyers"
KEEN: Final = {
    "did": "Order Completed",
    "window": {"last": "30d"},
    "count": {"op": "ge", "value": 2},
    "sum": {"property": "revenue", "op": "ge", "value": 500 * MONEY_UNIT},
}
SHOWN_CUSTOMER: Final = "12748"

console = Console(highlight=False)


def main() -> None:
    """The story, chapter by chapter."""
    began_s = time.monotonic()
    console.rule("[bold]cdpstore: a year of a real shop")
    console.print("Order lines of a UK gift shop, Dec 2010 to Dec 2011 (D. Chen, UCI Online Retail, CC BY 4.0).")
    console.print("E-mail addresses are made up at example.test: no mail leaves this machine.\n")
    orders = read_orders()
    replay_ms = int(REPLAY_FROM.timestamp() * 1000)
    history = [order for order in orders if order.time_ms < replay_ms]
    live = [order for order in orders if order.time_ms >= replay_ms]
    with tempfile.TemporaryDirectory(prefix="cdpstore-demo-") as folder, MailHost() as host:
        options = ("--clock", "batches", "--smtp", host.smtp, "--lookup-url", host.lookup_url)
        with ServerProcess(Path(folder), *options) as server, Client(port=server.port, api_key=server.key) as client:
            load_history(client, history)
            show_store(client, history[-1].time_ms)
            replay(client, server, host, history, live)
            show_year(client, orders[-1].time_ms)
    console.print(f"\n[green]every number above was checked; done in {time.monotonic() - began_s:.0f} s[/green]")


def load_history(client: Client, history: Sequence[Order]) -> None:
    console.rule("1  Collect", align="left")
    records = list(profile_records(history[0].time_ms))
    client.append(records, now_ms=history[0].time_ms)
    began_s = time.monotonic()
    events = 0
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("orders to 30 November 2011 over TCP", total=len(history))
        for window in _chunks(list(_chunks(history, BATCH_ORDERS)), 8):
            batches = [_pack(orders) for orders in window]
            acks = client.append_all(batches, now_ms=window[-1][-1].time_ms)
            checks.equal("rejected records", sum(len(ack.rejects) for ack in acks), 0)
            events += sum(len(orders) for orders in window)
            progress.update(task, completed=events)
    seconds = time.monotonic() - began_s
    lines = sum(len(order.items) for order in history)
    console.print(
        f"{len(history):,} orders with {lines:,} lines of {len(records):,} customers in {seconds:.1f} s, packing "
        f"included: {lines / seconds:,.0f} lines a second, each batch on disk before its answer.\n"
    )


def show_store(client: Client, now_ms: int) -> None:
    console.rule("2  One person", align="left")
    answer = client.profile({"user_id": SHOWN_CUSTOMER}, events={"limit": 6, "newest_first": True})
    assert answer is not None
    console.print(f"user_id {SHOWN_CUSTOMER}, newest orders:")
    screen = Screen("time (UTC)", "event", "order", "items", "revenue", box=None, header_style="dim")
    for row in answer.events:
        fields = row.properties
        screen.add_row(
            _minute(row.time_ms), row.name, fields["order_id"], str(len(fields["items"])), _pounds(fields["revenue"])
        )
    console.print(screen)
    console.print("how the trait [bold]spent[/bold] came about (last 4 of its history):")
    spent = [operation for operation in answer.trait_history if operation.key == "spent"]
    screen = Screen("time (UTC)", "operation", "by", box=None, header_style="dim")
    for operation in spent[-4:]:
        screen.add_row(_minute(operation.time_ms), operation.kind, _pounds(operation.value))
    console.print(screen)
    checks.equal("spent, folded", answer.traits["spent"], sum(operation.value for operation in spent))
    console.print(f"folded: orders {answer.traits['orders']}, spent {_pounds(answer.traits['spent'])}\n")

    console.rule("3  Questions, on raw events, exact", align="left")
    ask(
        client,
        "Orders, customers and revenue a month (GBP)",
        {
            "kind": "trend",
            "event": "Order Completed",
            "interval": "month",
            "measures": ["total", "unique", {"sum": "revenue"}],
            "now_ms": now_ms,
        },
        lambda table: [
            (_month(start), f"{total:,}", f"{unique:,}", _pounds(revenue)) for start, total, unique, revenue in table
        ],
        ("month", "orders", "customers", "revenue"),
    )
    ask(
        client,
        "Bought, returned something, bought again: each within 30 days of the first order",
        {
            "kind": "funnel",
            "steps": ["Order Completed", "Order Returned", "Order Completed"],
            "window": "30d",
            "same_time": "later",
            "now_ms": now_ms,
        },
        lambda table: [(f"{value:,}" for value in table.rows()[0])],
        ("bought", "returned", "bought again"),
    )
    segment = {"kind": "profiles", "where": KEEN, "now_ms": now_ms, "limit": 0}
    size = client.query(segment).notes["count"]
    console.print(f"Segment [bold]{LIVE_SEGMENT}[/bold] (2 orders and 500 GBP in 30 days): {size:,} profiles\n")


def ask(
    client: Client,
    title: str,
    spec: dict[str, Any],
    rows: Any,
    header: Sequence[str],
) -> Table:
    began_s = time.perf_counter()
    table = client.query(spec)
    took_ms = (time.perf_counter() - began_s) * 1000
    screen = Screen(title=f"{title}  [dim]({took_ms:.1f} ms over TCP)[/dim]", box=None, title_justify="left")
    for name in header:
        screen.add_column(name, justify="right", header_style="dim")
    for row in rows(table):
        screen.add_row(*row)
    console.print(screen)
    console.print()
    return table


def replay(
    client: Client, server: ServerProcess, host: MailHost, history: Sequence[Order], live: Sequence[Order]
) -> None:
    console.rule("4  Act", align="left")
    start_ms = history[-1].time_ms
    client.define("watch", LIVE_SEGMENT, KEEN)
    client.define(
        "campaign",
        "thanks",
        {
            "segment": LIVE_SEGMENT,
            "channel": "email",
            "from": "shop@example.test",
            "subject": "Thank you for order {{ traits.last_order_id }}",
            "body": "You have ordered {{ traits.orders }} times. Here is something for you.",
        },
    )
    expected = checks.expected_entries(history, live, start_ms)
    console.print(
        f"Replaying {len(live):,} real orders of 1 to 9 December, one batch each. "
        "Whoever enters the segment gets a mail."
    )
    killed_at = len(live) // 2
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("orders of December", total=len(live))
        for number, order in enumerate(live):
            if number == killed_at:
                server.kill()
                progress.console.print(f"[red]kill -9[/red] after order {number}, {len(host.mails)} mails out", end="")
                began_s = time.monotonic()
                server.start()
                progress.console.print(f"; serving again after {time.monotonic() - began_s:.1f} s")
            ack = client.append(list(order_records(order)), now_ms=order.time_ms)
            checks.equal("rejected records", len(ack.rejects), 0)
            progress.advance(task)
    host.wait_for(sum(expected.values()), timeout_s=20)
    time.sleep(0.5)  # a mail too many would come about now
    got = Counter(mail.to for mail in host.mails)
    checks.equal("mails to each customer", got, Counter({address_of(user): n for user, n in expected.items()}))
    checks.equal("distinct message ids", len({mail.message_id for mail in host.mails}), len(host.mails))
    console.print(f"{len(host.mails):,} mails, one for each entry; none lost, none doubled. For example: ", end="")
    console.print(f"[italic]{host.mails[-1].subject}[/italic] to {host.mails[-1].to}\n")


def show_year(client: Client, now_ms: int) -> None:
    console.rule("5  The year against known totals", align="left")
    screen = Screen("what", "cdpstore", "known", box=None, header_style="dim")
    for name, ours, known in checks.year(client, now_ms):
        checks.equal(name, ours, known)
        screen.add_row(name, f"{ours:,}" if isinstance(ours, int) else str(ours), "equal")
    console.print(screen)


def _pack(orders: Sequence[Order]) -> bytes:
    packed: bytes = msgpack.packb([record for order in orders for record in order_records(order)])
    return packed


def _chunks(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _minute(time_ms: int) -> str:
    return datetime_of(time_ms).strftime("%Y-%m-%d %H:%M")


def _month(time_ms: int) -> str:
    return datetime_of(time_ms).strftime("%b %Y")


def _pounds(units: int) -> str:
    return f"{units / MONEY_UNIT:,.2f}"


if __name__ == "__main__":
    main()
