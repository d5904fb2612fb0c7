"""From an event to its mail, one at a time, and what each crossing on the way costs.

The real loop: a client in this process, TCP, the server in a process of its own (`bench/loop_server.py`: the real one,
with the clock looked at where a message crosses from part to part), its log on disk, an SMTP server in this process.
Both processes read the same monotonic clock. Times inside the engine are its own stage times. No data set is used.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack

from bench.report import Result
from bench.sections.service import connect
from cdpstore.client import Client
from cdpstore.model import event, traits
from cdpstore.testing.mail_host import MailHost
from cdpstore.testing.server_process import ServerProcess
from cdpstore.wire import PROTOCOL_VERSION, Append, Hello, encode_message, frame

MESSAGES = 400
WARM_UP = 50
REST_S = 0.01  # after a mail, so that the record of its result is out of the way
FLOOR_MS, PERCENT = 10.0, 99
CHANNEL = "frame sent -> handed to channel, whole"


@contextmanager
def server(folder: Path, smtp: str) -> Iterator[tuple[ServerProcess, Path]]:
    """The server, and the file that holds its times once it ended."""
    times = folder / "times.json"
    program = ("-m", "bench.loop_server", str(times))
    with ServerProcess(folder / "data", "--smtp", smtp, program=program) as process:
        yield process, times


def prepare(client: Client) -> None:
    """A live segment, a campaign, and people with addresses."""
    client.define("watch", "buyers", {"did": "Charged", "where": [{"property": "price", "op": "ge", "value": 100}]})
    body = {
        "segment": "buyers",
        "channel": "email",
        "from": "shop@example.test",
        "subject": "Thank you, {{ traits.name }}",
        "body": "Your order is on its way.",
    }
    client.define("campaign", "thanks", body)
    people = [
        traits({"user_id": f"u{number}"}, set={"email": f"u{number}@example.test", "name": f"Person {number}"})
        for number in range(MESSAGES)
    ]
    client.append(people)


def send_all(port: int, key: str, host: MailHost) -> list[tuple[int, int, float]]:
    """For each message: when its frame was begun, when the kernel had it, when its mail arrived (ns, ns, s)."""
    marks = []
    with connect(port) as connection:
        connection.sendall(frame(encode_message(Hello(0, PROTOCOL_VERSION, key, "loop"))))
        for number in range(MESSAGES):
            time.sleep(REST_S)
            began = time.perf_counter_ns()
            batch = [event("Charged", ids={"user_id": f"u{number}"}, properties={"price": 100})]
            connection.sendall(frame(encode_message(Append(number + 1, msgpack.packb(batch)))))
            sent = time.perf_counter_ns()
            end = time.monotonic() + 30
            while len(host.mails) <= number:
                if time.monotonic() > end:
                    raise TimeoutError(f"no mail for message {number}")
                time.sleep(0.0002)
            marks.append((began, sent, host.mails[number].arrived_s))
    return marks


def engine_us(stage: str, before: dict[str, Any], after: dict[str, Any]) -> float | None:
    """Time of the one run of a stage between two readings; None when something else ran as well (a tick)."""
    count, total_ns = (after[stage][index] - before[stage][index] for index in (0, 1))
    return total_ns / 1e3 if count == 1 else None


def stages_of(marks: list[tuple[int, int, float]], times: dict[str, list[Any]]) -> dict[str, list[float]]:
    """Microseconds of each crossing, a value a message."""
    of_clients = slice(-MESSAGES, None)  # before them: the batch of people
    rows = zip(
        marks,
        times["received"][of_clients],
        times["submit"][of_clients],
        times["acked"][of_clients],
        times["transition"],
        times["Message Queued"],
        times["send"],
        strict=True,
    )
    out: dict[str, list[float]] = {}

    def put(name: str, value_us: float | None) -> None:
        if value_us is not None:
            out.setdefault(name, []).append(value_us)

    for mark, received, submit, acked, transition, queued, send in list(rows)[WARM_UP:]:
        began, sent, arrived_s = mark
        put("client: frame built and sent", (sent - began) / 1e3)
        put("frame sent -> server's loop has the batch", max(0.0, (received - sent) / 1e3))
        put("server's loop -> submit", (submit[0] - received) / 1e3)
        put("submit: decode", engine_us("decode", submit[2], submit[3]))
        put("submit: whole", (submit[1] - submit[0]) / 1e3)
        inside = {stage: engine_us(stage, submit[2], acked[1]) for stage in ("log", "apply", "watch")}
        put("log: write and sync", inside["log"])
        put("apply and publish", inside["apply"])
        put("watch: profile tested again", inside["watch"])
        spent = [value for value in inside.values() if value is not None]
        if len(spent) == len(inside):
            put("hand-overs between threads, wake-up of the loop", (acked[0] - submit[1]) / 1e3 - sum(spent))
        put("outcome in Python -> transition taken", (transition - acked[0]) / 1e3)
        put("transition -> message record begun (profile read)", (queued[0] - transition) / 1e3)
        put("message record durable and applied", (queued[1] - queued[0]) / 1e3)
        put("record durable -> handed to channel (rendered)", (send[0] - queued[1]) / 1e3)
        put(CHANNEL, (send[0] - sent) / 1e3)
        put("SMTP: handed over and answered", (send[1] - send[0]) / 1e3)
        put("event to mail, whole", arrived_s * 1e6 - began / 1e3)
    return out


def measure(_folder: Path) -> list[Result]:
    """Median of each crossing, p99 beside it; the floor is on the p99 until the channel has the message."""
    with tempfile.TemporaryDirectory() as directory, MailHost() as host:
        with server(Path(directory), host.smtp) as (process, file):
            with Client(port=process.port, api_key=process.key) as client:
                prepare(client)
            marks = send_all(process.port, process.key, host)
        times = json.loads(file.read_text())
    results = []
    p99 = {}
    for name, taken in stages_of(marks, times).items():
        p99[name] = statistics.quantiles(taken, n=100)[PERCENT - 1]
        results.append(Result(f"loop: {name}", statistics.median(taken), "us", note=f"p99 {p99[name]:,.0f} us"))
    note = f"{MESSAGES - WARM_UP} messages, one at a time"
    results.append(Result("loop: event to channel, p99", p99[CHANNEL] / 1e3, "ms", FLOOR_MS, "lower", note))
    return results
