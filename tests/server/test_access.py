"""API keys: shown once, stored hashed, scoped, revoked."""

import stat
from pathlib import Path

import pytest

from cdpstore.errors import Conflict, Forbidden, Unauthenticated
from cdpstore.server.access import KeyFile


def test_a_key_works_after_the_file_is_read_again(tmp_path: Path) -> None:
    key = KeyFile(tmp_path).create("first", ("ingest", "read"))
    access = KeyFile(tmp_path).check(key)
    assert (access.name, access.rights) == ("first", frozenset({"ingest", "read"}))


def test_the_file_holds_no_key_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    made = [keys.create(f"key {number}", ("read",)) for number in range(5)]
    assert len(set(made)) == 5
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not [key for key in made if key in path.read_text()]


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    keys.create("a", ("read",))
    with pytest.raises(Conflict):
        keys.create("a", ("admin",))
    assert keys.names == ["a"]


def test_a_revoked_key_is_unknown_also_after_reading_again(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    gone, kept = keys.create("gone", ("admin",)), keys.create("kept", ("admin",))
    assert keys.revoke("gone")
    assert not keys.revoke("gone")
    for each in (keys, KeyFile(tmp_path)):
        assert each.check(kept).name == "kept"
        with pytest.raises(Unauthenticated):
            each.check(gone)


@pytest.mark.parametrize("key", ["", "cdp_", "x" * 10_000, "cdp_\x00", "clé"])
def test_a_key_that_nobody_made_is_unknown(tmp_path: Path, key: str) -> None:
    keys = KeyFile(tmp_path)
    keys.create("a", ("admin",))
    with pytest.raises(Unauthenticated):
        keys.check(key)


def test_admin_may_everything_and_the_others_what_they_were_given(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    admin = keys.check(keys.create("admin", ("admin",)))
    reader = keys.check(keys.create("reader", ("read",)))
    admin.require("ingest")
    admin.require("read")
    admin.require("admin")
    reader.require("read")
    with pytest.raises(Forbidden, match="reader"):
        reader.require("ingest")
