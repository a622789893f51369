"""Exact Online's call quotas: a budget per division, shared by every partition that reads it.

Exact counts per app and division: 60 calls a calendar minute and 5,000 a UTC day today. The numbers and the moments at
which they start afresh (epoch milliseconds) come with every answer in ``X-RateLimit-*`` headers, so none is hard-coded
except as a first guess. The count is shared with other processes of the same app: the headers are the truth, ours is
only a reservation until the answer is there.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from source_exact_online.clock import Clock

MINUTE_HEADERS = "X-RateLimit-Minutely-"
DAY_HEADERS = "X-RateLimit-"

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_FIRST_GUESS = {"minute": 60, "day": 5000}

PENDING_SECONDS = 0.1
"""How long to wait before looking again what the calls under way have brought."""

HEADERLESS_ATTEMPTS = 5
"""Attempts in a row refused without quota headers after which a key is taken to be blocked."""

_HIGHEST_NUMBER = 253_402_300_799_999
"""The last millisecond of the year 9999. A header with more than that cannot be meant."""

_YEARS = range(2000, 3000)
"""Years that a clock can be set to. A header ``Date`` of another one cannot be meant."""

_NO_OFFSET = (0.0, 0.0)
"""Bounds of the offset between the clocks, milliseconds, before Exact has told a time: the local one counts."""


class ServerClock:
    """What Exact's clock shows, initialized from the ``Date`` header of its answers.

    The header has whole seconds, and the server wrote it somewhere between sending and receiving: each answer bounds
    the offset between the two clocks from both sides, and the bounds of many answers narrow it down.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._offset: tuple[float, float] | None = None

    def observe(self, date_header: str | None, sent_ms: float, received_ms: float) -> None:
        """Learn from one answer; a header that is no date is ignored.

        Args:
            date_header: its ``Date`` header; None where it has none.
            sent_ms: when the request was sent, epoch milliseconds of the local clock.
            received_ms: when the answer was there, by the same clock.
        """
        if not date_header:
            return
        try:
            server = parsedate_to_datetime(date_header)
            server_ms = server.timestamp() * 1000
        except (TypeError, ValueError, OverflowError):
            return
        if server.year not in _YEARS:
            return
        low, high = server_ms - received_ms, server_ms + 1000 - sent_ms
        with self._lock:
            if self._offset is None or low > self._offset[1] or high < self._offset[0]:
                self._offset = low, high  # the first answer, or one of the clocks was set
            else:
                self._offset = max(self._offset[0], low), min(self._offset[1], high)

    def now_ms(self) -> float:
        """Return the epoch milliseconds that Exact's clock has surely reached."""
        return self.local_ms() + (self._offset or _NO_OFFSET)[0]

    def latest_ms(self) -> float:
        """Return the epoch milliseconds that Exact's clock has surely not passed."""
        return self.local_ms() + (self._offset or _NO_OFFSET)[1]

    def local_ms(self) -> float:
        """Return the epoch milliseconds of the local clock."""
        return self._clock.now().timestamp() * 1000


