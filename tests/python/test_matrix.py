"""Kinds by parameters by tests: every field of the schema is exercised by some test, and with more than one value."""

import pytest

from tests.python.matrix import Matrix, fields


@pytest.fixture(scope="module", name="matrix")
def _matrix() -> Matrix:
    return Matrix.of_all_tests()


def test_every_field_of_the_schema_is_exercised_by_a_test(matrix: Matrix) -> None:
    assert len(fields()) > 300
    assert matrix.gaps() == []
    for field, count, tests in matrix.rows():
        assert count, field
        assert tests, field


def test_a_field_that_nobody_gives_is_a_gap() -> None:
    matrix = Matrix()
    matrix.add("here", {"kind": "retention", "start": "A", "interval": "day", "criterion": "streak"})
    matrix.add("there", [({"kind": "retention", "start": "B", "interval": "day"},)])
    gaps = matrix.gaps()
    title = next(title for title, name in fields() if name == "min_count")
    assert matrix.seen[title, "start"] == {"here": {'"A"'}, "there": {'"B"'}}
    assert f"{title}: start is never given" not in gaps
    assert f"{title}: interval has 1 values" in gaps
    assert f"{title}: min_count is never given" in gaps
    matrix.add("there", {"kind": "retention", "start": "B", "interval": "day", "population": "first_ever"})
    assert f'{title}: population is never "every_period", "first_in_range"' in matrix.gaps()


def test_a_test_is_named_for_what_its_strategies_draw_and_what_stands_in_it(matrix: Matrix) -> None:
    named = {field[1]: tests for field, _, tests in matrix.rows() if field[0].startswith("Retention")}
    assert "test_retention_measures::test_what_returns_add_up_to_is_that_of_the_model" in named["measures"]
    assert "test_cells::test_of_several_cohorts_one_without_a_return_is_enough" in named["population"]
