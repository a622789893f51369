"""Exact Online's call quotas: a budget per division, shared by every partition that reads it.

Exact counts per app and division: 60 calls a calendar minute and 5,000 a UTC day today. The numbers and the moments at
which they start afresh (epoch milliseconds) come with every answer in ``X-RateLimit-*`` headers, so none is hard-coded
except as a first guess. The count is shared with other processes of the same app: the headers are the truth, ours is
only a reservation until the answer is there.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime

from source_exact_online.clock import Clock

MINUTE_HEADERS = "X-RateLimit-Minutely-"
DAY_HEADERS = "X-RateLimit-"

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_FIRST_GUESS = {"minute": 60, "day": 5000}

PENDING_SECONDS = 0.1
"""How long to wait before looking again what the calls under way have brought."""


class ServerClock:
    """What Exact's clock shows, initialized from the ``Date`` header of its answers.

    The header has whole seconds, and the server wrote it somewhere between sending and receiving: each answer bounds
    the offset between the two clocks from both sides, and the bounds of many answers narrow it down.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._low: float | None = None
        self._high: float | None = None

    def observe(self, date_header: str | None, sent_ms: float, received_ms: float) -> None:
        """Learn from one answer; `sent_ms` and `received_ms` are local epoch milliseconds."""
        if not date_header:
            return
        try:
            server_ms = parsedate_to_datetime(date_header).timestamp() * 1000
        except (TypeError, ValueError):
            return
        low, high = server_ms - received_ms, server_ms + 1000 - sent_ms
        with self._lock:
            if self._low is None or self._high is None or low > self._high or high < self._low:
                self._low, self._high = low, high  # the first answer, or one of the clocks was set
            else:
                self._low, self._high = max(self._low, low), min(self._high, high)

    def now_ms(self) -> float:
        """Epoch milliseconds that Exact's clock has surely reached."""
        return self.local_ms() + (self._low or 0.0)

    def local_ms(self) -> float:
        """Epoch milliseconds of the local clock."""
        return self._clock.now().timestamp() * 1000


