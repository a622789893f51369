"""The token file: one login's newest tokens, shared by processes and safe against a crash at any moment.

A file for runners that do not keep the configuration updates of a connector. What is promised:

* Whoever reads the file sees a complete state. It is replaced by rename, never written in place; mode 0600. Files that
  another user of the machine has prepared are neither read nor written to (`private_files`).
* A refresh begins with a journal beside the file (``<name>.pending``). Writing it proves that new tokens can be stored
  before an old one is spent, and what Exact sends goes into it as it comes in, before anything else is done with it.
  A process that is killed after that leaves the tokens there, and the next one takes them over. A journal without an
  answer tells that a refresh was cut short.
* `save` returns when the new state survives the loss of power: file and directory are synced.
* The file belongs to one app at one site, and is never overwritten when it is damaged or somebody else's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from filelock import FileLock, Timeout

from source_exact_online.auth import private_files
from source_exact_online.auth.token_file_format import (
    Owner,
    RefreshJournal,
    TokenRecord,
    User,
    file_error,
    journal_head,
    parse_journal,
    parse_record,
    record_bytes,
)
from source_exact_online.auth.tokens import Tokens

logger = logging.getLogger("airbyte.exact_online")

LOCK_HEARTBEAT_SECONDS = 50.0
LOCK_HEARTBEATS = 15
"""Lines about a lock held by another process before giving up; a holder works for seconds, not minutes."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a token file and the journal beside it hold.

    Attributes:
        record: the newest tokens; None where there is no file yet.
        cut_short: whether a refresh was begun whose answer is not known.
    """

    record: TokenRecord | None = None
    cut_short: bool = False


class TokenFile:
    """A token file of one app at one site. All methods but `lock` ask for the lock to be held.

    Args:
        path: of the file; its directory must exist. A symbolic link is followed.
        owner: whose tokens it holds.
    """

    def __init__(self, path: Path, owner: Owner) -> None:
        self.path = Path(os.path.realpath(path))
        self._owner = owner
        self._pending = self.path.with_name(self.path.name + ".pending")
        self._new = self.path.with_name(self.path.name + ".new")
        self._journal: int | None = None
        self._begun: RefreshJournal | None = None
        self._warned = False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock that all processes with this file share; says so at least once a minute while it waits.

        Raises:
            AirbyteTracedException: the directory is missing or the lock file cannot be made (config error), or another
                process keeps it for more than ten minutes (transient error).
        """
        if not self.path.parent.is_dir():
            raise file_error(self.path, "cannot be made: its directory does not exist.")
        self._warn_of_directory()
        lock = FileLock(str(self.path) + ".lock", mode=0o600)
        for _ in range(LOCK_HEARTBEATS):
            try:
                lock.acquire(timeout=LOCK_HEARTBEAT_SECONDS)
                break
            except Timeout:
                logger.info("Waiting for another process that holds the lock of the token file %s.", self.path)
            except OSError as error:
                raise self._unwritable(error) from error
        else:
            raise AirbyteTracedException(
                message=f"Another process keeps the lock of the token file {self.path} for more than ten minutes. "
                "See whether a run hangs.",
                failure_type=FailureType.transient_error,
            )
        try:
            yield
        finally:
            self._close_journal()
            lock.release()

    def load(self) -> FileContent:
        """Read the newest state. Takes over what a process that died left behind.

        Raises:
            AirbyteTracedException: the file is damaged, unreadable, or of another app or site (config error).
        """
        data = self._read(self.path)
        stored = None if data is None else parse_record(self.path, data, self._owner)
        journal = self._read(self._pending)
        if journal is None:
            return FileContent(stored)
        refreshing, tokens = parse_journal(self._pending, journal, self._owner)
        if stored is not None and refreshing is not None and _is_done(refreshing, stored):
            return FileContent(stored)  # the writer died after it had saved the tokens, before it took the journal away
        if refreshing is None or tokens is None:
            return FileContent(stored, cut_short=True)
        record = refreshing.succeeded(stored, tokens)
        logger.warning("New tokens had come and were not saved; they were found complete and are used.")
        try:
            self._replace(record)
        except OSError as error:
            raise self._unwritable(error) from error
        return FileContent(record)

    def begin_refresh(self, stored: TokenRecord | None, configured: str, spent: str, now: datetime) -> None:
        """Start the journal of a refresh.

        Args:
            stored: record that `load` returned.
            configured: refresh token of the configuration.
            spent: refresh token that is about to be traded.
            now: UTC.

        Raises:
            AirbyteTracedException: the directory cannot be written, or the file cannot be replaced (config error).
        """
        if os.path.ismount(self.path):
            raise file_error(self.path, "is a mount of its own and cannot be replaced. Mount its directory instead.")
        self._begun = RefreshJournal.of(stored, configured, spent, now)
        try:
            self._new.unlink(missing_ok=True)  # what cannot be cleared away is better known before a token is spent
            self._journal = private_files.create(self._pending)
            private_files.write(self._journal, journal_head(self._begun, self._owner))
            os.fsync(self._journal)
        except OSError as error:
            self._close_journal()
            raise self._unwritable(error) from error

    def on_chunk(self, now: datetime, chunk: bytes, first: bool) -> None:
        """Put a part of the answer where the death of this process cannot reach it.

        Args:
            now: UTC.
            chunk: of the body.
            first: whether the answer begins with it.
        """
        if self._journal is not None:
            with suppress(OSError):  # a disk that is full by now is dealt with in save
                private_files.write(self._journal, now.isoformat().encode() + b"\n" + chunk if first else chunk)

    def end_refresh(self) -> None:
        """Take the journal away: the refresh ended without new tokens, and none are under way."""
        self._close_journal()
        with suppress(OSError):
            self._pending.unlink(missing_ok=True)

    def save(self, stored: TokenRecord | None, tokens: Tokens) -> FileContent:
        """Make the outcome of the refresh durable.

        Args:
            stored: what the file held before.
            tokens: the new pair.

        Raises:
            OSError: it could not be written; the file holds what it held.
        """
        if self._begun is None:
            raise RuntimeError("save without begin_refresh")
        record = self._begun.succeeded(stored, tokens)
        self._replace(record)
        return FileContent(record)

    def note_user(self, stored: TokenRecord, user: User) -> FileContent:
        """Note whose login the file holds.

        Args:
            stored: record that `load` returned.
            user: of Exact Online.

        Raises:
            OSError: it could not be written; the file holds what it held.
        """
        record = replace(stored, user=user)
        self._replace(record)
        return FileContent(record)

    def _replace(self, record: TokenRecord) -> None:
        handle = private_files.create(self._new)
        try:
            private_files.write(handle, record_bytes(record, self._owner))
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(self._new, self.path)
        with suppress(OSError):  # some file systems cannot sync a directory; the rename itself has happened
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        self.end_refresh()

    def _warn_of_directory(self) -> None:
        if not self._warned and private_files.everybody_may_write(self.path.parent):
            logger.warning(
                "Every user of this machine may write into %s, and could take the token file away there: give it a "
                "directory of its own that only this user may write into.",
                self.path.parent,
            )
        self._warned = True

    def _close_journal(self) -> None:
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def _read(self, path: Path) -> bytes | None:
        try:
            return private_files.read(path)
        except private_files.UnfitFileError as error:
            raise file_error(path, f"{error}. It was left alone: remove it, or name another file.") from None
        except OSError as error:
            raise file_error(path, f"cannot be read ({error.strerror}). Check its permissions.") from error

    def _unwritable(self, error: OSError) -> AirbyteTracedException:
        return file_error(self.path, f"cannot be written ({error.strerror}). Check directory, permissions and space.")


def _is_done(refreshing: RefreshJournal, stored: TokenRecord) -> bool:
    """Return whether the file already holds the outcome of a refresh."""
    if refreshing.salt == stored.salt:
        return refreshing.spent in stored.previous_fingerprints
    return stored.tokens.received_at is not None and refreshing.began_at < stored.tokens.received_at
