"""What this process holds and used, as Linux tells it."""

import os
import resource
from pathlib import Path


def resident_bytes() -> int:
    """Memory that is there, not only promised."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_s() -> float:
    """Seconds of processor so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
