"""Specs of every documented field and every choice, and specs that must be refused, with the place of the fault."""

from typing import Any, Final

__all__ = ["ACCEPTED", "REFUSED", "nested"]

NOW: Final = 1_700_000_000_000
_AT: Final = {"$time": NOW}
_TABLE: Final = {"name": "Mars/Base", "table": "2025b", "transitions": [[-1, 3_600_000], [NOW, -3_600_000]]}


def _trend(**fields: Any) -> dict[str, Any]:
    return {"kind": "trend", **({} if "events" in fields else {"event": "A"}), **fields}


def _funnel(**fields: Any) -> dict[str, Any]:
    return {"kind": "funnel", "steps": ["A", "B"], "window": "7d", **fields}


def _retention(**fields: Any) -> dict[str, Any]:
    return {"kind": "retention", "start": "A", "interval": "day", **fields}


def _who(**clause: Any) -> dict[str, Any]:
    return {"kind": "profiles", "where": clause}


def _test(op: str, *value: Any, **more: Any) -> dict[str, Any]:
    return {"op": op, **({"value": value[0]} if value else {}), **more}


_TESTS: Final = [
    *(_test(op, value) for op in ("eq", "ne") for value in (True, 1, 1.5, "x", _AT)),
    *(_test(op, value) for op in ("lt", "le", "gt", "ge") for value in (1, 1.5, "x", _AT)),
    *(_test(op, value) for op in ("in", "not_in", "any", "all", "none") for value in ([], [1, "x", False, _AT])),
    *(_test("between", value) for value in ([1, 2.5], ["a", "b"], [_AT, _AT])),
    *(_test(op) for op in ("exists", "not_exists")),
    *(_test(f"{no}{op}", "x", ignore_case=True) for op in ("contains", "starts", "ends") for no in ("", "not_")),
    *(_test(op, "^a+$", ignore_case=True) for op in ("regex", "not_regex")),
    *(_test("size", _test(op, 2)) for op in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(_test("size", _test(op, [1, 2])) for op in ("in", "not_in", "between")),
    *(_test(op, _AT, missing=True) for op in ("before", "after")),
    *(_test("on", "2024-02-29", zone=zone) for zone in ("Asia/Tokyo", {"name": "X", "transitions": [[0, 0]]})),
    *(_test("within", {way: "30d"}) for way in ("last", "next")),
    *(_test("anniversary", value) for value in ({}, {"days_before": 366, "days_after": 0, "leap_day": "mar_1"})),
    _test("anniversary", {"leap_day": "feb_28"}, zone=_TABLE, missing=False),
    *(_test(op, value) for op in ("version_lt", "version_le") for value in ("1.10", "v2", "2.0.0-rc.1", "1-x+7.b")),
    *(_test(op, "1") for op in ("version_gt", "version_ge", "version_eq")),
]
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SELECTORS: Final[list[Any]] = [
    "A",
    ["A", "B"],
    {"event": None},
    {"event": "A", "where": []},
    {"event": ["A"], "where": [{"property": "p", "op": "eq", "value": 1}]},
    {"event": "A", "where": [{"property": "p", "op": "gt", "value": {"trait": "t", "times": 2}, "missing": True}]},
    {"event": "A", "where": [{"property": "p", "op": "gt", "value": {"own": {"did": "A", "measure": "count"}}}]},
]
_EXISTS: Final = {"property": "p", "op": "exists"}
_BESIDE: Final = {"property": "p", "op": "gt", "value": {"trait": "t"}}
_JOINED: Final[list[dict[str, Any]]] = [
    {"or": [_EXISTS, {"and": [_EXISTS, {"not": _EXISTS}]}]},
    {"not": {"geo": {"lat": "a", "lon": "b"}, "within": {"lat": 0, "lon": 0, "meters": 1}}},
]
_ANY_OF: Final[dict[str, Any]] = {"any_of": ["A", ["B", "C"], {"event": "D"}, {"event": "E", "where": _JOINED}]}
_SELECTORS += [
    {"event": "A", "where": [{"or": [_BESIDE, {"and": [_BESIDE]}, {"not": _BESIDE}]}, *_JOINED]},
    _ANY_OF,
    {
        "any_of": [{"event": None, "where": [{"or": [_EXISTS]}]}, {"event": "A", "where": [{"not": _BESIDE}]}],
        "where": [],
    },
    {"any_of": [None]},
]
_DURATIONS: Final = [1, 3_162_240_000_000, "1ms", "0010s", "15m", "878400h", "36600d", "5228w", "3162240000000ms"]
_RANGES: Final[list[dict[str, Any]]] = [
    {"start_ms": 0, "end_ms": NOW},
    {"start_ms": -NOW},
    {"end_ms": NOW},
    {"last": "7d"},
    {"last": "7d", "calendar": False},
    {"last": "30d", "until": "7d", "calendar": False},
    {"until": 5, "calendar": False},
    {"last": "1w", "calendar": True},
    {"last": 86_400_000, "calendar": True},
    *({"this": unit} for unit in ("hour", "day", "week", "month", "quarter", "year", {"days": 3})),
    {"this": "month", "count": 3},
    {"start_ms": {"$time": 0}, "end_ms": {"$time": 86_400_000}},
    {"previous": "week"},
    {"previous": "year", "count": 1_000},
]
_STATISTICS: Final = ("mean", "min", "max", "median", "p90", "p99.9", "p0.001", "p05")

_COMMON: Final = [
    *(_trend(event=event) for event in _SELECTORS),
    *(_trend(range=each) for each in _RANGES),
    *(_trend(range={"last": each}) for each in _DURATIONS),
    _trend(zone="Europe/Berlin", now_ms=NOW, as_of_ms=NOW),
    *(_trend(week_start=day) for day in _DAYS),
    _trend(where={"trait": "t", "op": "exists"}, breakdown=[{"property": "p"}, {"trait": "t"}], limit=0),
    *(_trend(event={"event": "A", "where": [{"property": "p", **test}]}) for test in _TESTS),
]
_TRENDS: Final = [
    *(_trend(event={"event": "A", "where": [], "first": first}) for first in ("event", "matching")),
    _trend(events=["A", {"event": None, "where": [], "name": "all", "first": "event"}, None]),
    _trend(events=[{**_ANY_OF, "name": "some", "first": "matching"}, _ANY_OF]),
    _trend(event={**_ANY_OF, "first": "event"}),
    _trend(measures=["total", "unique"], order=1, fill=False, cumulative=False),
    _trend(measures=[{"median": "q"}, {"p90": "q"}]),
    _trend(measures=[{name: "p"} for name in ("sum", "mean", "min", "max", "median", "distinct", "p90", "p00.5")]),
    *(_trend(measures=[{"per_profile": name}]) for name in _STATISTICS),
    _trend(interval=None),
    _trend(interval=["hour", "day", "week", "month", "quarter", "year", {"days": 36_600}], fill=True),
    _trend(interval="day", cumulative=True, formula=["A * 2"]),
    _trend(interval=["minute", {"minutes": 15}, {"minutes": 720}], range={"last": "1d"}),
    _funnel(interval={"minutes": 30}),
    _trend(interval={"days": 7}, rolling=366),
    _trend(interval="day", moving_mean=7, fill=True),
    _trend(
        breakdown=[{"segments": [{"where": {"did": "A"}}, {"name": "b", "where": {"did": "B"}}]}, {"group": "company"}]
    ),
    _trend(breakdown=[{"group": "company", "trait": "plan", "name": "plan"}], limit=3),
    _trend(breakdown=[{"property": "p", "borders": [-1, 0.5, 7]}, {"trait": "t", "buckets": 4, "name": "quarter"}]),
    *(
        _trend(breakdown=[{"time": unit}, {"property": "p", "unit": unit, "name": "day"}])
        for unit in ("hour", "day", "week", "month", "quarter", "year")
    ),
    _trend(breakdown=[{"trait": "t", "elements": True}, {"property": "p", "elements": "sku", "borders": [1]}]),
    _trend(breakdown=[{"trait": "t", "borders": [0], "name": "a"}, {"trait": "t", "unit": "day", "name": "b"}]),
    _trend(breakdown=[{"property": "p", "buckets": 1_000}]),
    _trend(breakdown=[{"property": "p", "elements": False, "name": "of"}, {"time": "day", "name": "when"}]),
    _trend(breakdown=[{"event": "name"}, {"event": "name", "name": "again"}]),
    _funnel(attribution="last_touch", breakdown=[{"event": "name"}]),
    _funnel(attribution="last_touch", breakdown=[{"time": "day"}]),
    *(_trend(breakdown=[{"trait": "t", "at": at, "buckets": 3}]) for at in ("now", "event")),
    _funnel(attribution="every_step", breakdown=[{"trait": "t", "at": "event"}]),
    _trend(zone={"trait": "tz", "else": "Europe/Vienna"}, interval="day"),
    _trend(zone={"trait": "tz"}, interval=["day", {"minutes": 30}, {"days": 3}]),
    _retention(zone={"trait": "tz"}, interval={"days": 3}),
    _trend(breakdown=[{"segments": ["paying", {"where": {"did": "A"}}], "name": "of"}]),
    *(_trend(range={"last": "7d"}, previous=each) for each in ("period", "week", "year", {"days": 364})),
    _trend(range={"start_ms": 0}, interval="day", previous="month"),
    _trend(range={"previous": "month"}, previous="period"),
]
_FUNNELS: Final = [
    _funnel(steps=["A", {"event": "B", "where": [], "optional": True}, None], window=None),
    *(_funnel(window={"calendar": unit}) for unit in ("day", {"days": 2})),
    *(_funnel(order=order, window=1) for order in ("in_order", "strict_steps", "strict_all", "any_order")),
    *(_funnel(attempt=attempt) for attempt in ("longest", "first_entry")),
    *(_funnel(count=count) for count in ("profiles", "totals", "all_entries")),
    *(_funnel(count="profiles_by_interval", interval="day", attempt=each) for each in ("longest", "first_entry")),
    *(_funnel(same_time=same_time) for same_time in ("counts", "later", {"grace": "2s"})),
    *(
        _funnel(exclude=["X", {"event": ["Y"], "where": [], "between": [1, 2]}], exclude_mode=mode)
        for mode in ("drop", "remove", "any_clean_path")
    ),
    _funnel(steps=["A", "B", "C"], exclude=[{"event": "Y", "between": [2, 3]}]),
    *(
        _funnel(steps=["A", {"event": "B", "optional": True}, "C"], same_time={"grace": 1}, exclude=["X"], **mode)
        for mode in ({}, {"exclude_mode": "remove"}, {"exclude_mode": "any_clean_path"})
    ),
    _funnel(steps=["A", {**_ANY_OF, "first": "event"}, "C"], exclude=[_ANY_OF, {**_ANY_OF, "between": [1, 2]}]),
    _funnel(hold=["p", "q", "r"], times=list(_STATISTICS)),
    *(
        _funnel(attribution=attribution, breakdown=[{"trait": "t"}, {"property": "p"}])
        for attribution in ("entry", "first_touch", "last_touch", "every_step", {"step": 2})
    ),
    _funnel(where=_who(list="x")["where"], range=_RANGES[0], zone="UTC", week_start="sunday", now_ms=1, as_of_ms=1),
    _funnel(breakdown=[{"property": "p"}], limit=3),
    *(_funnel(event_fills=fills, interval="day") for fills in ("one_step", "several_steps")),
    *(_funnel(window=window) for window in ({"step": "1h"}, {"session": "30m"})),
    *(_funnel(steps=[{"event": "A", "first": first}, "B"]) for first in ("event", "matching")),
    _funnel(steps=["A", {"event": "B", "anchored": True}, "C"], order="any_order"),
    _funnel(steps=["A"], times=["mean", {"within": "1h"}]),
    _funnel(frequency="A"),
    _funnel(frequency={**_ANY_OF, "between": [1, 2]}),
    _funnel(steps=["A", "B", "C"], frequency={"event": ["B", "X"], "where": [], "between": [2, 3]}, count="totals"),
    _funnel(zone={"trait": "tz"}, interval="day", window={"calendar": "week"}),
    _funnel(zone={"trait": "tz"}, interval={"days": 2}, window={"calendar": {"days": 2}}),
    {"kind": "funnel", "steps": ["A", "B"]},
]
_RETENTIONS: Final = [
    *(_retention(start=event) for event in _SELECTORS),
    _retention(**{"return": "B"}, min_count=2, count_birth=True, periods=65_534),
    *(_retention(population=each) for each in ("first_in_range", "first_ever", "every_period")),
    *(_retention(alignment=each) for each in ("calendar", "rolling", "rolling_hour")),
    *(_retention(criterion=each, periods=8) for each in ("on", "on_or_after", "on_or_before", "streak")),
    _retention(criterion={"brackets": [[0, 0], [1, 65_534]]}),
    *(_retention(order=order, fill=True) for order in ("later", "ignored")),
    _retention(measures=[{"sum": "p"}, {"mean": "p"}]),
    _retention(share_value=True, breakdown=[{"property": "p"}], limit=1, interval={"days": 3}),
    _retention(where=_who(list="x")["where"], range=_RANGES[0], zone="UTC", week_start="sunday", now_ms=1, as_of_ms=1),
]
_OTHERS: Final = [
    {**_who(list="vip"), "after": 2**63 - 2, "limit": 0, "zone": "UTC", "week_start": "friday"},
    {**_who(list="vip"), "now_ms": 0, "as_of_ms": 0},
    {"kind": "profile", "ids": {"user_id": "u", "anonymous_id": 7}, "events": {}},
    {"kind": "profile", "profile": 2**63 - 1, "events": {"limit": 3, "names": ["A"], "newest_first": True}},
    {"kind": "profile", "profile": 1, "events": {"limit": 0, "names": ["A", "B"], "newest_first": False}},
    {"kind": "profile", "profile": 0, "now_ms": 0, "as_of_ms": 0, "zone": "UTC", "week_start": "friday"},
]
_WINDOWS: Final[list[dict[str, Any]]] = [
    *({"this": unit, "zone": _TABLE, "week_start": "sunday"} for unit in ("week",)),
    {"last": "3d", "calendar": True, "zone": "Asia/Tokyo", "week_start": "monday"},
    {"this": "month", "count": 2},
    {"previous": "month", "count": 2, "zone": "Asia/Tokyo", "week_start": "monday"},
    {"last": "30d", "until": "7d"},
    {"last": "30d", "until": "7d", "calendar": False},
    {"until": 5},
    {"until": 5, "calendar": False},
    {"since": {"trait": "joined"}},
    {"since": {"trait": "joined"}, "within": "7d"},
]
_LOCAL: Final[dict[str, Any]] = {
    "hours": [[22, 6], ["09:30", "24:00"], [0, 24], ["00:00", 1]],
    "weekdays": ["saturday", "sunday"],
    "days_of_month": [1, 31, -1, -31],
    "months": [1, 12],
    "zone": "Europe/Berlin",
}
_CLAUSES: Final[list[dict[str, Any]]] = [
    {"and": [{"list": "a"}, {"or": [{"list": "b"}, {"not": {"suppressed": True}}]}]},
    *({"trait": "t", **test} for test in _TESTS),
    {"did": "A"},
    {"did": None, "where": [], "window": {"last": "7d"}, "count": _test("lt", 3)},
    {"did": ["A", "B"], "window": _RANGES[0], "count": _test("between", [1, 2.5])},
    *(
        {"did": "A", name: {"property": "p", **_test(op, value)}}
        for name in ("sum", "mean", "min", "max", "distinct")
        for op, value in (("ge", 1), ("in", [1, 2]), ("not_in", []), ("between", [1, 2]))
    ),
    *({"did": "A", name: {"property": "p", **_test("gt", _AT)}} for name in ("min", "max")),
    {"did": "A", "max": {"property": "p", **_test("between", [_AT, _AT])}},
    {"did": "A", "min": {"property": "p", **_test("in", [_AT])}},
    {"did_not": "A", "where": [{"property": "p", "op": "exists"}], "window": {"last": 1}},
    *({form: _ANY_OF, "where": _JOINED} for form in ("did", "did_not")),
    {"did": {"any_of": [{"event": "A", "where": [_BESIDE]}, "B"]}, "first_ever": "matching"},
    {"did": "A", "count": _test("ge", {"own": {"did": _ANY_OF, "measure": "count"}})},
    {"did": "A", "not_followed_by": {**_ANY_OF, "at": {"months": [1]}}, "within": "1d"},
    {"stopped": _ANY_OF, "for": "1d"},
    {"restarted": _ANY_OF, "last": "1d", "gap": "1d"},
    {"regularly": _ANY_OF, "every": "1d", "times": 2},
    {"sequence": ["A", _ANY_OF], "without": _ANY_OF, "between": [{**_ANY_OF, "count": {"op": "lt", "value": 3}}]},
    {"predominantly": {**_ANY_OF, "where": _JOINED, "property": "p", "values": [1]}},
    {"share": {**_ANY_OF, "hours": [[0, 9]], "op": "gt", "value": 0.5}},
    {"trait": "t", "any_element": [{"or": [_EXISTS]}, {"and": [_EXISTS]}, {"not": {"or": [_EXISTS]}}]},
    {"group": None, "where": [{"or": [_EXISTS]}, {"and": [_EXISTS]}, {"not": _EXISTS}]},
    {
        "device": [
            {word: [{"property": "id", "op": "exists"}, {"not": {"property": "zone", "op": "exists"}}]}
            for word in ("and", "or")
        ]
    },
    {"device": []},
    {
        "device": [
            {"property": name, "op": "exists"}
            for name in ("id", "platform", "token", "app_version", "zone", "reason", "dead", "first_seen", "last_seen")
        ]
    },
    *({"device": [{"property": "first_seen", **test}]} for test in _TESTS),
    {"group": None},
    {"group": "company", "where": [{"property": "$role", "op": "eq", "value": "admin"}]},
    {"suppressed": False},
    {"segment": "paying"},
    *(
        {**subject, **test}
        for subject in ({"identity": "email"}, {"profile": "created"})
        for test in (_test("eq", "x", ignore_case=True, missing=True), _test("on", "2026-03-01", zone="UTC"))
    ),
    {"consent": "email", "topic": "news", **_test("in", ["subscribed"], ignore_case=False)},
    {"consent": "email", **_test("ne", "opted_in", missing=True)},
    *({"consent": "email", **_test("eq", state)} for state in ("unsubscribed", "pending", "subscribed", "opted_in")),
    *({"consent": "email", **_test(op, ["pending"])} for op in ("in", "not_in", "any", "none", "all")),
    {"consent": "email", **_test("eq", "PENDING", ignore_case=True)},
    *({"consent": "email", **_test(op, "sub")} for op in ("starts", "regex", "lt")),
    {"consent": "email", "op": "exists"},
    {"consent": "email", **_test("on", "2026-03-01", zone="UTC")},
    *({"did": "A", "window": window} for window in _WINDOWS),
    {"did_not": "A", "at": _LOCAL},
    {"did": "A", "at": {"months": [6]}, "include_zero": False, "count": _test("ge", 0)},
    *(
        {"did": "A", name: {"property": "p", **_test("ge", 1), "missing": missing}}
        for name in ("sum", "mean", "min", "max")
        for missing in ("skip", "zero")
    ),
    {"did": "A", "distinct_days": _test("in", [1, 2], zone="Asia/Tokyo")},
    *({"did": "A", name: {"property": "p", **test}} for name in ("first", "last") for test in _TESTS),
    *(
        {"did": "A", name: _test(op, value, missing=True)}
        for name in ("first_time", "last_time")
        for op, value in (("before", NOW), ("after", NOW), ("older_than", "7d"), ("newer_than", 5))
    ),
    *({"did": "A", "first_ever": each} for each in ("event", "matching")),
    {"did": "A", "not_followed_by": "B", "within": "1h"},
    {"did": "A", "count": _test("gt", {"own": {"did": "B", "measure": "count"}}), "first_ever": "event"},
    {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}},
    {"did": "A", "at": {"hours": [[9, 12]], "zone": {"trait": "tz", "else": "UTC"}}},
    {"did": "A", "at": {"hours": [[9, 12]], "zone": {"trait": "home", "else": "Asia/Kolkata"}}},
    {"did": "A", "at": {"hours": [[9, 12]], "zone": {**_TABLE, "table": "2026a"}}},
    {
        "did": "A",
        "at": _LOCAL,
        "where": [
            {"property": "p", **_test("ge", {"own": {"did": None, "where": [], "at": _LOCAL, "measure": {name: "p"}}})}
            for name in ("sum", "mean", "min", "max", "distinct")
        ],
    },
    {
        "trait": "t",
        **_test("lt", {"own": {"did": ["A"], "window": {"last": "7d"}, "measure": {"sum": "p"}}, "times": 2}),
    },
    {"did": "A", "not_followed_by": {"event": "B", "where": [], "at": _LOCAL}, "within": "1h", "by": "p"},
    *(
        {
            "did": "A",
            "where": [{"property": "p", **_test(op, {"trait": "u", "times": 1.5}, missing=True)}],
            "count": _test(op, {"trait": "u", "times": 2}),
            **{
                name: {"property": "p", **_test(op, {"trait": "u", "times": 2}, missing=fill)}
                for name, fill in (("sum", "skip"), ("mean", "zero"), ("min", "skip"), ("max", "zero"))
            },
            "distinct": {"property": "p", **_test(op, {"trait": "u"})},
        }
        for op in ("eq", "ne", "lt", "le", "gt", "ge")
    ),
    {"did_not": "A", "where": [{"property": "p", **_test("lt", {"trait": "u"})}]},
    {"stopped": "A", "where": [], "for": "7d", "before": "30d"},
    {"restarted": None, "where": [], "last": "7d", "gap": "30d"},
    {"regularly": ["A"], "where": [], "every": "7d", "times": 60},
    {"regularly": "A", "every": "1d", "times": 7, "at_least": 3, "count": {"op": "ge", "value": 2}},
    {"restarted": "A", "last": "1d", "gap": "30d"},
    {"sequence": ["A", None]},
    {
        "sequence": ["A", "B", "C"],
        "between": [None, {"event": ["X", "Y"], "where": [], "at": _LOCAL, "count": {"op": "lt", "value": 3}}],
    },
    *(
        {"sequence": ["A", "B"], "between": [{"event": None, "count": {"op": op, "value": 0}}]}
        for op in ("le", "gt", "ge", "eq")
    ),
    *({"quantile": {"trait": "t"}, "op": op, "value": "p99.9"} for op in ("ge", "gt", "le", "lt")),
    *(
        {
            "quantile": {"own": {"did": "A", "measure": "count"}},
            "op": "between",
            "value": ["p5", "median"],
            "method": each,
        }
        for each in ("linear", "nearest_rank", "lower", "higher")
    ),
    {"quantile": {"trait": "t"}, "op": "ge", "value": "median", "among": {"list": "x"}},
    {
        "sequence": ["A", {"event": "B", "where": [], "at": _LOCAL}, *["C"] * 5],
        "within": "1h",
        "gaps": [None, *({"op": op, "value": "1h"} for op in ("lt", "le", "gt", "ge", "eq"))],
        "without": "X",
        "window": {"last": "7d"},
        "count": _test("ge", 2),
        "hold": "p",
    },
    {"predominantly": {"event": "A", "where": [], "at": _LOCAL, "window": {"last": "7d"}, "hours": [[9, 17]]}},
    {"predominantly": {"event": None, "weekdays": list(_DAYS), "zone": _TABLE}},
    {"predominantly": {"event": ["A"], "property": "p", "values": [1, "x", True, _AT]}},
    *(
        {"share": {"event": "A", "where": [], "at": _LOCAL, "window": {"last": "7d"}, **values, **_test("ge", 0.5)}}
        for values in (
            {"property": "p", "values": ["x"]},
            {"hours": [[22, 6]], "zone": "UTC"},
            {"weekdays": ["sunday"], "zone": "UTC"},
        )
    ),
    {"trait": "t", "any_element": [{"property": "p", "op": "eq", "value": 1}], "has_been": {"less_than": "7d"}},
    {"trait": "t", "op": "eq", "value": 1, "has_been": {"at_least": "7d"}},
    *(
        {"trait": "t", **_test(op, {"trait": "u", "times": 1.5}, missing=True)}
        for op in ("eq", "ne", "lt", "le", "gt", "ge")
    ),
    {"trait": "t", **_test("eq", {"trait": "u"})},
    *(
        {"did": "A", "where": [condition]}
        for condition in (
            {"property": "p", "any_element": [{"property": "q", **_test("eq", 1)}]},
            {"geo": {"lat": "lat", "lon": "lon"}, "within": {"lat": -90, "lon": 180, "meters": 20_100_000}},
        )
    ),
    {"device": [{"property": "id", "any_element": [{"property": "q", **_test("eq", 1)}]}]},
    *({"identity": kind, **test} for kind in ("user_id", "anonymous_id", "email", "phone") for test in _TESTS[:3]),
    *({"profile": each, **_test("before", _AT)} for each in ("created", "first_seen", "last_seen")),
    {"bucket": {"salt": ""}},
    {"bucket": {"salt": "x", "from": 0, "to": 10_000}},
    {"geo": {"lat": "home.lat", "lon": "home.lon"}, "within": {"lat": 1.5, "lon": 2, "meters": 0}},
]
_OVERLAPS: Final = [
    {
        "kind": "overlap",
        "segments": [{"name": "a", "where": {"list": "a"}}, {"where": {"list": "b"}}],
        "where": {"list": "x"},
        "zone": "UTC",
        "week_start": "sunday",
        "now_ms": 0,
        "as_of_ms": 0,
    },
    {"kind": "overlap", "segment": {"list": "a"}, "from_ms": -9, "to_ms": 2, "where": {"list": "x"}, "limit": 3},
    *({"kind": "overlap", "segment": {"list": "a"}, "from_ms": 0, "to_ms": 1, "joins": how} for how in ("now", "then")),
    {
        **{"kind": "overlap", "segment": {"list": "a"}, "from_ms": 0, "to_ms": 1, "now_ms": 1, "as_of_ms": 1},
        **{"zone": "UTC", "week_start": "sunday"},
    },
]