@dataclass(slots=True)
class Window:
    """One counting window of a quota.

    Attributes:
        limit: calls a window allows.
        length_ms: length of a window, for an end that no header names.
        remaining: calls left in the current window, as far as the last header says.
        reset_ms: moment at which the window ends, epoch milliseconds of Exact's clock.
        from_headers: whether a header named that moment; else it is a guess.
    """

    limit: int
    length_ms: int
    remaining: int
    reset_ms: float = 0.0
    from_headers: bool = False

    def roll(self, now_ms: float) -> None:
        """Start a new window if the current one has ended."""
        if now_ms >= self.reset_ms:
            self.remaining = self.limit
            self.reset_ms = (now_ms // self.length_ms + 1) * self.length_ms
            self.from_headers = False

    def update(self, limit: int | None, remaining: int | None, reset_ms: int | None, now_ms: float) -> None:
        """Take over what the headers of an answer say.

        A late answer of an earlier window is ignored; one without a number counts as one call.
        """
        if limit is not None:
            self.limit = limit
        if remaining is None:
            self.remaining -= 1
        elif reset_ms is None or (self.from_headers and reset_ms == self.reset_ms):
            self.remaining = min(self.remaining, remaining)
        elif reset_ms > self.reset_ms or (reset_ms > now_ms and not self.from_headers):
            self.remaining, self.reset_ms, self.from_headers = remaining, reset_ms, True


@dataclass(frozen=True, slots=True)
class QuotaExceeded:
    """A quota that is used up.

    Attributes:
        wait_seconds: until the window that is spent ends.
        daily: whether it is the day's quota.
        reset_ms: the end, epoch milliseconds of Exact's clock.
        limit: calls the window allows.
        reserved: how many of them are left to other processes.
        from_headers: whether headers said all that; else it is a guess after a refusal without any.
        refused: whether Exact refused a call; else the call was not even sent.
        attempts: attempts in a row that were refused without headers, of the endpoint or of its division.
    """

    wait_seconds: float
    daily: bool
    reset_ms: float
    limit: int
    reserved: int = 0
    from_headers: bool = True
    refused: bool = False
    attempts: int = 0

    @property
    def may_be_block(self) -> bool:
        """Whether it has lasted for too long for a quota, and may be the block that follows too many wrong calls."""
        return self.attempts >= HEADERLESS_ATTEMPTS


@dataclass(frozen=True, slots=True)
class CallsUsed:
    """How many of a day's calls of one division are used, by all processes of the app.

    Attributes:
        used: calls since the day began.
        allowed: calls that a day allows.
        resets_at: end of the day, UTC.
        told_at: moment of which this tells, UTC, by Exact's clock.
    """

    used: int
    allowed: int
    resets_at: datetime
    told_at: datetime


@dataclass(frozen=True, slots=True)
class LimitsUnknown:
    """Calls under way decide whether there is one more; look again in `seconds`."""

    seconds: float = PENDING_SECONDS


@dataclass(slots=True)
class Budget:
    """The calls of one division. Thread-safe.

    The first call goes alone: limits are a guess until there is an answer, and the day's or the minute's calls may have
    been used up by an earlier run. After a refusal without headers one call goes alone again, to try whether the
    division, all of its partitions, may go on; each such attempt waits twice as long as the one before.

    Attributes:
        clock: Exact's clock.
        reserve_per_day: calls a day that are left to other processes.
        minute: the short window.
        day: the long window.
        in_flight: calls reserved and not yet released.
        initialized: whether there has been an answer.
        headerless_attempts: attempts refused without headers in a row, by endpoint, and under None those of the
            division. Calls that were under way together count as one.
        headerless_until_ms: moment until which the last of them keeps everybody waiting.
    """

    clock: ServerClock
    reserve_per_day: int = 0
    minute: Window = field(default_factory=lambda: Window(_FIRST_GUESS["minute"], _MINUTE_MS, _FIRST_GUESS["minute"]))
    day: Window = field(default_factory=lambda: Window(_FIRST_GUESS["day"], _DAY_MS, _FIRST_GUESS["day"]))
    in_flight: int = 0
    initialized: bool = False
    headerless_attempts: Counter[str | None] = field(default_factory=Counter)
    headerless_until_ms: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, endpoint: str) -> QuotaExceeded | LimitsUnknown | None:
        """Take one call out of the budget.

        Returns:
            None if the call may go out; else why not, and until when.
        """
        with self.lock:
            now_ms = self.clock.now_ms()
            if now_ms < self.headerless_until_ms:
                return self._headerless(endpoint, now_ms)
            pending = self.in_flight > 0 and not self.initialized
            for window, reserved, daily in ((self.day, self.reserve_per_day, True), (self.minute, 0, False)):
                window.roll(now_ms)
                left = window.remaining - reserved
                if left <= 0:
                    seconds = (window.reset_ms - now_ms) / 1000
                    return QuotaExceeded(seconds, daily, window.reset_ms, window.limit, reserved)
                # Exact may have counted calls under way in what its last headers say, or not: their answers will show.
                pending = pending or left <= self.in_flight
            if pending:
                return LimitsUnknown()
            self.in_flight += 1
            return None

    def release(self, endpoint: str, headers: Mapping[str, str], *, ok: bool) -> None:
        """Give the reservation back and take over what the answer says.

        Args:
            endpoint: what was called.
            headers: those of the answer; none if it was lost.
            ok: whether the answer was a success.
        """
        with self.lock:
            self.in_flight = max(0, self.in_flight - 1)
            now_ms = self.clock.now_ms()
            self.initialized = self.initialized or bool(headers)
            minute, day = _numbers(headers, MINUTE_HEADERS), _numbers(headers, DAY_HEADERS)
            self.minute.update(*minute, now_ms)
            self.day.update(*day, now_ms)
            if ok or minute[1] is not None or day[1] is not None:
                self.headerless_until_ms = 0.0
                for refused in (endpoint, None):
                    del self.headerless_attempts[refused]

    def refused(self, endpoint: str, headers: Mapping[str, str]) -> QuotaExceeded:
        """Return what a 429 says: which window is spent and when it ends.

        A refused minute bears only the ``Minutely`` headers, a refused day only the daily ones. With neither, the
        minute is taken to be spent, and more than the minute if that comes again and again.
        """
        with self.lock:
            _, minute_left, minute_reset = _numbers(headers, MINUTE_HEADERS)
            _, day_left, day_reset = _numbers(headers, DAY_HEADERS)
            now_ms = self.clock.now_ms()
            if minute_left is None and day_left is None:
                if now_ms >= self.headerless_until_ms:
                    self.minute.roll(now_ms)
                    longer = 2 ** self.headerless_attempts[None] - 1
                    self.headerless_until_ms = self.minute.reset_ms + _MINUTE_MS * longer
                    self.headerless_attempts.update((endpoint, None))
                    self.initialized = False
                return replace(self._headerless(endpoint, now_ms), refused=True)
            daily = day_left is not None and (minute_left is None or day_left <= 0)
            window, reset_ms = (self.day, day_reset) if daily else (self.minute, minute_reset)
            window.roll(now_ms)
            window.remaining = 0
            if reset_ms is not None and reset_ms > now_ms:
                window.reset_ms, window.from_headers = reset_ms, True
            return QuotaExceeded((window.reset_ms - now_ms) / 1000, daily, window.reset_ms, window.limit, refused=True)

    def left(self) -> tuple[int, int]:
        """Return the calls that are left in this minute and on this day, those under way and the reserve taken off."""
        with self.lock:
            now_ms = self.clock.now_ms()
            self.minute.roll(now_ms)
            self.day.roll(now_ms)
            minute, day = self.minute.remaining, self.day.remaining - self.reserve_per_day
            return max(0, minute - self.in_flight), max(0, day - self.in_flight)

    def used(self) -> CallsUsed:
        """Return how many of this day's calls are used, as far as the last header says."""
        with self.lock:
            now_ms = self.clock.now_ms()
            self.day.roll(now_ms)
            used = self.day.limit - self.day.remaining
            return CallsUsed(used, self.day.limit, _moment(self.day.reset_ms), _moment(now_ms))

    def _headerless(self, endpoint: str, now_ms: float) -> QuotaExceeded:
        until_ms = self.headerless_until_ms
        attempts = max(self.headerless_attempts[None], self.headerless_attempts[endpoint])
        seconds = (until_ms - now_ms) / 1000
        return QuotaExceeded(seconds, False, until_ms, self.minute.limit, from_headers=False, attempts=attempts)


