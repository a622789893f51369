"""One GET to Exact Online: token, quota, sending, and what the answer means."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol

import requests
from airbyte_cdk.models import FailureType
from requests.adapters import HTTPAdapter

from source_exact_online.api import errors, odata
from source_exact_online.api.backoff import MAX_ATTEMPTS, FaultBackoff
from source_exact_online.api.clock import Clock
from source_exact_online.api.errors import Action, ApiError, Subject, Verdict
from source_exact_online.api.quota import Exhausted, Quotas, ServerClock
from source_exact_online.api.wait import day_end_message, sleep_with_heartbeat

logger = logging.getLogger("airbyte.exact_online")

TIMEOUT = (10, 120)
"""Seconds to connect, and seconds without a byte, before a request counts as lost."""

WINDOW_MARGIN = 0.05
"""Seconds added to the end of a quota window, so that the next call falls into the new one."""

LONGEST_QUOTA_WAIT = 600.0
"""Seconds that are waited for a day's quota to start afresh; if it takes longer, the partition ends."""

HEADERLESS_REFUSALS = 5
"""429 answers without quota headers in a row before a partition gives up."""


TOKENS_TO_TRY = 3
"""Access tokens that one request tries; several are only refused in a row where tokens live for seconds."""


class TokenSource(Protocol):
    """What the client asks of the authenticator."""

    def get_access_token(self) -> str:
        """Access token to send; obtained and made durable first if need be."""

    def reject(self, access_token: str) -> None:
        """Exact answered 401 to this token."""


