"""What is said when a quota is spent."""

from __future__ import annotations

from datetime import datetime, timezone

from source_exact_online.api.rate_limits import QuotaExceeded


def spent_message(quota: QuotaExceeded, division: int | None) -> str:
    """What to say when a division's partitions end for lack of calls."""
    resumes = datetime.fromtimestamp(quota.reset_ms / 1000, tz=timezone.utc)
    kept = f" ({quota.kept:,} are left to other processes)" if quota.kept else ""
    return (
        f"{max(0, quota.limit - quota.kept):,} of {quota.limit:,} calls of division {division} used{kept}; "
        f"resumes at {resumes:%H:%M} UTC; progress saved."
    )
