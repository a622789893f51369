"""One page asked for, over as many attempts as it takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from source_exact_online.api.client import Body, ExactClient, TokenRefused
from source_exact_online.api.errors import (
    Action,
    ErrorKind,
    ErrorResolution,
    RequestContext,
    error_of,
    resolution_for,
    resolution_of,
)
from source_exact_online.api.page import Page, PageDecoder, Row
from source_exact_online.api.rate_limits import LimitsUnknown, QuotaExceeded, spent_message, wait_reason
from source_exact_online.api.repair import DamagedPageError, NotAPageError
from source_exact_online.api.site_health import SiteDown
from source_exact_online.api.usage import Cost
from source_exact_online.clock import sleep_with_heartbeat
from source_exact_online.words import counted

MAX_ATTEMPTS = 6
"""Attempts at one page before a fault that does not pass ends the listing."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before the second attempt, doubled for each further one up to the longest; half of each is random."""

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
        site: the outage, if it is one.
    """

    seconds: float
    reason: str
    quota: QuotaExceeded | None = None
    site: SiteDown | None = None


class PageRequest:
    """One page asked for. At most one attempt is under way at a time; waiting between them is the caller's.

    Args:
        client: the API.
        url: address of the page.
        context: what it is about.
        decoder: turns its body into rows.
        rng: random number in [0, 1) for jitter.
    """

    def __init__(
        self,
        client: ExactClient,
        url: str,
        context: RequestContext,
        decoder: PageDecoder,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.url = url
        self.context = context
        self._client = client
        self._decoder = decoder
        self._rng = rng
        self._faults = 0
        self._tokens_refused = 0

    def attempt(self) -> Page | RetryAfter:
        """Try once.

        Returns:
            The page, or how long to wait before trying again.

        Raises:
            ApiError: the request has finally failed; the error's type says what follows.
            AirbyteTracedException: there is no access token.
        """
        answer = self._client.send(self.url, self.context)
        if isinstance(answer, Body):
            try:
                page = self._decoder.decode(answer.content, self.url)
            except DamagedPageError as error:
                answer = self._damage(error, answer)
            else:
                self._client.usage.add(self.context, Cost(rows=len(page.rows)))
                return page
        if isinstance(answer, ErrorResolution):
            later = self._follow(answer)
        elif isinstance(answer, QuotaExceeded):
            later = self._quota(answer)
        elif isinstance(answer, TokenRefused):
            return self._renew(answer)
        elif isinstance(answer, LimitsUnknown):
            return RetryAfter(answer.seconds, "calls under way")
        else:
            later = RetryAfter(answer.seconds, answer.reason, site=answer)
        self._client.usage.add(self.context, Cost(waited=later.seconds))
        return later

    def _damage(self, error: DamagedPageError, body: Body) -> ErrorResolution:
        """Return what a body means that is not the page that was asked for."""
        if isinstance(error, NotAPageError):
            resolution = resolution_for(200, {}, body.content, self.context, self.url)
            if resolution.action is Action.STOP:
                return resolution
        return resolution_of(ErrorKind.DAMAGED_PAGE, str(error), self.context)

    def _follow(self, resolution: ErrorResolution) -> RetryAfter:
        """Return how long to wait before the next attempt.

        Raises:
            ApiError: there is none.
        """
        if resolution.action is not Action.RETRY:
            raise error_of(resolution)
        self._client.usage.add(self.context, Cost(faults=1))
        self._faults += 1
        if self._faults >= MAX_ATTEMPTS:
            raise error_of(resolution)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self._faults - 1))
        return RetryAfter(pause / 2 + pause / 2 * self._rng(), f"{resolution.kind.value} ({resolution.detail})")

    def _quota(self, quota: QuotaExceeded) -> RetryAfter:
        if quota.refused:
            self._client.usage.add(self.context, Cost(refused=1))
        seconds = max(0.0, quota.wait_seconds) + WINDOW_MARGIN
        notable = quota if seconds >= NOTABLE_WAIT else None
        too_long = seconds > self._client.longest_quota_wait and (quota.daily or seconds > LONGEST_MINUTE)
        if quota.may_be_block:
            detail = f"HTTP 429 without quota headers, {quota.attempts} times"
            raise error_of(resolution_of(ErrorKind.BLOCKED, detail, self.context))
        if quota.from_headers and too_long:
            message = spent_message(quota, self.context.division)
            raise error_of(resolution_of(ErrorKind.DAY_QUOTA_SPENT, message, self.context))
        return RetryAfter(seconds, wait_reason(quota, self.context.division), notable)

    def _renew(self, refused: TokenRefused) -> RetryAfter:
        self._tokens_refused += 1
        if self._tokens_refused > 1:
            raise error_of(refused.resolution)
        self._client.reject(refused.token)
        return RetryAfter(0.0, "a new access token")


def fetch(client: ExactClient, url: str, context: RequestContext, decoder: PageDecoder) -> Page:
    """Return one page, waiting as long as it takes; for the few calls made outside the scheduler.

    Raises:
        ApiError: the request has finally failed.
    """
    request = PageRequest(client, url, context, decoder)
    while isinstance(outcome := request.attempt(), RetryAfter):
        sleep_with_heartbeat(client.clock, outcome.seconds, outcome.reason)
    return outcome


def fetch_all(client: ExactClient, url: str, context: RequestContext, decoder: PageDecoder) -> list[Row]:
    """Return the rows of all pages of a listing.

    Raises:
        ApiError: a request has finally failed, or the listing does not end.
    """
    rows: list[Row] = []
    followed = FollowedLinks(context)
    following: str | None = url
    while following:
        followed.add(following)
        page = fetch(client, following, context, decoder)
        rows.extend(page.rows)
        following = page.next_url
    return rows


class FollowedLinks:
    """Addresses of a listing's pages, none of which may come twice.

    Args:
        context: what is listed.
    """

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._seen: set[int] = set()

    def add(self, url: str) -> None:
        """Take note of a page that is about to be asked for.

        Raises:
            IncompleteError: it was asked for before: the links lead in a circle.
        """
        mark = hash(url)
        if mark in self._seen:
            detail = f"after {counted(len(self._seen), 'page')} a link leads back to one that was read"
            raise error_of(resolution_of(ErrorKind.ENDLESS, detail, self._context))
        self._seen.add(mark)
