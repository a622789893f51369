"""One GET to Exact Online: token, quota, sending, and what the answer means."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from source_exact_online.api import errors, odata
from source_exact_online.api.circuit_breaker import CircuitBreaker, RefusalCache
from source_exact_online.api.errors import Action, ErrorResolution, RequestContext
from source_exact_online.api.rate_limits import Budget, LimitsUnknown, QuotaExceeded, Quotas, ServerClock
from source_exact_online.api.usage import Cost, Usage
from source_exact_online.clock import Clock

TIMEOUT = (10, 120)
"""Seconds to connect, and seconds without a byte, before a request counts as lost."""


class TokenSource(Protocol):
    """What the client asks of the authenticator."""

    def get_access_token(self) -> str:
        """Access token to send; obtained and made durable first if need be."""

    def reject(self, access_token: str) -> None:
        """Exact answered 401 to this token."""


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Answer of Exact to an access token that it does not take (any more)."""

    token: str


Answer = odata.Page | QuotaExceeded | LimitsUnknown | TokenRefused | ErrorResolution
"""What one attempt can bring: the page, a spent quota, one that other calls decide on, a refused token, or the verdict
on any other answer."""

LONGEST_QUOTA_WAIT = 600.0
"""Seconds that are waited for a day's quota to start afresh; if it takes longer, the partition ends."""


class _Bearer(AuthBase):
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
    """Sends GET requests within Exact's quotas. Thread-safe; never sleeps."""

    def __init__(
        self,
        base_url: str,
        tokens: TokenSource,
        clock: Clock,
        *,
        daily_calls_reserve: int = 0,
        connections: int = 10,
        longest_quota_wait: float = LONGEST_QUOTA_WAIT,
    ) -> None:
        """Client of one site and login.

        Args:
            base_url: scheme and host of the site.
            tokens: gives access tokens.
            clock: tells the time.
            daily_calls_reserve: calls a day and division that are left to other processes of the same app.
            connections: connections to keep open.
            longest_quota_wait: seconds that are waited for a quota; if it takes longer, the partition ends.
        """
        self.base_url = base_url
        self.clock = clock
        self.longest_quota_wait = longest_quota_wait
        self.server_clock = ServerClock(clock)
        self.quotas = Quotas(self.server_clock, daily_calls_reserve)
        self.usage = Usage()
        self._breaker = CircuitBreaker(clock)
        self._refusals = RefusalCache()
        self._tokens = tokens
        self._session = new_session(connections)

    def url(self, path: str, division: int | None, options: dict[str, str] | None = None) -> str:
        """URL of a listing on this site."""
        return odata.listing_url(self.base_url, path, division, options or {})

    def send(self, url: str, subject: RequestContext) -> Answer:
        """Send a request once, unless there is a reason not to send it at all.

        Raises:
            AirbyteTracedException: there is no access token to be had.
        """
        if not odata.same_origin(self.base_url, url):
            return errors.resolution_named("foreign link", "the link to the next page leads elsewhere", subject)
        endpoint = urlsplit(url).path
        if (refusal := self._refusals.known(endpoint, subject)) is not None:
            return refusal
        if self._breaker.is_open(endpoint, subject.division):
            return errors.resolution_named("error limit near", "too many refused calls within an hour", subject)
        token = self._tokens.get_access_token()
        if not self._refusals.acquire(endpoint, subject.division):
            return LimitsUnknown()
        answer: Answer | None = None
        try:
            budget = self.quotas.of(subject.division)
            answer = budget.reserve(endpoint)
            if answer is None:
                answer = self._ask(url, endpoint, token, budget, subject)
            return answer
        finally:
            self._refusals.release(endpoint, subject.division, answered=isinstance(answer, odata.Page))

    def _ask(self, url: str, endpoint: str, token: str, budget: Budget, subject: RequestContext) -> Answer:
        sent = self.server_clock.local_ms()
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        ok = False
        try:
            response = self._session.get(url, auth=_Bearer(token), timeout=TIMEOUT, allow_redirects=False)
            headers, ok = response.headers, response.ok
        except requests.RequestException as error:
            return errors.resolution_named("no answer", type(error).__name__, subject)
        finally:
            self.usage.add(subject, Cost(calls=1))
            self.server_clock.observe(headers.get("Date"), sent, self.server_clock.local_ms())
            budget.release(endpoint, headers, ok=ok)
        self._breaker.record(endpoint, subject.division, response.status_code)
        if response.status_code == requests.codes.ok:
            try:
                return odata.parse_page(response.content, url)
            except odata.NotAListingError as error:
                return errors.resolution_named("no answer", str(error), subject)
        verdict = errors.resolution_for(response.status_code, headers, response.content, subject)
        self._refusals.remember(endpoint, subject, verdict)
        if verdict.action is Action.WAIT:
            return budget.refused(endpoint, headers)
        return TokenRefused(token) if verdict.action is Action.REFRESH else verdict

    def reject(self, token: str) -> None:
        """Tell the authenticator that Exact refused its token."""
        self._tokens.reject(token)
