"""API keys: shown once, stored hashed, scoped, revoked."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cdpstore.errors import Conflict, Corruption, Forbidden, Unauthenticated
from cdpstore.server.access import KeyFile
from cdpstore.server.cli import main


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


def test_a_key_made_or_revoked_beside_a_running_server_counts_at_the_next_connection(tmp_path: Path) -> None:
    serving, beside = KeyFile(tmp_path), KeyFile(tmp_path)
    key = beside.create("late", ("read",))
    assert serving.check(key).name == "late"
    other = serving.create("other", ("read",))
    assert beside.revoke("late")
    assert serving.check(other).name == "other"
    with pytest.raises(Unauthenticated):
        serving.check(key)


def test_a_damaged_file_of_keys_is_said_and_lets_nobody_in(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path)
    key = keys.create("a", ("admin",))
    (tmp_path / "api_keys.json").write_text("[{")
    for each in (lambda: KeyFile(tmp_path), lambda: keys.check(key)):
        with pytest.raises(Corruption):
            each()


def test_the_command_makes_lists_and_revokes_keys(tmp_path: Path) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["key", *words, "--data", str(tmp_path)])

    made = run("create", "app", "--right", "ingest")
    assert KeyFile(tmp_path / "keys").check(made.output.strip()).rights == {"ingest"}
    assert run("list").output == "app: ingest\n"
    assert run("create", "app", "--right", "read").exit_code == 1
    assert run("revoke", "app").exit_code == 0
    assert run("revoke", "app").exit_code == 1
    assert run("list").output == ""


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
