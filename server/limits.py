"""Every bound of the service, once, with its reason. Those of records and batches are in cpp/base/limits.hpp."""

from typing import Final

CONNECTIONS_MOST: Final = 10_000
"""Sockets of one process; each costs about 10 KB idle."""

HELLO_WITHIN_S: Final = 10.0
"""A connection that has not said who it is by then is dropped."""

HELLO_BYTES: Final = 4 << 10
"""Of the first frame: nobody makes us keep megabytes before saying who it is."""

REQUESTS_IN_FLIGHT: Final = 512
"""Of one connection; then its socket is not read."""

WRITE_BUFFER_BYTES: Final = 1 << 20
"""Of one connection; a peer that does not read for `STALLED_S` above it is dropped."""

STALLED_S: Final = 30.0

WATCHES_MOST: Final = 64
"""Of one connection; each is looked at after every group of batches."""

INLINE_EVENTS: Final = 100
"""Of a profile read on the loop; longer timelines are read by a thread."""

INLINE_BATCH_BYTES: Final = 32 << 10
"""Decoded on the loop: about 0.1 ms. Larger batches go to a thread."""

DECODE_THREADS: Final = 2
QUERY_THREADS: Final = 4
"""Queries at once; each spreads over the engine's own workers."""

DRAIN_S: Final = 5.0
"""What runs when the server is told to stop has this long to answer; then queries are cancelled. A container's
supervisor kills after 10 s: cancelled queries, the log's last group and the goodbye must fit behind it."""

CANCELLED_S: Final = 2.0
"""A cancelled query notices between two stripes, in milliseconds; what has not answered by then is hung up on."""

ATTEMPTS_S: Final = 5.0
"""Attempts of delivery in flight when the server is told to stop; longer ones are broken off, and settled after the
next start as after a crash."""

PUSH_TRANSITIONS: Final = 1_000
"""Of one frame to a watcher."""

TICK_S: Final = 1.0
