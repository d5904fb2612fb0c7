"""Both stores: what a story tells must hold in the engine and in the plain model."""

from collections.abc import Iterator
from typing import Any

import pytest

from cdpstore.store import Store
from cdpstore.testing import ModelStore

STORES = [pytest.param(lambda: Store.open(background=False), id="store"), pytest.param(ModelStore.open, id="model")]


@pytest.fixture(name="store", params=STORES)
def _store(request: pytest.FixtureRequest) -> Iterator[Any]:
    store = request.param()
    yield store
    if isinstance(store, Store):
        store.close()
