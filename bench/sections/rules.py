"""What every rule of a question costs beside the same question without it, in the store of the workload.

No floors: a general spec should run at the speed of the special case, and this table tells where it does not. Ratios of
medians, two threads.
"""

import statistics
import time
from pathlib import Path
from typing import Any

from bench.data import schema
from bench.report import Result
from bench.versus.engines import ours
from bench.versus.specs import FUNNEL_SHORT, WEEKLY, WHOLE, did, equals, since
from cdpstore.store import Store

RUNS = 5
Spec = dict[str, Any]
CHARGED: Spec = {"kind": "trend", "event": "Charged", "measures": [{"sum": "price"}], "interval": "day", "range": WHOLE}
FUNNEL = {key: value for key, value in FUNNEL_SHORT.items() if key not in ("breakdown", "same_time")}
FIRST, SECOND, THIRD = schema.FUNNEL_SHORT
ELECTRONICS = {"event": SECOND, "where": [equals("category", "electronics")]}


LOCAL = {"trait": "city", "else": "Asia/Kolkata"}  # nobody's city is a zone: all take the other way round


def members(*clauses: Spec) -> Spec:
    """How many profiles meet them all."""
    return {"kind": "profiles", "where": clauses[0] if len(clauses) == 1 else {"and": list(clauses)}, "limit": 1}


def by(operand: Spec) -> Spec:
    """Over the whole range, broken down."""
    return {"interval": None, "breakdown": [operand]}


def conditions(count: int) -> Spec:
    """So many different clauses, of which each leaves most."""
    clauses = [did(schema.EVENTS[at % 20], 30 + at, 1 + at % 3) for at in range(count)]
    return {"kind": "profiles", "where": {"or": clauses}, "limit": 1}


