"""The law of the store: whatever was sent, in whatever order, however its rows lie, it answers as the model does."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from cdpstore.testing.strategies import DAY_MS
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, cell_key, outcome, reads

# Hundreds of stores and models each: seconds alone, minutes on a machine that others use. The usual bound would tell of
# the machine.
pytestmark = pytest.mark.timeout(900)

SETTINGS = examples(40)
NOTHING = {"kind": "profiles", "where": {"not": {"did": "Nothing Of The Kind"}}}
cares = st.lists(st.sampled_from(CARE), min_size=6, max_size=6)
later = st.sampled_from([0, 0, 3 * DAY_MS])


@SETTINGS
@given(strategies.histories(), cares, st.lists(strategies.profiles_queries(), min_size=1, max_size=6), later)
def test_members_of_every_predicate(history: Any, care: Any, questions: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question, now_ms=twins.now_ms + wait_ms)
    finally:
        twins.close()


@SETTINGS
@given(strategies.histories(), cares, st.lists(strategies.trends(), min_size=1, max_size=4), later)
def test_trends(history: Any, care: Any, questions: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question, now_ms=twins.now_ms + wait_ms)
    finally:
        twins.close()


@SETTINGS
@given(strategies.histories(), cares, st.lists(strategies.funnels(), min_size=1, max_size=4), later)
def test_funnels(history: Any, care: Any, questions: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question, now_ms=twins.now_ms + wait_ms)
    finally:
        twins.close()


@SETTINGS
@given(strategies.histories(), cares, st.lists(strategies.retentions(), min_size=1, max_size=4), later)
def test_retentions(history: Any, care: Any, questions: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question, now_ms=twins.now_ms + wait_ms)
    finally:
        twins.close()


@SETTINGS
@given(strategies.histories(), cares, st.lists(strategies.profile_queries(), min_size=1, max_size=6))
def test_whole_profiles(history: Any, care: Any, questions: Any) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask_profile(**question)
    finally:
        twins.close()


@SETTINGS
@given(strategies.histories(hostile=True), cares)
def test_hostile_records_are_refused_alike_and_change_nothing(history: Any, care: Any) -> None:
    twins = Twins.of(history, care)
    try:
        twins.ask(NOTHING)
    finally:
        twins.close()


@SETTINGS
@given(strategies.histories(), cares, cares, st.lists(strategies.queries(), min_size=1, max_size=4))
def test_answers_do_not_depend_on_how_rows_lie(history: Any, one: Any, other: Any, questions: Any) -> None:
    first, second = Twins.of(history, one), Twins.of(history, other)
    try:
        second.care("compact")
        for question in questions:
            answers = [twins.answer(question) for twins in (first, second)]
            assert answers[0] == answers[1]
    finally:
        first.close()
        second.close()


@SETTINGS
@given(strategies.histories(), strategies.trends(), strategies.trends().map(lambda spec: spec.get("breakdown")))
def test_a_limit_keeps_the_greatest_and_adds_up_the_rest(history: Any, question: Any, breakdown: Any) -> None:
    assume(breakdown)
    twins = Twins.of(history, ["nothing"] * len(history))
    try:
        twins.ask({**question, "breakdown": breakdown, "measures": ["total"], "limit": 2})
    finally:
        twins.close()


class Unmerged(RuleBasedStateMachine):
    """Two real stores get the same events and traits; one also joins and takes apart. Where nothing is joined, every
    read of the one equals that of the other."""

    IDENTITIES = (*({"user_id": name} for name in strategies.USERS), *({"anonymous_id": name} for name in ("a1", "a2")))

    @initialize()
    def open(self) -> None:
        self.joined, self.plain = Store.open(background=False), Store.open(background=False)
        self.links: list[int] = []
        self.now_ms = strategies.END_MS
        for store in (self.joined, self.plain):
            self._append(store, [{"type": "event", "name": "Seen", "ids": ids} for ids in self.IDENTITIES])

    def teardown(self) -> None:
        if hasattr(self, "joined"):
            self.joined.close()
            self.plain.close()

    @rule(
        record=strategies.events(future=False) | strategies.trait_records() | strategies.fact_records(),
        who=st.sampled_from(IDENTITIES),
    )
    def both(self, record: dict[str, Any], who: dict[str, str]) -> None:
        for store in (self.joined, self.plain):
            self._append(store, [{**record, "ids": who}])

    @rule(record=strategies.group_records())
    def groups(self, record: dict[str, Any]) -> None:
        for store in (self.joined, self.plain):
            self._append(store, [record])

    @rule(winner=st.sampled_from(IDENTITIES), loser=st.sampled_from(IDENTITIES), ago_ms=st.integers(0, 100 * DAY_MS))
    def merge(self, winner: dict[str, str], loser: dict[str, str], ago_ms: int) -> None:
        before = self._profile_id(loser), self._profile_id(winner)
        record = {"type": "merge", "winner": winner, "loser": loser, "time_ms": self.now_ms - ago_ms}
        ack = self._append(self.joined, [record])
        if before[0] != before[1]:
            self.links.append(ack.sequence)
            assert self._profile_id(loser) == before[1]

    @precondition(lambda self: self.links)
    @rule(data=st.data())
    def unmerge(self, data: st.DataObject) -> None:
        link = data.draw(st.sampled_from(self.links))
        self.links.remove(link)
        assert self._append(self.joined, [{"type": "unmerge", "sequence": link}]).accepted == 1

    @rule(what=st.sampled_from(CARE[1:]))
    def care(self, what: str) -> None:
        getattr(self.joined, what)()

    @precondition(lambda self: not self.links)
    @rule(question=strategies.queries())
    def nothing_of_it_is_left(self, question: dict[str, Any]) -> None:
        stores = (self.joined, self.plain)
        profiles = [reads(store, self.now_ms, self.IDENTITIES) for store in stores]
        assert profiles[0] == profiles[1]
        answers = [outcome(lambda store=store: store.query(question, now_ms=self.now_ms)) for store in stores]
        assert answers[0] == answers[1]

    def _append(self, store: Store, records: list[dict[str, Any]]) -> Any:
        ack = store.append(records, now_ms=self.now_ms)
        assert ack is not None
        assert not ack.rejects
        return ack

    def _profile_id(self, ids: dict[str, str]) -> int:
        answer = self.joined.profile(ids, now_ms=self.now_ms)
        assert answer is not None
        return answer.profile_id


TestUnmerged = Unmerged.TestCase
TestUnmerged.settings = settings(SETTINGS, max_examples=25, stateful_step_count=20)


@SETTINGS
@given(st.data())
def test_the_model_itself_undoes_what_was_joined(data: st.DataObject) -> None:
    history = data.draw(strategies.histories(future=False, max_batches=2))
    plain, joined = ModelStore(), ModelStore()
    ids = [{"user_id": name} for name in strategies.USERS]
    seen = [{"type": "event", "name": "Seen", "ids": each} for each in ids]
    for store in (plain, joined):
        store.append(seen, now_ms=strategies.END_MS)
    sequence = joined.merge(ids[0], ids[1], now_ms=strategies.END_MS).sequence
    for batch in history:
        kept = [record for record in batch.records if "ids" in record]
        for store in (plain, joined):
            store.append([{**record, "ids": {"user_id": "u1"}} for record in kept], now_ms=batch.received_ms)
    now_ms = history[-1].received_ms
    assert joined.unmerge(sequence, now_ms=now_ms).accepted == 1
    assert reads(joined, now_ms, ids) == reads(plain, now_ms, ids)


def test_cells_compare_by_value() -> None:
    assert cell_key(1) == cell_key(1.0)
    assert cell_key(True) != cell_key(1)
    assert cell_key(None) != cell_key(0)