_WHEN: Final = {"zone": "UTC", "week_start": "sunday", "now_ms": 1, "as_of_ms": 1}
_EXPLAINS: Final = [
    {"kind": "explain", "ids": {"user_id": "u"}, "predicate": {"list": "a"}, "events": {"limit": 3}, **_WHEN},
    {"kind": "explain", "profile": 0, "predicate": {"and": [{"list": "a"}]}, "events": {"limit": 0}},
]
_BY: Final = {"breakdown": [{"property": "p"}, {"trait": "t"}]}
_CELLS: Final = [
    _who(cell=_funnel(), at={"reached": 2}),
    _who(cell=_funnel(interval="day"), at={"reached": 2, "start_ms": 0}),
    _who(cell=_funnel(**_BY), at={"lost": 2, "group": ["x", None]}),
    _who(cell=_retention(), at={"cohort_ms": 0, "period": 1}),
    _who(cell=_retention(), at={"cohort_ms": 86_400_000, "period": 0}),
    _who(cell=_trend(interval="hour"), at={"start_ms": 3_600_000}),
    _who(cell=_retention(), at={"cohort_ms": 0, "returned": False}),
    _who(cell=_trend(events=["A", "B"], interval="day"), at={"start_ms": 0, "series": "B"}),
    _who(cell=_trend(**_BY), at={"group": [1.5, True]}),
]