# A plain question, and what is added to it.
RULES: dict[str, tuple[Spec, dict[str, Spec]]] = {
    "funnel of 3 steps": (
        FUNNEL,
        {
            "later milliseconds": {"same_time": "later"},
            "grace of a second": {"same_time": {"grace": "1s"}},
            "strict_steps": {"order": "strict_steps"},
            "strict_all": {"order": "strict_all"},
            "any order": {"order": "any_order"},
            "a step with a condition": {"steps": [FIRST, ELECTRONICS, THIRD]},
            "first ever events": {"steps": [{"event": FIRST, "first": "event"}, SECOND, THIRD]},
            "optional step": {"steps": [FIRST, {"event": SECOND, "optional": True}, THIRD]},
            "several steps an event": {"event_fills": "several_steps"},
            "first entry": {"attempt": "first_entry"},
            "every entry": {"count": "all_entries"},
            "window of a step": {"window": {"step": "1d"}},
            "window of a session": {"window": {"session": "30m"}},
            "window of a calendar day": {"window": {"calendar": "day"}},
            "no window": {"window": None},
            "exclusion": {"exclude": [{"event": "Item Removed"}]},
            "held category": {"hold": ["category"]},
            "median times": {"times": ["median"]},
            "rows by day of entry": {"interval": "day"},
            "by a trait": {"breakdown": [{"trait": "country"}]},
            "by a property of the entry": {"breakdown": [{"property": "category"}]},
            "by a property, last touch": {"breakdown": [{"property": "category"}], "attribution": "last_touch"},
        },
    ),
    "weekly retention": (
        WEEKLY,
        {
            "return by another event": {"return": "Charged"},
            "first ever": {"population": "first_ever"},
            "every period": {"population": "every_period"},
            "rolling": {"alignment": "rolling"},
            "on or after": {"criterion": "on_or_after"},
            "streak": {"criterion": "streak"},
            "three times": {"min_count": 3},
            "whole grid": {"fill": True},
            "by a trait": {"breakdown": [{"trait": "country"}]},
            "by a trait at the event": {"breakdown": [{"trait": "country", "at": "event"}]},
            "on each profile's clock": {"zone": LOCAL},
        },
    ),
    "daily sum": (
        CHARGED,
        {
            "profiles": {"measures": ["unique"]},
            "median": {"measures": [{"median": "price"}]},
            "distinct values": {"measures": [{"distinct": "product_id"}]},
            "median a profile": {"measures": [{"per_profile": "median"}]},
            "first ever events": {"event": {"event": "Charged", "first": "event"}},
            "two series, a formula": {"event": None, "events": ["Charged", FIRST], "formula": ["A / B"]},
            "profiles of 7 days": {"measures": ["unique"], "rolling": 7},
            "profiles so far": {"measures": ["unique"], "cumulative": True},
            "mean of 7 days": {"moving_mean": 7},
            "period before": {"range": since(30), "previous": "period"},
            "local days of New York": {"zone": "America/New_York"},
            "by category": {"interval": None, "breakdown": [{"property": "category"}]},
            "by a trait": {"interval": None, "breakdown": [{"trait": "country"}]},
            "by 200,000 products": {"interval": None, "breakdown": [{"property": "product_id"}], "limit": 20},
            "by ten borders": by({"property": "price", "borders": [*range(500, 5_500, 500)]}),
            "by ten buckets of equal count": by({"property": "price", "buckets": 10}),
            "by hours of the event": by({"time": "hour"}),
            "by months of New York": {**by({"time": "month"}), "zone": "America/New_York"},
            "by elements, of no lists": by({"property": "category", "elements": True}),
            "by a trait at the event": by({"trait": "country", "at": "event"}),
            "medians by category": {**by({"property": "category"}), "measures": [{"median": "price"}]},
            "on each profile's clock": {"zone": LOCAL},
        },
    ),
    "did within 30 days": (
        members(did("Charged", 30)),
        {
            "10 conditions": conditions(10),
            "50 conditions": conditions(50),
            "in hours of the day": members(did("Charged", 30, at={"hours": [[9, 17]]})),
            "in the profile's hours": members(did("Charged", 30, at={"hours": [[9, 17]], "zone": LOCAL})),
            "first ever": members({"did": "Charged", "first_ever": "event", "window": since(30)}),
            "not followed by": members({"did": SECOND, "not_followed_by": {"event": "Charged"}, "within": "1d"}),
            "last price": members({"did": "Charged", "last": {"property": "price", "op": "gt", "value": 5_000}}),
            "distinct days": members({"did": "Charged", "distinct_days": {"op": "ge", "value": 3}}),
            "sequence": members({"sequence": [SECOND, THIRD], "within": "1h"}),
            "sequence that holds": members({"sequence": [SECOND, THIRD], "within": "1h", "hold": "category"}),
            "stopped": members({"stopped": "Charged", "for": "14d", "before": "60d"}),
            "share": members({"share": {"event": "Charged", "hours": [[9, 17]], "op": "ge", "value": 0.5}}),
            "more than own mean": members(
                {
                    "did": "Charged",
                    "where": [
                        {
                            "property": "price",
                            "op": "gt",
                            "value": {"own": {"did": "Charged", "measure": {"mean": "price"}}, "times": 2},
                        }
                    ],
                }
            ),
        },
    ),
    "as of now": (members(did("Charged", 30)), {"as of an hour ago": {"as_of_ms": schema.END_MS - 3_600_000}}),
}


def measure(folder: Path) -> list[Result]:
    """One result a question and rule."""
    results = []
    with Store.open() as store:
        ours.load(store, folder)
        for what, (plain, rules) in RULES.items():
            base_ms = asked_ms(store, plain)
            results.append(Result(what, base_ms, "ms"))
            for rule, added in rules.items():
                taken_ms = asked_ms(store, with_rule(plain, added))
                results.append(Result(f"{what}: {rule}", taken_ms / base_ms, "x", note=f"{taken_ms:.2f} ms"))
    return results


def with_rule(plain: Spec, added: Spec) -> Spec:
    """The question with the rule; `event` None takes the field away, any other None is a value."""
    return {key: value for key, value in {**plain, **added}.items() if (key, value) != ("event", None)}


def asked_ms(store: Store, spec: Spec) -> float:
    """The median of a few runs."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        store.query(spec, now_ms=schema.END_MS)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)
