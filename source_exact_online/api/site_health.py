"""Whether the site as a whole is down, as it is at night between 04:00 and 04:30 Dutch time.

One listing that fails may be a listing's trouble. When several fail in the same way, when the answer itself asks to
come back later, or when nothing has ever been answered, the site is taken to be down: one probe at a time goes out, and
everybody else waits for what it brings. Such failures are nobody's failed attempts.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from source_exact_online.api.errors import ErrorKind, ErrorResolution, RequestContext
from source_exact_online.clock import Clock

OUTAGE_KINDS = frozenset(
    {ErrorKind.SITE_DOWN, ErrorKind.NO_CONNECTION, ErrorKind.REFUSED_ON_THE_WAY, ErrorKind.NO_TOKEN}
)
"""Failures that a site which is down brings about."""

PROBE_SECONDS = (15.0, 30.0, 60.0)
"""Seconds before the first, the second and each further probe, where the site does not say. The first is the least."""

WHILE_PROBING = 1.0
"""Seconds after which those who wait for a probe look again."""

LONGEST_WAIT_SECONDS = 45 * 60.0
"""Seconds that an outage is waited for, unless configured otherwise."""


@dataclass(frozen=True, slots=True)
class SiteDown:
    """The site is down; no call went out.

    Attributes:
        seconds: until it is worth asking again.
        probe_at: when the next probe goes out, UTC.
        since: when the site was first found to be down, UTC.
    """

    seconds: float
    probe_at: datetime
    since: datetime

    @property
    def reason(self) -> str:
        """What is waited for, for a log line."""
        return f"Exact Online, which is down since {self.since:%H:%M} UTC; next try at {self.probe_at:%H:%M:%S} UTC"


class SiteHealth:
    """Knows whether the site is down, and who may try it. Thread-safe.

    Args:
        clock: tells the time.
        longest_wait: seconds that an outage is waited for.
    """

    def __init__(self, clock: Clock, longest_wait: float = LONGEST_WAIT_SECONDS) -> None:
        self._clock = clock
        self._longest_wait = longest_wait
        self._lock = threading.Lock()
        self._has_answered = False
        self._failing: set[RequestContext] = set()
        self._down_since: datetime | None = None
        self._probe_at: datetime | None = None
        self._probes = 0
        self._prober: int | None = None

    def acquire(self) -> SiteDown | None:
        """Return None if a call may go out now; then `release` has to follow. While the site is down, it is a probe."""
        with self._lock:
            if self._down_since is None or self._probe_at is None:
                return None
            now = self._clock.now()
            seconds = (self._probe_at - now).total_seconds()
            if seconds <= 0 and self._prober is None:
                self._prober = threading.get_ident()
                return None
            return SiteDown(max(seconds, WHILE_PROBING), self._probe_at, self._down_since)

    def release(self, *, answered: bool) -> None:
        """Let the next probe go out, if this thread's call was one.

        Args:
            answered: whether the site has answered.
        """
        with self._lock:
            if self._prober == threading.get_ident():
                self._prober = None
            if answered:
                self._has_answered = True
                self._failing.clear()
                self._down_since = self._probe_at = None
                self._probes = 0

    def failed(self, context: RequestContext, resolution: ErrorResolution) -> SiteDown | None:
        """Take note of a failure.

        Args:
            context: what was asked.
            resolution: what the answer means.

        Returns:
            How long to wait if the site is down; None if it is not, or has been for longer than is waited.
        """
        with self._lock:
            if resolution.kind not in OUTAGE_KINDS:
                return None
            now = self._clock.now()
            self._failing.add(context)
            asked = _seconds(resolution.retry_after, now)
            if self._down_since is None:
                if len(self._failing) < 2 and asked is None and self._has_answered:
                    return None
                self._down_since = now
            ends = self._down_since + timedelta(seconds=self._longest_wait)
            if now >= ends:
                return None
            if self._probe_at is None or self._probe_at <= now:
                pause = PROBE_SECONDS[min(self._probes, len(PROBE_SECONDS) - 1)]
                if asked is not None:
                    pause = max(asked, PROBE_SECONDS[0])
                self._probes += 1
                self._probe_at = min(now + timedelta(seconds=pause), ends)
            return SiteDown((self._probe_at - now).total_seconds(), self._probe_at, self._down_since)


def _seconds(retry_after: str, now: datetime) -> float | None:
    """Return the seconds that a header ``Retry-After`` asks to wait, in either of its forms; None without one."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(min(int(retry_after[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(retry_after)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return min(max((moment - now).total_seconds(), 0.0), 86_400.0)
    except (TypeError, ValueError, OverflowError):
        return None
