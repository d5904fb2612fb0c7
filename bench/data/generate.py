"""Makes the data set: `users.parquet`, `events.parquet`, `identifies.parquet`. Deterministic for a seed.

Events are in arrival order, not by profile: 1 % arrive up to 48 hours late, the rest within 120 s. (user_id, time_ms)
is unique, so the order inside a profile is the same in every engine. One active user in a hundred was anonymous for the
first part of the history: those events carry `anonymous_id`, and `identifies` says when (`row`: how many events arrive
before it) the two became one. `user_id` is the resolved one in every row: the peers read that and resolve nothing.

    python -m bench.data.generate --size full
"""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.data import schema

Ints = npt.NDArray[Any]
Columns = dict[str, Ints]

DAY_S = 86_400
LATE_S = (600, 48 * 3_600)


@dataclass(frozen=True)
class Size:
    """How large a data set is."""

    users: int
    events: int


SIZES = {
    "tiny": Size(2_000, 40_000),
    "small": Size(50_000, 1_000_000),
    "full": Size(1_000_000, 20_000_000),
    "large": Size(2_500_000, 50_000_000),
    "huge": Size(5_000_000, 100_000_000),
}


def folder(size: str) -> Path:
    """Where the data set of a size lives: below $CDPSTORE_BENCH_DATA, or in a git-ignored folder here."""
    root = os.environ.get("CDPSTORE_BENCH_DATA")
    base = Path(root) if root else Path(__file__).parent / "cache"
    return base / size


def ensure(size: str) -> Path:
    """The folder of the data set, made first when it is not there."""
    target = folder(size)
    if not (target / "events.parquet").exists():
        write(SIZES[size], target)
    return target


def zipf_cdf(count: int, exponent: float) -> npt.NDArray[np.float64]:
    """Cumulated Zipf weights, ending at 1."""
    cumulated = np.cumsum(1.0 / np.arange(1, count + 1) ** exponent)
    cdf: npt.NDArray[np.float64] = cumulated / cumulated[-1]
    return cdf


def pick(rng: np.random.Generator, cdf: npt.NDArray[np.float64], count: int, dtype: npt.DTypeLike) -> Ints:
    """`count` codes drawn by the cumulated weights."""
    drawn = np.searchsorted(cdf, rng.random(count), side="right")
    return np.minimum(drawn, len(cdf) - 1).astype(dtype)


def make_users(rng: np.random.Generator, count: int) -> Columns:
    """Traits of every user; 60 % were there before day 0, the rest sign up during the 90 days."""
    country = pick(rng, zipf_cdf(len(schema.COUNTRIES), 1.0), count, np.int8)
    old = rng.random(count) < 0.6
    signup = np.where(old, -rng.integers(1, 700, count), rng.integers(0, schema.DAYS, count))
    city = country.astype(np.int32) * 37 + pick(rng, zipf_cdf(60, 1.1), count, np.int32)
    return {
        "country": country,
        "plan": rng.choice(len(schema.PLANS), count, p=[0.72, 0.16, 0.09, 0.03]).astype(np.int8),
        "age": np.clip(rng.normal(31, 10, count), 13, 90).astype(np.uint8),
        "signup_day": signup.astype(np.int16),
        "city": (city % len(schema.CITIES)).astype(np.int16),
        "device": pick(rng, zipf_cdf(len(schema.DEVICES), 0.9), count, np.int8),
        "zone_minutes": (((country.astype(np.int32) * 7) % 25 - 11) * 60).astype(np.int16),
    }


def make_sessions(rng: np.random.Generator, users: Columns, event_count: int) -> Columns:
    """Sessions by (user, start second): heavy-tailed per user, geometric in length, fewer long after sign-up."""
    user_count = len(users["country"])
    count = int(event_count / 6.0 * 1.01) + 16
    weight = np.cumsum(rng.lognormal(0.0, 1.5, user_count))
    user = np.sort(np.searchsorted(weight / weight[-1], rng.random(count), side="right").astype(np.uint32))
    user = np.minimum(user, user_count - 1)
    length = np.minimum(rng.geometric(1 / 6.0, count), 60).astype(np.int32)
    first = np.maximum(users["signup_day"][user], 0).astype(np.float64)
    chance = rng.random(count)
    is_new = users["signup_day"][user] >= 0
    day = np.floor(first + (schema.DAYS - first) * np.where(is_new, chance**2.2, chance)).astype(np.int64)
    day = np.minimum(day, schema.DAYS - 1)
    hour = np.clip(rng.normal(15.0, 4.5, count), 0, 23.99) - users["zone_minutes"][user] / 60.0
    start = day * DAY_S + ((hour % 24.0) * 3_600).astype(np.int64)
    order = np.lexsort((start, user))
    return {"user": user[order], "length": length[order], "start": start[order]}


