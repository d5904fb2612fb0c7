"""The demo: a year of a real shop through the whole loop. Run by `make demo`."""
