"""Waiting that a person can follow in the log."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from source_exact_online.api.rate_limits import QuotaExceeded
from source_exact_online.clock import Clock

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


def spent_message(quota: QuotaExceeded, division: int | None) -> str:
    """What to say when a division's partitions end for lack of calls."""
    resumes = datetime.fromtimestamp(quota.reset_ms / 1000, tz=timezone.utc)
    kept = f" ({quota.kept:,} are left to other processes)" if quota.kept else ""
    return (
        f"{max(0, quota.limit - quota.kept):,} of {quota.limit:,} calls of division {division} used{kept}; "
        f"resumes at {resumes:%H:%M} UTC; progress saved."
    )
