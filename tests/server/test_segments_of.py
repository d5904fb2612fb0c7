"""What a page asks before it shows itself: the live segments of one profile, over the wire."""

import asyncio
from pathlib import Path
from typing import Any

from cdpstore.client import AsyncClient, Client
from cdpstore.testing.server_process import ServerProcess

IDS = {"user_id": "u1"}
EVENT: dict[str, Any] = {"type": "event", "name": "Charged", "ids": IDS}


async def _awaited(server: ServerProcess) -> Any:
    async with await AsyncClient.connect(port=server.port, api_key=server.key) as client:
        return await client.segments_of(IDS), await client.segments_of({"user_id": "nobody"})


def test_the_segments_of_a_profile_are_told_over_the_wire(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server, Client(port=server.port, api_key=server.key) as client:
        client.define("watch", "payers", {"did": "Charged"})
        client.define("watch", "leavers", {"did": "App Uninstalled"})
        client.append([EVENT])
        assert client.segments_of(IDS) == ("payers",)
        profile = client.profile(IDS)
        assert profile is not None
        assert client.segments_of(profile.profile_id) == ("payers",)
        assert asyncio.run(_awaited(server)) == (("payers",), None)