ACCEPTED: Final = [
    *_COMMON,
    *_TRENDS,
    *_FUNNELS,
    *_RETENTIONS,
    *_OTHERS,
    *_OVERLAPS,
    *_EXPLAINS,
    *_CELLS,
    *(_who(**clause) for clause in _CLAUSES),
]

# A spec, and where its fault lies: the map that lacks a field or has one too many, or the value.
REFUSED: Final[list[tuple[Any, str]]] = [
    (_who(did="A", sum={"property": "p", "op": "any", "value": [1]}), "$.where.sum.op"),
    (_who(did="A", count={"op": "none", "value": [1]}), "$.where.count.op"),
    ({"kind": "explain", "ids": {"user_id": "u"}}, "$"),
    ({"kind": "explain", "predicate": {"list": "a"}}, "$"),
    ({"kind": "explain", "profile": 0, "predicate": {"lists": "a"}}, "$.predicate"),
    ({"kind": "explain", "profile": 0, "predicate": {"list": "a"}, "events": {"limit": 10_001}}, "$.events.limit"),
    (_who(cell=_funnel()), "$.where"),
    (_who(cell=_funnel(), at={}), "$.where.at"),
    (_who(cell=_funnel(limit=1), at={"reached": 1}), "$.where.cell.limit"),
    (_who(cell=_funnel(steps=[]), at={"reached": 1}), "$.where.cell.steps"),
    (_who(cell=_funnel(), at={"lost": 1}), "$.where.at.lost"),
    (_who(cell=_retention(), at={"reached": 1}), "$.where.at.reached"),
    (_who(cell=_trend(), at={"period": 1}), "$.where.at.period"),
    (_who(cell=_trend(), at={"returned": True}), "$.where.at.returned"),
    (_who(cell={"kind": "profiles", "where": {"list": "a"}}, at={}), "$.where.cell.kind"),
    ([], "$"),
    ({}, "$"),
    ({"kind": "trends", "event": "A"}, "$.kind"),
    (_trend(extra=1), "$"),
    ({"kind": "trend"}, "$"),
    (_trend(event=None), "$.event"),
    (_trend(event=""), "$.event"),
    (_trend(event="x" * 257), "$.event"),
    (_trend(event=[]), "$.event"),
    (_trend(event=["A", 1]), "$.event[1]"),
    (_trend(event=["A"] * 1_001), "$.event"),
    (_trend(event={"where": []}), "$.event"),
    (_trend(event={"event": "A", "name": "x"}), "$.event"),
    (_trend(event={"event": "A", "first": "ever"}), "$.event.first"),
    (_trend(events=[], event="A"), "$.events"),
    (_trend(events=["A"] * 27), "$.events"),
    (_trend(event={"event": "A", "where": [{"property": "p"}]}), "$.event.where[0]"),
    (_trend(event={"event": "A", "where": [{"op": "exists"}]}), "$.event.where[0]"),
    (_trend(event={"event": "A", "where": [{"property": "p", "op": "is", "value": 1}]}), "$.event.where[0].op"),
    (_trend(event={"event": "A", "where": [{"property": "p", "op": "exists"}] * 65}), "$.event.where"),
    (_trend(measures=[]), "$.measures"),
    (_trend(measures=["count"]), "$.measures[0]"),
    (_trend(measures=["total", {"sum": "p", "mean": "p"}]), "$.measures[1]"),
    (_trend(measures=[{"total": "p"}]), "$.measures[0]"),
    *(
        (_trend(measures=[{name: "p"}]), "$.measures[0]")
        for name in ("p", "p0", "p100", "p.5", "p50.", "p1.2345", "p0.000")
    ),
    (_trend(measures=[{"per_profile": "sum"}]), "$.measures[0].per_profile"),
    (_trend(interval="second"), "$.interval"),
    (_trend(interval=[]), "$.interval"),
    (_trend(interval=["day", {"days": 0}]), "$.interval[1].days"),
    (_trend(interval={"days": 36_601}), "$.interval.days"),
    (_trend(interval={"days": 1, "weeks": 1}), "$.interval"),
    (_trend(order=-1), "$.order"),
    (_trend(cumulative=True), "$.cumulative"),
    (_trend(interval=None, fill=True), "$.fill"),
    (_trend(rolling=7), "$.rolling"),
    (_trend(interval="day", rolling=1), "$.rolling"),
    (_trend(interval="day", rolling=367), "$.rolling"),
    (_trend(interval="day", rolling=7, cumulative=True), "$.rolling"),
    (_trend(formula=[]), "$.formula"),
    (_trend(formula=[""]), "$.formula[0]"),
    (_trend(breakdown=[{"property": "p", "trait": "t"}]), "$.breakdown[0]"),
    (_trend(breakdown=[{"property": "p"}] * 9), "$.breakdown"),
    (_trend(breakdown=[{"property": "p", "borders": []}]), "$.breakdown[0].borders"),
    (_trend(breakdown=[{"property": "p", "borders": ["1"]}]), "$.breakdown[0].borders[0]"),
    (_trend(breakdown=[{"property": "p", "borders": [1], "buckets": 2}]), "$.breakdown[0].buckets"),
    (_trend(breakdown=[{"trait": "p", "buckets": 1}]), "$.breakdown[0].buckets"),
    (_trend(breakdown=[{"property": "p", "unit": {"days": 3}}]), "$.breakdown[0].unit"),
    (_trend(breakdown=[{"property": "p", "elements": 1}]), "$.breakdown[0].elements"),
    (_trend(breakdown=[{"time": "minute"}]), "$.breakdown[0].time"),
    (_trend(breakdown=[{"event": "time"}]), "$.breakdown[0].event"),
    (_trend(breakdown=[{"event": "name", "property": "p"}]), "$.breakdown[0]"),
    (_trend(breakdown=[{"time": "day", "elements": True}]), "$.breakdown[0]"),
    (_trend(breakdown=[{"time": "day", "property": "p"}]), "$.breakdown[0]"),
    (_trend(breakdown=[{"trait": "p", "at": "then"}]), "$.breakdown[0].at"),
    (_trend(zone={}), "$.zone"),
    (_trend(zone={"trait": "tz"}, interval="day", rolling=7), "$.rolling"),
    (_trend(zone={"trait": "tz"}, interval="day", fill=True), "$.fill"),
    (_trend(zone={"trait": "tz"}, interval="day", range={"this": "day", "zone": "UTC"}), "$.range"),
    (_retention(zone={"trait": "tz"}, breakdown=[{"property": "p", "unit": "day"}]), "$.breakdown[0].unit"),
    (_trend(zone={"trait": "tz", "otherwise": "UTC"}), "$.zone"),
    (_trend(event={"any_of": []}), "$.event.any_of"),
    (_trend(event={"any_of": ["A"], "event": "A"}), "$.event.any_of"),
    (_trend(event={"any_of": [{"any_of": ["A"]}]}), "$.event.any_of[0]"),
    (_trend(event={"any_of": ["A", {"event": "B", "where": [{"or": []}]}]}), "$.event.any_of[1].where[0].or"),
    (_trend(event={"event": "A", "where": [{"or": [{}]}]}), "$.event.where[0].or[0]"),
    (_trend(event={"event": "A", "where": [{"not": []}]}), "$.event.where[0].not"),
    (_trend(event={"event": "A", "where": [{"not": _EXISTS, "op": "eq"}]}), "$.event.where[0]"),
    (_trend(event={"event": "A", "where": [{"and": [_EXISTS] * 65}]}), "$.event.where[0].and"),
    (_trend(limit=-1), "$.limit"),
    (_trend(limit=1_000_000_001), "$.limit"),
    (_trend(limit=1.5), "$.limit"),
    (_trend(limit="1"), "$.limit"),
    (_trend(zone=""), "$.zone"),
    (_trend(week_start="Monday"), "$.week_start"),
    (_trend(now_ms="now"), "$.now_ms"),
    (_trend(as_of_ms=10**14), "$.as_of_ms"),
    (_trend(range={}), "$.range"),
    (_trend(range={"start_ms": 0, "last": "7d"}), "$.range"),
    (_trend(range={"last": "7d", "calendar": 1}), "$.range.calendar"),
    (_trend(range={"last": 5, "calendar": True}), "$.range.last"),
    (_trend(range={"this": "fortnight"}), "$.range.this"),
    (_trend(range={"previous": "month", "count": 0}), "$.range.count"),
    (_trend(range={"this": "month", "previous": "month"}), "$.range"),
    (_trend(range={"last": "7d", "count": 2}), "$.range"),
    (_trend(range={"start_ms": "2026-03-01"}), "$.range.start_ms"),
    (_trend(range={"start_ms": {"$time": 10**18}}), "$.range.start_ms['$time']"),
    *(
        (_trend(range={"last": each}), "$.range.last")
        for each in (
            0,
            -1,
            1.5,
            3_162_240_000_001,
            "",
            "d",
            "0d",
            "7",
            "7 d",
            "7D",
            "1.5h",
            "-1d",
            "36601d",
            "5229w",
            "1y",
        )
    ),
    (_funnel(steps=[]), "$.steps"),
    (_funnel(steps=["A"] * 33), "$.steps"),
    (_funnel(steps=["A", {"event": "B", "optional": 1}]), "$.steps[1].optional"),
    (_funnel(steps=[{"event": "A", "optional": True}, "B"]), "$.steps[0].optional"),
    ({"kind": "funnel", "window": "7d"}, "$"),
    (_funnel(window={"step": "1h"}, order="any_order"), "$.window.step"),
    (_funnel(window={"step": "1h"}, same_time={"grace": 1}), "$.window.step"),
    (_funnel(window={"session": "1h", "step": "1h"}), "$.window"),
    (_funnel(event_fills="several_steps", same_time="later"), "$.same_time"),
    (_funnel(event_fills="all"), "$.event_fills"),
    (_funnel(interval="second"), "$.interval"),
    (_retention(interval="minute"), "$.interval"),
    (_retention(interval={"minutes": 5}), "$.interval"),
    (_trend(interval={"minutes": 0}), "$.interval.minutes"),
    (_trend(interval={"minutes": 1_440}), "$.interval.minutes"),
    (_trend(interval={"minutes": 5, "days": 1}), "$.interval"),
    (_trend(range={"this": "minute"}), "$.range.this"),
    (_funnel(steps=["A", {"event": "B", "anchored": True}]), "$.steps[1].anchored"),
    (_funnel(steps=[{"event": "A", "first": "ever"}, "B"]), "$.steps[0].first"),
    (_funnel(times=[{"within": "0d"}]), "$.times[0].within"),
    (_retention(order="any"), "$.order"),
    (_retention(fill=1), "$.fill"),
    (_retention(measures=[]), "$.measures"),
    (_retention(measures=["total"]), "$.measures[0]"),
    (_retention(measures=[{"sum": "p", "mean": "p"}]), "$.measures[0]"),
    (_retention(measures=[{"max": "p"}]), "$.measures[0]"),
    (_funnel(window={}), "$.window"),
    (_funnel(window={"calendar": "fortnight"}), "$.window.calendar"),
    (_funnel(window="0d"), "$.window"),
    (_funnel(order="loose"), "$.order"),
    (_funnel(attempt="last"), "$.attempt"),
    (_funnel(count="events"), "$.count"),
    (_funnel(count="totals", attempt="first_entry"), "$.count"),
    (_funnel(count="profiles_by_interval"), "$"),
    (_funnel(same_time={"grace": 0}), "$.same_time.grace"),
    (_funnel(same_time={"grace": 1}, order="strict_all"), "$.order"),
    (_funnel(same_time="later", order="any_order"), "$.same_time"),
    (_funnel(steps=["A", {"event": "B", "optional": True}, "C"], order="any_order"), "$.steps[1].optional"),
    (_funnel(exclude=[]), "$.exclude"),
    (_funnel(exclude_mode="drop"), "$"),
    (_funnel(exclude=[{"event": "X", "between": [0, 2]}]), "$.exclude[0].between[0]"),
    (_funnel(exclude=[{"event": "X", "between": [1, 2, 3]}]), "$.exclude[0].between"),
    (_funnel(exclude=[{"event": "X", "between": [1, 2]}], order="any_order"), "$.exclude[0].between"),
    (_funnel(hold=["p", "q", "r", "s"]), "$.hold"),
    (_funnel(times=["mean", "mean"]), "$.times"),
    (_funnel(times=["p100"]), "$.times[0]"),
    (_funnel(attribution="entry"), "$"),
    (_funnel(attribution="entry", breakdown=[{"trait": "t"}]), "$.breakdown"),
    (_funnel(attribution={"step": 0}, breakdown=[{"property": "p"}]), "$.attribution.step"),
    (_retention(start=None), "$.start"),
    ({"kind": "retention", "start": "A"}, "$"),
    (_retention(population="all"), "$.population"),
    (_retention(alignment="loose"), "$.alignment"),
    (_retention(criterion="ever"), "$.criterion"),
    (_retention(criterion={"brackets": []}), "$.criterion.brackets"),
    (_retention(criterion={"brackets": [[0, 1], [1]]}), "$.criterion.brackets[1]"),
    (_retention(criterion={"brackets": [[-1, 1]]}), "$.criterion.brackets[0][0]"),
    (_retention(criterion={"brackets": [[0, 0]]}, periods=3), "$.periods"),
    (_retention(min_count=0), "$.min_count"),
    (_retention(periods=65_535), "$.periods"),
    (_retention(share_value=True), "$"),
    (_retention(limit=3), "$"),
    (_retention(limit=3, breakdown=[]), "$.breakdown"),
    ({"kind": "profiles"}, "$"),
    ({**_who(list="a"), "range": {"last": "7d"}}, "$"),
    ({**_who(list="a"), "after": -1}, "$.after"),
    ({"kind": "profile"}, "$"),
    ({"kind": "profile", "profile": 1, "ids": {"user_id": "u"}}, "$.profile"),
    ({"kind": "profile", "ids": {}}, "$.ids"),
    ({"kind": "profile", "ids": {"user_id": None}}, "$.ids.user_id"),
    ({"kind": "profile", "profile": 1, "events": {"names": "A"}}, "$.events.names"),
    ({"kind": "profile", "profile": 1, "where": {"list": "a"}}, "$"),
    *(
        (_who(**clause), f"$.where{path}")
        for clause, path in (
            ({}, ""),
            ({"ever": "A"}, ""),
            ({"and": []}, ".and"),
            ({"and": [{"list": "a"}, {"or": {}}]}, ".and[1].or"),
            ({"not": [{"list": "a"}]}, ".not"),
            ({"and": [{"list": "a"}], "or": [{"list": "a"}]}, ""),
            ({"trait": "t"}, ""),
            ({"trait": 1, "op": "exists"}, ".trait"),
            ({"trait": "t", "op": "eq"}, ""),
            ({"trait": "t", "op": "eq", "value": None}, ".value"),
            ({"trait": "t", "op": "eq", "value": [1]}, ".value"),
            ({"trait": "t", "op": "eq", "value": {"$time": "now"}}, ".value['$time']"),
            ({"trait": "t", "op": "exists", "value": 1}, ".value"),
            ({"trait": "t", "op": "exists", "missing": False}, ".missing"),
            ({"trait": "t", "op": "in", "value": "x"}, ".value"),
            ({"trait": "t", "op": "in", "value": [1, None]}, ".value[1]"),
            ({"trait": "t", "op": "in", "value": [0] * 10_001}, ".value"),
            ({"trait": "t", "op": "lt", "value": True}, ".value"),
            ({"trait": "t", "op": "between", "value": [1]}, ".value"),
            ({"trait": "t", "op": "between", "value": [1, "x"]}, ".value[1]"),
            ({"trait": "t", "op": "between", "value": [True, 1]}, ".value[0]"),
            ({"trait": "t", "op": "contains", "value": 1}, ".value"),
            ({"trait": "t", "op": "regex", "value": 1}, ".value"),
            ({"trait": "t", "op": "regex", "value": "x" * 1_025}, ".value"),
            ({"trait": "t", "op": "size", "value": 1}, ".value"),
            ({"trait": "t", "op": "size", "value": {"op": "contains", "value": "1"}}, ".value.op"),
            ({"trait": "t", "op": "size", "value": {"op": "ge", "value": 1}, "ignore_case": True}, ".ignore_case"),
            ({"trait": "t", "op": "before", "value": 1}, ".value"),
            ({"trait": "t", "op": "on", "value": "2026-13-01"}, ".value"),
            ({"trait": "t", "op": "on", "value": "1.3.2026"}, ".value"),
            ({"trait": "t", "op": "on", "value": "2026-03-01", "zone": 1}, ".zone"),
            ({"trait": "t", "op": "eq", "value": 1, "zone": "UTC"}, ".zone"),
            ({"trait": "t", "op": "within", "value": {"last": "7d", "next": "7d"}}, ".value"),
            ({"trait": "t", "op": "within", "value": "7d"}, ".value"),
            ({"trait": "t", "op": "anniversary", "value": {"days_before": 367}}, ".value.days_before"),
            ({"trait": "t", "op": "anniversary", "value": {"leap_day": "29"}}, ".value.leap_day"),
            ({"trait": "t", "op": "version_lt", "value": "one"}, ".value"),
            ({"trait": "t", "op": "version_lt", "value": "1."}, ".value"),
            ({"trait": "t", "op": "size", "value": {"op": "ge", "value": 1, "unit": "x"}}, ".value"),
            ({"did": {"event": "A"}}, ".did"),
            ({"did": {"any_of": ["A"], "where": []}}, ".did"),
            (
                {"stopped": {"any_of": [{"event": "A", "where": [_BESIDE]}]}, "for": 1},
                ".stopped.any_of[0].where[0].value",
            ),
            ({"device": [{"or": [{"property": "colour", "op": "exists"}]}]}, ".device[0].or[0].property"),
            ({"trait": "t", "any_element": [{"not": {"geo": {"lat": "a", "lon": "b"}}}]}, ".any_element[0].not.geo"),
            ({"did": "A", "count": 3}, ".count"),
            ({"did": "A", "count": {"op": "exists", "value": 1}}, ".count.op"),
            ({"did": "A", "count": {"op": "ge", "value": "3"}}, ".count.value"),
            ({"did": "A", "sum": {"op": "ge", "value": 3}}, ".sum"),
            ({"did": "A", "mean": {"property": "p", "op": "ge", "value": _AT}}, ".mean.value"),
            ({"did": "A", "max": {"property": "p", "op": "in", "value": [_AT, 1]}}, ".max.value[1]"),
            ({"did": "A", "window": {"last": 0}}, ".window.last"),
            ({"did": "A", "windows": {"last": "7d"}}, ""),
            ({"did_not": "A", "count": {"op": "ge", "value": 1}}, ""),
            ({"device": [{"property": "colour", "op": "exists"}]}, ".device[0].property"),
            ({"group": ""}, ".group"),
            ({"suppressed": 1}, ".suppressed"),
            ({"consent": "email"}, ""),
            ({"consent": "email", "op": "eq", "value": "opted-in"}, ".value"),
            ({"consent": "email", "op": "ne", "value": 1}, ".value"),
            ({"consent": "email", "op": "in", "value": ["pending", "Pending"]}, ".value[1]"),
            ({"identity": "shoe", "op": "exists"}, ".identity"),
            ({"profile": "born", "op": "exists"}, ".profile"),
            ({"bucket": {}}, ".bucket"),
            ({"bucket": {"salt": "x", "to": 10_001}}, ".bucket.to"),
            ({"geo": {"lat": "a", "lon": "b"}}, ""),
            ({"geo": {"lat": "a", "lon": "b"}, "within": {"lat": 91, "lon": 0, "meters": 1}}, ".within.lat"),
            ({"segment": ["a"]}, ".segment"),
            ({"trait": "t", "any_element": []}, ".any_element"),
            ({"trait": "t", "any_element": [{"geo": {"lat": "a", "lon": "b"}}]}, ".any_element[0].geo"),
            ({"trait": "t", "op": "in", "value": {"trait": "u"}}, ".op"),
            ({"trait": "t", "op": "eq", "value": {"trait": "u", "times": "2"}}, ".value.times"),
            ({"trait": "t", "op": "eq", "value": {"own": {"did": "A"}}}, ".value.own"),
            ({"trait": "t", "op": "eq", "value": {"own": {"did": "A", "measure": "total"}}}, ".value.own.measure"),
            ({"trait": "t", "op": "exists", "has_been": "7d"}, ".has_been"),
            ({"trait": "t", "op": "exists", "has_been": {}}, ".has_been"),
            ({"did": "A", "at": {}}, ".at"),
            ({"did": "A", "at": {"zone": "UTC"}}, ".at"),
            ({"did": "A", "at": {"hours": [[24, 1]]}}, ".at.hours[0][0]"),
            ({"did": "A", "at": {"hours": [["9:30", 12]]}}, ".at.hours[0][0]"),
            ({"did": "A", "at": {"weekdays": ["mon"]}}, ".at.weekdays[0]"),
            ({"did": "A", "at": {"days_of_month": [0]}}, ".at.days_of_month[0]"),
            ({"did": "A", "at": {"months": [13]}}, ".at.months[0]"),
            ({"did": "A", "window": {"since": "joined"}}, ".window.since"),
            ({"did": "A", "first": {"property": "p"}}, ".first"),
            ({"did": "A", "first_time": {"op": "before", "value": "7d"}}, ".first_time.value"),
            ({"did": "A", "last_time": {"op": "older_than", "value": "soon"}}, ".last_time.value"),
            ({"did": "A", "first_ever": True}, ".first_ever"),
            ({"did": "A", "not_followed_by": "B"}, ""),
            ({"did": "A", "by": "p"}, ""),
            ({"did": "A", "sum": {"property": "p", "op": "ge", "value": 1, "missing": True}}, ".sum.missing"),
            ({"did": "A", "distinct": {"property": "p", "op": "ge", "value": 1, "missing": "zero"}}, ".distinct"),
            ({"did": "A", "count": {"op": "in", "value": {"trait": "u"}}}, ".count.op"),
            ({"did": "A", "where": [{"property": "p", "op": "in", "value": {"trait": "u"}}]}, ".where[0].op"),
            ({"stopped": "A"}, ""),
            ({"restarted": "A", "last": "7d"}, ""),
            ({"regularly": "A", "every": "7d", "times": 61}, ".times"),
            ({"regularly": "A", "every": "7d", "times": 2, "at_least": 0}, ".at_least"),
            ({"regularly": "A", "every": "7d", "times": 2, "count": 3}, ".count"),
            ({"sequence": ["A"]}, ".sequence"),
            ({"sequence": ["A", "B"], "between": []}, ".between"),
            ({"sequence": ["A", "B"], "between": [{"event": "X"}]}, ".between[0]"),
            ({"quantile": {"trait": "t"}, "op": "eq", "value": "p1"}, ".op"),
            ({"quantile": {"trait": "t"}, "op": "ge", "value": "p0"}, ".value"),
            ({"quantile": {"trait": "t"}, "op": "ge", "value": ["p1", "p2"]}, ".value"),
            ({"quantile": {"trait": "t"}, "op": "between", "value": "p1"}, ".value"),
            ({"quantile": {"trait": "t"}, "op": "ge", "value": "p1", "method": "x"}, ".method"),
            ({"sequence": ["A", "B"], "gaps": [{"op": "ne", "value": 1}]}, ".gaps[0].op"),
            ({"predominantly": {"event": "A"}}, ".predominantly"),
            ({"predominantly": {"event": "A", "property": "p"}}, ".predominantly"),
            ({"predominantly": {"event": "A", "hours": [[1, 2]], "weekdays": ["monday"]}}, ".predominantly.weekdays"),
            ({"share": {"event": "A", "hours": [[1, 2]]}}, ".share"),
        )
    ),
    ({"kind": "overlap"}, "$"),
    ({"kind": "overlap", "segments": [{"where": {"list": "a"}}]}, "$.segments"),
    ({"kind": "overlap", "segments": [{"where": {"list": "a"}}, {}]}, "$.segments[1]"),
    ({"kind": "overlap", "segments": [{"where": {"list": "a"}}] * 2, "limit": 1}, "$"),
    ({"kind": "overlap", "segment": {"list": "a"}, "from_ms": 0}, "$"),
]


def nested(form: str, depth: int) -> dict[str, Any]:
    """A predicate so many levels deep."""
    predicate: dict[str, Any] = {"did": "A"}
    for _ in range(depth):
        predicate = {form: predicate if form == "not" else [predicate]}
    return {"kind": "profiles", "where": predicate}
