"""A fuse against Exact's error limit, and the memory of what Exact has refused for good.

More than ten refused calls an hour, counted per app, user, division and endpoint, block the key for an hour and longer
each time (Exact's page "API limits"; 400, 401, 403 and 404 count). The connector never repeats a refused call, but each
column that is dropped and each token that is renewed costs one, and so does every run of a scheduler that starts again
and again. The fuse blows well before Exact's does.
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


class RefusalCache:
    """Endpoints and divisions that Exact has closed to this login, for as long as the run lasts. Thread-safe.

    Several partitions may use one endpoint of a division (the look-up of row versions). Until it has answered well once
    they ask one at a time, so that an endpoint that is forbidden costs one refused call and not one for each of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verdicts: dict[tuple[str | None, int | None], ErrorResolution] = {}
        self._proven: set[tuple[str, int | None]] = set()
        self._asking: set[tuple[str, int | None]] = set()

    def known(self, endpoint: str, subject: RequestContext) -> ErrorResolution | None:
        """What Exact would say, in words about this subject; None if it is worth asking."""
        with self._lock:
            found = self._verdicts.get((endpoint, subject.division)) or self._verdicts.get((None, subject.division))
        return found and resolution_named(found.rule, found.detail, subject)

    def enter(self, endpoint: str, division: int | None) -> bool:
        """Whether a call may go out now; each that may has to `leave`."""
        with self._lock:
            place = endpoint, division
            if place in self._proven:
                return True
            if place in self._asking:
                return False
            self._asking.add(place)
            return True

    def leave(self, endpoint: str, division: int | None, *, answered: bool = False) -> None:
        """The call is over; `answered` says that it brought a page."""
        with self._lock:
            self._asking.discard((endpoint, division))
            if answered:
                self._proven.add((endpoint, division))

    def note(self, endpoint: str, subject: RequestContext, verdict: ErrorResolution) -> None:
        """Remember a refusal, if it is one that will be the same next time."""
        if verdict.action is Action.SKIP:
            with self._lock:
                place = None if verdict.concerns_division else endpoint
                self._verdicts.setdefault((place, subject.division), verdict)
