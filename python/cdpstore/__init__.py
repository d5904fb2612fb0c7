"""cdpstore: an open, self-hosted customer data platform on one exact, fast store."""

from cdpstore._core import __version__

__all__ = ["__version__"]
