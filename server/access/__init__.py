"""Who may do what: API keys."""

from cdpstore.server.access.keys import Access, KeyFile, Right

__all__ = ["Access", "KeyFile", "Right"]
