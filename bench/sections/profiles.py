"""What people without events cost: two identities, a device, eight traits of every common kind, one of them changed.

The texts that differ from person to person (ids, an address) are told apart; a push token would be 42 bytes more.
Records come in batches as they would from a door, spread over 30 days.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.data import generate, schema
from bench.process import resident_bytes
from bench.report import Result
from cdpstore.model import device, encode_batch, identify, traits
from cdpstore.store import Store

PROFILES_MOST = 1_000_000
AT_ONCE = 2_000
BYTES_MOST = 400


def records_of(number: int, time_ms: int) -> Iterator[dict[str, Any]]:
    """One person's."""
    anonymous = {"anonymous_id": f"{number * 2_654_435_761 % 2**32:08x}{number:08x}"}
    known = {"user_id": f"user-{number}"}
    yield identify(anonymous, known, time_ms=time_ms)
    yield traits(
        known,
        time_ms=time_ms + 1,
        set={
            "plan": ("free", "pro", "team")[number % 3],
            "age": 18 + number % 60,
            "city": f"City {number % 5_000}",
            "email": f"{number}@example.test",
            "newsletter": number % 2 == 0,
            "score": number * 0.37,
            "born": schema.START_MS - number % 20_000 * schema.DAY_MS,
            "first_name": f"Name {number % 20_000}",
        },
    )
    yield device(
        known,
        f"{number:016x}",
        platform=("ios", "android")[number % 2],
        app_version=f"4.2.{number % 40}",
        time_ms=time_ms + 2,
    )
    yield traits(known, set={"plan": "gone"}, time_ms=time_ms + 3)


def texts_of(number: int) -> int:
    """Bytes of the texts that no other person has."""
    return len(f"user-{number}{number}@example.test") + 16 + 16


def measure(folder: Path) -> list[Result]:
    """Bytes a profile, by part."""
    profiles = min(PROFILES_MOST, generate.SIZES[folder.name].events // 5)
    step_ms = 30 * schema.DAY_MS / profiles
    with Store.open() as store:
        before = resident_bytes()
        for first in range(0, profiles, AT_ONCE):
            people = range(first, min(first + AT_ONCE, profiles))
            rows = [row for number in people for row in records_of(number, schema.START_MS + int(number * step_ms))]
            ack = store.append(encode_batch(rows), now_ms=schema.END_MS)
            assert ack is not None
            assert not ack.rejects, ack.rejects[:3]
        assert store.stats().profiles == profiles
        parts = {name: held["size_bytes"] / profiles for name, held in store.memory().items() if held["size_bytes"]}
        resident = (resident_bytes() - before) / profiles
    texts = sum(texts_of(number) for number in range(0, profiles, 97)) / len(range(0, profiles, 97))
    told = ", ".join(f"{name} {size:.0f}" for name, size in parts.items() if size >= 0.5)
    total = sum(parts.values())
    return [
        Result(f"{profiles:,} profiles without events", total, "B each", BYTES_MOST, "lower", told),
        Result("of that, texts of nobody else", texts, "B each"),
        Result("resident memory for them", resident, "B each"),
    ]
