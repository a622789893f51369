"""One GET to Exact Online: site, token, quota, sending, and what the answer means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from source_exact_online.api import odata
from source_exact_online.api.circuit_breaker import RefusalCache
from source_exact_online.api.errors import (
    Action,
    ErrorKind,
    ErrorResolution,
    RequestContext,
    resolution_for,
    resolution_of,
)
from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.api.rate_limits import Budget, LimitsUnknown, QuotaExceeded, Quotas, ServerClock
from source_exact_online.api.site_health import LONGEST_WAIT_SECONDS, SiteDown, SiteHealth
from source_exact_online.api.usage import Cost, Usage
from source_exact_online.clock import Clock
from source_exact_online.failures import NoTokenInThisRunError

TIMEOUT = (10, 120)
"""Seconds to connect, and seconds without a byte, before a request counts as lost."""

ANSWER_DEADLINE = 600.0
"""Seconds for a whole answer, however steadily it drips."""

LONGEST_BODY = 128 * 1024 * 1024
"""Bytes of an answer, unpacked, that are taken. A page of 1,000 rows has some 3 million; Exact names 38 MB at most."""

LONGEST_QUOTA_WAIT = 600.0
"""Seconds that are waited for a day's quota to start afresh; if it takes longer, the partition ends."""


class TokenSource(Protocol):
    """What the client asks of the authenticator."""

    def get_access_token(self) -> str:
        """Return the access token to send; obtained and made durable first where needed."""

    def reject(self, access_token: str) -> None:
        """Take note that Exact answered 401 to this token."""


@dataclass(frozen=True, slots=True)
class Body:
    """Body of an answer with status 200."""

    content: bytes


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Answer of Exact to an access token that it does not take any more."""

    token: str
    resolution: ErrorResolution


Answer = Body | QuotaExceeded | LimitsUnknown | SiteDown | TokenRefused | ErrorResolution
"""What one attempt can bring: a body, a reason why none was sent or answered yet, or what any other answer means."""


class _BodyError(requests.RequestException):
    """The body of an answer that is too long, or takes too long."""


class _NoAnswerError(Exception):
    """No answer that came to its end."""

    def __init__(self, kind: ErrorKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def new_session(connections: int) -> requests.Session:
    """Return an HTTP session for Exact's API: JSON asked for, no cookies kept (they carry a division)."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.update({"Accept": "application/json", "User-Agent": "source-exact-online"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


