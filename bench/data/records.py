"""The data set as a client would send it: msgpack batches of records, in arrival order.

Traits of all users come first, so that user n is origin n; then events, with each identify at its place. Profiles are
`u0`, `u1`, ..; a user who was anonymous was `a<n>`. Records are joined from prebuilt pieces: packing 20 M maps one by
one would take minutes. The bytes are what a packer would give, but that numbers always take their full width.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pyarrow.parquet as pq

from bench.data import schema

BATCH_EVENTS = 8_192
BATCH_TRAITS = 8_192
USER_TRAITS = ["country", "plan", "age", "signup_day", "city", "device", "zone_minutes"]


def pack(value: object) -> bytes:
    """msgpack of one value."""
    packed: bytes = msgpack.packb(value)
    return packed


def user_text(user: int) -> str:
    """Value of `user_id` on the wire."""
    return f"u{user}"


def anonymous_text(user: int) -> str:
    """Value of `anonymous_id` on the wire."""
    return f"a{user}"


def event_count(folder: Path) -> int:
    """Events of the data set."""
    return int(pq.ParquetFile(folder / "events.parquet").metadata.num_rows)


def array_of(records: list[bytes]) -> bytes:
    """A batch. REQUIRES: fewer than 65,536 records."""
    return struct.pack(">BH", 0xDC, len(records)) + b"".join(records)


@dataclass(frozen=True)
class Pieces:
    """Prebuilt parts of an event: name, identity, properties by their codes."""

    names: list[bytes]
    plain: dict[tuple[int, int], bytes]
    commerce: dict[tuple[int, int, int], bytes]

    @classmethod
    def build(cls, *, event_ids: bool) -> "Pieces":
        head = b"\x86" if event_ids else b"\x85"
        currencies = [pack("currency") + pack(name) for name in schema.CURRENCIES]
        platforms = [pack("platform") + pack(name) for name in schema.PLATFORMS]
        categories = [pack("category") + pack(name) for name in schema.CATEGORIES]
        session, price = pack("session_id") + b"\xce", pack("price") + b"\xce"
        return cls(
            [head + pack("type") + pack("event") + pack("name") + pack(name) for name in schema.EVENTS],
            {
                (first, second): b"\x83" + currency + platform + session
                for first, currency in enumerate(currencies)
                for second, platform in enumerate(platforms)
            },
            {
                (first, second, third): b"\x86" + currency + platform + category + price
                for first, currency in enumerate(currencies)
                for second, platform in enumerate(platforms)
                for third, category in enumerate(categories)
            },
        )


TIME_KEY = pack("time_ms") + b"\xcf"
PRODUCT_KEY, SESSION_KEY = pack("product_id") + b"\xce", pack("session_id") + b"\xce"


def ids_piece(kind: str, value: str) -> bytes:
    """`ids` with one identity, and the key of what follows."""
    return pack("ids") + pack({kind: value}) + pack("properties")


def big_endian(values: Any, dtype: str) -> list[bytes]:
    """Each number as its bytes on the wire."""
    width = np.dtype(dtype).itemsize
    data = np.asarray(values).astype(dtype).tobytes()
    return [data[at : at + width] for at in range(0, len(data), width)]


def event_id_piece(number: int) -> bytes:
    """`event_id` as a UUID's text, different for every number."""
    digits = f"{(number * 0x9E3779B97F4A7C15) & (2**64 - 1):016x}{number:016x}"
    return pack("event_id") + pack(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")


def events_of(group: Any, pieces: Pieces, ids: list[bytes], *, first_row: int, event_ids: bool) -> list[bytes]:
    """Records of a row group."""
    columns = {name: group[name] for name in group.column_names}
    codes = {
        name: columns[name].combine_chunks().chunk(0).indices.to_pylist()
        if columns[name].num_chunks > 1
        else columns[name].chunk(0).indices.to_pylist()
        for name in ("event", "category", "currency", "platform")
    }
    users = columns["user_id"].to_pylist()
    anonymous = columns["anonymous_id"].to_pylist()
    times, sessions = big_endian(columns["time_ms"], ">u8"), big_endian(columns["session_id"], ">u4")
    prices, products = big_endian(columns["price"], ">u4"), big_endian(columns["product_id"], ">u4")
    records = []
    for row, user in enumerate(users):
        event, category = codes["event"][row], codes["category"][row]
        currency, platform = codes["currency"][row], codes["platform"][row]
        who = ids[user] if anonymous[row] is None else ids_piece("anonymous_id", anonymous_text(user))
        if category:
            what = b"".join(
                (pieces.commerce[currency, platform, category], prices[row], PRODUCT_KEY, products[row], SESSION_KEY)
            )
        else:
            what = pieces.plain[currency, platform]
        tail = event_id_piece(first_row + row) if event_ids else b""
        records.append(b"".join((pieces.names[event], TIME_KEY, times[row], who, what, sessions[row], tail)))
    return records


def trait_batches(folder: Path) -> Iterator[bytes]:
    """The traits of all users, in the order of their numbers."""
    users = pq.read_table(folder / "users.parquet")
    for first in range(0, users.num_rows, BATCH_TRAITS):
        rows = users.slice(first, BATCH_TRAITS).to_pylist()
        yield array_of([trait_record(row) for row in rows])


def trait_record(row: dict[str, Any]) -> bytes:
    """A user's first traits."""
    set_ = {name: row[name] for name in USER_TRAITS}
    ids = {"user_id": user_text(row["user_id"])}
    return pack({"type": "traits", "ids": ids, "time_ms": schema.START_MS, "set": set_})


def identify_record(user: int, time_ms: int) -> bytes:
    """The moment at which an anonymous profile became a known one."""
    record = {
        "type": "identify",
        "anonymous": {"anonymous_id": anonymous_text(user)},
        "known": {"user_id": user_text(user)},
        "time_ms": time_ms,
    }
    return pack(record)


def event_batches(folder: Path, *, limit: int | None = None, event_ids: bool = False) -> Iterator[bytes]:
    """Events in arrival order with the identifies at their places; `limit` counts events."""
    source = pq.ParquetFile(folder / "events.parquet")
    identifies = pq.read_table(folder / "identifies.parquet").to_pylist()
    user_count = pq.ParquetFile(folder / "users.parquet").metadata.num_rows
    ids = [ids_piece("user_id", user_text(user)) for user in range(user_count)]
    pieces, row, at = Pieces.build(event_ids=event_ids), 0, 0
    for index in range(source.num_row_groups):
        group = source.read_row_group(index)
        if limit is not None:
            group = group.slice(0, limit - row)
        records = events_of(group, pieces, ids, first_row=row, event_ids=event_ids)
        for first in range(0, len(records), BATCH_EVENTS):
            batch: list[bytes] = []
            last = min(first + BATCH_EVENTS, len(records))
            cut = first
            while at < len(identifies) and identifies[at]["row"] < row + last:
                place = max(identifies[at]["row"] - row, cut)
                batch += records[cut:place]
                batch.append(identify_record(identifies[at]["user_id"], identifies[at]["time_ms"]))
                cut, at = place, at + 1
            yield array_of(batch + records[cut:last])
        row += len(records)
        if limit is not None and row >= limit:
            return


def batch_file(folder: Path) -> Path:
    """Events of the whole data set as a file of batches, each behind its length (u32); made when it is not there."""
    target = folder / "events.batches"
    if not target.exists():
        part = folder / "events.batches.part"
        with part.open("wb") as file:
            for batch in event_batches(folder):
                file.write(struct.pack("<I", len(batch)) + batch)
        part.rename(target)
    return target


def read_batches(path: Path) -> Iterator[bytes]:
    """Batches of a file that `batch_file` wrote."""
    with path.open("rb") as file:
        while head := file.read(4):
            yield file.read(struct.unpack("<I", head)[0])