@dataclass(slots=True)
class Window:
    """One counting window of a quota.

    Attributes:
        limit: calls a window allows.
        length_ms: length of a window, for an end that no header told.
        remaining: calls left in the current window, as far as the last header told.
        reset_ms: moment at which the window ends, epoch milliseconds of Exact's clock.
        told: whether a header named that moment; else it is a guess.
    """

    limit: int
    length_ms: int
    remaining: int
    reset_ms: float = 0.0
    told: bool = False

    def roll(self, now_ms: float) -> None:
        """Start a new window if the current one has ended."""
        if now_ms >= self.reset_ms:
            self.remaining = self.limit
            self.reset_ms = (now_ms // self.length_ms + 1) * self.length_ms
            self.told = False

    def settle(self, limit: int | None, remaining: int | None, reset_ms: float | None, now_ms: float) -> None:
        """Take over what the headers of an answer say.

        A late answer of an earlier window is ignored; one without a number counts as one call.
        """
        if limit is not None:
            self.limit = limit
        if remaining is None:
            self.remaining -= 1
        elif reset_ms is None or (self.told and reset_ms == self.reset_ms):
            self.remaining = min(self.remaining, remaining)
        elif reset_ms > self.reset_ms or (reset_ms > now_ms and not self.told):
            self.remaining, self.reset_ms, self.told = remaining, reset_ms, True


@dataclass(slots=True)
class QuotaExceeded:
    """A quota that is used up.

    Attributes:
        wait_seconds: until the window that is spent ends.
        daily: whether it is the day's quota.
        reset_ms: the end, epoch milliseconds of Exact's clock.
        limit: calls the window allows.
        kept: how many of them are left to other processes.
        told: whether headers told all that; else it is a guess after a refusal without any.
        refused: whether Exact refused a call; else the call was not even sent.
        rounds: how often in a row the division was refused without headers.
    """

    wait_seconds: float
    daily: bool
    reset_ms: float
    limit: int
    kept: int = 0
    told: bool = True
    refused: bool = False
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class LimitsUnknown:
    """Calls under way decide whether there is one more; look again in `seconds`."""

    seconds: float = PENDING_SECONDS


@dataclass(slots=True)
class Budget:
    """The calls of one division.

    The first call goes alone: limits are a guess until there is an answer, and the day's or the minute's calls may have
    been used up by an earlier run. After a refusal without headers one call goes alone again, to try whether the
    division, all of its partitions, may go on; each such round waits twice as long as the one before.

    Attributes:
        clock: Exact's clock.
        reserve_per_day: calls a day that are left to other processes.
        minute: the short window.
        day: the long window.
        in_flight: calls reserved and not yet settled.
        initialized: whether there has been an answer.
        headerless_rounds: refusals without headers in a row; those of calls that were under way together count as one.
        headerless_until_ms: moment until which the last of them keeps everybody waiting.
    """

    clock: ServerClock
    reserve_per_day: int = 0
    minute: Window = field(default_factory=lambda: Window(_FIRST_GUESS["minute"], _MINUTE_MS, _FIRST_GUESS["minute"]))
    day: Window = field(default_factory=lambda: Window(_FIRST_GUESS["day"], _DAY_MS, _FIRST_GUESS["day"]))
    in_flight: int = 0
    initialized: bool = False
    headerless_rounds: int = 0
    headerless_until_ms: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self) -> QuotaExceeded | LimitsUnknown | None:
        """Take one call out of the budget, or tell until when there is none."""
        with self.lock:
            now_ms = self.clock.now_ms()
            if now_ms < self.headerless_until_ms:
                return self._bare(now_ms)
            pending = self.in_flight > 0 and not self.initialized
            for window, kept, daily in ((self.day, self.reserve_per_day, True), (self.minute, 0, False)):
                window.roll(now_ms)
                left = window.remaining - kept
                if left <= 0:
                    return QuotaExceeded((window.reset_ms - now_ms) / 1000, daily, window.reset_ms, window.limit, kept)
                # Exact may have counted calls under way in what it told last, or not: their answers will say.
                pending = pending or left <= self.in_flight
            if pending:
                return LimitsUnknown()
            self.in_flight += 1
            return None

    def settle(self, headers: Mapping[str, str]) -> None:
        """Give the reservation back and take over what the answer's headers say."""
        with self.lock:
            self.in_flight = max(0, self.in_flight - 1)
            now_ms = self.clock.now_ms()
            self.initialized = self.initialized or bool(headers)
            minute, day = _numbers(headers, MINUTE_HEADERS), _numbers(headers, DAY_HEADERS)
            self.minute.settle(*minute, now_ms)
            self.day.settle(*day, now_ms)
            if minute[1] is not None or day[1] is not None:
                self.headerless_rounds, self.headerless_until_ms = 0, 0.0

    def refused(self, headers: Mapping[str, str]) -> QuotaExceeded:
        """What a 429 says: which window is spent and when it ends.

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
                    self.headerless_until_ms = self.minute.reset_ms + _MINUTE_MS * (2**self.headerless_rounds - 1)
                    self.headerless_rounds += 1
                    self.initialized = False
                return replace(self._bare(now_ms), refused=True)
            daily = day_left is not None and (minute_left is None or day_left <= 0)
            window, reset_ms = (self.day, day_reset) if daily else (self.minute, minute_reset)
            window.roll(now_ms)
            window.remaining = 0
            if reset_ms is not None and reset_ms > now_ms:
                window.reset_ms, window.told = reset_ms, True
            return QuotaExceeded((window.reset_ms - now_ms) / 1000, daily, window.reset_ms, window.limit, refused=True)

    def left(self) -> tuple[int, int]:
        """Calls that are left in this minute and on this day, those under way and the reserve taken off."""
        with self.lock:
            now_ms = self.clock.now_ms()
            self.minute.roll(now_ms)
            self.day.roll(now_ms)
            minute, day = self.minute.remaining, self.day.remaining - self.reserve_per_day
            return max(0, minute - self.in_flight), max(0, day - self.in_flight)

    def _bare(self, now_ms: float) -> QuotaExceeded:
        seconds = (self.headerless_until_ms - now_ms) / 1000
        return QuotaExceeded(
            seconds, False, self.headerless_until_ms, self.minute.limit, told=False, rounds=self.headerless_rounds
        )


class Quotas:
    """The budgets of all divisions. Calls without a division are free."""

    def __init__(self, clock: ServerClock, reserve_per_day: int = 0) -> None:
        self._clock = clock
        self._reserve = reserve_per_day
        self._budgets: dict[int, Budget] = {}
        self._lock = threading.Lock()

    def of(self, division: int | None) -> Budget | None:
        """Budget of a division; None for calls that no division is charged for."""
        if division is None:
            return None
        with self._lock:
            if division not in self._budgets:
                self._budgets[division] = Budget(self._clock, self._reserve)
            return self._budgets[division]


def _numbers(headers: Mapping[str, str], prefix: str) -> tuple[int | None, int | None, float | None]:
    limit, remaining, reset = (_number(headers.get(prefix + name)) for name in ("Limit", "Remaining", "Reset"))
    return limit, remaining, None if reset is None else float(reset)


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
