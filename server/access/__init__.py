"""Who may do what: API keys."""

from cdpstore.server.access.keys import Access, KeyFile

__all__ = ["Access", "KeyFile"]
