"""`cdpstore`: one command for everything. Every command that talks to a server takes `--server` and `--key`.

Imports are inside click's lazy groups only where they are heavy; a screen of help comes in a tenth of a second.
"""

import json
import os
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table as Screen

from cdpstore import __version__
from cdpstore.client import Client
from cdpstore.errors import CDPError, NotFound
from cdpstore.model import datetime_of
from cdpstore.query import json_schema
from cdpstore.schema import columns_of
from cdpstore.server.access import KeyFile, Right
from cdpstore.server.config import load as load_config

__all__ = ["main"]

_console = Console()
_errors = Console(stderr=True)


class _Group(click.Group):
    """Errors of ours as one line and exit code 1, never a trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CDPError as error:
            _errors.print(f"[red]error[/red] {error}", highlight=False)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cdpstore")
def main() -> None:
    """An open customer data platform: collect events, ask exact questions, act at once."""


def _client_options(command: Any) -> Any:
    command = click.option(
        "--key", envvar="CDPSTORE_KEY", default="", help="API key; environment CDPSTORE_KEY.", show_default=False
    )(command)
    return click.option(
        "--server", envvar="CDPSTORE_SERVER", default="127.0.0.1:7411", show_default=True, help="host:port"
    )(command)


def _connect(server: str, key: str) -> Client:
    host, _, port = server.rpartition(":")
    return Client(host or "127.0.0.1", int(port), key, name="cli", patience_s=5)


@main.command()
@click.option("--data", help="Directory of the log and the keys; made when absent.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file.")
@click.option("--smtp", help="host:port of the mail server that e-mail campaigns use.")
@click.option("--lookup-url", help="Where the mail provider can be asked for a Message-ID.")
@click.option(
    "--clock",
    type=click.Choice(["system", "batches"]),
    help="batches: time moves only with the times that batches bring, to replay history.",
)
def serve(
    data: str | None,
    host: str | None,
    port: int | None,
    config: Path | None,
    smtp: str | None,
    lookup_url: str | None,
    clock: str | None,
) -> None:
    """Run the server until SIGTERM."""
    from cdpstore.server.app import serve as run

    flags: dict[str, dict[str, Any]] = {"server": {}, "delivery": {}}
    for name, value in (("data", data), ("host", host), ("port", port), ("clock", clock)):
        if value is not None:
            flags["server"][name] = value
    if smtp is not None:
        smtp_host, _, smtp_port = smtp.rpartition(":")
        flags["delivery"] = {"smtp_host": smtp_host, "smtp_port": smtp_port}
    if lookup_url is not None:
        flags["delivery"]["lookup_url"] = lookup_url
    settings = load_config(config, os.environ, flags)

    def started(bound: int, new_key: str | None) -> None:
        if new_key is not None:
            click.echo(f"API key (shown this once): {new_key}")
        click.echo(f"listening on {settings.server.host}:{bound}")

    run(settings, started=started)


def _print_schema(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(json.dumps(json_schema(), indent=2))
        ctx.exit()


@main.command()
@click.argument("spec")
@_client_options
@click.option(
    "--json-schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON Schema of specs, without a server.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def query(spec: str, server: str, key: str, as_json: bool) -> None:
    """Ask a question: SPEC is a query spec as JSON, or @FILE.

    \b
    cdpstore query '{"kind": "trend", "event": "Charged", "interval": "day", "range": {"last": "7d"}}'
    """
    text = Path(spec[1:]).read_text() if spec.startswith("@") else spec
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="SPEC") from None
    with _connect(server, key) as client:
        table = client.query(document)
    click.echo(table.to_json().decode() if as_json else str(table))


@main.command()
@click.argument("identity")
@_client_options
@click.option("--events", "event_count", default=20, show_default=True, help="Newest events shown.")
def profile(identity: str, server: str, key: str, event_count: int) -> None:
    """Show one profile: IDENTITY is KIND:VALUE, such as user_id:u42, or a profile id."""
    ids: dict[str, str] | int
    if identity.isdecimal():
        ids = int(identity)
    else:
        kind, _, value = identity.partition(":")
        ids = {kind: value}
    with _connect(server, key) as client:
        answer = client.profile(ids, events={"limit": event_count, "newest_first": True})
    if answer is None:
        raise click.ClickException(f"nobody is known as {identity}")
    _console.print(f"[bold]profile {answer.profile_id}[/bold]")
    for known in answer.identities:
        _console.print(f"  {known.kind}: {known.value}", highlight=False)
    traits = Screen("trait", "value", box=None, header_style="dim")
    for name, trait in sorted(answer.traits.items()):
        traits.add_row(name, str(trait))
    _console.print(traits)
    events = Screen("time (UTC)", "event", "properties", box=None, header_style="dim")
    for row in answer.events:
        fields = ", ".join(f"{name}={value}" for name, value in row.properties.items())
        events.add_row(datetime_of(row.time_ms).strftime("%Y-%m-%d %H:%M:%S"), row.name, fields[:160])
    _console.print(events)


@main.command()
@_client_options
def stats(server: str, key: str) -> None:
    """Show how much the store holds, and where its memory is."""
    with _connect(server, key) as client:
        held = client.stats()
    screen = Screen(box=None, show_header=False, pad_edge=False)
    screen.add_column()
    screen.add_column(justify="right")
    for name in ("events", "profiles", "identities", "watermark"):
        screen.add_row(name, f"{getattr(held, name):,}")
    screen.add_row("log on disk", f"{held.log_bytes / 1e6:,.1f} MB")
    screen.add_row("memory", f"{held.memory_bytes / 1e6:,.1f} MB")
    for part, size_bytes in sorted(held.memory.items(), key=lambda each: -each[1]):
        screen.add_row(f"  {part}", f"{size_bytes / 1e6:,.1f} MB")
    _console.print(screen)


@main.command()
@_client_options
@click.option("--event", "only", help="Only this event.")
def schema(server: str, key: str, only: str | None) -> None:
    """Show which events and traits have come in: volume, first and last time, types of their values."""
    with _connect(server, key) as client:
        found = client.schema()
    events = Screen(box=None, header_style="dim", pad_edge=False)
    events.add_column("event", overflow="fold")
    events.add_column("events", justify="right", no_wrap=True)
    events.add_column("first (UTC)", no_wrap=True)
    events.add_column("last (UTC)", no_wrap=True)
    events.add_column("property", overflow="fold")
    events.add_column("values", overflow="fold")
    for event in found.events:
        if only is not None and event.name != only:
            continue
        head = [event.name, f"{event.volume:,}", _minute(event.first_ms), _minute(event.last_ms)]
        for property_name, types in sorted(event.properties.items()) or [("", {})]:
            events.add_row(*head, property_name, columns_of(types))
            head = ["", "", "", ""]
    _console.print(events, highlight=False)
    if only is not None:
        return
    if found.traits:
        traits = Screen("trait", "values", box=None, header_style="dim", pad_edge=False)
        for name, types in sorted(found.traits.items()):
            traits.add_row(name, columns_of(types))
        _console.print(traits, highlight=False)
    if found.blocked:
        blocked = Screen("blocked event", "rejected", box=None, header_style="dim", pad_edge=False)
        for name, count in sorted(found.blocked.items()):
            blocked.add_row(name, f"{count:,}")
        _console.print(blocked, highlight=False)


def _minute(time_ms: int) -> str:
    return datetime_of(time_ms).strftime("%Y-%m-%d %H:%M")


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_client_options
@click.option("--data", type=click.Path(path_type=Path), help="Load into this store, without a server (none may run).")
@click.option("--map", "mapping", metavar="JSON|@FILE", help="Which field is what; see above.")
@click.option(
    "--format", "kind", type=click.Choice(["ndjson", "csv", "tsv", "parquet"]), help="When names do not tell."
)
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Add each reject here, as NDJSON.")
@click.option("--again", is_flag=True, help="Load also what an earlier run brought in.")
def load(
    files: tuple[Path, ...],
    server: str,
    key: str,
    data: Path | None,
    mapping: str | None,
    kind: str | None,
    rejects: Path | None,
    again: bool,
) -> None:
    """Load FILES: .ndjson, .csv, .tsv, .parquet, all but the last also packed as .gz or .zst.

    NDJSON without a mapping has one record a line, as docs/architecture.md says. Other files have one event (or one
    set of traits) a row. Fields named user_id, anonymous_id, event or name, time or timestamp, event_id are taken for
    what they say; all others are properties. Say otherwise with --map:

    \b
    {"type": "event",                       or "traits": every property sets a trait
     "name": "action",                      the field, or {"value": "Charged"} for all rows
     "time": "at", "time_unit": "s",        numbers in s, ms (default) or us; texts are ISO 8601
     "ids": {"user_id": "customer"},
     "event_id": "uuid",                    rows with an id that was seen are duplicates
     "properties": {"amt": "price"},        or a list of fields; default: all the others
     "types": {"amt": "float"}}             of texts: int float bool datetime string

    A bad row is a reject with its line and never the end of the load. A load that broke off goes on where it stopped
    when it is started again; a file that is in is not loaded twice.

    \b
    cdpstore load events.ndjson.gz --key KEY
    cdpstore load orders.csv --map '{"name": {"value": "Charged"}, "types": {"price": "float"}}' --key KEY
    cdpstore load history-*.parquet --data DIR/store --rejects rejects.ndjson
    """
    from cdpstore.loaders import ClientTarget, StoreTarget, load_files
    from cdpstore.store import Store

    fields = None if mapping is None else _json_map(mapping)
    options: dict[str, Any] = {"mapping": fields, "kind": kind, "rejects": rejects, "again": again}
    if data is not None:
        with Store.open(data) as store:
            report = load_files(StoreTarget(store), files, **options, progress=_console)
    else:
        with _connect(server, key) as client:
            report = load_files(ClientTarget(client), files, **options, progress=_console)
    before = f", in before {report.resumed:,}" if report.resumed else ""
    _console.print(
        f"accepted {report.accepted:,}, duplicates {report.duplicates:,}, rejected {report.rejected:,}{before}"
    )
    for line in report.first_rejects:
        _errors.print(line, highlight=False)
    if report.rejected:
        raise SystemExit(1)


def _json_map(given: str) -> dict[str, Any]:
    text = Path(given[1:]).read_text() if given.startswith("@") else given
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"not a JSON object: {error}", param_hint="--map") from None


@main.group()
def segment() -> None:
    """Live segments: predicates whose members are kept up to date."""


@segment.command("watch")
@click.argument("name")
@click.argument("predicate")
@_client_options
def segment_watch(name: str, predicate: str, server: str, key: str) -> None:
    """Keep PREDICATE (JSON) live under NAME."""
    with _connect(server, key) as client:
        sequence = client.define("watch", name, msgspec.json.decode(predicate))
    click.echo(f"{name} is live since record {sequence}")


@segment.command("count")
@click.argument("predicate")
@_client_options
def segment_count(predicate: str, server: str, key: str) -> None:
    """How many profiles PREDICATE (JSON) holds for now."""
    with _connect(server, key) as client:
        table = client.query({"kind": "profiles", "where": msgspec.json.decode(predicate), "limit": 0})
    click.echo(table.notes["count"])


def _data_option(command: Any) -> Any:
    return click.option("--data", default="cdpstore-data", show_default=True, help="Directory of the server.")(command)


@main.group()
def key() -> None:
    """API keys, on the server's machine. A running server sees a change at the next connection."""


@key.command("create")
@click.argument("name")
@click.option("--right", "rights", multiple=True, required=True, type=click.Choice(["ingest", "read", "admin"]))
@_data_option
def key_create(name: str, rights: tuple[Right, ...], data: str) -> None:
    """Make a key called NAME and show it, this once."""
    click.echo(KeyFile(Path(data) / "keys").create(name, rights))


@key.command("list")
@_data_option
def key_list(data: str) -> None:
    """Show the names of all keys and what they may do."""
    for access in KeyFile(Path(data) / "keys").all():
        click.echo(f"{access.name}: {', '.join(sorted(access.rights))}")


@key.command("revoke")
@click.argument("name")
@_data_option
def key_revoke(name: str, data: str) -> None:
    """Forget the key called NAME."""
    if not KeyFile(Path(data) / "keys").revoke(name):
        raise NotFound("access.key.unknown", f"there is no key named {name!r}")


@main.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def verify(directory: Path) -> None:
    """Read the whole log of a stopped store in DIRECTORY again and check it."""
    from cdpstore.store import Store

    with Store.open(directory) as store:
        store.verify()
        click.echo(f"no fault found; watermark {store.watermark}, state digest {store.digest()}")
