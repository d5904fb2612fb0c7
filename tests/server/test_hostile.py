"""Peers that mean harm, or are broken, against a real server in its own process: it answers the others all the same."""

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from cdpstore.client import Client
from cdpstore.errors import BadFrame, BadQuery, Forbidden, InvalidRequest, Unauthenticated
from cdpstore.model import event
from cdpstore.server.access import KeyFile
from cdpstore.testing.server_process import ServerProcess
from tests.server.peer import Peer, framed

SEED = int(os.environ.get("CDPSTORE_SEED", "1"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(Path(tmp_path_factory.mktemp("hostile"))) as process:
        yield process


@pytest.fixture(autouse=True)
def others(server: ServerProcess) -> Iterator[Client]:
    """A decent client that was there before; whatever a test did, it and a new one are served."""
    with Client(port=server.port, api_key=server.key) as before:
        before.append([event("Before", ids={"user_id": "u1"})])
        yield before
        assert before.append([event("After", ids={"user_id": "u1"})]).accepted == 1
    with Client(port=server.port, api_key=server.key, patience_s=5) as after:
        after.ping()
        assert after.query({"kind": "profiles", "where": {"did": "Before"}}).notes["count"] == 1


@pytest.fixture
def peer(server: ServerProcess) -> Iterator[Peer]:
    with Peer(server.port) as connection:
        connection.hello(server.key)
        yield connection


def test_a_header_of_four_gigabytes_is_refused_at_once(server: ServerProcess, peer: Peer) -> None:
    peer.send(b"\xff\xff\xff\xff")
    assert peer.read()[:3] == ["fault", -1, "frame.too_large"]
    assert peer.is_closed()
    with Peer(server.port) as stranger:
        stranger.send(b"\xff\xff\xff\xff")
        assert stranger.read()[:3] == ["fault", -1, "frame.too_large"]
        assert stranger.is_closed()


def test_a_stranger_may_not_send_megabytes_before_hello(server: ServerProcess) -> None:
    with Peer(server.port) as stranger:
        stranger.send((1 << 20).to_bytes(4, "little"))
        assert stranger.read()[:3] == ["fault", -1, "frame.too_large"]
        assert stranger.is_closed()


def test_garbage_ends_only_its_own_connection(server: ServerProcess) -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(60):
        with Peer(server.port) as stranger:
            if rng.random() < 0.5:
                stranger.hello(server.key)
            body = rng.randbytes(rng.randrange(1, 200))
            stranger.send(len(body).to_bytes(4, "little") + body)
            assert stranger.read()[:2] == ["fault", -1]
            assert stranger.is_closed()


def test_a_frame_cut_in_the_middle_is_forgotten(server: ServerProcess, others: Client) -> None:
    whole = framed("append", 1, msgpack.packb([event("Cut", ids={"user_id": "u1"})]))
    for length in (1, 3, 4, 5, len(whole) - 1):
        with Peer(server.port) as cut:
            cut.hello(server.key)
            cut.send(whole[:length])
    assert others.query({"kind": "profiles", "where": {"did": "Cut"}}).notes["count"] == 0


def test_a_frame_may_come_byte_by_byte(peer: Peer) -> None:
    for byte in framed("ping", 1):
        peer.send(bytes([byte]))
    assert peer.read() == ["reply", 1, None]


def test_who_does_not_say_hello_is_not_heard(server: ServerProcess) -> None:
    with Peer(server.port) as stranger:
        assert stranger.ask("ping", 1)[:3] == ["fault", -1, "access.hello.missing"]
        assert stranger.is_closed()


def test_a_wrong_key_is_refused(server: ServerProcess) -> None:
    for key in ("", "cdp_", server.key[:-1], server.key + "x", server.key.upper()):
        with Peer(server.port) as stranger:
            assert stranger.ask("hello", 0, 1, key)[:3] == ["fault", -1, "access.key.unknown"]
            assert stranger.is_closed()
    with pytest.raises(Unauthenticated):
        Client(port=server.port, api_key="wrong", patience_s=5)


def test_another_version_is_refused(server: ServerProcess) -> None:
    with Peer(server.port) as stranger:
        assert stranger.ask("hello", 0, 2, server.key)[:3] == ["fault", -1, "frame.version"]


def test_a_second_hello_ends_the_connection(peer: Peer, server: ServerProcess) -> None:
    assert peer.ask("hello", 1, 1, server.key)[:3] == ["fault", -1, "frame.message"]
    assert peer.is_closed()


@pytest.mark.parametrize(
    "message",
    [
        ("nonsense", 1),
        (),
        ("ping",),
        ("ping", 1, "too much"),
        ("ping", "one"),
        ("ping", -1),
        ("ping", 2**64 - 1),
        ("append", 1, "text"),
        ("append", 1, b"\x90", (b"short", 1, 1)),
        ("append", 1, b"\x90", (b"x" * 16, -1, 1)),
        ("append", 1, b"\x90", (b"x" * 16, 1, 2**64 - 1)),
        ("append", 1, b"\x90", None, -5),
        ("query", 1, {}, 2**63),
        ("profile", 1, {"user_id": 7}),
        ("profile", 1, -1),
        ("watch", 1, "x", -1),
        ("reply", 1, None),
        ("push", 1, []),
        ("fault", 1, "a", "b"),
    ],
)
def test_a_message_that_is_none_ends_the_connection_with_a_reason(peer: Peer, message: tuple[Any, ...]) -> None:
    fault = peer.ask(*message)
    assert fault[:2] == ["fault", -1]
    assert fault[2] in ("frame.message", "frame.id")
    assert peer.is_closed()


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a"])
def test_nesting_without_end_is_refused_wherever_it_stands(server: ServerProcess, depth: int, opening: bytes) -> None:
    deep = opening * depth + b"\xc0"
    places = [
        deep,
        b"\x93\xa5query\x01" + deep,
        b"\x95\xa6define\x01\xa5watch\xa1w" + deep,
        b"\x95\xa6define\x01\xa8campaign\xa1w" + deep,
        b"\x94\xa7profile\x01\x81\xa7user_id\xa1u\x81\xa1a" + deep,
        b"\x93\xa6append\x01\xc6" + len(deep).to_bytes(4, "big") + deep,
    ]
    for body in places:
        with Peer(server.port) as hostile:
            hostile.hello(server.key)
            hostile.send(len(body).to_bytes(4, "little") + body)
            answer = hostile.read()
            if answer[0] == "reply":  # a batch of one list that is no record
                assert answer[2]["accepted"] == 0
            else:
                assert answer[0] == "fault"
                assert answer[-1] in ("BadFrame", "BadQuery", "InvalidRequest")


def test_a_batch_over_the_limit_is_refused_and_the_connection_goes_on(others: Client) -> None:
    too_large = msgpack.packb([event("Big", ids={"user_id": "u1"}, properties={"x": "y" * (8 << 20)})])
    for batch in (too_large, b"\x91" * (10 << 20), b"not msgpack", b""):
        with pytest.raises(BadFrame):
            others.append(batch)


def test_a_request_id_that_still_runs_cannot_be_taken_again(peer: Peer) -> None:
    spec = {"kind": "trend", "event": "Before"}
    peer.send(framed("query", 5, spec) * 2)
    answers = [peer.read()]
    while answers[-1][0] != "fault":
        answers.append(peer.read())
    assert answers[-1][:3] == ["fault", -1, "frame.id"]


def test_two_hundred_idle_connections_cost_the_others_nothing(server: ServerProcess, others: Client) -> None:
    idle = [Peer(server.port) for _ in range(200)]
    for connection in idle[::2]:
        connection.hello(server.key)
    for number in range(50):
        assert others.append([event("Busy", ids={"user_id": f"u{number}"})]).accepted == 1
    for connection in idle[::2]:
        assert connection.ask("ping", 1) == ["reply", 1, None]
    for connection in idle:
        connection.socket.close()


def test_a_peer_that_never_reads_is_not_read_from_for_ever(server: ServerProcess, others: Client) -> None:
    """Its answers fill the buffers, then nothing more is taken from it, while the others are served."""
    others.append([event("Wide", ids={"user_id": f"w{n}"}, properties={"n": n}) for n in range(2_000)])
    spec = {"kind": "profiles", "where": {"did": "Wide"}}
    with Peer(server.port) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.hello(server.key)
        deaf.socket.settimeout(2)
        requests = (framed("query", number, spec) for number in range(1_000_000))
        with pytest.raises(TimeoutError):
            deaf.send_all(requests)
        others.ping()
        assert others.query({"kind": "trend", "event": "Wide", "interval": None}).rows() == [(2_000,)]


def test_a_watch_that_ends_is_given_up_at_the_server(peer: Peer) -> None:
    assert peer.ask("watch", 1, "", 0) == ["reply", 1, 0]
    assert peer.ask("cancel", 2, 1) == ["reply", 2, True]
    assert peer.ask("cancel", 3, 1) == ["reply", 3, False]


def test_a_connection_has_a_bounded_number_of_watches(peer: Peer) -> None:
    for number in range(64):
        assert peer.ask("watch", number, "none", 0)[0] == "reply"
    assert peer.ask("watch", 64, "none", 0)[:3] == ["fault", 64, "watches.too_many"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("cursor", {"after": 9}),
        ("anything", {}),
        ("watch", {"did": 3}),
        ("campaign", {}),
        ("campaign", {"segment": "s", "channel": "pigeon", "from": "a@b.test", "subject": "", "body": ""}),
        ("campaign", {"segment": "s", "channel": "email", "from": "nobody", "subject": "", "body": ""}),
        ("campaign", {"segment": "s", "channel": "email", "from": "a@b.test", "subject": "{{ a", "body": ""}),
        ("campaign", {"segment": "s", "channel": "email", "from": "a@b.test", "subject": "", "body": "{% if %}"}),
        ("campaign", {"segment": "s", "channel": "email", "from": "a@b.test\r\nBcc: c@d", "subject": "", "body": ""}),
    ],
)
def test_a_definition_that_nobody_could_act_on_never_enters_the_log(
    others: Client, kind: str, body: dict[str, Any]
) -> None:
    with pytest.raises((InvalidRequest, BadQuery)):
        others.define(kind, "bad", body)


def test_system_events_cannot_be_forged(others: Client) -> None:
    ack = others.append([event("Message Sent", ids={"user_id": "u1"}), event("Segment Entered", ids={"user_id": "u1"})])
    assert [reject.code for reject in ack.rejects] == ["event.name.reserved"] * 2


def test_rights_are_checked_for_each_request(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys")
    reader, writer = keys.create("reader", ("read",)), keys.create("writer", ("ingest",))
    with ServerProcess(tmp_path) as server:
        with Client(port=server.port, api_key=reader) as client:
            client.ping()
            assert client.stats().events == 0
            with pytest.raises(Forbidden):
                client.append([event("A", ids={"user_id": "u"})])
            with pytest.raises(Forbidden):
                client.define("watch", "w", {"did": "A"})
        with Client(port=server.port, api_key=writer) as client:
            assert client.append([event("A", ids={"user_id": "u"})]).accepted == 1
            for question in (lambda: client.query({"kind": "trend", "event": "A"}), lambda: client.profile(0)):
                with pytest.raises(Forbidden):
                    question()
