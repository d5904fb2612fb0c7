"""For tests of what uses cdpstore: a store in plain Python that means the same, and histories to feed both."""

from cdpstore.testing.model_store import ModelStore

__all__ = ["ModelStore"]
