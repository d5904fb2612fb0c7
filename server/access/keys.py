"""API keys of one tenant: random, shown once, stored hashed, scoped.

    keys/api_keys.json := [{"name", "prefix", "sha256", "rights": ["ingest" | "read" | "admin", ..]}]

A key is 32 random bytes, so a plain SHA-256 is enough to store: there is nothing to guess. The file is written aside
and renamed, readable by its owner only. A server that runs sees a change of the file at the next connection.
"""

import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Final, Literal

import msgspec

from cdpstore.errors import Conflict, Corruption, Forbidden, Unauthenticated

__all__ = ["Access", "KeyFile", "Right"]

Right = Literal["ingest", "read", "admin"]

_PREFIX: Final = "cdp_"
_SHOWN_CHARACTERS: Final = 8


class _StoredKey(msgspec.Struct, frozen=True):
    name: str
    prefix: str
    sha256: str
    rights: tuple[Right, ...]


class Access(msgspec.Struct, frozen=True):
    """What a connection may do."""

    name: str
    rights: frozenset[str]

    def require(self, right: Right) -> None:
        """Raises `Forbidden` when the right is missing; admin has them all."""
        if right not in self.rights and "admin" not in self.rights:
            raise Forbidden("access.forbidden", f"the key {self.name!r} lacks the right {right!r}")


class KeyFile:
    """The keys in a directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "api_keys.json"
        self._keys: list[_StoredKey] = []
        self._read_as: tuple[int, int] | None = None
        self._read()

    @property
    def names(self) -> list[str]:
        """Names of the keys that exist."""
        return [key.name for key in self._keys]

    def all(self) -> list[Access]:
        """What each key may do."""
        return [Access(key.name, frozenset(key.rights)) for key in self._keys]

    def create(self, name: str, rights: tuple[Right, ...]) -> str:
        """A new key, shown this once. Raises `Conflict` when the name is taken."""
        self._read()
        if name in self.names:
            raise Conflict("access.key.exists", f"there is a key named {name!r}")
        key = _PREFIX + secrets.token_urlsafe(32)
        self._keys.append(_StoredKey(name, key[:_SHOWN_CHARACTERS], _hash(key), rights))
        self._write()
        return key

    def revoke(self, name: str) -> bool:
        """Forgets the key; False when there is none. Works for the next connection."""
        self._read()
        kept = [key for key in self._keys if key.name != name]
        changed = len(kept) != len(self._keys)
        self._keys = kept
        if changed:
            self._write()
        return changed

    def check(self, key: str) -> Access:
        """What the key may do. Raises `Unauthenticated`; takes the same time for every wrong key."""
        self._read()
        given = _hash(key)
        found = [stored for stored in self._keys if hmac.compare_digest(stored.sha256, given)]
        if not found:
            raise Unauthenticated("access.key.unknown", "this API key is not known here")
        return Access(found[0].name, frozenset(found[0].rights))

    def _read(self) -> None:
        """Takes the file as it is now, when it is another than before."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return
        if self._read_as == (stamp := (state.st_mtime_ns, state.st_ino)):
            return
        try:
            self._keys = msgspec.json.decode(self._path.read_bytes(), type=list[_StoredKey])
        except msgspec.MsgspecError as error:
            raise Corruption("access.keys.unreadable", f"{self._path}: {error}") from None
        self._read_as = stamp

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".new")
        aside.touch(mode=0o600)
        aside.write_text(json.dumps([msgspec.to_builtins(key) for key in self._keys], indent=1))
        aside.rename(self._path)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
