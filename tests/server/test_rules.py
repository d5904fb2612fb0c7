"""The registry and the rules of a store over the wire, and as the command line shows them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from cdpstore.client import AsyncClient, Client
from cdpstore.errors import Forbidden, InvalidRequest
from cdpstore.model import event, traits
from cdpstore.server import cli
from cdpstore.server.access import KeyFile
from cdpstore.server.cli import main
from cdpstore.testing.server_process import ServerProcess

USER = {"user_id": "u1"}


@pytest.fixture(name="data", scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("server")
    return path / "data"


@pytest.fixture(name="server", scope="module")
def _server(data: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data) as server:
        yield server


def test_rules_and_registry_go_over_the_wire(server: ServerProcess) -> None:
    with Client("127.0.0.1", server.port, server.key) as client:
        client.block("Debug")
        client.set_retention({"Seen": "90d", "*": "400d"})
        ack = client.append(
            [
                event("Charged", ids=USER, properties={"price": 5, "currency": "EUR"}),
                event("Charged", ids=USER, properties={"price": 7.5}),
                event("Debug", ids=USER),
                traits(USER, set={"plan": "pro"}),
            ]
        )
        assert [reject.code for reject in ack.rejects] == ["event.name.blocked"]
        schema = client.schema()
        seen = schema.event("Charged")
        assert seen is not None
        assert (seen.volume, seen.properties) == (2, {"currency": {"string": 1}, "price": {"float": 1, "int": 1}})
        assert (schema.traits, schema.blocked, schema.event("Debug")) == ({"plan": {"string": 1}}, {"Debug": 1}, None)
        client.unblock("Debug")
        assert client.append([event("Debug", ids=USER)]).accepted == 1
        client.block("Debug")
        with pytest.raises(InvalidRequest) as caught:
            client.set_retention({"Seen": "soon"})
        assert (caught.value.code, caught.value.path) == ("definition.invalid", "body.Seen")
        with pytest.raises(InvalidRequest):
            client.block("Debug", now_ms=1)

    async def read() -> object:
        async with await AsyncClient.connect("127.0.0.1", server.port, server.key) as client:
            assert await client.set_retention(None) > 0
            return await client.schema()

    assert asyncio.run(read()) is not None


def test_reading_the_registry_takes_the_right_to_read(server: ServerProcess, data: Path) -> None:
    ingest = KeyFile(data / "keys").create("only-in", ("ingest",))
    with Client("127.0.0.1", server.port, ingest) as client, pytest.raises(Forbidden):
        client.schema()


def test_the_command_shows_a_table_that_aligns(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_console", Console(width=120))
    with Client("127.0.0.1", server.port, server.key) as client:
        client.append([event("A rather long event name", ids=USER, properties={"n": n}) for n in range(1_200)])
        client.block("Debug")
        client.append([traits({"user_id": "u2"}, set={"size": 5}), event("Debug", ids=USER)])
    options = ["--server", f"127.0.0.1:{server.port}", "--key", server.key]
    result = CliRunner().invoke(main, ["schema", *options])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    head = next(line for line in lines if "first (UTC)" in line)
    row = next((line for line in lines if line.startswith("A rather long event name")), "")
    assert row, result.output
    assert row.index("1,200") + len("1,200") == head.index("events") + len("events")
    assert row[head.index("property") :].startswith("n ")
    assert "int 1,200" in row
    assert any(line.startswith("size") and "int 1" in line for line in lines)
    assert any(line.startswith("Debug") for line in lines)
    one = CliRunner().invoke(main, ["schema", "--event", "Charged", *options])
    assert "A rather long" not in one.output
