"""Trends, members and funnels of a random data set, against SQL over the same rows: an oracle nobody here wrote."""

import random
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from cdpstore.model import event, traits
from cdpstore.query import did, did_not, funnel, named, profiles, retention, to_spec, trait, trend
from cdpstore.store import Store
from cdpstore.testing import ModelStore
from cdpstore.testing.strategies import DAY_MS, END_MS, START_MS

SEED = 20_231_115
NAMES = ("Viewed", "Added", "Charged")
PLANS = ("free", "pro", "team")
UNDER_TEST = {"model": ModelStore.open, "store": Store.open}


def _data() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    print(f"seed {SEED}")
    choose = random.Random(SEED)
    people = [
        traits({"user_id": f"u{index}"}, set={"plan": choose.choice(PLANS)}, time_ms=START_MS) for index in range(60)
    ]
    happened = [
        event(
            choose.choice(NAMES),
            ids={"user_id": f"u{choose.randrange(60)}"},
            time_ms=choose.randrange(START_MS, END_MS, 1000),
            properties={"price": choose.randrange(100), "color": choose.choice(("red", "blue"))},
        )
        for _ in range(900)
    ]
    return people, happened


PEOPLE, EVENTS = _data()


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("create table events (u varchar, name varchar, t bigint, price bigint, color varchar)")
    connection.execute("create table people (u varchar, plan varchar)")
    connection.executemany(
        "insert into events values (?, ?, ?, ?, ?)",
        [[each["ids"]["user_id"], each["name"], each["time_ms"], *each["properties"].values()] for each in EVENTS],
    )
    connection.executemany(
        "insert into people values (?, ?)", [[each["ids"]["user_id"], each["set"]["plan"]] for each in PEOPLE]
    )
    yield connection
    connection.close()


@pytest.fixture(scope="module", params=UNDER_TEST)
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    opened: Any = UNDER_TEST[request.param]()
    opened.append(PEOPLE, now_ms=END_MS)
    for first in range(0, len(EVENTS), 250):
        opened.append(EVENTS[first : first + 250], now_ms=END_MS)
    yield opened
    opened.close()


DAY = f"t // {DAY_MS} * {DAY_MS}"
MIDDLE = START_MS + 30 * DAY_MS
CASES = {
    "events a day": (
        trend("Viewed").total().unique().sum("price").every("day"),
        f"select {DAY}, count(*), count(distinct u), sum(price) from events where name = 'Viewed' group by 1",
    ),
    "extremes by color": (
        trend(named("Added", "Charged").where("price").gt(20)).mean("price").min("price").max("price").by("color"),
        "select color, avg(price), min(price), max(price) from events"
        " where name in ('Added', 'Charged') and price > 20 group by 1",
    ),
    "buyers by plan": (
        trend("Charged").unique().by_trait("plan").between(MIDDLE, END_MS),
        f"select plan, count(distinct u) from events join people using (u)"
        f" where name = 'Charged' and t >= {MIDDLE} and t < {END_MS} group by 1",
    ),
    "months of one plan": (
        trend("Charged").sum("price").every("month").where(trait("plan").eq("pro")),
        "select epoch_ms(date_trunc('month', make_timestamp(t * 1000))), sum(price) from events join people using (u)"
        " where name = 'Charged' and plan = 'pro' group by 1",
    ),
    "two steps": (
        funnel("Viewed", "Charged", window="3d"),
        "select count(distinct a.u), count(distinct b.u) from events a left join events b"
        f" on a.u = b.u and b.name = 'Charged' and b.t between a.t and a.t + {3 * DAY_MS} where a.name = 'Viewed'",
    ),
    "back by week": (
        retention("Viewed", returned="Charged", interval="week"),
        "with births as (select u, min(t) as born from events where name = 'Viewed' group by u),"
        " weeks as (select u, born, (born - 345600000) // 604800000 as week from births),"
        " sizes as (select week, count(*) as size from weeks group by week),"
        " returns as (select week, (t - 345600000) // 604800000 - week as period, count(distinct u) as back"
        " from weeks join events using (u) where name = 'Charged' and t > born group by 1, 2)"
        " select week * 604800000 + 345600000, period, back, size from returns join sizes using (week)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_tables_equal_those_of_duckdb(case: str, store: Any, sql: duckdb.DuckDBPyConnection) -> None:
    question, statement = CASES[case]
    expected = sorted(sql.execute(statement).fetchall())
    assert expected
    rows = store.query(to_spec(question), now_ms=END_MS).rows()
    if case == "back by week":
        rows = [row[:4] for row in rows if row[2]]
    assert sorted(rows) == expected


MEMBERS = {
    "did twice lately": (
        did("Charged").within("30d").count().ge(2),
        f"select u from events where name = 'Charged' and t > {END_MS - 30 * DAY_MS} group by u having count(*) >= 2",
    ),
    "spent enough and viewed nothing red": (
        did("Charged").sum("price").between(200, 400) & did_not("Viewed").where("color").eq("red"),
        "select u from events group by u having sum(price) filter (name = 'Charged') between 200 and 400"
        " and count(*) filter (name = 'Viewed' and color = 'red') = 0",
    ),
    "free or many prices": (
        trait("plan").eq("free") | did("Added").distinct("price").gt(6),
        "select u from people left join events using (u) group by u, plan"
        " having plan = 'free' or count(distinct price) filter (name = 'Added') > 6",
    ),
    "mean": (
        did("Viewed").mean("price").lt(40) & ~trait("plan").eq("team"),
        "select u from people join events using (u) where name = 'Viewed' and plan <> 'team'"
        " group by u having avg(price) < 40",
    ),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_members_equal_those_of_duckdb(case: str, store: Any, sql: duckdb.DuckDBPyConnection) -> None:
    predicate, statement = MEMBERS[case]
    expected = {row[0] for row in sql.execute(statement).fetchall()}
    assert expected
    ids = store.query(to_spec(profiles(predicate)), now_ms=END_MS)["profile_id"].tolist()
    answers = [store.profile(each, now_ms=END_MS) for each in ids]
    assert {identity.value for answer in answers for identity in answer.identities} == expected
