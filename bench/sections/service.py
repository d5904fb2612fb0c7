"""Ingest over loopback beside Redis: both get prebuilt bytes from clients on the same cores.

Redis keeps one list (RPUSH) or one sorted set (ZADD) a user, in memory, unsynced, with packed values of 22 bytes. Ours
gets msgpack batches, syncs them to disk, resolves identities and answers any question about them on return.
"""

import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from bench.data import records
from bench.report import Result
from cdpstore.wire import PROTOCOL_VERSION, Append, FrameReader, Hello, encode_message, frame

EVENTS = 2_000_000
PIPELINE = 1_000
CONNECTIONS = 2
RUNS = 3
IN_FLIGHT = 16
FLOORS = {False: 1.5, True: 0.9}
REDIS_FLOOR = 0.8


def command(*arguments: bytes) -> bytes:
    """A Redis command on the wire."""
    parts = [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in arguments]
    return b"*%d\r\n%s" % (len(arguments), b"".join(parts))


def in_parallel(work: Callable[[int], None]) -> float:
    """Seconds until `work(0)`, .. on all connections are done."""
    threads = [threading.Thread(target=work, args=(index,)) for index in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def connect(port: int, patience_s: float = 20.0) -> socket.socket:
    """A connection without delay, as soon as somebody listens."""
    end = time.monotonic() + patience_s
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection


def talk_redis(port: int, pipelines: Sequence[bytes], replies: int) -> None:
    """Sends each pipeline whole, then waits for its replies."""
    with connect(port) as connection:
        for pipeline in pipelines:
            connection.sendall(pipeline)
            seen = 0
            while seen < replies:
                seen += connection.recv(1 << 18).count(b"\n")


@contextmanager
def redis_server(binary: str) -> Iterator[int]:
    """A Redis of our own, without persistence."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory]
        process = subprocess.Popen([binary, "--port", str(port), *options], stdout=subprocess.DEVNULL)
        try:
            connect(port).close()
            yield port
        finally:
            process.terminate()
            process.wait()


def redis_commands(folder: Path, verb: str) -> list[bytes]:
    """Pipelines of `PIPELINE` commands."""
    columns = ["user_id", "time_ms", "event", "price", "product_id", "session_id"]
    table = next(pq.ParquetFile(folder / "events.parquet").iter_batches(EVENTS, columns=columns))
    values = [table[name].to_pylist() for name in columns[:2]]
    values.append(table["event"].indices.to_pylist())
    values += [table[name].to_pylist() for name in columns[3:]]
    commands = []
    for user, time_ms, event, price, product, session in zip(*values, strict=True):
        packed = struct.pack("<QBIIIB", time_ms, event, price, product, session, 0)
        score = [b"%d" % time_ms] if verb == "ZADD" else []
        commands.append(command(verb.encode(), b"u:%d" % user, *score, packed))
    whole = len(commands) - len(commands) % PIPELINE
    return [b"".join(commands[at : at + PIPELINE]) for at in range(0, whole, PIPELINE)]


def redis_rate(port: int, pipelines: list[bytes]) -> float:
    """Millions of events a second, median of the runs."""
    rates = []
    for _ in range(RUNS):
        talk_redis(port, [command(b"FLUSHALL")], 1)
        seconds = in_parallel(lambda index: talk_redis(port, pipelines[index::CONNECTIONS], PIPELINE))
        rates.append(len(pipelines) * PIPELINE / seconds / 1e6)
    return statistics.median(rates)


@contextmanager
def our_server() -> Iterator[tuple[int, str]]:
    """A server of ours with an empty durable store: its port and API key."""
    with tempfile.TemporaryDirectory() as directory:
        program = str(Path(sys.executable).parent / "cdpstore")
        serve = [program, "serve", "--data", directory, "--port", "0"]
        process = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            told = ""
            while not (found := re.search(r"API key[^:]*: (\S+)[\s\S]*:(\d+)", told)):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the server ended: {told}")
                told += line
            yield int(found[2]), found[1]
        finally:
            process.terminate()
            process.wait()


def talk_ours(port: int, key: str, frames: Sequence[bytes]) -> None:
    """Sends frames, at most IN_FLIGHT unanswered. Raises when one is answered by a fault."""
    reader = FrameReader()
    with connect(port) as connection:

        def read() -> int:
            reader.feed(connection.recv(1 << 18))
            bodies = list(reader.bodies())
            faults = [body for body in bodies if b"\xa5fault" in body[:8]]
            assert not faults, faults[0]
            return len(bodies)

        connection.sendall(frame(encode_message(Hello(0, PROTOCOL_VERSION, key, "bench"))))
        waiting = 1
        for each in frames:
            while waiting >= IN_FLIGHT:
                waiting -= read()
            connection.sendall(each)
            waiting += 1
        while waiting:
            waiting -= read()


def our_rate(folder: Path, *, event_ids: bool) -> float:
    """Millions of events a second, acknowledged: durable and visible. Median of the runs, each into an empty store."""
    batches = list(records.event_batches(folder, limit=EVENTS, event_ids=event_ids))
    frames = [frame(encode_message(Append(index + 1, batch))) for index, batch in enumerate(batches)]
    events = min(EVENTS, records.event_count(folder))
    rates = []
    for _ in range(RUNS):
        with our_server() as (port, key):
            seconds = in_parallel(lambda index: talk_ours(port, key, frames[index::CONNECTIONS]))
        rates.append(events / seconds / 1e6)
    return statistics.median(rates)


def measure(folder: Path) -> list[Result]:
    """Both, and the ratio. Without redis-server on the machine only ours."""
    plain, with_ids = our_rate(folder, event_ids=False), our_rate(folder, event_ids=True)
    results = [
        Result("ingest over TCP, durable", plain, "M events/s", FLOORS[False]),
        Result("ingest over TCP, durable, with event ids", with_ids, "M events/s", FLOORS[True]),
    ]
    binary = shutil.which("redis-server")
    if binary is None:
        return results
    with redis_server(binary) as port:
        for verb in ("RPUSH", "ZADD"):
            rate = redis_rate(port, redis_commands(folder, verb))
            floor = REDIS_FLOOR if verb == "RPUSH" else None
            note = f"Redis {rate:.2f} M events/s"
            results.append(Result(f"ingest over TCP against Redis {verb}", plain / rate, "x", floor, note=note))
    return results
