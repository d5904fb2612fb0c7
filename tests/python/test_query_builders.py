"""Builders: what reads as a question is nothing but its spec."""

import pytest

from cdpstore.query import any_event, did, did_not, funnel, named, profile, profiles, retention, to_spec, trait, trend


def test_a_trend_reads_as_its_question() -> None:
    question = trend("Charged").sum("price").unique().by("product_id").by_trait("country").every("day", "week")
    assert question.last("30d").limit(5).ranked_by(1).spec() == {
        "kind": "trend",
        "event": "Charged",
        "measures": [{"sum": "price"}, "unique"],
        "interval": ["day", "week"],
        "order": 1,
        "breakdown": [{"property": "product_id"}, {"trait": "country"}],
        "range": {"last": "30d"},
        "limit": 5,
    }


def test_a_trend_over_all_time_says_no_more_than_its_event() -> None:
    assert trend(any_event()).spec() == {"kind": "trend", "event": {"event": None}}


def test_a_funnel_takes_names_and_selectors() -> None:
    spec = funnel("Viewed", named("Added").where("price").gt(5), window=None).between(0, 10).spec()
    assert spec == {
        "kind": "funnel",
        "steps": ["Viewed", {"event": "Added", "where": [{"property": "price", "op": "gt", "value": 5}]}],
        "window": None,
        "range": {"start_ms": 0, "end_ms": 10},
    }


def test_a_retention_without_return_is_of_the_same_event() -> None:
    assert retention("Seen", interval="week").periods(4).spec() == {
        "kind": "retention",
        "start": "Seen",
        "interval": "week",
        "periods": 4,
    }


def test_predicates_join_flat_and_in_order() -> None:
    a, b, c = trait("a").exists(), trait("b").is_in(1, 2), did_not("X").within("7d")
    assert (a & b & c).spec() == {"and": [a.spec(), b.spec(), c.spec()]}
    assert (a | b & c).spec() == {"or": [a.spec(), {"and": [b.spec(), c.spec()]}]}
    assert (~(a | b)).spec() == {"not": {"or": [a.spec(), b.spec()]}}


def test_did_carries_conditions_window_and_measures() -> None:
    predicate = did("Charged").where("currency", ignore_case=True).eq("eur").between(start_ms=5)
    assert predicate.count().ge(3).sum("price").between(10, 20).spec() == {
        "did": "Charged",
        "where": [{"property": "currency", "op": "eq", "value": "eur", "ignore_case": True}],
        "window": {"start_ms": 5},
        "count": {"op": "ge", "value": 3},
        "sum": {"property": "price", "op": "between", "value": [10, 20]},
    }


def test_did_not_takes_no_measure() -> None:
    with pytest.raises(ValueError, match="no measure"):
        did_not("X").count().ge(1)


def test_a_predicate_is_not_a_truth() -> None:
    with pytest.raises(TypeError, match="instead of and"):
        bool(did("X"))


def test_where_twice_means_both() -> None:
    a, b = trait("a").eq(1), trait("b").eq(2)
    assert profiles(a).where(b).spec() == {"kind": "profiles", "where": {"and": [a.spec(), b.spec()]}}


def test_a_builder_is_not_changed_by_its_use() -> None:
    question = trend("A")
    question.unique().last("1d")
    assert question.spec() == {"kind": "trend", "event": "A"}


def test_a_profile_is_asked_by_exactly_one_name() -> None:
    assert profile(7).spec() == {"kind": "profile", "profile": 7}
    with pytest.raises(ValueError, match="either"):
        profile()


def test_to_spec_takes_either_form() -> None:
    assert to_spec(profile(7)) == to_spec({"kind": "profile", "profile": 7})
