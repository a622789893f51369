"""Where a login's newest tokens are, and how new ones are made durable.

Two places hold them: the connector's configuration, whose changes go to the platform as CONNECTOR_CONFIG messages, and
the token store where there is one: a file or a row of a database. Which of them is the newer one says `precedence`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from airbyte_cdk.config_observation import emit_configuration_as_airbyte_control_message

from source_exact_online.auth.config_message import check_serialisable
from source_exact_online.auth.masking import mask
from source_exact_online.auth.precedence import Source, which_tokens_win
from source_exact_online.auth.token_file import TokenFile
from source_exact_online.auth.token_record import Owner, Place, User, superseded_error
from source_exact_online.auth.token_store import StorageError, StoreContent, TokenStorage, TokenStore
from source_exact_online.auth.tokens import IDLE_WARNING, Tokens, parse_moment
from source_exact_online.clock import Clock
from source_exact_online.config import TOKEN_FILE_VARIABLE, Config, config_error

logger = logging.getLogger("airbyte.exact_online")

_WRITE_PAUSES = (0.2, 1.0, 3.0)
"""Seconds before the token store is tried again when tokens could not be written: a full disk may get room."""


@dataclass(frozen=True, slots=True)
class _Obtained:
    """Tokens that this process obtained.

    Attributes:
        tokens: the pair.
        stored: whether the token store has them; true without one.
        announced: whether the platform was told of them.
    """

    tokens: Tokens
    stored: bool = False
    announced: bool = False


class Credentials:
    """The tokens of one login.

    Args:
        config: whose login it is, and whether a token store is used.
        connector_config: the raw configuration that the connector was started with; changed in place.
        clock: time source.
        on_control: sends the changed configuration to the platform; None = as a CONNECTOR_CONFIG message on stdout.
    """

    def __init__(
        self,
        config: Config,
        connector_config: MutableMapping[str, Any],
        clock: Clock,
        on_control: Callable[[MutableMapping[str, Any]], None] | None = None,
    ) -> None:
        self._connector_config = connector_config
        self._clock = clock
        self._on_control = on_control
        owner = Owner(config.client_id, config.site, urlsplit(config.base_url).hostname or "")
        storage = _storage(config, owner)
        self._store = TokenStore(storage, owner) if storage is not None else None
        self._may_be_lost = storage is None and not config.on_platform and on_control is None
        self._site = config.site
        self._content = StoreContent()
        self._first_configured = self._credentials().get("refresh_token") or ""
        self._obtained: _Obtained | None = None
        self._warned = False
        mask(config.client_secret, self._first_configured, self._credentials().get("access_token") or "")

    @property
    def refresh_was_cut_short(self) -> bool:
        """Whether an earlier run died, or was left without an answer, while it asked for tokens."""
        return self._content.cut_short

    @property
    def empty_store(self) -> Place | None:
        """Where the newest tokens should be kept, and none are; None where they are, or where nothing keeps them."""
        return self._store.place if self._store is not None and self._content.record is None else None

    def seconds_for_other_refresh(self) -> float:
        """Return for how long another process's refresh may still get its answer; zero or less: for no time."""
        until = self._content.under_way_until
        return (until - self._clock.now()).total_seconds() if until is not None else 0.0

    @property
    def unannounced(self) -> bool:
        """Whether there are new tokens that the platform was not told of."""
        return self._obtained is not None and not self._obtained.announced

    def is_own(self, tokens: Tokens) -> bool:
        """Return whether these tokens were obtained and made durable by this connector, not just configured."""
        if self._obtained is not None and tokens.refresh_token == self._obtained.tokens.refresh_token:
            return True
        record = self._content.record
        return record is not None and tokens.refresh_token == record.tokens.refresh_token

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes with the same token store from refreshing.

        Raises:
            AirbyteTracedException: see `TokenStorage.locked`.
        """
        with self._store.locked() if self._store is not None else nullcontext():
            yield

    def newest(self) -> Tokens:
        """Return the newest tokens, wherever they are. To be called under `locked`.

        Raises:
            AirbyteTracedException: the token store cannot be used or belongs to a later login, or no refresh token is
                known (config error).
        """
        own = self._obtained.tokens if self._obtained is not None else None
        unsaved = self._obtained.tokens if self._obtained is not None and not self._obtained.stored else None
        if self._store is not None:
            self._content = self._store.load()
        record = self._content.record
        source, tokens = which_tokens_win(self._configured_tokens(), unsaved=unsaved, own=own, record=record)
        if self._store is not None and record is not None and source is Source.SUPERSEDED:
            raise superseded_error(self._store.place, record.user, self._site)
        if source is Source.UNSAVED:
            self._save(tokens)
        elif source is Source.STORE:
            self._configure(tokens)
        elif source is Source.CONFIGURED and record is not None and own is None:
            kind = self._store.place.kind if self._store is not None else ""
            logger.info("The configuration brings a new login; the %s starts afresh with it.", kind)
        if not tokens.refresh_token:
            raise config_error("The configuration has no refresh token. Get one with `source-exact-online login`.")
        mask(tokens.refresh_token, tokens.access_token)
        self._warn_of_age(tokens)
        return tokens

    @property
    def lacks_user(self) -> bool:
        """Whether the token store holds this login and does not tell yet whose it is."""
        record = self._content.record
        return record is not None and record.user is None and record.recognises(self._configured_tokens().refresh_token)

    def note_user(self, user: User) -> None:
        """Note in the token store whose login it holds, where that is this one. Under `locked`.

        Raises:
            AirbyteTracedException: the token store cannot be used.
        """
        if self._store is None:
            return
        self._content = self._store.load()
        if self.lacks_user and not self._content.cut_short and self._content.record is not None:
            try:
                self._content = self._store.note_user(self._content.record, user)
            except StorageError as error:
                logger.info("The %s could not take the user's name (%s).", self._store.place.kind, error)

    def begin_refresh(self, tokens: Tokens) -> None:
        """Make sure that new tokens can be made durable, before the old refresh token is spent. Under `locked`.

        Args:
            tokens: those whose refresh token is about to be traded.

        Raises:
            AirbyteTracedException: the configuration cannot be handed back, or the token store not be written.
            OSError: nobody reads our output any more.
        """
        check_serialisable(self._connector_config)
        if self._store is not None:
            record, configured = self._content.record, self._first_configured
            self._store.begin_refresh(record, configured, tokens.refresh_token, self._clock.now())
        if self._on_control is None:
            logger.info("Asking Exact Online for a new access token.")
            sys.stdout.flush()  # fails if nobody reads it any more: then the refresh token is better not spent

    def on_chunk(self, chunk: bytes, first: bool) -> None:
        """Take a part of the answer in the moment it arrives.

        Args:
            chunk: of the body.
            first: whether the answer begins with it.
        """
        if self._store is not None:
            self._store.on_chunk(self._clock.now(), chunk, first)

    def end_refresh(self) -> None:
        """Take note that the refresh brought no tokens, and none got lost on the way."""
        if self._store is not None:
            self._store.end_refresh()

    def save(self, tokens: Tokens) -> None:
        """Make new tokens durable in the token store, and put them into the configuration. Under `locked`.

        `emit_config_update` has to follow before the tokens are used.

        Args:
            tokens: the new pair.

        Raises:
            AirbyteTracedException: the token store could not be written (config error).
        """
        mask(tokens.refresh_token, tokens.access_token)
        self._obtained = _Obtained(tokens)
        self._save(tokens)

    def emit_config_update(self) -> None:
        """Hand tokens that are new since the last time to the platform. Not under `locked`: stdout may be blocked.

        Raises:
            OSError: nobody reads our output any more.
        """
        if self._obtained is not None and not self._obtained.announced:
            (self._on_control or emit_configuration_as_airbyte_control_message)(self._connector_config)
            self._obtained = replace(self._obtained, announced=True)
            if self._may_be_lost:
                self._may_be_lost = False
                logger.warning(
                    "The refresh token was replaced, and the new one is only in the configuration message of this run. "
                    "Unless whatever runs the connector saves that message, the next run needs a new login: set "
                    "credentials.token_file, or the environment variable %s, to the path of a file to keep it in.",
                    TOKEN_FILE_VARIABLE,
                )

    def _save(self, tokens: Tokens) -> None:
        failure = self._write_store(tokens)
        self._configure(tokens)
        self._obtained = _Obtained(tokens)
        for pause in _WRITE_PAUSES:
            if failure is None:
                break
            self._clock.sleep(pause)
            failure = self._write_store(tokens)
        if failure is not None and self._store is not None:
            raise config_error(
                f"New tokens could not be written to the {self._store.place.kind} ({failure}). See that it can be "
                "reached and has room and permission. They were handed to the platform as a configuration update; "
                "where that is not kept, log in again with `source-exact-online login`."
            ) from failure
        self._obtained = _Obtained(tokens, stored=True)

    def _write_store(self, tokens: Tokens) -> StorageError | None:
        if self._store is not None:
            try:
                self._content = self._store.save(self._content.record, tokens)
            except StorageError as error:
                return error
        return None

    def _configure(self, tokens: Tokens) -> None:
        """Put tokens into the configuration."""
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
        credentials = self._connector_config.setdefault("credentials", {})
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


def _storage(config: Config, owner: Owner) -> TokenStorage | None:
    """Return where the tokens are kept beside the configuration; None = nowhere.

    Raises:
        AirbyteTracedException: the token store is no address, or what connects to it is not installed (config error).
    """
    if config.token_store is None:
        return TokenFile(config.token_file) if config.token_file is not None else None
    try:
        from source_exact_online.auth.token_database import TokenDatabase
    except ImportError as error:
        raise config_error(
            "credentials.token_store needs psycopg, which is not installed: "
            "pip install 'airbyte-source-exact-online[postgres]'."
        ) from error
    return TokenDatabase(config.token_store, owner)
