"""A clock that waits for nobody."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

START = datetime(2025, 3, 3, 9, 0, tzinfo=timezone.utc)


class FakeClock:
    """Time that passes only when somebody sleeps or a test says so."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def now_ms(self) -> int:
        return round(self.now().timestamp() * 1000)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += max(seconds, 0.0)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._passed += seconds
