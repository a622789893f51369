"""Time: the one place that tells it and sleeps, so that tests do both without waiting; and waits that are logged."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timezone
from typing import Protocol

logger = logging.getLogger("airbyte.exact_online")

HEARTBEAT_SECONDS = 50.0
"""Longest silence while waiting; platforms take a connector without output for dead."""


class SleepInterruptedError(Exception):
    """The process is about to end; nobody waits any longer."""


class Clock(Protocol):
    """What the connector needs to know of time."""

    def now(self) -> datetime:
        """Return the wall clock's time, timezone-aware UTC."""

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds; at once when they are zero or negative.

        Raises:
            SleepInterruptedError: the clock was interrupted before or while sleeping.
        """


class SystemClock:
    """The real time. `interrupt` ends every sleep, also those of other threads, so that a process can end at once."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def now(self) -> datetime:
        """Return the wall clock's time, timezone-aware UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds, or raise `SleepInterruptedError` once `interrupt` was called."""
        if self._interrupted.wait(max(seconds, 0.0)):
            raise SleepInterruptedError

    def interrupt(self) -> None:
        """Make every present and future `sleep` raise `SleepInterruptedError`."""
        self._interrupted.set()


def sleep_with_heartbeat(clock: Clock, seconds: float, reason: str) -> None:
    """Sleep, with a log line at least once a minute.

    Args:
        clock: sleeps.
        seconds: how long; zero and less return at once.
        reason: what is waited for, as in "Waiting 30 s for ...".

    Raises:
        SleepInterruptedError: the process is about to end.
    """
    remaining = seconds
    while remaining > 0:
        if remaining >= 1:
            logger.info("Waiting %.0f s for %s.", remaining, reason)
        pause = min(remaining, HEARTBEAT_SECONDS)
        clock.sleep(pause)
        remaining -= pause
