"""The authenticator: hands out access tokens of one login to all threads, and keeps the login alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.requests_native_auth import SingleUseRefreshTokenOauth2Authenticator
from airbyte_cdk.utils.datetime_helpers import AirbyteDateTime
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.credentials import Credentials
from source_exact_online.auth.refresh import Refresher
from source_exact_online.auth.token_endpoint import TIMEOUT, TokenEndpoint
from source_exact_online.auth.tokens import Tokens, parse_moment
from source_exact_online.clock import Clock, SleepInterruptedError, SystemClock
from source_exact_online.sites import LoginSettings

__all__ = ["ExactAuthenticator", "LoginSettings"]


class ExactAuthenticator(SingleUseRefreshTokenOauth2Authenticator):
    """Access tokens of one login: obtained, made durable, then used.

    Thread-safe; one refresh at a time in the process, and with a token file among all processes that share it. The
    rules of the CDK's class it derives from are replaced (it knows no margin, no earliest moment of a refresh, no
    time-out, and repeats a call whose answer got lost); what it is for the CDK, and the configuration's layout, stay.

    Args:
        settings: of the login.
        connector_config: the raw configuration that the connector was started with. Its ``credentials`` are changed in
            place and sent as a CONNECTOR_CONFIG message at every refresh; so it has to be the one dict that all share.
        clock: time source.
        session: only for tests, see `TokenEndpoint`.
        on_control: takes the changed configuration instead of stdout.
        timeout: of the token call: seconds to connect, and seconds without a byte.
    """

    def __init__(
        self,
        settings: LoginSettings,
        connector_config: MutableMapping[str, Any],
        *,
        clock: Clock | None = None,
        session: requests.Session | None = None,
        on_control: Callable[[MutableMapping[str, Any]], None] | None = None,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        clock = clock or SystemClock()
        endpoint = TokenEndpoint(settings.base_url, settings.client_id, settings.client_secret, clock, session, timeout)
        self._chain = Credentials(settings, connector_config, clock, on_control)
        self._refresher = Refresher(self._chain, endpoint, clock, settings.site)
        self._origin = _origin(settings.base_url)
        self._current: Tokens | None = None
        self._background: threading.Thread | None = None
        self._closing = False
        super().__init__(
            connector_config,
            token_refresh_endpoint=endpoint.url,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
        )

    def get_access_token(self) -> str:
        """Access token to send; got and made durable first if need be. May wait, with log lines.

        Raises:
            AirbyteTracedException: there is none to be had; config error where a person must act.
        """
        held = self._current
        if held is not None and self._refresher.usable(held):
            return held.access_token
        with self._token_refresh_lock:
            return self._renew().access_token

    def reject(self, access_token: str) -> None:
        """Takes note that Exact answered 401 to an access token, and replaces it unless that has happened already.

        Exact is asked at once, because the answer tells whether the login still lives. If it says "too early", the
        call waits, with log lines, until the token would have ended by its age, and asks once more.

        Raises:
            AirbyteTracedException: there is no other token to be had (config error), or Exact does not answer
                (transient error).
        """
        with self._token_refresh_lock:
            held = self._current
            if held is None or held.access_token != access_token:
                return
            self._current = None
            self._refresher.refuse(held)
            self._renew()

    def settle(self, seconds: float = 8.0) -> None:
        """Lets a refresh under way finish, and none begin any more: its answer must not get lost with the process.

        To be called before the process ends, after the clock was interrupted, so that nobody merely waits.

        Args:
            seconds: how long to wait at most for the thread that refreshes.
        """
        self._closing = True
        if self._background is not None:
            self._background.join(seconds)
        if self._token_refresh_lock.acquire(timeout=seconds):
            self._token_refresh_lock.release()

    def get_auth_header(self) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": f"Bearer {self.get_access_token()}"}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header to a request to Exact Online, and to no other.

        Raises:
            AirbyteTracedException: the request would carry the token to another host.
        """
        if _origin(request.url or "") != self._origin:
            raise AirbyteTracedException(
                message="A request to another host than Exact Online's was stopped: it would have carried the token.",
                failure_type=FailureType.system_error,
            )
        request.headers.update(self.get_auth_header())
        return request

    # What follows are the CDK's own names for the same things.

    def token_has_expired(self) -> bool:
        """Whether the next request needs a new access token."""
        held = self._current
        return held is None or not self._refresher.usable(held)

    def refresh_and_set_access_token(self) -> None:
        """Replaces the access token that is in use, as after a 401."""
        held = self._current
        if held is None:
            self.get_access_token()
        else:
            self.reject(held.access_token)

    def refresh_access_token(self) -> tuple[str, AirbyteDateTime, str]:  # type: ignore[override]
        """Tokens to use: access token, its end, refresh token."""
        with self._token_refresh_lock:
            tokens = self._renew()
        return tokens.access_token, self.get_token_expiry_date(), tokens.refresh_token

    def get_token_expiry_date(self) -> AirbyteDateTime:
        """End of the configured access token's life, UTC; long past where the configuration does not tell it."""
        text = self._get_config_value_by_path(self._token_expiry_date_config_path)
        return AirbyteDateTime.from_datetime(parse_moment(text) or datetime(1970, 1, 1, tzinfo=timezone.utc))

    def _renew(self) -> Tokens:
        if self._closing:
            raise SleepInterruptedError
        on_main_thread = threading.current_thread() is threading.main_thread()
        self._current = tokens = self._apart() if on_main_thread else self._refresher.renew()
        return tokens

    def _apart(self) -> Tokens:
        """Renews on a thread of its own: a signal ends the main thread, not the token call; see `settle`."""
        results: list[Tokens] = []
        errors: list[BaseException] = []

        def renew() -> None:
            try:
                results.append(self._refresher.renew())
            except BaseException as error:
                errors.append(error)

        self._background = threading.Thread(target=renew, name="token refresh", daemon=True)
        self._background.start()
        self._background.join()
        if errors:
            raise errors[0]
        return results[0]


def _origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; the port also where it is left out."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)
