"""How long to wait before a request is sent again."""

from __future__ import annotations

import random
from collections.abc import Callable

import requests
from airbyte_cdk.sources.streams.http.error_handlers import BackoffStrategy

MAX_ATTEMPTS = 6
"""Attempts at one page before a fault that does not pass ends the partition."""


class FaultBackoff(BackoffStrategy):
    """Exponential back-off with jitter for faults that pass: 1, 2, 4 ... seconds, each half fixed and half random.

    The CDK's default for 429 is not used: it gives up after 31 seconds, and Exact's shortest window is a minute long
    (see rate_limits.py for those waits).
    """

    def __init__(self, first: float = 1.0, cap: float = 60.0, rng: Callable[[], float] = random.random) -> None:
        self._first = first
        self._cap = cap
        self._rng = rng

    def backoff_time(
        self,
        response_or_exception: requests.Response | requests.RequestException | None,
        attempt_count: int,
    ) -> float:
        """Seconds to wait after the given number of attempts."""
        full = min(self._cap, self._first * 2.0 ** (attempt_count - 1))
        return full / 2 + full / 2 * self._rng()
