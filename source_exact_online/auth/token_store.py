"""The token store: one login's newest tokens, shared by processes and safe against a crash at any moment.

For runners that do not keep the configuration updates of a connector. Here are the rules; where the texts are kept is a
`TokenStorage`: a file (`token_file`) or a table in PostgreSQL (`token_database`). What is promised:

* Whoever reads sees a complete record. It is replaced as a whole.
* A refresh begins with a journal. Writing it proves that new tokens can be stored before an old one is spent, and what
  Exact sends goes into it as it comes in, before anything else is done with it. A process that is killed after that
  leaves the tokens there, and the next one takes them over. A journal without an answer tells that a refresh was cut
  short.
* `save` returns when the new record survives the loss of power.
* A record belongs to one app at one site, and is never overwritten when it is damaged or somebody else's.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.token_record import (
    Owner,
    Place,
    RefreshJournal,
    TokenRecord,
    User,
    journal_head,
    parse_journal,
    parse_record,
    place_error,
    record_bytes,
)
from source_exact_online.auth.tokens import Tokens

logger = logging.getLogger("airbyte.exact_online")

LOCK_HEARTBEAT_SECONDS = 50.0
LOCK_HEARTBEATS = 15
"""Lines about a lock held by another process before giving up; a holder works for seconds, not minutes."""

UNDER_WAY = timedelta(seconds=20)
"""Age up to which a journal without an answer may be of a process that lives and has lost its lock.

A database that starts anew takes the locks of the living. Exact answers in tenths of a second.
"""


class StorageError(Exception):
    """Nothing was written: what was there is still there. The text says why.

    Attributes:
        failure: whether a person must act.
    """

    def __init__(self, reason: str, failure: FailureType = FailureType.config_error) -> None:
        super().__init__(reason)
        self.failure = failure


class TokenStorage(Protocol):
    """Where the texts of a record and of a journal are kept and locked. It does not know what they say.

    All methods ask for the lock to be held.
    """

    lock_may_break: bool
    """Whether the lock can be lost while its holder lives."""

    @property
    def place(self) -> Place:
        """Where the record is."""

    @property
    def journal_place(self) -> Place:
        """Where the journal is."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock that all processes with this storage share; says so at least once a minute while it waits.

        Raises:
            AirbyteTracedException: it cannot be had; a config error where a person must act, else a transient one.
        """

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the record and the journal; None where there is none.

        Raises:
            AirbyteTracedException: they cannot be read.
        """

    def begin_journal(self, head: bytes) -> None:
        """Make a journal anew. Durable on return.

        Raises:
            StorageError: nothing can be written.
            AirbyteTracedException: the record could never be replaced (config error).
        """

    def append_journal(self, data: bytes) -> None:
        """Add to the journal that was begun, if one was: out of reach of this process's death on return.

        Raises:
            StorageError: it could not be written.
        """

    def close_journal(self) -> None:
        """Write no more to the journal, and leave it."""

    def drop_journal(self) -> None:
        """Take the journal away, if that can be done."""

    def replace(self, record: bytes) -> None:
        """Put a record in the place of the one that was read, and take the journal away. Durable on return.

        Raises:
            StorageError: it could not be written.
        """


@dataclass(frozen=True, slots=True)
class StoreContent:
    """What a token store holds.

    Attributes:
        record: the newest tokens; None where there are none yet.
        cut_short: whether a refresh was begun whose answer is not known.
        under_way_until: until when that refresh may still get its answer, UTC; None where it certainly will not.
    """

    record: TokenRecord | None = None
    cut_short: bool = False
    under_way_until: datetime | None = None


