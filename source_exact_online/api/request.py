"""One page asked for, over as many attempts as it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airbyte_cdk.models import FailureType

from source_exact_online.api import errors, odata
from source_exact_online.api.backoff import MAX_ATTEMPTS, FaultBackoff
from source_exact_online.api.client import ExactClient, TokenRefused
from source_exact_online.api.errors import Action, ApiError, ErrorResolution, RequestContext
from source_exact_online.api.rate_limits import LimitsUnknown, QuotaExceeded, spent_message, wait_reason
from source_exact_online.api.usage import Cost
from source_exact_online.clock import sleep_with_heartbeat

WINDOW_MARGIN = 0.05
"""Seconds added to the end of a quota window, so that the next call falls into the new one."""

NOTABLE_WAIT = 1.0
"""Seconds from which on a wait for a quota is told to the platform."""

LONGEST_MINUTE = 120.0
"""Seconds beyond which the end of a minute cannot lie; a header that says so is not waited for."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """A request that cannot be answered now.

    Attributes:
        seconds: how long to wait before the next attempt.
        reason: what is waited for, for a log line.
        quota: the spent quota, if it is one.
    """

    seconds: float
    reason: str
    quota: QuotaExceeded | None = None


class PageRequest:
    """One page asked for. At most one attempt is under way at a time; waiting between them is the caller's."""

    def __init__(
        self, client: ExactClient, url: str, subject: RequestContext, backoff: FaultBackoff | None = None
    ) -> None:
        self.url = url
        self.subject = subject
        self._client = client
        self._backoff = backoff or FaultBackoff()
        self._faults = 0
        self._tokens_refused = 0

    def attempt(self) -> odata.Page | RetryAfter:
        """Try once.

        Returns:
            The page, or how long to wait before trying again.

        Raises:
            ApiError: the request has finally failed.
            AirbyteTracedException: there is no access token to be had.
        """
        answer = self._client.send(self.url, self.subject)
        if isinstance(answer, odata.Page):
            self._client.usage.add(self.subject, Cost(rows=len(answer.rows)))
            return answer
        if isinstance(answer, TokenRefused):
            return self._renew(answer.token)
        if isinstance(answer, LimitsUnknown):
            return RetryAfter(answer.seconds, "calls under way")
        later = self._quota(answer) if isinstance(answer, QuotaExceeded) else self._verdict(answer)
        self._client.usage.add(self.subject, Cost(waited=later.seconds))
        return later

    def _verdict(self, verdict: ErrorResolution) -> RetryAfter:
        if verdict.action is not Action.RETRY:
            raise ApiError(verdict)
        self._faults += 1
        self._client.usage.add(self.subject, Cost(faults=1))
        if self._faults >= MAX_ATTEMPTS:
            raise ApiError(verdict)
        return RetryAfter(self._backoff.backoff_time(None, self._faults), f"{verdict.rule} ({verdict.detail})")

    def _quota(self, quota: QuotaExceeded) -> RetryAfter:
        if quota.refused:
            self._client.usage.add(self.subject, Cost(refused=1))
        if quota.may_be_block:
            detail = f"HTTP 429 without quota headers, {quota.attempts} times"
            raise ApiError(errors.resolution_named("blocked", detail, self.subject))
        seconds = max(0.0, quota.wait_seconds) + WINDOW_MARGIN
        is_long = quota.from_headers and (quota.daily or seconds > LONGEST_MINUTE)
        if is_long and seconds > self._client.longest_quota_wait:
            message = spent_message(quota, self.subject.division)
            raise ApiError(
                ErrorResolution(Action.FAIL, FailureType.transient_error, message, message, "day quota spent")
            )
        reason = wait_reason(quota, self.subject.division)
        return RetryAfter(seconds, reason, quota if seconds >= NOTABLE_WAIT else None)

    def _renew(self, token: str) -> RetryAfter:
        self._tokens_refused += 1
        if self._tokens_refused > 1:
            raise ApiError(replace(errors.resolution_for(401, {}, b"", self.subject), action=Action.FAIL))
        self._client.reject(token)
        return RetryAfter(0.0, "a new access token")


def fetch(client: ExactClient, url: str, subject: RequestContext) -> odata.Page:
    """Ask for one page and wait as long as it takes; for the few calls made outside the scheduler.

    Raises:
        ApiError: the request has finally failed.
    """
    call = PageRequest(client, url, subject)
    while isinstance(outcome := call.attempt(), RetryAfter):
        sleep_with_heartbeat(client.clock, outcome.seconds, outcome.reason)
    return outcome


def fetch_all(client: ExactClient, url: str, subject: RequestContext) -> list[odata.Row]:
    """Rows of all pages of a listing.

    Raises:
        ApiError: a request has finally failed.
    """
    rows: list[odata.Row] = []
    following: str | None = url
    while following:
        page = fetch(client, following, subject)
        rows.extend(page.rows)
        following = page.next_url
    return rows