def name_events(rng: np.random.Generator, session: Ints, position: Ints, session_count: int) -> Ints:
    """Event codes: sessions open with a launch; those with the intent to buy walk down the shop funnel."""
    count = len(session)
    code = (1 + pick(rng, zipf_cdf(len(schema.EVENTS) - 1, 0.8), count, np.uint8)).astype(np.uint8)
    code[(position == 0) & (rng.random(count) < 0.9)] = schema.EVENT_CODE["App Launched"]
    intent = rng.random(session_count) < 0.18
    depth = np.minimum(rng.geometric(0.42, session_count), 4)
    for step, name in enumerate(["Product Viewed", "Added To Cart", "Checkout Started", "Charged"]):
        code[intent[session] & (position == step + 1) & (depth[session] > step)] = schema.EVENT_CODE[name]
    rare = (code >= schema.EVENT_CODE["App Uninstalled"]) & (rng.random(count) < 0.7)
    code[rare] = schema.EVENT_CODE["Push Received"]
    return code


def make_times(rng: np.random.Generator, sessions: Columns) -> Columns:
    """Events of the sessions by (user, second), one second apart at least within a user."""
    length, start = sessions["length"], sessions["start"]
    count, session_count = int(length.sum()), len(length)
    session = np.repeat(np.arange(session_count), length)
    first_row = np.cumsum(length) - length
    position = np.arange(count) - np.repeat(first_row, length)
    gap = np.where(position == 0, 0, rng.exponential(45.0, count).astype(np.int64) + 1)
    offset = np.cumsum(gap)
    second = start[session] + offset - np.repeat(offset[first_row], length)
    code = name_events(rng, session, position, session_count)
    platform = rng.choice(4, session_count, p=[0.55, 0.25, 0.18, 0.02]).astype(np.int8)[session]
    user = sessions["user"][session]
    order = np.lexsort((second, user))
    user, second = user[order].astype(np.int64), second[order]
    # strictly rising seconds: rank + running maximum of (second - rank), user by user
    rank, user_step, bias = np.arange(count, dtype=np.int64), np.int64(1) << 40, np.int64(1) << 35
    second = np.maximum.accumulate(user * user_step + second - rank + bias) - user * user_step + rank - bias
    return {
        "user": user.astype(np.uint32),
        "second": second,
        "code": code[order],
        "platform": platform[order],
        "session": start[session][order],
    }


def keep_exactly(rng: np.random.Generator, events: Columns, count: int) -> Columns:
    """Rows inside the 90 days, thinned at random to `count`."""
    rows = np.flatnonzero(events["second"] < schema.DAYS * DAY_S)
    if len(rows) > count:
        drop = rng.choice(len(rows), len(rows) - count, replace=False)
        mask = np.ones(len(rows), bool)
        mask[drop] = False
        rows = rows[mask]
    return {name: column[rows] for name, column in events.items()}