class TokenStore:
    """The tokens of one app at one site, in a storage. All methods but `locked` ask for the lock to be held.

    Args:
        storage: where they are kept.
        owner: whose tokens they are.
    """

    def __init__(self, storage: TokenStorage, owner: Owner) -> None:
        self._storage = storage
        self._owner = owner
        self._begun: RefreshJournal | None = None

    @property
    def place(self) -> Place:
        """Where the record is."""
        return self._storage.place

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock; see `TokenStorage.locked`."""
        return self._storage.locked()

    def load(self) -> StoreContent:
        """Read the newest state. Takes over what a process that died left behind.

        Raises:
            AirbyteTracedException: the record is damaged, unreadable, or of another app or site (config error).
        """
        data, journal = self._storage.read()
        stored = None if data is None else parse_record(self.place, data, self._owner)
        if journal is None:
            return StoreContent(stored)
        refreshing, tokens = parse_journal(self._storage.journal_place, journal, self._owner)
        if stored is not None and refreshing is not None and _is_done(refreshing, stored):
            return StoreContent(
                stored
            )  # the writer died after it had saved the tokens, before it took the journal away
        if refreshing is None or tokens is None:
            return StoreContent(stored, cut_short=True, under_way_until=self._under_way_until(refreshing))
        record = refreshing.succeeded(stored, tokens)
        logger.warning("New tokens had come and were not saved; they were found complete and are used.")
        try:
            self._storage.replace(record_bytes(record, self._owner))
        except StorageError as error:
            raise storage_failed(self.place, "written", error) from error
        return StoreContent(record)

    def begin_refresh(self, stored: TokenRecord | None, configured: str, spent: str, now: datetime) -> None:
        """Start the journal of a refresh.

        Args:
            stored: record that `load` returned.
            configured: refresh token of the configuration.
            spent: refresh token that is about to be traded.
            now: UTC.

        Raises:
            AirbyteTracedException: nothing can be written.
        """
        self._begun = RefreshJournal.of(stored, configured, spent, now)
        try:
            self._storage.begin_journal(journal_head(self._begun, self._owner))
        except StorageError as error:
            self._storage.close_journal()
            raise storage_failed(self.place, "written", error) from error

    def on_chunk(self, now: datetime, chunk: bytes, first: bool) -> None:
        """Put a part of the answer where the death of this process cannot reach it.

        Args:
            now: UTC.
            chunk: of the body.
            first: whether the answer begins with it.
        """
        with suppress(StorageError):  # a storage that is full or gone by now is dealt with in save
            self._storage.append_journal(now.isoformat().encode() + b"\n" + chunk if first else chunk)

    def end_refresh(self) -> None:
        """Take the journal away: the refresh ended without new tokens, and none are under way."""
        self._storage.close_journal()
        self._storage.drop_journal()

    def save(self, stored: TokenRecord | None, tokens: Tokens) -> StoreContent:
        """Make the outcome of the refresh durable.

        Args:
            stored: what the store held before.
            tokens: the new pair.

        Raises:
            StorageError: it could not be written.
        """
        if self._begun is None:
            raise RuntimeError("save without begin_refresh")
        record = self._begun.succeeded(stored, tokens)
        self._storage.replace(record_bytes(record, self._owner))
        return StoreContent(record)

    def note_user(self, stored: TokenRecord, user: User) -> StoreContent:
        """Note whose login the store holds.

        Args:
            stored: record that `load` returned.
            user: of Exact Online.

        Raises:
            StorageError: it could not be written.
        """
        record = replace(stored, user=user)
        self._storage.replace(record_bytes(record, self._owner))
        return StoreContent(record)

    def _under_way_until(self, refreshing: RefreshJournal | None) -> datetime | None:
        """Return until when the refresh of a journal may get its answer: never where the lock tells that it is over."""
        if not self._storage.lock_may_break or refreshing is None or refreshing == self._begun:
            return None
        return refreshing.began_at + UNDER_WAY


def kept_locked(place: Place) -> AirbyteTracedException:
    """Return the error of a run that got no lock (a transient one)."""
    what = "is kept locked by another process for more than ten minutes. See whether a run hangs."
    return place_error(place, what, FailureType.transient_error)


def storage_failed(place: Place, done: str, error: StorageError) -> AirbyteTracedException:
    """Return the error of a run that could not use a storage, before a token was spent.

    Args:
        place: where the record is.
        done: what cannot be done to it, e.g. ``read``.
        error: why.
    """
    person = error.failure is FailureType.config_error
    advice = place.checks if person else "No token was spent. Try again later."
    return place_error(place, f"cannot be {done} ({error}). {advice}", error.failure)


def _is_done(refreshing: RefreshJournal, stored: TokenRecord) -> bool:
    """Return whether the record already is the outcome of a refresh."""
    if refreshing.salt == stored.salt:
        return refreshing.spent in stored.previous_fingerprints
    return stored.tokens.received_at is not None and refreshing.began_at < stored.tokens.received_at
