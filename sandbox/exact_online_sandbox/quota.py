"""Calls per minute and day, and errors per hour: Exact's limits and how it tells them."""

from __future__ import annotations

from dataclasses import dataclass

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.settings import ErrorLimitSettings, QuotaSettings

Headers = dict[str, str]


@dataclass(slots=True)
class _Window:
    number: int = -1
    used: int = 0


class Quota:
    """Counts calls per app and division in fixed windows.

    Not for several threads; the server calls it from one.
    """

    def __init__(self, clock: Clock, settings: QuotaSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._minutes: dict[tuple[str, int], _Window] = {}
        self._days: dict[tuple[str, int], _Window] = {}

    def spend(self, client: str, division: int) -> Headers:
        """Count one call.

        Returns:
            The six rate-limit headers, values after this call.

        Raises:
            ApiError: 429 without a body and with the headers of the exceeded limit only.
        """
        settings = self._settings
        minute, day = self._windows(client, division)
        if day.used >= settings.daily_limit or minute.used >= settings.minute_limit:
            daily = day.used >= settings.daily_limit
            if settings.count_rejected:
                minute.used += 1
                day.used += 1
            raise self.refusal(client, division, daily=daily)
        minute.used += 1
        day.used += 1
        return {**self._minute_headers(minute), **self._day_headers(day)}

    def refusal(self, client: str, division: int, *, daily: bool) -> ApiError:
        """The 429 for an exceeded limit, whether it is exceeded or not."""
        minute, day = self._windows(client, division)
        if daily:
            headers = {**self._day_headers(day), "X-RateLimit-Remaining": "0"}
        else:
            headers = {**self._minute_headers(minute), "X-RateLimit-Minutely-Remaining": "0"}
        return ApiError(429, None, headers)

    def use(self, client: str, division: int, *, minute: int = 0, day: int = 0) -> None:
        """Let another process of the same app spend calls."""
        minute_window, day_window = self._windows(client, division)
        minute_window.used += minute
        day_window.used += day

    def reset(self) -> None:
        """Forget all calls."""
        self._minutes.clear()
        self._days.clear()

    def state(self) -> list[dict[str, int | str]]:
        """Calls used in the current windows, per app and division."""
        found: list[dict[str, int | str]] = []
        for client, division in self._minutes:
            minute, day = self._windows(client, division)
            found.append({"client_id": client, "division": division, "minute": minute.used, "day": day.used})
        return found

    def _windows(self, client: str, division: int) -> tuple[_Window, _Window]:
        now = self._clock.now_ms()
        found = []
        for windows, seconds in (
            (self._minutes, self._settings.minute_seconds),
            (self._days, self._settings.day_seconds),
        ):
            window = windows.setdefault((client, division), _Window())
            number = int(now // (seconds * 1000))
            if window.number != number:
                window.number, window.used = number, 0
            found.append(window)
        return found[0], found[1]

    def _minute_headers(self, window: _Window) -> Headers:
        limit = self._settings.minute_limit
        return {
            "X-RateLimit-Minutely-Limit": str(limit),
            "X-RateLimit-Minutely-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Minutely-Reset": _reset(window, self._settings.minute_seconds),
        }

    def _day_headers(self, window: _Window) -> Headers:
        limit = self._settings.daily_limit
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Reset": _reset(window, self._settings.day_seconds),
        }


def _reset(window: _Window, seconds: float) -> str:
    """End of a window in epoch milliseconds UTC."""
    return str(round((window.number + 1) * seconds * 1000))


class ErrorLimit:
    """Blocks an app and user after too many 400, 401, 403 and 404 answers of one endpoint in one hour."""

    COUNTED = frozenset({400, 401, 403, 404})

    def __init__(self, clock: Clock, settings: ErrorLimitSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._errors: dict[tuple[str, str, int | None, str], _Window] = {}
        self._blocked: dict[tuple[str, str], tuple[int, int]] = {}

    def check(self, client: str, user: str) -> None:
        """Refuse a blocked app and user.

        Raises:
            ApiError: the configured status, without a body and without rate-limit headers.
        """
        until, _ = self._blocked.get((client, user), (0, 0))
        if self._clock.now_ms() < until:
            raise ApiError(self._settings.status, None)

    def record(self, status: int, client: str, user: str, division: int | None, endpoint: str) -> None:
        """Count an answer.

        Raises:
            ApiError: the answer was one error too many; the block's answer takes its place.
        """
        settings = self._settings
        if status not in self.COUNTED or not settings.limit:
            return
        now = self._clock.now_ms()
        number = int(now // (settings.window_seconds * 1000))
        window = self._errors.setdefault((client, user, division, endpoint), _Window())
        if window.number != number:
            window.number, window.used = number, 0
        window.used += 1
        if window.used > settings.limit:
            _, times = self._blocked.get((client, user), (0, 0))
            until = now + round(settings.block_seconds * 1000 * 2**times)
            self._blocked[(client, user)] = (until, times + 1)
            raise ApiError(settings.status, None)

    def reset(self) -> None:
        """Forget all errors and blocks."""
        self._errors.clear()
        self._blocked.clear()

    def state(self) -> list[dict[str, int | str | None]]:
        """Errors counted so far."""
        return [
            {"client_id": c, "user": u, "division": d, "endpoint": e, "errors": w.used}
            for (c, u, d, e), w in self._errors.items()
        ]
