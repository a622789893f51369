"""The sandbox's own clock: shifted or stopped at will, used for everything that depends on the time."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from email.utils import format_datetime

from exact_online_sandbox.wallclock import EPOCH, UTC, instant_from_ms, to_ms

_FIRST_MS = to_ms(datetime(1980, 1, 1, tzinfo=UTC))
_LAST_MS = to_ms(datetime(2200, 1, 1, tzinfo=UTC))


class Clock:
    """A clock that ticks with the machine's, at an offset, or stands still."""

    def __init__(self, start: datetime | None = None) -> None:
        """Start the clock.

        Args:
            start: moment it shows now (aware); the machine's time when None.
        """
        self._lock = threading.Lock()
        self._offset_ms = 0
        self._frozen_ms: int | None = None
        if start is not None:
            self.set(start)

    def now_ms(self) -> int:
        """Now, in milliseconds since 1970 UTC."""
        with self._lock:
            return self._now()

    def now(self) -> datetime:
        """Now, as an aware UTC datetime."""
        return instant_from_ms(self.now_ms())

    def set(self, moment: datetime) -> None:
        """Let the clock show ``moment`` (aware) now; it goes on ticking, or standing still, from there.

        Raises:
            ValueError: that is before 1980 or after 2200.
        """
        with self._lock:
            self._move((moment - EPOCH) // timedelta(milliseconds=1) - self._now())

    def advance(self, seconds: float) -> None:
        """Move the clock by ``seconds``, backwards when negative.

        Raises:
            ValueError: it would show a moment before 1980 or after 2200.
        """
        with self._lock:
            self._move(round(seconds * 1000))

    def freeze(self) -> None:
        """Stop the clock where it is."""
        with self._lock:
            self._frozen_ms = self._now()

    def resume(self) -> None:
        """Let a stopped clock tick again from where it is."""
        with self._lock:
            if self._frozen_ms is not None:
                self._offset_ms = self._frozen_ms - _machine_ms()
                self._frozen_ms = None

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen_ms is not None

    def _move(self, by_ms: int) -> None:
        if not _FIRST_MS <= self._now() + by_ms <= _LAST_MS:
            raise ValueError("the clock shows moments from 1980 to 2200")
        if self._frozen_ms is None:
            self._offset_ms += by_ms
        else:
            self._frozen_ms += by_ms

    def _now(self) -> int:
        return _machine_ms() + self._offset_ms if self._frozen_ms is None else self._frozen_ms


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


def http_date(ms: int) -> str:
    """Format milliseconds since 1970 UTC for a ``Date`` header."""
    return format_datetime(instant_from_ms(ms - ms % 1000).astimezone(UTC), usegmt=True)
