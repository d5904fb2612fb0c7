"""The loop, whole: event in over TCP → log → apply → live segment → message in the log → a mail at a real SMTP
server."""

import statistics
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from cdpstore.client import Client
from cdpstore.model import event, traits
from cdpstore.testing.mail_host import MailHost
from cdpstore.testing.server_process import ServerProcess

PEOPLE = 120


def define_campaign(client: Client) -> None:
    client.define("watch", "buyers", {"did": "Charged", "where": [{"property": "price", "op": "ge", "value": 100}]})
    client.define(
        "campaign",
        "thanks",
        {
            "segment": "buyers",
            "channel": "email",
            "from": "shop@example.test",
            "subject": "Thank you, {{ traits.name }}",
            "body": "Your order is on its way.",
        },
    )


def buy(client: Client, number: int, *, price: int = 100) -> None:
    ids = {"user_id": f"u{number}"}
    ack = client.append(
        [
            traits(ids, set={"email": f"u{number}@example.test", "name": f"Person {number}"}),
            event("Charged", ids=ids, properties={"price": price}),
        ]
    )
    assert ack.accepted == 2
    assert not ack.rejects


@pytest.mark.timeout(120)
def test_a_kill_in_the_middle_loses_no_event_and_no_mail_and_doubles_none(tmp_path: Path) -> None:
    with (
        MailHost() as host,
        ServerProcess(tmp_path, "--smtp", host.smtp, "--lookup-url", host.lookup_url) as server,
        Client(port=server.port, api_key=server.key) as client,
    ):
        define_campaign(client)

        def kill_in_the_middle() -> None:
            host.wait_for(PEOPLE // 3, timeout_s=30)
            server.kill()
            server.start()

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        for number in range(PEOPLE):
            buy(client, number)
        killer.join()
        host.wait_for(PEOPLE, timeout_s=30)
        time.sleep(0.3)  # a doubled mail would come about now

        assert Counter(mail.to for mail in host.mails) == {f"u{number}@example.test": 1 for number in range(PEOPLE)}
        assert len({mail.message_id for mail in host.mails}) == PEOPLE
        total = client.query({"kind": "trend", "event": "Charged", "interval": None, "measures": ["total", "unique"]})
        assert total.rows() == [(PEOPLE, PEOPLE)]
        sent = client.query({"kind": "profiles", "where": {"did": "Message Sent", "count": {"op": "eq", "value": 1}}})
        assert len(sent) == PEOPLE


@pytest.mark.timeout(60)
def test_an_event_that_misses_the_segment_sends_no_mail(tmp_path: Path) -> None:
    with (
        MailHost() as host,
        ServerProcess(tmp_path, "--smtp", host.smtp) as server,
        Client(port=server.port, api_key=server.key) as client,
    ):
        define_campaign(client)
        buy(client, 1, price=99)
        buy(client, 2, price=100)
        buy(client, 2, price=100)
        host.wait_for(1, timeout_s=30)
        time.sleep(0.3)
        assert [mail.to for mail in host.mails] == ["u2@example.test"]


@pytest.mark.timeout(60)
def test_the_time_from_event_to_mail_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        MailHost() as host,
        ServerProcess(tmp_path, "--smtp", host.smtp) as server,
        Client(port=server.port, api_key=server.key) as client,
    ):
        define_campaign(client)
        delays_ms = []
        for number in range(50):
            began_s = time.perf_counter()
            buy(client, number)
            host.wait_for(number + 1, timeout_s=30)
            delays_ms.append((host.mails[number].arrived_s - began_s) * 1000)
        with capsys.disabled():
            print(f"\nevent to mail: median {statistics.median(delays_ms):.1f} ms, worst {max(delays_ms):.1f} ms")
        assert len(host.mails) == 50
