"""The questions in DuckDB's SQL; tables and forms as in `chdb_sql`."""

from bench.data import schema
from bench.versus.chdb_sql import quoted, since

DAY = f"((time_ms - {schema.START_MS}) // {schema.DAY_MS})::UTINYINT"
WINDOW_MS = schema.FUNNEL_WINDOW_MS


def queries() -> dict[str, str]:
    """Name of the form → SQL."""
    return {
        "q1": f"SELECT {DAY} AS d, event, count(*) FROM {{E}} GROUP BY d, event",
        **_active(),
        "q3": _spenders(),
        "q4": _nested(),
        **_funnels(),
        **_retentions(),
        "q9": "SELECT product_id, sum(price)::BIGINT AS r, count(*) FROM {E} WHERE event = 'Charged' "
        f"AND platform = 'android' AND {since(60)} AND category IN ({quoted(schema.TOP_CATEGORIES)}) "
        "GROUP BY product_id ORDER BY r DESC, product_id LIMIT 20",
        "q10": "SELECT category, platform, count(DISTINCT user_id) FROM {E} "
        f"WHERE event = 'Product Viewed' AND {since(30)} GROUP BY category, platform",
        "q15": _bought_at_once(),
        "q16_events": "SELECT * FROM {E} WHERE user_id = {UID} ORDER BY time_ms",
        "q16_profile": "SELECT * FROM u WHERE user_id = {UID}",
    }


def _active() -> dict[str, str]:
    plain = " UNION ALL ".join(
        f"SELECT {index} AS g, {bucket} AS b, count(DISTINCT user_id) FROM {{E}} GROUP BY b"
        for index, bucket in ((0, DAY), (1, f"{DAY} // 7"), (2, f"{DAY} // 30"))
    )
    distinct = (
        f"WITH m AS MATERIALIZED (SELECT DISTINCT user_id, {DAY} AS d FROM {{E}}) "
        "SELECT 0, d, count(*) FROM m GROUP BY d "
        "UNION ALL SELECT 1, d // 7 AS b, count(DISTINCT user_id) FROM m GROUP BY b "
        "UNION ALL SELECT 2, d // 30 AS b, count(DISTINCT user_id) FROM m GROUP BY b"
    )
    bits = (
        f"WITH g AS MATERIALIZED (SELECT w, count(*) AS n FROM (SELECT bit_or(1::HUGEINT << (({DAY})::INTEGER)) AS w "
        "FROM {E} GROUP BY user_id) GROUP BY w), "
        "x AS MATERIALIZED (SELECT row_id, n, i AS d FROM (SELECT row_number() OVER () AS row_id, * FROM g), "
        "range(90) t(i) WHERE (w >> i::INTEGER) & 1 = 1) "
        "SELECT 0, d, sum(n)::BIGINT FROM x GROUP BY d UNION ALL "
        "SELECT 1, b, sum(n)::BIGINT FROM (SELECT DISTINCT row_id, n, d // 7 AS b FROM x) GROUP BY b UNION ALL "
        "SELECT 2, b, sum(n)::BIGINT FROM (SELECT DISTINCT row_id, n, d // 30 AS b FROM x) GROUP BY b"
    )
    return {"q2": plain, "q2_distinct": distinct, "q2_bits": bits}


def _spenders() -> str:
    charged = f"event = 'Charged' AND {since(30)}"
    return (
        "SELECT user_id FROM {E} JOIN u USING (user_id) WHERE event IN ('Charged', 'App Uninstalled') "
        f"AND country IN ({quoted(schema.SPENDERS_COUNTRIES)}) GROUP BY user_id HAVING "
        f"count(*) FILTER ({charged}) >= 3 AND sum(price) FILTER ({charged}) >= {schema.SPENDERS_SUM} "
        "AND count(*) FILTER (event = 'App Uninstalled') = 0 ORDER BY user_id"
    )


def _nested() -> str:
    return (
        "SELECT user_id FROM u LEFT JOIN (SELECT user_id, count(*) FILTER (event = 'Charged') AS c1, "
        f"count(*) FILTER (event = 'Product Viewed' AND {since(7)}) AS c2, "
        f"count(*) FILTER (event = 'Added To Cart' AND category = 'electronics' AND {since(3)}) AS c3, "
        f"count(*) FILTER (event = 'Notification Dismissed' AND {since(14)}) AS c4, "
        f"count(*) FILTER (event = 'App Launched' AND {since(14)}) AS c5 FROM {{E}} WHERE {since(30)} AND event IN "
        "('Charged', 'Product Viewed', 'Added To Cart', 'Notification Dismissed', 'App Launched') GROUP BY user_id) AS a "
        "USING (user_id) WHERE (coalesce(c1, 0) >= 2 AND (c2 >= 5 OR c3 >= 1) AND NOT (c4 >= 3)) "
        "OR (plan IN ('premium', 'business') AND coalesce(c5, 0) = 0 AND age >= 25) ORDER BY user_id"
    )


def _bought_at_once() -> str:
    frame = "OVER (PARTITION BY user_id ORDER BY time_ms)"
    return (
        f"SELECT count(DISTINCT user_id) FROM (SELECT user_id, time_ms, event, lag(event) {frame} AS before, "
        f"lag(time_ms) {frame} AS before_ms FROM {{E}} WHERE event IN ('Added To Cart', 'Charged', 'Item Removed')) "
        f"WHERE event = 'Charged' AND before = 'Added To Cart' AND time_ms - before_ms <= {schema.AT_ONCE_MS}"
    )


