"""The two calls to Exact Online's token endpoint, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import requests
import urllib3

from source_exact_online.auth.token_errors import Refused, read_refusal
from source_exact_online.auth.tokens import Tokens, complete_fields, granted_tokens
from source_exact_online.clock import Clock
from source_exact_online.sites import origin

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and seconds without a byte, before a token call counts as lost."""

TOTAL_SECONDS = 120.0
"""Seconds for the body of an answer, however slowly it drips."""

LONGEST_BODY = 256 * 1024
"""Bytes of an answer that are looked at; a token answer has about two thousand."""

_TOKEN_PATH = "/api/oauth2/token"


@dataclass(frozen=True, slots=True)
class Granted:
    """New tokens."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Unsent:
    """No connection: Exact never saw the request, so the same one may be sent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The request left, no usable answer arrived: Exact may or may not have issued new tokens."""

    reason: str


Answer = Granted | Refused | Unsent | Lost

OnChunk = Callable[[bytes, bool], None]


class TokenEndpoint:
    """Exact Online's token endpoint at one site, for one app.

    Args:
        base_url: e.g. ``https://start.exactonline.nl``.
        client_id: of the app.
        client_secret: of the app.
        clock: tells when a request was sent and its answer arrived.
        session: only for tests; else each call has a connection of its own, because a kept-alive connection that the
            server has closed meanwhile looks like a lost answer.
        timeout: seconds to connect and seconds without a byte.

    Raises:
        ValueError: requests would send the client secret to another server than `base_url` names.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        clock: Clock,
        session: requests.Session | None = None,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self.url = base_url.rstrip("/") + _TOKEN_PATH
        if origin(requests.Request("POST", self.url).prepare().url or "") != origin(base_url):
            raise ValueError("The address of the token endpoint can be read in two ways: no secret is sent there.")
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._clock = clock
        self._session = session
        self._timeout = timeout

    def refresh(self, refresh_token: str, on_chunk: OnChunk | None = None) -> Answer:
        """Trade a refresh token for a new pair.

        Args:
            refresh_token: as it was received, not URL-encoded.
            on_chunk: gets each part of the answer's body in the moment it arrives, and whether it is the first.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._post(form, refresh_token, on_chunk or _ignore)

    def exchange(self, code: str, redirect_uri: str) -> Answer:
        """Trade the code of a consent for the first pair.

        Args:
            code: URL-decoded.
            redirect_uri: exactly as registered and as used in the consent URL.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self._post(form, "", _ignore)

    def _post(self, form: Mapping[str, str], spent_refresh_token: str, on_chunk: OnChunk) -> Answer:
        session = self._session or requests.Session()
        sent_at = self._clock.now()
        try:
            response = session.post(
                self.url,
                data={**form, **self._client},
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"},
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                auth=_no_auth,
            )
            body, cut = _read(response, on_chunk, self._clock)
        except requests.RequestException as error:
            reason = type(error).__name__
            return Unsent(reason) if _nothing_was_sent(error) else Lost(reason)
        finally:
            if self._session is None:
                session.close()
        fields = complete_fields(body)
        if "refresh_token" not in fields and (cut or (response.ok and _is_cut_off(body))):
            return Lost("the answer was cut off")
        tokens = granted_tokens(fields, spent_refresh_token, sent_at, self._clock.now())
        if tokens is not None and (response.ok or tokens.refresh_token != spent_refresh_token):
            return Granted(tokens)
        headers = response.headers
        return read_refusal(response.status_code, headers.get("Reason", ""), body, headers.get("Location", ""))


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding the credentials of a .netrc file."""
    return request


def _ignore(_chunk: bytes, _first: bool) -> None:
    """Do nothing with a chunk."""


def _read(response: requests.Response, on_chunk: OnChunk, clock: Clock) -> tuple[bytes, bool]:
    """Return the body as far as it arrived, and whether it was cut off."""
    body = bytearray()
    deadline = clock.monotonic() + TOTAL_SECONDS
    try:
        for chunk in _chunks(response):
            on_chunk(chunk, not body)
            body += chunk
            if len(body) > LONGEST_BODY:
                break
            if clock.monotonic() > deadline:
                return bytes(body), True
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        return bytes(body), True
    finally:
        response.close()
    return bytes(body), False


def _chunks(response: requests.Response) -> Iterator[bytes]:
    # read1 hands out what has arrived; iter_content would keep a part back when the connection breaks before the end
    if isinstance(response.raw, urllib3.HTTPResponse) and hasattr(response.raw, "read1"):
        while chunk := response.raw.read1(65536, decode_content=True):
            yield chunk
    else:
        yield from response.iter_content(1024)


def _is_cut_off(body: bytes) -> bool:
    """Return whether a body without a length looks like a JSON object that stops in the middle."""
    text = body.strip()
    return text.startswith(b"{") and not text.endswith(b"}")


def _nothing_was_sent(error: requests.RequestException) -> bool:
    """Return whether the connection failed before the first byte of the request could leave."""
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError, ValueError)):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)):
        return True
    return _in_tls_handshake(error)


def _in_tls_handshake(error: BaseException) -> bool:
    """Return whether the error is of the TLS handshake, which urllib3 reports like a reset of a request under way."""
    seen: BaseException | None = error
    while seen is not None:
        traceback = seen.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_name == "do_handshake":
                return True
            traceback = traceback.tb_next
        seen = seen.__cause__ or seen.__context__
    return False
