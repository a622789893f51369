"""A circuit breaker against Exact's error limit, and the memory of what Exact has refused for good.

More than ten refused calls an hour, counted per app, user, division and endpoint, block the key for an hour and longer
each time (Exact's page "API limits"; 400, 401, 403 and 404 count). The connector never repeats a refused call, but each
column that is dropped and each token that is renewed costs one, and so does every run of a scheduler that starts again
and again. The circuit breaker opens well before Exact blocks.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque

from source_exact_online.api.errors import Action, ErrorResolution, RequestContext, resolution_named
from source_exact_online.clock import Clock

COUNTED = frozenset({400, 401, 403, 404})
"""Statuses that Exact counts."""

ALLOWED = 5
"""Refused calls an hour to one endpoint of one division; Exact blocks at the eleventh, so two runs may do so."""

_HOUR_SECONDS = 3600.0


class CircuitBreaker:
    """Counts refused calls per endpoint and division over the last hour. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: defaultdict[tuple[str, int | None], deque[float]] = defaultdict(deque)

    def record(self, endpoint: str, division: int | None, status: int) -> None:
        """Count an answer if Exact does."""
        if status in COUNTED:
            with self._lock:
                self._refused[endpoint, division].append(self._clock.monotonic())

    def is_open(self, endpoint: str, division: int | None) -> bool:
        """Return whether one more call could bring Exact to block the key."""
        with self._lock:
            moments = self._refused[endpoint, division]
            while moments and self._clock.monotonic() - moments[0] >= _HOUR_SECONDS:
                moments.popleft()
            return len(moments) >= ALLOWED


class RefusalCache:
    """Endpoints and divisions that Exact has closed to this login, for as long as the run lasts. Thread-safe.

    Several partitions may use one endpoint of a division (`sync_timestamp`). Until it has answered well once they ask
    one at a time, so that an endpoint that is forbidden costs one refused call and not one for each of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resolutions: dict[tuple[str | None, int | None], ErrorResolution] = {}
        self._proven: set[tuple[str, int | None]] = set()
        self._asking: set[tuple[str, int | None]] = set()

    def known(self, endpoint: str, context: RequestContext) -> ErrorResolution | None:
        """Return what Exact would answer, in words about this request; None if it is worth asking."""
        with self._lock:
            place, whole_division = (endpoint, context.division), (None, context.division)
            found = self._resolutions.get(place) or self._resolutions.get(whole_division)
        return found and resolution_named(found.rule, found.detail, context)

    def acquire(self, endpoint: str, division: int | None) -> bool:
        """Return whether a call may go out now; each that may has to `release`."""
        with self._lock:
            place = endpoint, division
            if place in self._proven:
                return True
            if place in self._asking:
                return False
            self._asking.add(place)
            return True

    def release(self, endpoint: str, division: int | None, *, answered: bool = False) -> None:
        """Let the next call go out; `answered` says that this one brought a page."""
        with self._lock:
            self._asking.discard((endpoint, division))
            if answered:
                self._proven.add((endpoint, division))

    def remember(self, endpoint: str, context: RequestContext, resolution: ErrorResolution) -> None:
        """Keep a refusal, if it is one that will be the same next time."""
        if resolution.action is Action.SKIP:
            with self._lock:
                place = None if resolution.concerns_division else endpoint
                self._resolutions.setdefault((place, context.division), resolution)
