"""`python -m cdpstore.server`: the same as the command `cdpstore`."""

from cdpstore.server.cli import main

main(prog_name="cdpstore")
