"""Errors: every family is reachable by its name in C++, and an error survives a process border whole."""

import pickle
from pathlib import Path

import pytest

from cdpstore.errors import FAMILIES, CDPError, InternalError, InvalidRequest, Unavailable, from_core

ERROR_HPP = Path(__file__).parents[2] / "cpp" / "base" / "error.hpp"


def test_every_family_of_the_core_has_a_class() -> None:
    body = ERROR_HPP.read_text().split("enum class Family {")[1].split("}")[0]
    names = [line.split("//")[0].strip(" ,\n") for line in body.splitlines()]
    for name in filter(None, names):
        error = from_core(name, "some.code", "why", "a.path")
        assert type(error).__name__.startswith(name[1:])
        assert (error.code, error.message, error.path) == ("some.code", "why", "a.path")


def test_an_unknown_family_is_an_internal_error_that_keeps_its_code() -> None:
    error = from_core("Nonsense", "some.code", "why")
    assert type(error) is InternalError
    assert error.code == "some.code"


@pytest.mark.parametrize("family", sorted(set(FAMILIES.values()), key=str))
def test_an_error_is_whole_after_pickling(family: type[CDPError]) -> None:
    error = family("some.code", "why", retry_after_ms=5, path="where")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is family
    assert vars(again) == vars(error)


def test_the_text_names_code_path_and_reason() -> None:
    assert str(InvalidRequest("a.code", "why", path="x.y")) == "a.code at x.y: why"
    assert str(Unavailable("a.code", "why")) == "a.code: why"
