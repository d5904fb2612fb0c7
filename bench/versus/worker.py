"""One engine in one process, driven by JSON lines on its standard input and output (see `harness`)."""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

from bench.versus.engine import Engine
from bench.versus.engines import create


def resident_bytes() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def answer(engine: Engine, message: dict[str, Any]) -> dict[str, Any]:
    """What a line asks for."""
    question = message["question"]
    if message["do"] == "forms":
        return {"forms": engine.forms(question)}
    began = time.perf_counter()
    result = engine.run(question, message["form"])
    reply: dict[str, Any] = {"ms": (time.perf_counter() - began) * 1e3}
    if message.get("check"):
        rows = engine.rows(question, result)
        digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
        reply |= {"rows": len(rows), "digest": digest, "head": repr(rows[:4])[:400]}
    return reply


def serve(engine: Engine, folder: Path, out: IO[str]) -> None:
    """Loads, says so, then answers until the input ends."""

    def say(reply: dict[str, Any]) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    before, began = resident_bytes(), time.perf_counter()
    engine.load(folder)
    seconds = time.perf_counter() - began
    resident = resident_bytes() - before
    stored = engine.bytes_per_event()
    say({"version": engine.version(), "seconds": seconds, "resident": resident, "bytes_per_event": stored})
    for line in sys.stdin:
        try:
            say(answer(engine, json.loads(line)))
        except Exception as error:  # an engine that cannot answer one question must not stop the run
            say({"error": f"{type(error).__name__}: {str(error)[:400]}"})


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # stray prints of a library must not break the protocol
    serve(create(name), folder, out)


if __name__ == "__main__":
    main()
