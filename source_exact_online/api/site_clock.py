"""Whose clock a site's servers show.

The Netherlands' is Amsterdam's (Exact's FAQ on dates). Of the other sites nobody has written it down, so the site
itself is asked: ``current/Me`` has the server's local time, ``ServerTime``, and ``ServerUtcOffset`` in seconds. Both
hold for the moment alone, so they are only used to tell which time zone's clock shows that.
"""

from __future__ import annotations

from contextlib import suppress

from source_exact_online.api import exact_time
from source_exact_online.api.exact_time import AMSTERDAM, WallClock

_CLOCKS = (AMSTERDAM, WallClock("Europe/London"), WallClock("America/New_York"))
"""Clocks of the countries with a site; no two of them ever show the same. Those not named here have Amsterdam's."""

_HOUR_MS = 3_600_000
_TOLERANCE_MS = 300_000
_MOST_HOURS = 14


def site_clock(server_time: object, utc_offset: object, now_ms: float) -> WallClock:
    """Return the clock that shows a time now: Amsterdam's where that cannot be told.

    A zone that none of Exact's countries has counts as a fixed offset from UTC.

    Args:
        server_time: ``ServerTime``, text without a zone. One that cannot be the present (a whole number of hours from
            UTC) is no clock's.
        utc_offset: ``ServerUtcOffset``, seconds, if told. Where it contradicts the time that is shown, neither counts.
        now_ms: the present, as the ``Date`` header of the answer tells it, epoch milliseconds.
    """
    shown_ms = _shown(server_time)
    if shown_ms is None:
        return AMSTERDAM
    hours = round((shown_ms - now_ms) / _HOUR_MS)
    instant = shown_ms - hours * _HOUR_MS
    if abs(instant - now_ms) > _TOLERANCE_MS or abs(hours) > _MOST_HOURS:
        return AMSTERDAM
    if isinstance(utc_offset, int | float) and utc_offset != hours * 3600:
        return AMSTERDAM
    clocks = (clock for clock in _CLOCKS if clock.from_instant(instant) == shown_ms)
    return next(clocks, None) or WallClock(f"Etc/GMT{-hours:+d}")  # POSIX counts hours west of Greenwich


def _shown(server_time: object) -> int | None:
    """Return what the clock shows, in milliseconds since 1970 on it; None where nothing usable is told."""
    if isinstance(server_time, str) and server_time:
        with suppress(ValueError):
            return exact_time.from_text(server_time)
    return None
