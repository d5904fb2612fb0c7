"""Stores in which nothing happens leave the processor to others, and are awake when something does."""

import time
from pathlib import Path

from cdpstore.store import Store

STORES = 10
SETTLED_S = 4.0  # looks at ever longer distances, up to a second
LOOKED_S = 3.0


def wakings() -> int:
    """How often threads of this process went to sleep by themselves."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        status = (task / "status").read_text()
        total += int(status.split("voluntary_ctxt_switches:")[1].split()[0])
    return total


def test_threads_of_idle_stores_sleep(tmp_path: Path) -> None:
    stores = [Store.open(tmp_path / str(number)) for number in range(STORES)]
    try:
        for store in stores:
            store.append([{"type": "event", "name": "Seen", "ids": {"user_id": "u"}}])
        time.sleep(SETTLED_S)
        before = wakings()
        time.sleep(LOOKED_S)
        assert wakings() - before < STORES * LOOKED_S / 2, "each store has three threads that could wake every second"
        for store in stores:
            assert store.append([{"type": "event", "name": "Seen", "ids": {"user_id": "u"}}]).accepted == 1
    finally:
        for store in stores:
            store.close()


def test_a_store_that_slept_seals_and_merges_what_comes() -> None:
    with Store.open() as store:
        store.append([{"type": "event", "name": "Seen", "ids": {"user_id": "u"}}])
        time.sleep(SETTLED_S)
        rows = [{"type": "event", "name": "Seen", "ids": {"user_id": f"u{n}"}} for n in range(9_000)]
        store.append(rows)
        full = store.stats().memory["tail"]
        for _ in range(3):
            store.append(rows)
        until = time.monotonic() + 10
        while store.stats().memory["tail"] >= full and time.monotonic() < until:
            time.sleep(0.02)
        assert store.stats().memory["tail"] < full
