"""docs/wire.md is true: its conversation is played, byte by byte, and its lists are complete."""

import ast
import hashlib
import json
import re
from pathlib import Path

import msgpack

from cdpstore.testing.server_process import ServerProcess
from cdpstore.wire import FRAME_BYTES_MOST, decode_message
from tests.server.peer import Peer, framed

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
KEY = "cdp_example-key"
STEP = re.compile(r"^([<>]) (\[.*\])\n  ([0-9a-f ]+)$", re.MULTILINE)


def steps() -> list[tuple[str, list[object], bytes]]:
    return [(way, ast.literal_eval(text), bytes.fromhex(data)) for way, text, data in STEP.findall(PAGE)]


def test_the_conversation_happens_as_written(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    stored = {"name": "page", "prefix": KEY[:8], "sha256": hashlib.sha256(KEY.encode()).hexdigest()}
    (tmp_path / "keys" / "api_keys.json").write_text(json.dumps([{**stored, "rights": ["ingest", "read"]}]))
    with ServerProcess(tmp_path) as server, Peer(server.port) as peer:
        for way, message, data in steps():
            if way == ">":
                peer.send(data)
            else:
                assert framed(*peer.read()) == data, message
        assert peer.is_closed()


def test_the_bytes_say_what_stands_beside_them() -> None:
    assert len(steps()) == 12
    for _, message, data in steps():
        assert data == framed(*message)
        assert msgpack.unpackb(data[4:]) == message
        if message[0] != "nonsense":
            assert decode_message(data[4:]).id == message[1]


def test_the_page_names_every_message_and_the_limit() -> None:
    for tag in ("hello", "append", "query", "profile", "group", "watch", "define", "cancel", "stats", "ping"):
        assert f'| `["{tag}", id' in PAGE
    for tag in ("reply", "fault", "push"):
        assert f'| `["{tag}", id' in PAGE
    assert FRAME_BYTES_MOST == (8 << 20) + (64 << 10)
