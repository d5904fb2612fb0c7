"""The questions of the benchmark on a small data set: our answers against DuckDB's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb")

from bench.data import generate, records, schema
from bench.versus.engines.duck import Duck
from bench.versus.engines.ours import Ours
from bench.versus.specs import SPECS
from cdpstore.store import Store

SIZE = generate.Size(users=1_500, events=30_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("data")
    generate.write(SIZE, target)
    return target


@pytest.fixture(scope="module")
def duck(folder: Path) -> Duck:
    engine = Duck()
    engine.load(folder)
    return engine


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[Ours]:
    engine = Ours()
    engine.load(folder)
    yield engine
    engine.store.close()


def answer(engine: Any, question: str) -> list[tuple[Any, ...]]:
    return list(engine.rows(question, engine.run(question, engine.forms(question)[0])))


@pytest.mark.parametrize("question", [*SPECS, "q16"])
def test_answers_equal_those_of_duckdb(question: str, ours: Ours, duck: Duck) -> None:
    expected = answer(duck, question)
    assert expected, "the question selects nobody: it proves nothing"
    assert answer(ours, question) == expected


def test_every_form_of_a_peer_gives_one_answer(duck: Duck) -> None:
    for question in SPECS:
        answers = [duck.rows(question, duck.run(question, form)) for form in duck.forms(question)]
        assert all(each == answers[0] for each in answers), question


def test_answers_do_not_depend_on_order_of_arrival_or_on_merging(folder: Path, ours: Ours) -> None:
    with Store.open(background=False) as store:
        batches = [*records.trait_batches(folder), *records.event_batches(folder)]
        for batch in batches:
            store.append(batch, now_ms=schema.END_MS)
        for question, spec in SPECS.items():
            fresh = store.query(spec, now_ms=schema.END_MS)
            assert ours.rows(question, fresh) == answer(ours, question), question