@dataclass(frozen=True, slots=True)
class Later:
    """A request that cannot be answered now.

    Attributes:
        seconds: how long to wait before the next attempt.
        reason: what is waited for, for a log line.
        quota: the spent quota, if it is one.
    """

    seconds: float
    reason: str
    quota: Exhausted | None = None


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def new_session(connections: int) -> requests.Session:
    """HTTP session for Exact's API: JSON asked for, no cookies kept (they carry a division)."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.update({"Accept": "application/json", "User-Agent": "source-exact-online"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


class ExactClient:
    """Sends GET requests within Exact's quotas.

    Thread-safe. Nothing here sleeps except `fetch`, which is for the few calls made outside the scheduler.
    """

    def __init__(
        self, base_url: str, tokens: TokenSource, clock: Clock, *, daily_calls_reserve: int = 0, connections: int = 10
    ) -> None:
        self.base_url = base_url
        self.clock = clock
        self.server_clock = ServerClock(clock)
        self.backoff = FaultBackoff()
        self.quotas = Quotas(self.server_clock, daily_calls_reserve)
        self._tokens = tokens
        self._session = new_session(connections)

    def url(self, path: str, division: int | None, options: dict[str, str] | None = None) -> str:
        """URL of a listing on this site."""
        return odata.listing_url(self.base_url, path, division, options or {})

    def call(self, url: str, subject: Subject) -> Call:
        """A request to be attempted, possibly more than once."""
        return Call(self, url, subject)

    def fetch(self, url: str, subject: Subject) -> odata.Page:
        """Send a request and wait as long as it takes.

        Raises:
            ApiError: it has finally failed.
        """
        call = self.call(url, subject)
        while isinstance(outcome := call.attempt(), Later):
            sleep_with_heartbeat(self.clock, outcome.seconds, outcome.reason)
        return outcome

    def fetch_all(self, url: str, subject: Subject) -> list[odata.Row]:
        """Rows of all pages of a listing."""
        rows: list[odata.Row] = []
        following: str | None = url
        while following:
            page = self.fetch(following, subject)
            rows.extend(page.rows)
            following = page.next_url
        return rows

    def send(self, url: str, subject: Subject) -> odata.Page | Exhausted | Verdict | str:
        """One attempt.

        Returns:
            The page; the quota that is spent; the verdict on a refusal; or the access token that was refused.
        """
        if not odata.same_origin(self.base_url, url):
            detail = "the link to the next page leads to another host"
            return replace(errors.judge_failure(detail, subject), action=Action.SKIP)
        token = self._tokens.get_access_token()
        budget = self.quotas.of(subject.division)
        if budget is not None and (exhausted := budget.reserve()):
            return exhausted
        sent = self.server_clock.local_ms()
        headers: requests.structures.CaseInsensitiveDict[str] = requests.structures.CaseInsensitiveDict()
        try:
            response = self._session.get(url, auth=_Bearer(token), timeout=TIMEOUT, allow_redirects=False)
            headers = response.headers
        except requests.RequestException as error:
            return errors.judge_failure(type(error).__name__, subject)
        finally:
            self.server_clock.observe(headers.get("Date"), sent, self.server_clock.local_ms())
            if budget is not None:
                budget.settle(headers)
        if response.status_code == requests.codes.ok:
            try:
                return odata.parse_page(response.content, url)
            except odata.NotAListingError as error:
                return errors.judge_failure(str(error), subject)
        verdict = errors.judge(response.status_code, headers, response.content, subject)
        if verdict.action is Action.WAIT and budget is not None:
            return budget.refused(headers)
        return token if verdict.action is Action.REFRESH else verdict

    def reject(self, token: str) -> None:
        """Tell the authenticator that Exact refused its token."""
        self._tokens.reject(token)


class Call:
    """One page asked for, over as many attempts as it takes. At most one attempt is under way at a time."""

    def __init__(self, client: ExactClient, url: str, subject: Subject) -> None:
        self.url = url
        self.subject = subject
        self._client = client
        self._faults = 0
        self._refusals = 0
        self._tokens_refused = 0

    def attempt(self) -> odata.Page | Later:
        """Try once.

        Returns:
            The page, or how long to wait before trying again.

        Raises:
            ApiError: the request has finally failed.
            AirbyteTracedException: there is no access token to be had.
        """
        answer = self._client.send(self.url, self.subject)
        if isinstance(answer, odata.Page):
            return answer
        if isinstance(answer, Exhausted):
            return self._wait(answer)
        if isinstance(answer, str):
            return self._renew(answer)
        if answer.action is Action.WAIT:
            return self._headerless(answer)
        if answer.action is not Action.RETRY:
            raise ApiError(answer)
        self._faults += 1
        if self._faults >= MAX_ATTEMPTS:
            raise ApiError(answer)
        seconds = self._client.backoff.backoff_time(None, self._faults)
        return Later(seconds, f"{answer.rule} ({answer.detail})")

    def _wait(self, quota: Exhausted) -> Later:
        seconds = max(0.0, quota.wait_seconds) + WINDOW_MARGIN
        if quota.daily and seconds > LONGEST_QUOTA_WAIT:
            message = day_end_message(quota.limit, self.subject.division, quota.reset_ms)
            raise ApiError(Verdict(Action.FAIL, FailureType.transient_error, message, message, "day quota spent"))
        if not quota.told:
            self._refusals += 1
            if self._refusals >= HEADERLESS_REFUSALS:
                detail = f"HTTP 429 without quota headers, {self._refusals} times"
                raise ApiError(errors.judge_failure(detail, self.subject))
            seconds += 60.0 * (2 ** (self._refusals - 1) - 1)
        window = "day" if quota.daily else "minute"
        return Later(seconds, f"the {window}'s call quota of division {self.subject.division}", quota)

    def _headerless(self, verdict: Verdict) -> Later:
        self._refusals += 1
        if self._refusals >= HEADERLESS_REFUSALS:
            raise ApiError(replace(verdict, action=Action.FAIL))
        return Later(60.0 * 2 ** (self._refusals - 1), "Exact Online refuses calls (HTTP 429)")

    def _renew(self, token: str) -> Later:
        self._tokens_refused += 1
        if self._tokens_refused > TOKENS_TO_TRY:
            verdict = errors.judge(401, {}, b"", self.subject)
            raise ApiError(replace(verdict, action=Action.FAIL))
        self._client.reject(token)
        return Later(0.0, "a new access token")
