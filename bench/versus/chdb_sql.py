"""The questions in ClickHouse's SQL: several forms of one, `q2` and `q2_mask`, where more than one is worth trying.

Tables: e(user_id, time_ms UInt64, event, category, price, product_id, currency, platform, session_id), and
u(user_id, country, plan, age, signup_day, city, device, zone_minutes). {E} is replaced by the physical copy to read.
"""

from bench.data import schema

DAY_MS, END_MS = schema.DAY_MS, schema.END_MS
DAY = f"toUInt8(intDiv(time_ms - {schema.START_MS}, {DAY_MS}))"


def quoted(names: list[str]) -> str:
    """'a', 'b': what stands in IN (..)."""
    return ", ".join(f"'{name}'" for name in names)


def since(days: int) -> str:
    """In the last so many days."""
    return f"time_ms >= {END_MS - days * DAY_MS}"


def queries() -> dict[str, str]:
    """Name of the form → SQL."""
    return {
        "q1": f"SELECT d, toString(event), n FROM (SELECT {DAY} AS d, event, count() AS n FROM {{E}} GROUP BY d, event)",
        **_active(),
        "q3": _spenders(),
        "q4": _nested(),
        **_funnels(),
        **_retentions(),
        **_breakdowns(),
        **_bought_at_once(),
        "q16_events": "SELECT * FROM {E} WHERE user_id = {UID} ORDER BY time_ms",
        "q16_profile": "SELECT * FROM u WHERE user_id = {UID}",
    }


def _active() -> dict[str, str]:
    plain = " UNION ALL ".join(
        f"SELECT {index} AS g, {bucket} AS b, uniqExact(user_id) FROM {{E}} GROUP BY b"
        for index, bucket in ((0, DAY), (1, f"intDiv({DAY}, 7)"), (2, f"intDiv({DAY}, 30)"))
    )
    # per user a mask of 90 days, equal masks grouped, then one expansion for all three intervals
    bits = "arrayFilter(x -> toUInt8(bitShiftRight(w, x)) % 2 = 1, range(90))"
    masks = (
        f"SELECT w, count() AS n FROM (SELECT groupBitOr(bitShiftLeft(toUInt128(1), {DAY})) AS w FROM {{E}} "
        "GROUP BY user_id) GROUP BY w"
    )
    mask = (
        f"SELECT intDiv(y, 100) AS g, y % 100 AS b, sum(n) FROM (SELECT n, {bits} AS xs, arrayDistinct(arrayConcat(xs, "
        "arrayMap(x -> 100 + intDiv(x, 7), xs), arrayMap(x -> 200 + intDiv(x, 30), xs))) AS ys "
        f"FROM ({masks})) ARRAY JOIN ys AS y GROUP BY g, b"
    )
    return {"q2": plain, "q2_bitmap": plain.replace("uniqExact", "groupBitmap"), "q2_mask": mask}


def _spenders() -> str:
    charged = f"event = 'Charged' AND {since(30)}"
    return (
        "SELECT user_id FROM {E} WHERE event IN ('Charged', 'App Uninstalled') AND user_id IN "
        f"(SELECT user_id FROM u WHERE country IN ({quoted(schema.SPENDERS_COUNTRIES)})) GROUP BY user_id "
        f"HAVING countIf({charged}) >= 3 AND sumIf(price, {charged}) >= {schema.SPENDERS_SUM} "
        "AND countIf(event = 'App Uninstalled') = 0 ORDER BY user_id"
    )


def _nested() -> str:
    return (
        "SELECT user_id FROM u LEFT JOIN (SELECT user_id, countIf(event = 'Charged') AS c1, "
        f"countIf(event = 'Product Viewed' AND {since(7)}) AS c2, "
        f"countIf(event = 'Added To Cart' AND category = 'electronics' AND {since(3)}) AS c3, "
        f"countIf(event = 'Notification Dismissed' AND {since(14)}) AS c4, "
        f"countIf(event = 'App Launched' AND {since(14)}) AS c5 FROM {{E}} WHERE {since(30)} AND event IN "
        "('Charged', 'Product Viewed', 'Added To Cart', 'Notification Dismissed', 'App Launched') GROUP BY user_id) AS a "
        "USING (user_id) WHERE (c1 >= 2 AND (c2 >= 5 OR c3 >= 1) AND NOT (c4 >= 3)) "
        "OR (plan IN ('premium', 'business') AND c5 = 0 AND age >= 25) ORDER BY user_id"
    )


