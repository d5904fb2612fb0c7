"""The service; installs as `cdpstore.server`."""
