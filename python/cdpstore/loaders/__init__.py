"""Bulk ways in. Each file reads one format and sends records as batches."""
