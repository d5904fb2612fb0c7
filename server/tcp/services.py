"""What a connection may call."""

from dataclasses import dataclass

from cdpstore.server.access import KeyFile
from cdpstore.server.clock import Clock
from cdpstore.server.executor import Executor
from cdpstore.server.ingest import Collector
from cdpstore.store import Store

__all__ = ["Services"]


@dataclass(frozen=True)
class Services:
    """One tenant's store and what stands around it."""

    store: Store
    collector: Collector
    executor: Executor
    keys: KeyFile
    clock: Clock
