"""Questions with what is rare in those of `strategies`: selectors beside the profile's own, cuts of the population."""

from typing import Any

from hypothesis import strategies as st

from cdpstore.testing import strategies

__all__ = ["own_questions", "quantile_clauses"]

_SELECTORS = ("event", "start", "return")
_LISTS = ("events", "steps", "exclude")


def own_questions() -> st.SearchStrategy[dict[str, Any]]:
    """Trends, funnels and retentions with selectors beside traits and aggregates of the profile."""
    plain = (
        strategies.trends()
        | strategies.ruled_trends()
        | strategies.funnels()
        | strategies.ruled_funnels()
        | strategies.retentions()
    )
    conditions = st.lists(strategies.own_conditions() | st.none(), min_size=1, max_size=4)
    return st.builds(_beside_its_own, plain, conditions)


def _beside_its_own(spec: dict[str, Any], conditions: list[dict[str, Any] | None]) -> dict[str, Any]:
    turn = iter(conditions * 20)

    def narrowed(selector: Any) -> Any:
        condition = next(turn)
        if condition is None:
            return selector
        whole = selector if isinstance(selector, dict) else {"event": selector}
        return {**whole, "where": [*whole.get("where", []), condition]}

    out = {name: narrowed(each) if name in _SELECTORS else each for name, each in spec.items()}
    return {name: [narrowed(one) for one in each] if name in _LISTS else each for name, each in out.items()}


def quantile_clauses() -> st.SearchStrategy[dict[str, Any]]:
    """Cuts by traits and aggregates, of all or of some."""
    cuts = st.sampled_from(["median", "p1", "p10", "p33.3", "p50", "p90", "p99.999"])
    tests = st.builds(lambda op, at: {"op": op, "value": at}, st.sampled_from(["ge", "gt", "le", "lt"]), cuts)
    tests |= st.lists(cuts, min_size=2, max_size=2).map(lambda pair: {"op": "between", "value": pair})
    of = strategies.own_values() | st.sampled_from([{"trait": key} for key in (*strategies.TRAITS, "never")])
    more = st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(["linear", "nearest_rank", "lower", "higher"]),
            "among": strategies.predicates(2),
        },
    )
    return st.builds(lambda of, test, more: {"quantile": of, **test, **more}, of, tests, more)
