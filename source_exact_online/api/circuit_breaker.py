"""A circuit breaker against Exact's error limit, and the memory of what Exact has refused for good.

More than ten refused calls an hour, counted per app, user, division and endpoint, block the key for an hour and longer
each time (Exact's page "API limits"; 400, 401, 403 and 404 count). The connector never repeats a refused call, but each
column that is dropped and each token that is renewed costs one, and so does every run of a scheduler that starts again
and again. The circuit breaker opens well before Exact blocks.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque

from source_exact_online.api.errors import Action, ErrorKind, ErrorResolution, RequestContext, resolution_of
from source_exact_online.api.rate_limits import LimitsUnknown
from source_exact_online.clock import Clock

COUNTED = frozenset({400, 401, 403, 404})
"""Statuses that Exact counts."""

ALLOWED = 5
"""Refused calls an hour to one endpoint of one division; Exact blocks at the eleventh, so two runs may do so."""

_HOUR_SECONDS = 3600.0
_OK = 200


Place = tuple[str, int | None]
"""Endpoint and division."""


class CircuitBreaker:
    """Counts refused calls per endpoint and division over the last hour. Its user holds a lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: defaultdict[Place, deque[float]] = defaultdict(deque)

    def record(self, place: Place, status: int) -> None:
        """Count an answer if Exact does."""
        if status in COUNTED:
            self._refused[place].append(self._clock.monotonic())

    def is_open(self, place: Place) -> bool:
        """Return whether one more call could bring Exact to block the key."""
        moments = self._refused.get(place)
        if not moments:
            return False
        while moments and self._clock.monotonic() - moments[0] >= _HOUR_SECONDS:
            moments.popleft()
        return len(moments) >= ALLOWED


class RefusalCache:
    """Endpoints and divisions that Exact has closed to this login, for as long as the run lasts. Thread-safe.

    Several partitions may use one endpoint of a division (`sync_timestamp`). Until it has answered well once they ask
    one at a time, so that an endpoint that is forbidden costs one refused call and not one for each of them. So do all
    endpoints of a division until one of them has answered well, as the division itself may be closed.
    """

    def __init__(self, clock: Clock) -> None:
        """Know of no refusal yet."""
        self._lock = threading.Lock()
        self._breaker = CircuitBreaker(clock)
        self._resolutions: dict[tuple[str | None, int | None], ErrorResolution] = {}
        self._proven: set[tuple[str | None, int | None]] = set()
        self._asking: set[tuple[str, int | None]] = set()

    def acquire(self, endpoint: str, context: RequestContext) -> ErrorResolution | LimitsUnknown | None:
        """Return None if a call may go out now, which then has to `release`; else why not.

        What Exact has refused before is told in words about this request.
        """
        place = endpoint, context.division
        with self._lock:
            found = self._resolutions.get(place) or self._resolutions.get((None, context.division))
            if found is not None:
                return resolution_of(found.kind, found.detail, context)
            if self._breaker.is_open(place):
                return resolution_of(ErrorKind.ERROR_LIMIT_NEAR, "too many refused calls within an hour", context)
            if place not in self._proven:
                alone = (None, context.division) not in self._proven
                if place in self._asking or (alone and any(other == context.division for _, other in self._asking)):
                    return LimitsUnknown()
                self._asking.add(place)
            return None

    def release(self, endpoint: str, context: RequestContext, status: int, resolution: ErrorResolution | None) -> None:
        """Let the next call go out, and keep a refusal that will be the same next time.

        Args:
            endpoint: what was called.
            context: what it was about.
            status: HTTP status of the answer; 0 where there was none.
            resolution: what the answer means; None for a success, or where none was sent.
        """
        place = endpoint, context.division
        with self._lock:
            self._asking.discard(place)
            if status == _OK:
                self._proven |= {place, (None, context.division)}
            if resolution is None or resolution.kind is ErrorKind.REFUSED_ON_THE_WAY:  # that did not reach Exact
                return
            self._breaker.record(place, status)
            if resolution.action is Action.SKIP:
                kept = (None, context.division) if resolution.concerns_division else place
                self._resolutions.setdefault(kept, resolution)
