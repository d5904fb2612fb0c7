"""Identity by its rules: which origin, who joins whom, and that an unmerge gives back exactly what was."""

from typing import Any

import pytest

from cdpstore.model import event, identify, merge, traits, unmerge
from cdpstore.query import did, profiles
from cdpstore.testing import ModelStore

T = 1_700_000_000_000
USER, OTHER, ANON = {"user_id": "u"}, {"user_id": "v"}, {"anonymous_id": "a"}


def _run(*records: dict[str, Any]) -> tuple[ModelStore, list[str]]:
    store = ModelStore()
    ack = store.append(list(records), now_ms=T)
    codes = [""] * len(records)
    for reject in ack.rejects:
        codes[reject.index] = reject.code
    return store, codes


def _ids(store: ModelStore) -> list[int]:
    return [row[0] for row in store.query(profiles(~did("Nothing")), now_ms=T).rows()]


def _seen(**ids: str) -> dict[str, Any]:
    return event("Seen", ids=ids, time_ms=T)


def test_an_event_belongs_to_its_highest_identity_and_brings_an_unseen_lower_one_along() -> None:
    store, _ = _run(_seen(anonymous_id="a", user_id="u"), _seen(anonymous_id="a"))
    assert _ids(store) == [0]
    answer = store.profile(ANON, events={}, now_ms=T)
    assert answer is not None
    assert [(each.kind, each.value) for each in answer.identities] == [("user_id", "u"), ("anonymous_id", "a")]
    assert len(answer.events) == 2


def test_a_lower_identity_of_another_profile_joins_nothing() -> None:
    store, _ = _run(_seen(anonymous_id="a"), _seen(anonymous_id="a", user_id="u"))
    assert _ids(store) == [0, 1]


def test_identify_joins_the_anonymous_profile_under_the_known_one() -> None:
    store, codes = _run(_seen(anonymous_id="a"), _seen(user_id="u"), identify(ANON, USER))
    assert (codes, _ids(store)) == (["", "", ""], [1])


def test_identify_makes_the_known_profile_when_it_is_unseen() -> None:
    store, codes = _run(_seen(anonymous_id="a"), identify(ANON, USER))
    assert (codes, _ids(store)) == (["", ""], [1])


def test_identify_of_two_unseen_is_one_origin() -> None:
    store, codes = _run(identify(ANON, USER))
    assert (codes, _ids(store)) == ([""], [0])


def test_an_identified_profile_is_not_joined_again() -> None:
    store, codes = _run(_seen(anonymous_id="a"), identify(ANON, USER), identify(ANON, OTHER), identify(ANON, USER))
    assert codes == ["", "", "identify.already_identified", ""]
    assert _ids(store) == [1]


def test_merge_needs_both_and_keeps_the_winner() -> None:
    store, codes = _run(_seen(user_id="u"), merge(USER, OTHER), _seen(user_id="v"), merge(OTHER, USER))
    assert codes == ["", "merge.unknown_identity", "", ""]
    assert _ids(store) == [1]


def test_unmerge_kills_one_link_once() -> None:
    store, codes = _run(_seen(user_id="u"), _seen(user_id="v"), merge(USER, OTHER), unmerge(3), unmerge(3), unmerge(1))
    assert codes == ["", "", "", "", "unmerge.unknown_link", "unmerge.unknown_link"]
    assert _ids(store) == [0, 1]


def test_unmerge_in_the_middle_of_a_tree_leaves_the_rest_joined() -> None:
    store, _ = _run(
        *(_seen(user_id=name) for name in "abc"),
        merge({"user_id": "a"}, {"user_id": "b"}),
        merge({"user_id": "c"}, {"user_id": "a"}),
        unmerge(4),
    )
    assert _ids(store) == [1, 2]


def test_the_sequence_counts_records_and_not_refused_ones() -> None:
    store = ModelStore()
    ack = store.append([_seen(user_id="u"), {"type": "event"}, _seen(user_id="v")], now_ms=T)
    assert (ack.sequence, ack.accepted, [each.index for each in ack.rejects]) == (2, 2, [1])


