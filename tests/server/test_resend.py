"""Batches over connections that break: what was not acknowledged is sent again and is never applied twice."""

import random
from pathlib import Path

import pytest

from cdpstore.client import Client
from cdpstore.errors import Unavailable
from cdpstore.model import event, traits
from cdpstore.testing.server_process import ServerProcess, free_port
from cdpstore.wire import Message, Reply
from tests.server.proxy import Proxy

BATCHES = 40


class CutAcks:
    """Loses some acks: the batch is in the store, the client does not know."""

    def __init__(self, *, seed: int, share: float) -> None:
        self._random = random.Random(seed)
        self._share = share

    def __call__(self, message: Message) -> bool:
        is_ack = isinstance(message, Reply) and isinstance(message.value, dict) and "sequence" in message.value
        return is_ack and self._random.random() < self._share


@pytest.fixture
def server(tmp_path: Path) -> ServerProcess:
    return ServerProcess(tmp_path)


def test_a_batch_whose_ack_was_lost_is_not_applied_twice(server: ServerProcess) -> None:
    with server, Proxy(server.port, CutAcks(seed=3, share=0.4)) as proxy:
        with Client(port=proxy.port, api_key=server.key) as client:
            sequences = []
            for number in range(BATCHES):
                ids = {"user_id": f"u{number % 3}"}
                ack = client.append([event("Charged", ids=ids), traits(ids, increment={"orders": 1})])
                assert (ack.accepted, ack.rejects) == (2, ())
                sequences.append(ack.sequence)
        assert proxy.cuts > 5
        assert sequences == sorted(set(sequences))
        with Client(port=server.port, api_key=server.key) as direct:
            assert direct.query({"kind": "trend", "event": "Charged", "interval": None}).rows() == [(BATCHES,)]
            orders = [direct.profile({"user_id": f"u{number}"}) for number in range(3)]
            assert sum(answer.traits["orders"] for answer in orders if answer is not None) == BATCHES


def test_pipelined_batches_keep_their_acks_apart_when_the_connection_breaks(server: ServerProcess) -> None:
    with server, Proxy(server.port, CutAcks(seed=5, share=0.05)) as proxy:
        with Client(port=proxy.port, api_key=server.key) as client:
            batches = [[event("Charged", ids={"user_id": "u"})] * (number % 5 + 1) for number in range(100)]
            acks = client.append_all(batches)
        assert proxy.cuts > 1
        assert [ack.accepted for ack in acks] == [len(batch) for batch in batches]
        with Client(port=server.port, api_key=server.key) as direct:
            assert direct.stats().events == sum(map(len, batches))


def test_a_resent_batch_is_known_again_after_a_restart_too(server: ServerProcess) -> None:
    killed: list[bool] = []

    def kill_once(message: Message) -> bool:
        is_ack = isinstance(message, Reply) and isinstance(message.value, dict) and "sequence" in message.value
        if is_ack and not killed:
            killed.append(True)
            server.kill()
            server.start()
            return True
        return False

    with server, Proxy(server.port, kill_once) as proxy, Client(port=proxy.port, api_key=server.key) as client:
        assert client.append([event("Charged", ids={"user_id": "u"})]).accepted == 1
        assert killed
        assert client.stats().events == 1


def test_batches_of_one_connection_enter_in_the_order_sent(server: ServerProcess) -> None:
    """Large ones are decoded in a thread, small ones at once: the order holds all the same."""
    with server, Client(port=server.port, api_key=server.key) as client:
        large = [event("Filler", ids={"user_id": f"f{n}"}, properties={"text": "x" * 200}) for n in range(200)]
        batches = [
            [traits({"user_id": "u"}, time_ms=1_700_000_000_000, set={"last": number}), *(large if number % 2 else [])]
            for number in range(60)
        ]
        sequences = [ack.sequence for ack in client.append_all(batches)]
        assert sequences == sorted(set(sequences))
        answer = client.profile({"user_id": "u"})
        assert answer is not None
        assert answer.traits["last"] == 59
        assert [operation.value for operation in answer.trait_history if operation.key == "last"] == list(range(60))


def test_nobody_at_the_port_is_said_in_time() -> None:
    with pytest.raises(Unavailable, match="no server answers"):
        Client(port=free_port(), api_key="x", patience_s=0.3)


def test_a_closed_client_says_so(server: ServerProcess) -> None:
    with server:
        client = Client(port=server.port, api_key=server.key)
        client.close()
        with pytest.raises(Unavailable):
            client.ping()
