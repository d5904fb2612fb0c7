"""What the documents show is what the store answers."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["queries.md", "values.md", "events.md"])
def test_the_examples_of_a_document_hold(name: str) -> None:
    failed, tried = doctest.testfile(str(DOCS / name), module_relative=False)
    assert (failed, tried > 0) == (0, True)
