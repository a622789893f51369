"""Waiting that a person can follow in the log."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from source_exact_online.api.clock import Clock

logger = logging.getLogger("airbyte.exact_online")

HEARTBEAT_SECONDS = 50.0
"""Longest silence while waiting; platforms take a connector without output for dead."""


def sleep_with_heartbeat(clock: Clock, seconds: float, reason: str) -> None:
    """Sleep, with a log line at least once a minute."""
    remaining = seconds
    while remaining > 0:
        if remaining >= 1:
            logger.info("Waiting %.0f s for %s.", remaining, reason)
        pause = min(remaining, HEARTBEAT_SECONDS)
        clock.sleep(pause)
        remaining -= pause


def day_end_message(limit: int, division: int | None, reset_ms: float) -> str:
    """What to say when the day's quota of a division is spent; `reset_ms` is epoch milliseconds."""
    resumes = datetime.fromtimestamp(reset_ms / 1000, tz=timezone.utc)
    return (
        f"{limit:,} of {limit:,} calls of division {division} used today; "
        f"resumes at {resumes:%H:%M} UTC on {resumes:%Y-%m-%d}; progress saved."
    )