class Quotas:
    """The budgets of all divisions, and one for the calls without a division. Thread-safe.

    Exact counts none of the latter and sends no headers with them, but it may refuse them.
    """

    def __init__(self, clock: ServerClock, reserve_per_day: int = 0) -> None:
        """Create a budget for each division once it is asked for.

        Args:
            clock: Exact's clock.
            reserve_per_day: calls a day and division that are left to other processes.
        """
        self._clock = clock
        self._reserve = reserve_per_day
        self._budgets: dict[int | None, Budget] = {}
        self._lock = threading.Lock()

    def of(self, division: int | None) -> Budget:
        """Return the budget of a division; None stands for calls without one."""
        with self._lock:
            if division not in self._budgets:
                self._budgets[division] = Budget(self._clock, self._reserve)
            return self._budgets[division]

    def fewest_left(self) -> tuple[int, int] | None:
        """Return the calls that are left in this minute and on this day in the division with the fewest of the minute.

        None before Exact has told of any.
        """
        return min((budget.left() for budget in self._initialized().values()), default=None)

    def used(self) -> dict[int, CallsUsed]:
        """Return how many of this day's calls are used, by division; without those of which Exact has told nothing."""
        return {division: budget.used() for division, budget in self._initialized().items()}

    def _initialized(self) -> dict[int, Budget]:
        with self._lock:
            budgets = list(self._budgets.items())
        return {division: budget for division, budget in budgets if division is not None and budget.initialized}


def spent_message(quota: QuotaExceeded, division: int | None) -> str:
    """Return what to say when a division's partitions end for lack of calls."""
    resumes = _moment(quota.reset_ms)
    reserved = f" ({quota.reserved:,} are left to other processes)" if quota.reserved else ""
    return (
        f"{max(0, quota.limit - quota.reserved):,} of {quota.limit:,} calls of division {division} used{reserved}; "
        f"resumes at {resumes:%H:%M} UTC; progress saved."
    )


def wait_reason(quota: QuotaExceeded, division: int | None) -> str:
    """Return what is waited for, to go behind "Waiting 30 s for"."""
    if quota.from_headers:
        return f"the {'day' if quota.daily else 'minute'}'s call quota of division {division}"
    perhaps = ", perhaps a block after too many wrong calls" if quota.attempts > 1 else ""
    return f"Exact Online to take calls again (HTTP 429 without quota headers{perhaps})"


def _moment(epoch_ms: float) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, tz=timezone.utc)


def _numbers(headers: Mapping[str, str], prefix: str) -> tuple[int | None, int | None, int | None]:
    limit, remaining, reset = (_number(headers.get(prefix + name)) for name in ("Limit", "Remaining", "Reset"))
    return limit, remaining, reset


def _number(text: str | None) -> int | None:
    """Return the number in a header; None if there is none, or one that cannot be meant."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if abs(number) <= _HIGHEST_NUMBER else None
