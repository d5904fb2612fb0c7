"""Every example in a docstring of the library says what it prints."""

import doctest
import importlib
import pkgutil

import pytest

import cdpstore

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(cdpstore.__path__, "cdpstore.")
    if not module.name.startswith(("cdpstore.server", "cdpstore._core"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0