@pytest.mark.parametrize(
    "value", ["", "  ", "NULL", "0", "guest", "[object Object]", "00000000-0000-0000-0000-000000000000"]
)
def test_generic_values_name_nobody(value: str) -> None:
    _, codes = _run(_seen(user_id=value), event("Seen", ids={"user_id": value, "anonymous_id": "a"}))
    assert codes == ["identity.none", ""]


def test_identities_are_trimmed_and_integers_are_text() -> None:
    store, _ = _run(_seen(user_id=" 7 "), event("Seen", ids={"user_id": 7}))
    assert _ids(store) == [0]


def test_traits_at_a_join_are_the_survivors_where_it_has_one_and_lists_unite() -> None:
    store, _ = _run(
        traits(USER, set={"plan": "pro", "tags": ["x", "y"]}, time_ms=T - 10),
        traits(OTHER, set={"plan": "free", "city": "Wien", "tags": ["y", "z"]}, time_ms=T - 9),
        merge(USER, OTHER, time_ms=T - 5),
        traits(OTHER, set={"plan": "team"}, time_ms=T - 1),
        traits(OTHER, increment={"visits": 2}, time_ms=T - 6),
    )
    answer = store.profile(USER, now_ms=T)
    assert answer is not None
    assert answer.traits == {"plan": "team", "tags": ["x", "y", "z"], "city": "Wien", "visits": 2}


def test_nested_joins_fold_in_order_of_time() -> None:
    a, b, c = ({"user_id": name} for name in "abc")
    store, _ = _run(
        *(traits(who, set={"k": who["user_id"], who["user_id"]: 1}, time_ms=T - 100) for who in (a, b, c)),
        merge(b, c, time_ms=T - 50),
        merge(a, b, time_ms=T - 40),
    )
    answer = store.profile(c, now_ms=T)
    assert answer is not None
    assert answer.traits == {"k": "a", "a": 1, "b": 1, "c": 1}


def test_unmerge_gives_back_traits_as_never_joined() -> None:
    store, _ = _run(traits(USER, set={"k": 1}), traits(OTHER, set={"k": 2, "o": 3}), merge(USER, OTHER), unmerge(3))
    mine, theirs = store.profile(USER, now_ms=T), store.profile(OTHER, now_ms=T)
    assert mine is not None
    assert theirs is not None
    assert (mine.traits, theirs.traits) == ({"k": 1}, {"k": 2, "o": 3})


def test_the_later_time_wins_not_the_later_arrival() -> None:
    store, _ = _run(traits(USER, set={"k": "new"}, time_ms=T - 1), traits(USER, set={"k": "old"}, time_ms=T - 2))
    answer = store.profile(USER, now_ms=T)
    assert answer is not None
    assert answer.traits == {"k": "new"}


def test_each_trait_operation_does_what_it_says() -> None:
    store, codes = _run(
        traits(USER, set={"n": 1, "l": ["a"], "s": "text", "gone": 1, "big": 2**63 - 1}, time_ms=T - 9),
        traits(USER, set_once={"n": 5, "once": 1}, time_ms=T - 8),
        traits(USER, increment={"n": 2, "f": 0.5, "s": 1, "big": 1}, time_ms=T - 7),
        traits(USER, append={"l": "b", "s": "x", "fresh": 1}, time_ms=T - 6),
        traits(USER, append={"l": "a"}, time_ms=T - 5),
        traits(USER, remove={"l": "a", "none": 1}, unset=["gone"], time_ms=T - 4),
        traits(USER, increment={"n": 2}, time_ms=T - 7),
    )
    assert not any(codes)
    answer = store.profile(USER, now_ms=T)
    assert answer is not None
    wanted = {"n": 3, "l": ["b"], "s": "text", "big": 2**63 - 1, "once": 1, "f": 0.5, "fresh": [1]}
    assert answer.traits == wanted


def test_an_operation_equal_to_one_kept_is_dropped() -> None:
    store, _ = _run(*(traits(USER, increment={"n": 1}, time_ms=T - 1) for _ in range(3)))
    answer = store.profile(USER, now_ms=T)
    assert answer is not None
    assert (answer.traits, len(answer.trait_history)) == ({"n": 1}, 1)