def _funnels() -> dict[str, str]:
    def levels(steps: list[str]) -> str:
        conditions = ", ".join(f"event = '{step}'" for step in steps)
        return (
            f"SELECT user_id, windowFunnel({schema.FUNNEL_WINDOW_MS})(time_ms, {conditions}) AS l FROM {{E}} "
            f"WHERE event IN ({quoted(steps)}) GROUP BY user_id"
        )

    def counts(steps: list[str]) -> str:
        return ", ".join(f"countIf(l >= {level})" for level in range(1, len(steps) + 1))

    short, long = schema.FUNNEL_SHORT, schema.FUNNEL_LONG
    return {
        "q5": f"SELECT toString(country), {counts(short)} FROM ({levels(short)}) AS f JOIN u USING (user_id) "
        "GROUP BY country",
        "q6": f"SELECT {counts(long)} FROM ({levels(long)})",
    }


def _retentions() -> dict[str, str]:
    # a mask per user; the few distinct masks are grouped first and expanded afterwards
    weekly = (
        f"WITH g AS (SELECT w, count() AS n FROM (SELECT groupBitOr(bitShiftLeft(toUInt16(1), intDiv({DAY}, 7))) AS w "
        "FROM {E} WHERE event = 'App Launched' GROUP BY user_id) GROUP BY w) SELECT c, x - c AS k, sum(n) FROM "
        "(SELECT n, arrayFilter(x -> bitTest(w, x), range(13)) AS xs, xs[1] AS c FROM g) ARRAY JOIN xs AS x GROUP BY c, k"
    )
    daily = (
        f"SELECT c, x - c AS k, count() FROM (SELECT groupUniqArray({DAY}) AS ds, min({DAY}) AS c FROM {{E}} "
        "GROUP BY user_id) ARRAY JOIN ds AS x WHERE x - c <= 30 GROUP BY c, k"
    )
    daily_mask = (
        f"WITH g AS (SELECT w, count() AS n FROM (SELECT groupBitOr(bitShiftLeft(toUInt128(1), {DAY})) AS w FROM {{E}} "
        "GROUP BY user_id) GROUP BY w) SELECT c, x - c AS k, sum(n) FROM (SELECT n, "
        "arrayFilter(x -> toUInt8(bitShiftRight(w, x)) % 2 = 1, range(90)) AS xs, xs[1] AS c FROM g) "
        "ARRAY JOIN xs AS x WHERE x - c <= 30 GROUP BY c, k"
    )
    return {"q7": weekly, "q8": daily, "q8_mask": daily_mask}


def _bought_at_once() -> dict[str, str]:
    wanted = "event IN ('Added To Cart', 'Charged', 'Item Removed')"
    frame = "OVER (PARTITION BY user_id ORDER BY time_ms ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    arrays = (
        "SELECT countIf(arrayExists((x, y) -> x.2 = 1 AND y.2 = 2 AND y.1 - x.1 <= "
        f"{schema.AT_ONCE_MS}, arrayPopBack(a), arrayPopFront(a))) FROM (SELECT arraySort(groupArray((time_ms, "
        "toUInt8(if(event = 'Added To Cart', 1, if(event = 'Charged', 2, 3)))))) AS a "
        f"FROM {{E}} WHERE {wanted} GROUP BY user_id)"
    )
    windows = (
        f"SELECT uniqExact(user_id) FROM (SELECT user_id, time_ms, event, lagInFrame(event) {frame} AS before, "
        f"lagInFrame(time_ms) {frame} AS before_ms FROM {{E}} WHERE {wanted}) WHERE event = 'Charged' "
        f"AND before = 'Added To Cart' AND before_ms > 0 AND time_ms - before_ms <= {schema.AT_ONCE_MS}"
    )
    return {"q15": arrays, "q15_window": windows}


def _breakdowns() -> dict[str, str]:
    viewers = (
        "SELECT toString(category), toString(platform), uniqExact(user_id) FROM {E} "
        f"WHERE event = 'Product Viewed' AND {since(30)} GROUP BY category, platform"
    )
    return {
        "q9": "SELECT product_id, sum(price) AS r, count() FROM {E} WHERE event = 'Charged' AND platform = 'android' "
        f"AND {since(60)} AND category IN ({quoted(schema.TOP_CATEGORIES)}) "
        "GROUP BY product_id ORDER BY r DESC, product_id LIMIT 20",
        "q10": viewers,
        "q10_bitmap": viewers.replace("uniqExact", "groupBitmap"),
    }
