"""Where a login's newest tokens are, and how new ones are made durable.

Two places hold them: the connector's configuration, whose changes go to the platform as CONNECTOR_CONFIG messages, and
the token file where there is one. The file is the newer one as long as the configured refresh token is one that the
file's chain grew from or went through; any other configured refresh token is a new login and starts the file afresh.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from airbyte_cdk.config_observation import emit_configuration_as_airbyte_control_message
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.token_file import TokenFile
from source_exact_online.auth.token_file_format import Owner, TokenRecord
from source_exact_online.auth.tokens import IDLE_WARNING, Tokens, parse_moment
from source_exact_online.clock import Clock
from source_exact_online.sites import LoginSettings

logger = logging.getLogger("airbyte.exact_online")

_WRITE_PAUSES = (0.2, 1.0, 3.0)
"""Seconds before the token file is tried again when tokens could not be written: a full disk may get room."""

_masked: set[str] = set()
_masked_lock = threading.Lock()


def mask(*secrets: str) -> None:
    """Keeps secrets out of every log line and error message from now on, also in the form they have in a URL."""
    with _masked_lock:
        for secret in secrets:
            for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
                # The CDK forgets what was registered whenever a command begins, so its own list is asked.
                if form and (form not in _masked or form in filter_secrets(form)):
                    _masked.add(form)
                    add_to_secrets(form)


class Credentials:
    """The tokens of one login.

    Args:
        settings: of the login.
        connector_config: the raw configuration that the connector was started with; changed in place.
        clock: time source.
        on_control: sends the changed configuration to the platform; None = as a CONNECTOR_CONFIG message on stdout.
    """

    def __init__(
        self,
        settings: LoginSettings,
        connector_config: MutableMapping[str, Any],
        clock: Clock,
        on_control: Callable[[MutableMapping[str, Any]], None] | None = None,
    ) -> None:
        self._config = connector_config
        self._clock = clock
        self._on_control = on_control
        self._store = None
        if settings.token_file is not None:
            host = urlsplit(settings.base_url).hostname or ""
            self._store = TokenFile(settings.token_file, Owner(settings.client_id, settings.site, host))
        self._stored: TokenRecord | None = None
        self._configured = self._credentials().get("refresh_token") or ""
        self._own: Tokens | None = None
        self._unsaved: Tokens | None = None
        self._unannounced = False
        self._warned = False
        mask(settings.client_secret, self._configured, self._credentials().get("access_token") or "")

    @property
    def has_file(self) -> bool:
        """Whether a token file is in use."""
        return self._store is not None

    @property
    def refresh_was_cut_short(self) -> bool:
        """Whether an earlier run died, or was left without an answer, while it asked for tokens."""
        return self._store is not None and self._store.refresh_cut_short

    def is_own(self, tokens: Tokens) -> bool:
        """Whether these tokens were obtained and made durable by this connector, not just configured."""
        if self._own is not None and tokens.refresh_token == self._own.refresh_token:
            return True
        return self._stored is not None and tokens.refresh_token == self._stored.tokens.refresh_token

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes with the same token file from refreshing.

        Raises:
            AirbyteTracedException: see `TokenFile.lock`.
        """
        if self._store is None:
            yield
        else:
            with self._store.lock():
                yield

    def newest(self) -> Tokens:
        """The newest tokens, wherever they are. To be called under `locked`.

        Raises:
            AirbyteTracedException: the token file cannot be used, or no refresh token is known (config error).
        """
        if self._unsaved is not None:
            self._write(self._unsaved)
        configured = self._configured_tokens()
        tokens = configured
        if self._own is not None and self._own.refresh_token == configured.refresh_token:
            tokens = self._own
        if self._store is not None:
            self._stored = self._store.load()
            if self._stored is not None and self._stored.knows(configured.refresh_token):
                tokens = self._stored.tokens
                self._write_config(tokens)
            elif self._stored is not None and self._own is None:
                logger.info("The configuration brings a new login; the token file starts afresh with it.")
        if not tokens.refresh_token:
            raise AirbyteTracedException(
                message="The configuration has no refresh token. Get one with `source-exact-online login`.",
                failure_type=FailureType.config_error,
            )
        mask(tokens.refresh_token, tokens.access_token)
        self._warn_of_age(tokens)
        return tokens

    def begin_refresh(self, tokens: Tokens) -> None:
        """Makes sure that new tokens can be made durable, before the old refresh token is spent. Under `locked`.

        Args:
            tokens: those whose refresh token is about to be traded.

        Raises:
            AirbyteTracedException: the token file cannot be written (config error).
            OSError: nobody reads our output any more.
        """
        if self._store is not None:
            self._store.begin_refresh(self._stored, self._configured, tokens.refresh_token, self._clock.now())
        if self._on_control is None:
            logger.info("Asking Exact Online for a new access token.")
            sys.stdout.flush()  # fails if nobody reads it any more: then the refresh token is better not spent

    def catch(self, chunk: bytes, first: bool) -> None:
        """Takes a part of the answer in the moment it arrives.

        Args:
            chunk: of the body.
            first: whether the answer begins with it.
        """
        if self._store is not None:
            self._store.catch(self._clock.now(), chunk, first)

    def end_refresh(self) -> None:
        """The refresh brought no tokens, and none got lost on the way."""
        if self._store is not None:
            self._store.end_refresh()

    def save(self, tokens: Tokens) -> None:
        """Makes new tokens durable in the token file, and puts them into the configuration. Under `locked`.

        `announce` has to follow before the tokens are used.

        Args:
            tokens: the new pair.

        Raises:
            AirbyteTracedException: the token file could not be written (config error).
        """
        mask(tokens.refresh_token, tokens.access_token)
        self._unsaved = tokens
        self._write(tokens)

    def announce(self) -> None:
        """Hands tokens that were saved since the last time to the platform. Not under `locked`: stdout may be blocked.

        Raises:
            OSError: nobody reads our output any more.
        """
        if self._unannounced:
            (self._on_control or emit_configuration_as_airbyte_control_message)(self._config)
            self._unannounced = False

    def _write(self, tokens: Tokens) -> None:
        failure = self._write_file(tokens)
        self._write_config(tokens)
        self._own, self._unannounced = tokens, True
        for pause in _WRITE_PAUSES:
            if failure is None:
                break
            self._clock.sleep(pause)
            failure = self._write_file(tokens)
        if failure is not None:
            raise AirbyteTracedException(
                message=f"New tokens could not be written to the token file ({failure.strerror}). Give it room and "
                "permission. They were handed to the platform as a configuration update; where that is not kept, log "
                "in again with `source-exact-online login`.",
                failure_type=FailureType.config_error,
            ) from failure
        self._unsaved = None

    def _write_file(self, tokens: Tokens) -> OSError | None:
        if self._store is None:
            return None
        try:
            self._stored = self._store.save(self._stored, tokens)
        except OSError as error:
            return error
        return None

    def _write_config(self, tokens: Tokens) -> None:
        credentials = self._credentials()
        credentials["refresh_token"] = tokens.refresh_token
        credentials["access_token"] = tokens.access_token
        credentials["token_expiry_date"] = tokens.expires_at.isoformat() if tokens.expires_at else ""

    def _configured_tokens(self) -> Tokens:
        credentials = self._credentials()
        return Tokens(
            refresh_token=credentials.get("refresh_token") or "",
            access_token=credentials.get("access_token") or "",
            expires_at=parse_moment(credentials.get("token_expiry_date")),
        )

    def _credentials(self) -> MutableMapping[str, Any]:
        credentials = self._config.setdefault("credentials", {})
        return credentials if isinstance(credentials, MutableMapping) else {}

    def _warn_of_age(self, tokens: Tokens) -> None:
        idle = tokens.idle_for(self._clock.now())
        if not self._warned and idle is not None and idle > IDLE_WARNING:
            self._warned = True
            logger.warning(
                "The refresh token has not been used for %d days. Exact Online lets it die after 30 idle days, and "
                "then a person must log in again: run a sync at least every two weeks.",
                idle.days,
            )
