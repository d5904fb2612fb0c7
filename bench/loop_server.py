"""The server of the `loop` section: the real one, with the time written down wherever a message crosses from one part
to the next. A crossing costs one look at the clock and one append to a list; the lists are written out at the end.

python -m bench.loop_server <file for the times> serve --data ...
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from cdpstore.model import Ack
from cdpstore.server.cli import main as cli
from cdpstore.server.delivery.channels import EmailChannel
from cdpstore.server.delivery.dispatcher import Dispatcher
from cdpstore.server.delivery.message import Message, Result
from cdpstore.server.tcp.connection import Connection
from cdpstore.store import Store

Times = dict[str, list[Any]]
now = time.perf_counter_ns


def instrument(times: Times) -> None:
    """Puts a look at the clock around each crossing. Clients' batches are told from the server's own by `system`."""
    received, submit, poll = Connection._enqueue, Store.submit, Store.poll
    deliver, record, send = Dispatcher._deliver, Dispatcher._record, EmailChannel.send
    waiting: set[int] = set()

    def enqueue(self: Connection, message: Any) -> None:
        times["received"].append(now())
        received(self, message)

    def submitted(self: Store, batch: bytes, **options: Any) -> int:
        began = now()
        before = self.stages()
        ticket = submit(self, batch, **options)
        if not options.get("system"):
            times["submit"].append((began, now(), before, self.stages()))
            waiting.add(ticket)
        return ticket

    def polled(self: Store) -> list[tuple[int, Any]]:
        outcomes = poll(self)
        at = now()
        for ticket, _ in outcomes:
            if ticket in waiting:
                waiting.discard(ticket)
                times["acked"].append((at, self.stages()))
        return outcomes

    async def delivered(self: Dispatcher, *arguments: Any) -> None:
        times["transition"].append(now())
        await deliver(self, *arguments)

    async def recorded(self: Dispatcher, profile: Any, name: str, event_id: str, properties: Any) -> Ack:
        began = now()
        ack = await record(self, profile, name, event_id, properties)
        times[name].append((began, now()))
        return ack

    async def sent(self: EmailChannel, message: Message) -> Result:
        began = now()
        result = await send(self, message)
        times["send"].append((began, now()))
        return result

    for owner, name, function in (
        (Connection, "_enqueue", enqueue),
        (Store, "submit", submitted),
        (Store, "poll", polled),
        (Dispatcher, "_deliver", delivered),
        (Dispatcher, "_record", recorded),
        (EmailChannel, "send", sent),
    ):
        setattr(owner, name, function)


def main() -> None:
    """Serves as `cdpstore serve` does until told to stop, then writes the times."""
    target = Path(sys.argv.pop(1))
    times: Times = defaultdict(list)
    instrument(times)
    try:
        cli(prog_name="cdpstore")
    finally:
        target.write_text(json.dumps(times))


if __name__ == "__main__":
    main()
