"""A fuse against Exact's error limit.

More than ten refused calls an hour, counted per app, user, division and endpoint, block the key for an hour and longer
each time (Exact's page "API limits"; 400, 401, 403 and 404 count). The connector never repeats a refused call, but each
column that is dropped and each token that is renewed costs one, and so does every run of a scheduler that starts again
and again. The fuse blows well before Exact's does.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque

from source_exact_online.api.clock import Clock

COUNTED = frozenset({400, 401, 403, 404})
"""Statuses that Exact counts."""

ALLOWED = 6
"""Refused calls an hour to one endpoint of one division; Exact blocks at the eleventh."""

_HOUR_SECONDS = 3600.0


class Breaker:
    """Counts refused calls per endpoint and division over the last hour. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: defaultdict[tuple[str, int | None], deque[float]] = defaultdict(deque)

    def record(self, endpoint: str, division: int | None, status: int) -> None:
        """Note an answer."""
        if status in COUNTED:
            with self._lock:
                self._refused[endpoint, division].append(self._clock.monotonic())

    def is_open(self, endpoint: str, division: int | None) -> bool:
        """Whether one more call could bring Exact to block the key."""
        with self._lock:
            moments = self._refused[endpoint, division]
            while moments and self._clock.monotonic() - moments[0] >= _HOUR_SECONDS:
                moments.popleft()
            return len(moments) >= ALLOWED
