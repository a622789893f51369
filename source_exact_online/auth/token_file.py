"""The token file: the texts of a token store in a directory.

* The record is replaced by rename, never written in place; mode 0600. Files that another user of the machine has
  prepared are neither read nor written to (`private_files`).
* The journal is a file beside it (``<name>.pending``). A part of an answer that is written to it is out of reach of the
  process's death.
* `replace` returns when the record survives the loss of power: file and directory are synced.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from source_exact_online.auth import private_files
from source_exact_online.auth.token_record import Place, place_error
from source_exact_online.auth.token_store import (
    LOCK_HEARTBEAT_SECONDS,
    LOCK_HEARTBEATS,
    StorageError,
    kept_locked,
    storage_failed,
)
from source_exact_online.config import TOKEN_FILE_VARIABLE

logger = logging.getLogger("airbyte.exact_online")


def _place(path: Path) -> Place:
    return Place(
        name=f"The token file {path}",
        kind="token file",
        content="the file",
        own="a token file of its own (credentials.token_file, or the environment variable EXACT_ONLINE_TOKEN_FILE)",
        checks="Check directory, permissions and space.",
    )


class TokenFile:
    """A `TokenStorage` in a directory.

    Args:
        path: of the file; its directory must exist. A symbolic link is followed.
    """

    lock_may_break = False

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))
        self._pending = self._path.with_name(self._path.name + ".pending")
        self._new = self._path.with_name(self._path.name + ".new")
        self._journal: int | None = None
        self._warned = False

    @property
    def place(self) -> Place:
        """Where the record is."""
        return _place(self._path)

    @property
    def journal_place(self) -> Place:
        """Where the journal is."""
        return _place(self._pending)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that all processes with this file share; says so at least once a minute while it waits.

        Raises:
            AirbyteTracedException: the directory is missing or the lock file cannot be made (config error), or another
                process keeps it for more than ten minutes (transient error).
        """
        if not self._path.parent.is_dir():
            remedy = f"Correct credentials.token_file or {TOKEN_FILE_VARIABLE}."
            raise place_error(self.place, f"cannot be made: its directory does not exist. {remedy}")
        self._warn_of_directory()
        lock = FileLock(str(self._path) + ".lock", mode=0o600)
        for _ in range(LOCK_HEARTBEATS):
            try:
                lock.acquire(timeout=LOCK_HEARTBEAT_SECONDS)
                break
            except Timeout:
                logger.info("Waiting for another process that holds the lock of the token file %s.", self._path)
            except OSError as error:
                raise storage_failed(self.place, "written", _storage_error(error)) from error
        else:
            raise kept_locked(self.place)
        try:
            yield
        finally:
            self.close_journal()
            lock.release()

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the content of the file and of the journal.

        Raises:
            AirbyteTracedException: they cannot be read (config error).
        """
        return self._read(self._path), self._read(self._pending)

    def begin_journal(self, head: bytes) -> None:
        """Make the journal anew, and see that the file can be replaced.

        Raises:
            StorageError: nothing can be written.
            AirbyteTracedException: the file is a mount (config error).
        """
        if os.path.ismount(self._path):
            what = "is a mount of its own and cannot be replaced. Mount its directory instead."
            raise place_error(self.place, what)
        try:
            self._new.unlink(missing_ok=True)  # what cannot be cleared away is better known before a token is spent
            self._journal = private_files.create(self._pending)
            private_files.write(self._journal, head)
            os.fsync(self._journal)
        except OSError as error:
            raise _storage_error(error) from error

    def append_journal(self, data: bytes) -> None:
        """Add to the journal that was begun, if one was.

        Raises:
            StorageError: it could not be written.
        """
        if self._journal is not None:
            try:
                private_files.write(self._journal, data)
            except OSError as error:
                raise _storage_error(error) from error

    def close_journal(self) -> None:
        """Write no more to the journal, and leave it."""
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def drop_journal(self) -> None:
        """Take the journal away, if that can be done."""
        with suppress(OSError):
            self._pending.unlink()

    def replace(self, record: bytes) -> None:
        """Put a record in the place of the one that is there, and take the journal away.

        Raises:
            StorageError: it could not be written.
        """
        try:
            self._replace(record)
        except OSError as error:
            raise _storage_error(error) from error
        self.close_journal()
        self.drop_journal()

    def _replace(self, record: bytes) -> None:
        handle = private_files.create(self._new)
        try:
            private_files.write(handle, record)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(self._new, self._path)
        with suppress(OSError):  # some file systems cannot sync a directory; the rename itself has happened
            directory = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def _warn_of_directory(self) -> None:
        if not self._warned and private_files.everybody_may_write(self._path.parent):
            logger.warning(
                "Every user of this machine may write into %s, and could take the token file away there: give it a "
                "directory of its own that only this user may write into.",
                self._path.parent,
            )
        self._warned = True

    def _read(self, path: Path) -> bytes | None:
        try:
            return private_files.read(path)
        except private_files.UnfitFileError as error:
            what = f"{error}. It was left alone: remove it, or name another file."
            raise place_error(_place(path), what) from None
        except OSError as error:
            raise place_error(_place(path), f"cannot be read ({error.strerror}). Check its permissions.") from error


def _storage_error(error: OSError) -> StorageError:
    return StorageError(error.strerror or type(error).__name__)