def _funnels() -> dict[str, str]:
    short, long = schema.FUNNEL_SHORT, schema.FUNNEL_LONG
    short_levels, long_levels = range(1, len(short) + 1), range(1, len(long) + 1)
    reached_short = ", ".join(f"count(*) FILTER (r{level})" for level in short_levels)
    reached_long = ", ".join(f"count(*) FILTER (r{level})" for level in long_levels)
    level_rows = " UNION ALL ".join(f"SELECT DISTINCT user_id, {level} AS k FROM l{level}" for level in short_levels)
    level_counts = ", ".join(f"count(*) FILTER (k = {level})" for level in short_levels)
    long_counts = ", ".join(f"(SELECT count(DISTINCT user_id) FROM l{level})" for level in long_levels)
    return {
        "q5_window": f"{_carried(short)} SELECT country, {reached_short} FROM f JOIN u USING (user_id) GROUP BY country",
        "q6_window": f"{_carried(long)} SELECT {reached_long} FROM f",
        "q5": f"{_asof(short)}, d AS ({level_rows}) SELECT country, {level_counts} FROM d JOIN u USING (user_id) "
        "GROUP BY country",
        "q6": f"{_asof(long)} SELECT {long_counts}",
    }


def _carried(steps: list[str]) -> str:
    """s_k: latest start of a chain that reached step k, carried forward by max() over the rows before."""
    window = "OVER (PARTITION BY user_id ORDER BY time_ms ROWS UNBOUNDED PRECEDING)"
    sql = (
        f"WITH l1 AS (SELECT user_id, time_ms, event, CASE WHEN event = '{steps[0]}' THEN time_ms END AS s1 "
        f"FROM {{E}} WHERE event IN ({quoted(steps)}))"
    )
    for level in range(2, len(steps) + 1):
        keep = ", ".join(f"s{lower}" for lower in range(1, level))
        sql += (
            f", m{level} AS (SELECT *, max(s{level - 1}) {window} AS m FROM l{level - 1}), "
            f"l{level} AS (SELECT user_id, time_ms, event, {keep}, CASE WHEN event = '{steps[level - 1]}' "
            f"AND time_ms - m <= {WINDOW_MS} THEN m END AS s{level} FROM m{level})"
        )
    last = len(steps)
    reached = ", ".join(f"max(s{level}) IS NOT NULL AS r{level}" for level in range(1, last + 1))
    return f"{sql}, f AS (SELECT user_id, {reached} FROM l{last} GROUP BY user_id)"


def _asof(steps: list[str]) -> str:
    """Each step joined to the latest chain before it."""
    sql = f"WITH l1 AS (SELECT user_id, time_ms, time_ms AS s FROM {{E}} WHERE event = '{steps[0]}')"
    for level in range(2, len(steps) + 1):
        sql += (
            f", l{level} AS (SELECT a.user_id, a.time_ms, b.s FROM "
            f"(SELECT user_id, time_ms FROM {{E}} WHERE event = '{steps[level - 1]}') a ASOF JOIN l{level - 1} b "
            f"ON a.user_id = b.user_id AND a.time_ms >= b.time_ms WHERE a.time_ms - b.s <= {WINDOW_MS})"
        )
    return sql


def _retentions() -> dict[str, str]:
    weekly = (
        f"WITH g AS (SELECT w, count(*) AS n FROM (SELECT bit_or(1 << (({DAY} // 7)::INTEGER)) AS w FROM {{E}} "
        "WHERE event = 'App Launched' GROUP BY user_id) GROUP BY w) SELECT c, x - c AS k, sum(n)::BIGINT FROM "
        "(SELECT w, n, (SELECT min(i) FROM range(13) t(i) WHERE (w >> i::INTEGER) & 1 = 1) AS c FROM g), range(13) r(x) "
        "WHERE (w >> x::INTEGER) & 1 = 1 GROUP BY c, k"
    )
    daily = (
        f"WITH a AS (SELECT user_id, {DAY} AS d FROM {{E}} GROUP BY user_id, d), "
        "c AS (SELECT user_id, min(d) AS c FROM a GROUP BY user_id) "
        "SELECT c, d - c AS k, count(*) FROM a JOIN c USING (user_id) WHERE d - c <= 30 GROUP BY c, k"
    )
    daily_mask = (
        f"WITH a AS (SELECT bit_or(1::HUGEINT << (({DAY})::INTEGER)) AS w FROM {{E}} GROUP BY user_id), "
        "g AS (SELECT w, count(*) AS n FROM a GROUP BY w), "
        "x AS (SELECT w, n, i::INTEGER AS d FROM g, range(90) t(i) WHERE (w >> i::INTEGER) & 1 = 1), "
        "c AS (SELECT w, min(d) AS c FROM x GROUP BY w) "
        "SELECT c, d - c AS k, sum(n)::BIGINT FROM x JOIN c USING (w) WHERE d - c <= 30 GROUP BY c, k"
    )
    return {"q7": weekly, "q8": daily, "q8_mask": daily_mask}