class ExactClient:
    """Sends GET requests within Exact's quotas. Thread-safe; never sleeps.

    Args:
        base_url: scheme and host of the site.
        tokens: gives access tokens.
        clock: tells the time.
        daily_calls_reserve: calls a day and division that are left to other processes of the same app.
        connections: connections to keep open.
        longest_quota_wait: seconds that are waited for a quota; if it takes longer, the partition ends.
        longest_outage: seconds that are waited for a site that is down.
    """

    def __init__(
        self,
        base_url: str,
        tokens: TokenSource,
        clock: Clock,
        *,
        daily_calls_reserve: int = 0,
        connections: int = 10,
        longest_quota_wait: float = LONGEST_QUOTA_WAIT,
        longest_outage: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self.base_url = base_url
        self.clock = clock
        self.longest_quota_wait = longest_quota_wait
        self.wall_clock = AMSTERDAM  # until the site says otherwise
        self.server_clock = ServerClock(clock)
        self.quotas = Quotas(self.server_clock, daily_calls_reserve)
        self.usage = Usage()
        self._site = SiteHealth(clock, longest_outage)
        self._refusals = RefusalCache(clock)
        self._tokens = tokens
        self._session = new_session(connections)

    def url(self, path: str, division: int | None, options: dict[str, str] | None = None) -> str:
        """Return the URL of a listing on this site."""
        return odata.listing_url(self.base_url, path, division, options or {})

    def send(self, url: str, context: RequestContext) -> Answer:
        """Send a request once, unless there is a reason not to send it at all.

        Raises:
            AirbyteTracedException: there is no access token.
        """
        if not odata.same_origin(self.base_url, url):
            return resolution_of(ErrorKind.FOREIGN_LINK, "the link to the next page leads elsewhere", context)
        down = self._site.acquire()
        if down is not None:
            return down
        answered = False
        try:
            token = self._token(context)
            if not isinstance(token, str):
                return token
            answer = self._ask(url, token, context)
            answered = isinstance(answer, Body)
            return answer
        finally:
            self._site.release(answered=answered)

    def _token(self, context: RequestContext) -> str | SiteDown | ErrorResolution:
        """Return the access token; where there is none for now, what that means, as the site may be down."""
        try:
            return self._tokens.get_access_token()
        except AirbyteTracedException as error:
            if error.failure_type is not FailureType.transient_error or isinstance(error, NoTokenInThisRunError):
                raise
            return self._outage(resolution_of(ErrorKind.NO_TOKEN, str(error.message), context), context)

    def _ask(self, url: str, token: str, context: RequestContext) -> Answer:
        """Send a request within the quota, unless it was refused before."""
        endpoint = urlsplit(url).path
        refusal = self._refusals.acquire(endpoint, context)
        if refusal is not None:
            return refusal
        status, resolution = 0, None
        try:
            budget = self.quotas.of(context.division)
            exceeded = budget.reserve(endpoint)
            if exceeded is not None:
                return exceeded
            status, headers, body = self._get(url, endpoint, token, budget, context)
            if status == requests.codes.ok:
                return Body(body)
            resolution = resolution_for(status, headers, body, context, url)
        except _NoAnswerError as error:
            resolution = resolution_of(error.kind, error.detail, context)
        finally:
            self._refusals.release(endpoint, context, status, resolution)
        if resolution.action is Action.WAIT:
            return budget.refused(endpoint, headers)
        if resolution.action is Action.REFRESH:
            return TokenRefused(token, resolution)
        return self._outage(resolution, context)

    def _get(
        self, url: str, endpoint: str, token: str, budget: Budget, context: RequestContext
    ) -> tuple[int, CaseInsensitiveDict[str], bytes]:
        """Return status, headers and body of an answer.

        Raises:
            _NoAnswerError: there was none, or none that came to its end.
        """
        sent = self.server_clock.local_ms()
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        ok = False
        try:
            response = self._session.get(url, auth=_Bearer(token), timeout=TIMEOUT, allow_redirects=False, stream=True)
            headers, ok = response.headers, response.ok
            return response.status_code, headers, self._read(response)
        except requests.ConnectionError as error:
            raise _NoAnswerError(ErrorKind.NO_CONNECTION, type(error).__name__) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            detail = str(error) if isinstance(error, _BodyError) else type(error).__name__
            raise _NoAnswerError(ErrorKind.NO_ANSWER, detail) from error
        finally:
            self.usage.add(context, Cost(calls=1))
            self.server_clock.observe(headers.get("Date"), sent, self.server_clock.local_ms())
            budget.release(endpoint, headers, ok=ok)

    def _outage(self, resolution: ErrorResolution, context: RequestContext) -> SiteDown | ErrorResolution:
        """Return how long to wait if an answer means that the site is down, else what it means for the request."""
        return self._site.failed(context, resolution) or resolution

    def _read(self, response: requests.Response) -> bytes:
        """Return the body of an answer.

        Raises:
            requests.RequestException: it was cut off, is longer than any page, or takes too long.
        """
        deadline = self.clock.monotonic() + ANSWER_DEADLINE
        chunks: list[bytes] = []
        length = 0
        with response:
            for chunk in _chunks(response):
                chunks.append(chunk)
                length += len(chunk)
                if length > LONGEST_BODY:
                    raise _BodyError(f"the answer is longer than {LONGEST_BODY // 1024**2} MB")
                if self.clock.monotonic() > deadline:
                    raise _BodyError(f"the answer takes longer than {ANSWER_DEADLINE:.0f} s")
        return b"".join(chunks)

    def reject(self, token: str) -> None:
        """Tell the authenticator that Exact refused its token."""
        self._tokens.reject(token)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as it arrives; what waits for a full buffer would not notice one that drips."""
    if not isinstance(response.raw, urllib3.HTTPResponse):  # one that was recorded, for tests
        yield from response.iter_content(1 << 16)
        return
    while chunk := response.raw.read1(1 << 18, decode_content=True):
        yield chunk