def add_properties(rng: np.random.Generator, events: Columns, country: Ints) -> None:
    """Adds category, price, product (events of commerce only) and currency."""
    count = len(events["user"])
    category_of = (1 + pick(rng, zipf_cdf(len(schema.CATEGORIES) - 1, 0.8), schema.PRODUCT_COUNT + 1, np.int8)).astype(
        np.int8
    )
    price_of = np.clip(rng.lognormal(7.6, 1.0, schema.PRODUCT_COUNT + 1), 50, 2_000_000).astype(np.int64)
    is_commerce = np.zeros(len(schema.EVENTS), bool)
    is_commerce[[schema.EVENT_CODE[name] for name in schema.COMMERCE]] = True
    rows = np.flatnonzero(is_commerce[events["code"]])
    product, category, price = np.zeros(count, np.uint32), np.zeros(count, np.int8), np.zeros(count, np.int32)
    product[rows] = 1 + pick(rng, zipf_cdf(schema.PRODUCT_COUNT, 1.02), len(rows), np.uint32)
    category[rows] = category_of[product[rows]]
    price[rows] = np.minimum(price_of[product[rows]] * rng.integers(80, 121, len(rows)) // 100, 2_000_000)
    currency_of = np.array([0, 1, 4, 1, 3] + [2] * 25, np.int8)
    events.update(product=product, category=category, price=price, currency=currency_of[country[events["user"]]])


def anonymous_until(rng: np.random.Generator, events: Columns, user_count: int) -> tuple[Ints, Ints]:
    """Per user the first second as a known one (0: always known), and the mask of anonymous rows.

    REQUIRES: events by (user, second).
    """
    first_row = np.searchsorted(events["user"], np.arange(user_count + 1))
    rows_of = np.diff(first_row)
    several = np.flatnonzero(rows_of >= 2)
    chosen = rng.choice(several, int(len(several) * schema.MERGED_SHARE), replace=False)
    joined_row = first_row[chosen] + np.maximum(1, (rows_of[chosen] * rng.random(len(chosen))).astype(np.int64))
    joined = np.zeros(user_count, np.int64)
    joined[chosen] = events["second"][joined_row]
    return joined, events["second"] < joined[events["user"]]


def make_events(rng: np.random.Generator, users: Columns, event_count: int) -> tuple[Columns, Columns]:
    """Events and identifies, both in arrival order."""
    user_count = len(users["country"])
    events = keep_exactly(rng, make_times(rng, make_sessions(rng, users, event_count)), event_count)
    add_properties(rng, events, users["country"])
    joined, events["anonymous"] = anonymous_until(rng, events, user_count)
    count = len(events["user"])
    events["milli"] = rng.integers(0, 1_000, count)
    delay = rng.integers(0, 121, count)
    late = rng.random(count) < schema.LATE_SHARE
    delay[late] = rng.integers(*LATE_S, int(late.sum()))
    arrival = events["second"] + delay
    order = np.argsort(arrival, kind="stable")
    events = {name: column[order] for name, column in events.items()}
    user = np.flatnonzero(joined)
    user = user[np.argsort(joined[user], kind="stable")]
    row = np.searchsorted(arrival[order], joined[user], side="left")
    return events, {"user": user, "second": joined[user], "row": row}


def dictionary(codes: Ints, names: list[str]) -> pa.Array:
    """An Arrow dictionary column of codes."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names))


def to_ms(seconds: Ints) -> Ints:
    """Seconds since the start of the data as milliseconds UTC."""
    result: Ints = schema.START_MS + seconds.astype(np.int64) * schema.SECOND_MS
    return result


def users_table(users: Columns) -> pa.Table:
    """Columns of users.parquet."""
    names = {"country": schema.COUNTRIES, "plan": schema.PLANS, "city": schema.CITIES, "device": schema.DEVICES}
    columns = {"user_id": pa.array(np.arange(len(users["country"]), dtype=np.uint32))}
    for name, codes in users.items():
        columns[name] = dictionary(codes, names[name]) if name in names else pa.array(codes)
    return pa.table(columns)


def events_table(events: Columns) -> pa.Table:
    """Columns of events.parquet; `anonymous_id` is null for most."""
    return pa.table(
        {
            "user_id": pa.array(events["user"]),
            "anonymous_id": pa.array(events["user"], mask=~events["anonymous"]),
            "time_ms": pa.array(to_ms(events["second"]) + events["milli"]),
            "event": dictionary(events["code"].astype(np.int8), schema.EVENTS),
            "category": dictionary(events["category"], schema.CATEGORIES),
            "price": pa.array(events["price"]),
            "product_id": pa.array(events["product"]),
            "currency": dictionary(events["currency"], schema.CURRENCIES),
            "platform": dictionary(events["platform"], schema.PLATFORMS),
            "session_id": pa.array((to_ms(events["session"]) // schema.SECOND_MS).astype(np.uint32)),
        }
    )


def identifies_table(identifies: Columns) -> pa.Table:
    """Columns of identifies.parquet."""
    return pa.table(
        {
            "user_id": pa.array(identifies["user"].astype(np.uint32)),
            "anonymous_id": pa.array(identifies["user"].astype(np.uint32)),
            "time_ms": pa.array(to_ms(identifies["second"])),
            "row": pa.array(identifies["row"].astype(np.int64)),
        }
    )


def write(size: Size, target: Path, seed: int = 42) -> None:
    """Makes the three files; events last, so that its presence says that all are complete."""
    target.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    rng = np.random.default_rng(seed)
    users = make_users(rng, size.users)
    events, identifies = make_events(rng, users, size.events)
    for name, table in (
        ("users", users_table(users)),
        ("identifies", identifies_table(identifies)),
        ("events", events_table(events)),
    ):
        part = target / f"{name}.part"
        pq.write_table(table, part, compression="zstd", row_group_size=1_000_000)
        part.rename(target / f"{name}.parquet")
    active = int((np.bincount(events["user"], minlength=size.users) > 0).sum())
    print(
        f"{size.users:,} users ({active:,} active, {len(identifies['user']):,} merged), {len(events['user']):,} events "
        f"({int(events['anonymous'].sum()):,} anonymous) in {target}, {time.monotonic() - began:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    ensure(parser.parse_args().size)


if __name__ == "__main__":
    main()
