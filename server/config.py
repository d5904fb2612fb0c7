"""Settings: built-in, then a TOML file, then `CDPSTORE_SECTION_KEY` in the environment, then flags; later ones win.

    [server]    host, port, data, clock
    [store]     workers, shards
    [delivery]  smtp_host, smtp_port, message_domain, lookup_url

>>> load(None, {"CDPSTORE_SERVER_PORT": "0"}, {}).server.port
0
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from cdpstore.errors import InvalidRequest

__all__ = ["Config", "load"]

_ENVIRONMENT_PREFIX: Final = "CDPSTORE_"


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it listens, where it keeps its files."""

    host: str = "127.0.0.1"
    port: int = 7411
    data: str = "cdpstore-data"
    clock: Literal["system", "batches"] = "system"
    """`batches`: engine time moves only with the `now_ms` that batches bring: to replay history as if it happened
    now."""


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The engine."""

    workers: int = 0
    shards: Literal[1, 4, 16] | None = None
    """None: as the directory has it. Another number rebuilds the store with it while it starts."""


class DeliveryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Channels. Without `smtp_host` e-mail campaigns wait."""

    smtp_host: str = ""
    smtp_port: int = 25
    message_domain: str = "cdpstore.local"
    lookup_url: str = ""
    """Where the provider can be asked for a message: `GET lookup_url?message_id=<..>` answers 200 or 404. It settles
    what a
    crash left unknown; without it the campaign's `on_unknown` decides."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that may be set."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    delivery: DeliveryConfig = DeliveryConfig()


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, Mapping[str, Any]]) -> Config:
    """The settings. `flags` are {section: {key: value}}. Raises `InvalidRequest` naming what is wrong."""
    merged: dict[str, dict[str, Any]] = {}
    try:
        if path is not None:
            _merge(merged, tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest("config.unreadable", f"{path}: {error}") from None
    _merge(merged, _from_environment(environment))
    _merge(merged, flags)
    try:
        return msgspec.convert(merged, Config, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest("config.invalid", str(error)) from None


def _merge(into: dict[str, dict[str, Any]], sections: Mapping[str, Any]) -> None:
    for section, keys in sections.items():
        if not isinstance(keys, Mapping):
            raise InvalidRequest("config.invalid", f"{section!r} is no section", path=section)
        into.setdefault(section, {}).update(keys)


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    for name, value in environment.items():
        section, _, key = name.removeprefix(_ENVIRONMENT_PREFIX).lower().partition("_")
        if name.startswith(_ENVIRONMENT_PREFIX) and section in Config.__struct_fields__:
            out.setdefault(section, {})[key] = value
    return out
