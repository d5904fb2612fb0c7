"""The one way in: batches of every door go through here."""

from cdpstore.server.ingest.collector import Collector

__all__ = ["Collector"]
