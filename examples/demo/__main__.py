"""A year of a real shop through cdpstore: collect, ask, act, crash, go on. Ends with exit code 0 only if every number
is right."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgpack
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Screen

from cdpstore.client import Client
from cdpstore.model import StoreStats, datetime_of
from cdpstore.table import Table
from cdpstore.testing.mail_host import MailHost
from cdpstore.testing.server_process import ServerProcess
from examples.demo import checks
from examples.demo.orders import (
    BOUGHT,
    COMPLETED,
    MONEY_UNIT,
    RETURNED,
    Order,
    address_of,
    known_totals,
    order_records,
    profile_records,
    read_orders,
)

BATCH_ORDERS: Final = 50
BATCHES_IN_FLIGHT: Final = 16
REPLAY_FROM: Final = datetime(2011, 12, 1, tzinfo=UTC)
LIVE_SEGMENT: Final = "keen buyers"
KEEN: Final = {
    "did": COMPLETED,
    "window": {"last": "30d"},
    "count": {"op": "ge", "value": 2},
    "sum": {"property": "revenue", "op": "ge", "value": 500 * MONEY_UNIT},
}
SHOWN_CUSTOMER: Final = "12748"
SHOWN_EVENTS: Final = 7
SHOWN_TRAITS: Final = ("country", "orders", "email")
WIDTH: Final = 100

_WORDS: Final = ("time (UTC)", "event", "order", "detail", "operation")

console = Console(highlight=False, width=min(WIDTH, int(os.environ.get("COLUMNS", WIDTH))))


def main() -> None:
    """The story, chapter by chapter."""
    began_s = time.monotonic()
    console.rule("[bold]cdpstore: a year of a real shop, from the first event to the last mail")
    console.print("The data: every order line of a UK gift shop with a known customer, December 2010 to")
    console.print("December 2011 (D. Chen, UCI Online Retail, CC BY 4.0). E-mail addresses are made up at")
    console.print("example.test, and the mail server is on this machine: no mail leaves it.\n")
    orders = read_orders()
    replay_ms = int(REPLAY_FROM.timestamp() * 1000)
    history = [order for order in orders if order.time_ms < replay_ms]
    live = [order for order in orders if order.time_ms >= replay_ms]
    with tempfile.TemporaryDirectory(prefix="cdpstore-demo-") as folder, MailHost() as host:
        options = ("--clock", "batches", "--smtp", host.smtp, "--lookup-url", host.lookup_url)
        with ServerProcess(Path(folder), *options) as server, Client(port=server.port, api_key=server.key) as client:
            load_history(client, history)
            show_person(client)
            ask_questions(client, history[-1].time_ms)
            replay(client, server, host, history, live)
            count = show_year(client)
    seconds = time.monotonic() - began_s
    console.print(f"[bold green]Every number was right[/]: {count} known totals, and each mail. {seconds:.0f} s.")


# ---- 1 collect


def load_history(client: Client, history: Sequence[Order]) -> None:
    chapter(1, "Collect", "orders up to 30 November over TCP, each batch on disk before its answer")
    profiles = list(profile_records(history[0].time_ms))
    client.append(profiles, now_ms=history[0].time_ms)
    began_s = time.monotonic()
    sent = 0
    batches = list(_chunks(history, BATCH_ORDERS))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for window in progress.track(list(_chunks(batches, BATCHES_IN_FLIGHT)), description="sending"):
            acks = client.append_all([_pack(orders) for orders in window], now_ms=window[-1][-1].time_ms)
            checks.equal("rejected records", sum(len(ack.rejects) for ack in acks), 0)
            sent += sum(ack.accepted for ack in acks)
    seconds = time.monotonic() - began_s
    stats = client.stats()
    events = len(history) + sum(len(order.lines) for order in history)
    checks.equal("events", stats.events, events)
    checks.equal("profiles", stats.profiles, known_totals()["profiles_total"])
    console.print(
        f"{sent:,} records in {seconds:.1f} s, {sent / seconds:,.0f} a second (most of it packing in Python).\n"
    )
    show_stats(stats)


def show_stats(stats: StoreStats) -> None:
    screen = table("the store holds", "", left=("the store holds",))
    screen.add_row("profiles", f"{stats.profiles:,}")
    screen.add_row("events", f"{stats.events:,}")
    screen.add_row("memory", f"{stats.memory_bytes / 1e6:.1f} MB")
    screen.add_row("  an event, with all around it", f"{stats.memory_bytes / stats.events:.0f} bytes")
    screen.add_row("log on disk", f"{stats.log_bytes / 1e6:.1f} MB")
    console.print(screen, "")


# ---- 2 one person


def show_person(client: Client) -> None:
    chapter(2, "One person", f"user_id {SHOWN_CUSTOMER}, as of 30 November")
    newest = {"limit": SHOWN_EVENTS, "newest_first": True}
    answer = client.profile({"user_id": SHOWN_CUSTOMER}, events=newest)
    assert answer is not None
    screen = table("time (UTC)", "event", "order", "detail", "GBP", title="Timeline, newest first", left=_WORDS)
    for row in answer.events:
        fields = row.properties
        detail = f"{fields['quantity']} x {fields['product']}" if "sku" in fields else f"{fields['lines']} lines"
        screen.add_row(_minute(row.time_ms), row.name, fields["order_id"], detail, _pounds(fields["revenue"]))
    console.print(screen, "")

    spent = [operation for operation in answer.trait_history if operation.key == "spent"]
    checks.equal("spent, folded", answer.traits["spent"], sum(operation.value for operation in spent))
    checks.equal("orders, folded", answer.traits["orders"], len(spent))
    screen = table("time (UTC)", "operation", "GBP", "then", title="How the trait spent came about", left=_WORDS)
    total = 0
    for number, operation in enumerate(spent, start=1):
        total += operation.value
        if number == 3:
            screen.add_row("…", f"{len(spent) - 4} more", "…", "…")
        if number <= 2 or number > len(spent) - 2:
            screen.add_row(_minute(operation.time_ms), operation.kind, _pounds(operation.value), _pounds(total))
    console.print(screen)
    console.print("Traits now: " + ", ".join(f"{key} {answer.traits[key]}" for key in SHOWN_TRAITS) + "\n")


# ---- 3 questions


def ask_questions(client: Client, now_ms: int) -> None:
    chapter(3, "Ask", "every answer is exact and computed from raw events when asked")
    measures = ["total", "unique", {"sum": "revenue"}]
    monthly = {"kind": "trend", "event": COMPLETED, "interval": "month", "measures": measures}
    answer = ask(client, "Trend: orders by month", monthly, now_ms)
    screen = table("month", "orders", "customers", "revenue, GBP", left=("month",))
    for start, total, unique, revenue in answer:
        screen.add_row(_month(start), f"{total:,}", f"{unique:,}", _pounds(revenue))
    console.print(screen, "")

    products = {
        "kind": "trend",
        "event": BOUGHT,
        "interval": None,
        "measures": [{"sum": "revenue"}, "total"],
        "breakdown": [{"property": "product"}],
        "limit": 5,
    }
    answer = ask(client, "Breakdown: what brings the money", products, now_ms)
    screen = table("product", "revenue, GBP", "order lines", left=("product",))
    for product, revenue, lines in answer:
        screen.add_row(str(product), _pounds(revenue), f"{lines:,}")
    console.print(screen, "")

    steps = [COMPLETED, RETURNED, COMPLETED]
    funnel = {"kind": "funnel", "steps": steps, "window": "30d", "same_time": "later"}
    answer = ask(client, "Funnel: bought, brought something back, bought again, all within 30 days", funnel, now_ms)
    screen = table("step", "profiles", "of the first", left=("step",))
    reached = answer.rows()[0]
    for step, count in zip(steps, reached, strict=True):
        screen.add_row(step, f"{count:,}", f"{count / reached[0]:.1%}")
    console.print(screen, "")

    segment = {"kind": "profiles", "where": KEEN, "limit": 0}
    answer = ask(client, f"Segment: {LIVE_SEGMENT}, 2 or more orders and 500 GBP in the last 30 days", segment, now_ms)
    console.print(f"{answer.notes['count']:,} profiles\n")


def ask(client: Client, title: str, spec: Mapping[str, Any], now_ms: int) -> Table:
    began_s = time.perf_counter()
    answer = client.query(spec, now_ms=now_ms)
    took_ms = (time.perf_counter() - began_s) * 1000
    console.print(f"[bold]{title}[/]  [dim]{took_ms:.1f} ms over TCP[/]")
    return answer


# ---- 4 act


def replay(
    client: Client, server: ServerProcess, host: MailHost, history: Sequence[Order], live: Sequence[Order]
) -> None:
    chapter(4, "Act", "who enters the segment gets a mail, once, whatever happens")
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
    console.print(f"Replaying {len(live):,} real orders of 1 to 9 December, one batch each, in their own time.")
    for number, order in enumerate(live):
        if number == len(live) // 2:
            kill_and_start(server, host, number)
        ack = client.append(list(order_records(order)), now_ms=order.time_ms)
        checks.equal("rejected records", len(ack.rejects), 0)
    host.wait_for(sum(expected.values()), timeout_s=20)
    time.sleep(0.5)  # a mail too many would come about now
    got = Counter(mail.to for mail in host.mails)
    checks.equal("mails to each customer", got, Counter({address_of(user): n for user, n in expected.items()}))
    checks.equal("distinct message ids", len({mail.message_id for mail in host.mails}), len(host.mails))
    console.print(f"{len(host.mails):,} mails, one for each entry into the segment: none lost, none doubled.")
    mail = host.mails[-1]
    console.print(f"The last: [italic]{mail.subject}[/], to {mail.to}\n")


def kill_and_start(server: ServerProcess, host: MailHost, number: int) -> None:
    server.kill()
    console.print(f"[bold red]kill -9[/] after order {number}, with {len(host.mails)} mails out", end="")
    began_s = time.monotonic()
    server.start()
    console.print(f"; the log is read and all is served again after {time.monotonic() - began_s:.1f} s.")


# ---- 5 the year


def show_year(client: Client) -> int:
    chapter(5, "Check", "the whole year against totals that others computed from the same files")
    screen = table("what", "cdpstore says", "and known is", left=("what",))
    count = 0
    for what, shown, ours, known in checks.year(client):
        checks.equal(what, ours, known)
        screen.add_row(what, shown, "[green]the same[/]")
        count += 1
    console.print(screen, "")
    return count


# ---- on the screen


def chapter(number: int, title: str, words: str) -> None:
    console.rule(f"[bold cyan]{number}  {title}[/]  [dim]{words}", align="left")


def table(*columns: str, title: str | None = None, left: Iterable[str]) -> Screen:
    """A table without lines: columns in `left` to the left, the others to the right."""
    if title is not None:
        console.print(f"[bold]{title}[/]")
    screen = Screen(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        screen.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    return screen


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
