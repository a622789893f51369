"""The authenticator: hands out access tokens of one login to all threads, and keeps the login alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from requests.auth import AuthBase

from source_exact_online.auth.credentials import Credentials
from source_exact_online.auth.refresh import Refresher
from source_exact_online.auth.token_endpoint import TIMEOUT, TokenEndpoint
from source_exact_online.auth.token_record import LONGEST_NAME, User
from source_exact_online.clock import Clock, SleepInterruptedError, SystemClock
from source_exact_online.config import Config
from source_exact_online.sites import origin


class ExactAuthenticator(AuthBase):
    """Access tokens of one login: obtained, made durable, then used.

    Thread-safe; one refresh at a time in the process, and with a token store among all processes that share it. As
    `auth` of a request it adds the Authorization header.

    Args:
        config: site, app and token store.
        connector_config: the raw configuration that the connector was started with. Its ``credentials`` are changed in
            place and sent as a CONNECTOR_CONFIG message at every refresh; so it has to be the one dict that all share.
        clock: time source.
        session: only for tests, see `TokenEndpoint`.
        on_control: takes the changed configuration instead of stdout.
        timeout: of the token call: seconds to connect, and seconds without a byte.
    """

    def __init__(
        self,
        config: Config,
        connector_config: MutableMapping[str, Any],
        *,
        clock: Clock | None = None,
        session: requests.Session | None = None,
        on_control: Callable[[MutableMapping[str, Any]], None] | None = None,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        clock = clock or SystemClock()
        endpoint = TokenEndpoint(config.base_url, config.client_id, config.client_secret, clock, session, timeout)
        self._credentials = Credentials(config, connector_config, clock, on_control)
        self._refresher = Refresher(self._credentials, endpoint, clock, config.site, on_platform=config.on_platform)
        self._origin = origin(config.base_url)
        self._lock = threading.Lock()
        self._background: threading.Event | None = None
        self._closing = False

    def get_access_token(self) -> str:
        """Return an access token to send; obtained and made durable first if need be. May wait, with log lines.

        Raises:
            AirbyteTracedException: there is none; config error where a person must act.
            SleepInterruptedError: the process is about to end.
        """
        token = self._refresher.usable_token()
        if token is not None:
            return token
        with self._lock:
            return self._renew()

    def reject(self, access_token: str) -> None:
        """Take note that Exact answered 401 to an access token, and replace it unless that has happened already.

        Exact is asked at once, because the answer tells whether the login still lives. If it says "too early", the
        call waits, with log lines, until the token would have ended by its age, and asks once more.

        Args:
            access_token: what Exact refused.

        Raises:
            AirbyteTracedException: there is no other token (config error), or Exact does not answer (transient error).
            SleepInterruptedError: the process is about to end.
        """
        with self._lock:
            if self._refresher.reject(access_token):
                self._renew()

    @property
    def wants_user(self) -> bool:
        """Whether the token store holds this login and does not name its user yet, see `remember_user`."""
        return self._credentials.lacks_user

    def remember_user(self, user_id: str, name: str) -> None:
        """Note in the token store whose login it holds, for the error of a connection whose login it held before.

        Args:
            user_id: ``UserID`` of current/Me; cut where it is too long for one.
            name: ``FullName`` of current/Me; likewise.

        Raises:
            AirbyteTracedException: the token store cannot be used (config error).
        """
        with self._lock, self._credentials.locked():
            self._credentials.note_user(User(user_id[:LONGEST_NAME], name[:LONGEST_NAME]))

    def shutdown(self, seconds: float = 8.0) -> None:
        """Let a refresh under way finish, and none begin any more: its answer must not get lost with the process.

        To be called before the process ends, after the clock was interrupted, so that nobody merely waits.

        Args:
            seconds: how long to wait at most for the thread that refreshes.
        """
        self._closing = True
        if self._background is not None:
            self._background.wait(seconds)
        if self._lock.acquire(timeout=seconds):
            self._lock.release()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the Authorization header to a request to Exact Online, and to no other.

        Raises:
            AirbyteTracedException: the request would carry the token to another host; or see `get_access_token`.
        """
        if origin(request.url or "") != self._origin:
            raise AirbyteTracedException(
                message="A request to another host than Exact Online's was stopped: it would have carried the token.",
                failure_type=FailureType.system_error,
            )
        request.headers["Authorization"] = f"Bearer {self.get_access_token()}"
        return request

    def _renew(self) -> str:
        if self._closing:
            raise SleepInterruptedError
        if threading.current_thread() is threading.main_thread():
            return self._renew_in_thread()
        return self._refresher.renew()

    def _renew_in_thread(self) -> str:
        """Renew on a thread of its own: a signal ends the main thread, not the token call; see `shutdown`.

        An event tells that it is done: Python before 3.13 takes a thread whose `join` a signal has interrupted for
        ended (bpo-46726), and the second `join` would not wait for it.
        """
        results: list[str] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def renew() -> None:
            try:
                results.append(self._refresher.renew())
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        self._background = done
        threading.Thread(target=renew, name="token refresh", daemon=True).start()
        done.wait()
        if errors:
            raise errors[0]
        return results[0]
