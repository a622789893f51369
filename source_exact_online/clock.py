"""The one place that tells the time and sleeps, so that tests can do both without waiting."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import Protocol


class SleepInterruptedError(Exception):
    """The process is about to end; nobody waits any longer."""


class Clock(Protocol):
    """What the connector needs to know of time."""

    def now(self) -> datetime:
        """Wall clock, timezone-aware UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Returns after that many seconds; at once when they are zero or negative.

        Raises:
            SleepInterruptedError: the clock was interrupted before or while sleeping.
        """


class SystemClock:
    """The real time. `interrupt` ends every sleep, also those of other threads, so that a process can end at once."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._interrupted.wait(max(seconds, 0.0)):
            raise SleepInterruptedError

    def interrupt(self) -> None:
        """Makes every present and future `sleep` raise `SleepInterruptedError`."""
        self._interrupted.set()
