"""SIGTERM: the server ends within its bounds whatever its clients are doing, and what it acknowledged is there."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgpack
import pytest

from cdpstore.client import Client
from cdpstore.errors import CDPError
from cdpstore.model import event
from cdpstore.server.limits import CANCELLED_S, DRAIN_S
from cdpstore.store import Store
from cdpstore.testing.server_process import ServerProcess
from tests.server.peer import Peer, framed

SEED = int(os.environ.get("CDPSTORE_SEED", "1"))
SLOW = {
    "kind": "profiles",
    "where": {"or": [{"did": None, "sum": {"property": f"p{i}", "op": "gt", "value": i}} for i in range(60)]},
}
SLACK_S = 8.0  # of a busy machine


def batch(first: int, count: int = 500) -> bytes:
    records = [event("Viewed", ids={"user_id": f"u{first + i}"}, properties={"p0": i, "p7": 2}) for i in range(count)]
    packed: bytes = msgpack.packb(records)
    return packed


def slow_queries(peer: Peer, count: int = 24) -> None:
    for number in range(count):
        peer.send(framed("query", 100 + number, SLOW))


def misbehave(server: ServerProcess, rng: random.Random) -> list[Peer]:
    """Clients of every sort, in the middle of something."""
    peers = [Peer(server.port) for _ in range(5)]
    silent, half, asking, watching, sending = peers
    del silent  # never says hello
    for peer in peers[1:]:
        peer.hello(server.key)
    whole = framed("append", 1, batch(0))
    half.send(whole[: rng.randrange(1, len(whole))])
    slow_queries(asking, 3)
    watching.send(framed("watch", 2, "", 0))
    for number in range(rng.randrange(4)):
        sending.send(framed("append", 10 + number, batch(number * 500)))
    return peers


def stop_and_time(server: ServerProcess) -> float:
    began_s = time.monotonic()
    assert server.stop() == 0
    return time.monotonic() - began_s


@pytest.mark.timeout(240)
def test_a_running_query_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, Peer(server.port) as peer:
        peer.hello(server.key)
        for number in range(60):
            peer.send(framed("append", number, batch(number * 500)))
        for _ in range(60):
            assert peer.read()[0] == "reply"
        slow_queries(peer)
        time.sleep(0.2)
        assert stop_and_time(server) < DRAIN_S + CANCELLED_S + SLACK_S
        answers = [peer.read() for _ in range(24)]
        assert {answer[0] for answer in answers} <= {"reply", "fault"}
        assert {answer[2] for answer in answers if answer[0] == "fault"} <= {"query.cancelled"}
        assert peer.is_closed()


@pytest.mark.timeout(240)
def test_what_was_acknowledged_before_the_end_is_there_and_half_a_frame_is_not(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, Peer(server.port) as peer:
        peer.hello(server.key)
        peers = misbehave(server, random.Random(SEED))
        sent = 20
        for number in range(sent):
            peer.send(framed("append", number, batch(number * 500)))
        time.sleep(0.05)
        stop_and_time(server)
        acknowledged = 0
        with contextlib.suppress(EOFError):
            for _ in range(sent + 1):
                acknowledged += peer.read()[0] == "reply"
        for other in peers:
            other.socket.close()
    with Store.open(tmp_path / "store") as store:
        assert store.stats().events >= acknowledged * 500


@pytest.mark.timeout(240)
def test_a_peer_that_does_not_read_its_answers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, Peer(server.port) as peer:
        peer.hello(server.key)
        for number in range(8):
            assert peer.ask("append", number, batch(number * 10_000, 10_000))[0] == "reply"
        everybody = {"kind": "profiles", "where": {"did": "Viewed"}}
        for number in range(30):
            peer.send(framed("query", 100 + number, everybody))
        time.sleep(0.3)
        assert stop_and_time(server) < DRAIN_S + CANCELLED_S + SLACK_S


@pytest.mark.timeout(120)
def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        peers = misbehave(server, random.Random(SEED))
        assert server._process is not None
        server._process.send_signal(signal.SIGINT)
        server._process.send_signal(signal.SIGTERM)
        assert stop_and_time(server) < DRAIN_S + CANCELLED_S + SLACK_S
        for peer in peers:
            peer.socket.close()


def start_and_stop(folder: Path, rounds: int) -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(rounds):
        with ServerProcess(folder) as server:
            server.key = server.key or (folder / "key").read_text()
            (folder / "key").write_text(server.key)
            kept = misbehave(server, rng)
            client = Client(port=server.port, api_key=server.key)
            appender = threading.Thread(target=_append_until_closed, args=(client,))
            appender.start()
            time.sleep(rng.random() * 0.2)
            assert stop_and_time(server) < DRAIN_S + CANCELLED_S + SLACK_S
            client.close()  # else it would send again until a server acknowledges
            appender.join(timeout=30)
            assert not appender.is_alive()
            for peer in kept:
                peer.socket.close()


def _append_until_closed(client: Client) -> None:
    with contextlib.suppress(CDPError):
        for number in range(1_000_000):
            client.append([event("Viewed", ids={"user_id": f"u{number}"})])


@pytest.mark.timeout(240)
def test_it_starts_and_stops_amid_clients_of_every_sort(tmp_path: Path) -> None:
    start_and_stop(tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_it_starts_and_stops_fifty_times_on_a_busy_machine(tmp_path: Path) -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 2)]
    try:
        start_and_stop(tmp_path, 50)
    finally:
        for process in busy:
            process.kill()
            process.wait()
