"""A real server in a process of its own, that can be killed and started again."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

__all__ = ["ServerProcess", "free_port"]

_STOPS_WITHIN_S = 20  # the server's own bounds (server/limits.py), and room for a busy machine


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """`cdpstore serve` over a directory; always on the same port, so that clients find it again.

    `program`: what to give Python in place of the server itself, for one that measures.
    """

    def __init__(self, data: Path, *options: str, program: tuple[str, ...] = ("-m", "cdpstore.server")) -> None:
        self.port = free_port()
        self.key = ""
        self._command = [sys.executable, *program, "serve", "--data", str(data)]
        self._command += ["--port", str(self.port), *options]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "ServerProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it listens."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"API key.*: (\S+)", line):
                self.key = found[1]
            if line.startswith("listening"):
                return
        raise RuntimeError(f"the server ended with exit code {self._process.wait()}")

    def kill(self) -> None:
        """kill -9: nothing is flushed, nobody is told."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> int:
        """SIGTERM; the exit code, once everything accepted is on disk."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        code = self._process.wait(timeout=_STOPS_WITHIN_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code
