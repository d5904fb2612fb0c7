"""The calls that write one thing do over the wire, waited for or awaited, what they do in a store of this process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdpstore.client import AsyncClient, Client
from cdpstore.model import Ack
from cdpstore.store import Store
from cdpstore.table import GroupAnswer, ProfileAnswer
from cdpstore.testing import ModelStore
from cdpstore.testing.server_process import ServerProcess
from cdpstore.writes import Writes

T = 1_700_000_000_000
IDS = {"user_id": "u1"}
ACME = ("company", "acme")


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    path: Path = tmp_path_factory.mktemp("server")
    with ServerProcess(path / "data") as server:
        yield server


def _write(into: Writes[Any]) -> list[Any]:
    """One of each; what it gives back, in order."""
    when = {"time_ms": T, "now_ms": T}
    return [
        into.set_traits(IDS, {"plan": "pro"}, **when),
        into.set_device(IDS, "d1", platform="ios", token="t", clear=["zone"], **when),
        into.kill_device(IDS, "d2", reason="gone", **when),
        into.set_consent(IDS, "email", "opted_in", topic="news", source="form", **when),
        into.set_group("company", "acme", {"seats": 3}, **when),
        into.join_group(IDS, "company", "acme", role="admin", **when),
        into.join_group(IDS, "family", "x", **when),
        into.leave_group(IDS, "family", "x", time_ms=T + 1, now_ms=T + 1),
        into.list_add("vip", [IDS, {"anonymous_id": "a"}], time_ms=T, now_ms=T + 1),
        into.list_remove("vip", [{"anonymous_id": "a"}], time_ms=T + 1, now_ms=T + 1),
        into.identify({"anonymous_id": "a"}, IDS, time_ms=T, now_ms=T + 1),
        into.suppress({"user_id": "u2"}, reason="asked", time_ms=T, now_ms=T + 1),
        into.set_traits({"user_id": "u2"}, {"plan": "pro"}, time_ms=T, now_ms=T + 1),
        into.unsuppress({"user_id": "u2"}, time_ms=T + 1, now_ms=T + 1),
        into.merge(IDS, {"user_id": "u2"}, time_ms=T, now_ms=T + 1),
    ]


def _said(acks: list[Ack]) -> list[Any]:
    return [(ack.accepted, [(each.code, each.path) for each in ack.rejects]) for ack in acks]


def _told(answer: ProfileAnswer | None, company: GroupAnswer | None) -> list[Any]:
    assert answer is not None
    assert company is not None
    return [
        *(answer.profile_id, answer.identities, answer.traits, answer.devices, answer.consents),
        *(answer.groups, answer.lists, answer.suppression, answer.changes),
        *(company.kind, company.id, company.traits, company.trait_history, company.created_ms),
    ]


def test_every_way_to_a_store_writes_the_same(server: ServerProcess, tmp_path: Path) -> None:
    model = ModelStore.open()
    expected = _said(_write(model)), _told(model.profile(IDS, now_ms=T + 1), model.group(*ACME, now_ms=T + 1))
    with Store.open() as store:
        acks = _write(store)
        assert (_said(acks), _told(store.profile(IDS, now_ms=T + 1), store.group(*ACME, now_ms=T + 1))) == expected
    with Client(port=server.port, api_key=server.key) as client:
        assert (_said(_write(client)), _told(client.profile(IDS), client.group(*ACME))) == expected
        assert client.group("company", "nobody") is None
    with ServerProcess(tmp_path / "other") as other:
        assert asyncio.run(_awaited(other)) == expected


async def _awaited(server: ServerProcess) -> tuple[list[Any], list[Any]]:
    async with await AsyncClient.connect(port=server.port, api_key=server.key) as client:
        acks = [await each for each in _write(client)]
        return _said(acks), _told(await client.profile(IDS), await client.group(*ACME))
