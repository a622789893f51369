"""One load at a time into a destination: two would take up the same state, and write over each other's rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from source_exact_online.load.errors import LoadError

_KEEPALIVE_SECONDS = 60
"""How often the connection of a lock shows that it lives: nothing else is sent on it for hours."""


@contextmanager
def unlocked() -> Iterator[Callable[[], None]]:
    """Lock nothing."""
    yield lambda: None


@contextmanager
def file_lock(file: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock of a database file, in a file beside it. The operating system frees it when the process dies.

    Yields:
        Raises LoadError if the lock is lost: never.

    Raises:
        LoadError: another load holds it, or the file beside it cannot be written.
    """
    lock = FileLock(f"{os.path.realpath(file)}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise _held(str(file)) from None
    except OSError as error:
        raise LoadError(f"{lock.lock_file} cannot be written: {error.strerror}.") from None
    try:
        yield lambda: None
    finally:
        lock.release()


@contextmanager
def postgres_lock(url: str, name: str, place: str) -> Iterator[Callable[[], None]]:
    """Hold an advisory lock of a PostgreSQL database, on a connection of its own. It ends with the connection.

    Args:
        url: of the database.
        name: of the lock; one database has one of that name.
        place: the database, as it is named to a person.

    Yields:
        Raises LoadError if the lock is lost, as the connection is.

    Raises:
        LoadError: another load holds it, or the database cannot be reached.
    """
    import psycopg2

    try:
        connection = psycopg2.connect(
            url, application_name="source-exact-online load", keepalives_idle=_KEEPALIVE_SECONDS
        )
    except psycopg2.Error as error:
        raise LoadError(f"{place} cannot be loaded: {_words(error)}") from error

    def check() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error as error:
            raise LoadError(
                f"The connection that keeps other loads out of {place} was lost, so that this one stops: "
                f"{_words(error)} What was loaded stays; the next load goes on from there."
            ) from error

    with closing(connection):
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%s, 0))", (name,))
                (is_mine,) = cursor.fetchone()
        except psycopg2.Error as error:
            raise LoadError(f"{place} cannot be loaded: {_words(error)}") from error
        if not is_mine:
            raise _held(place)
        yield check


def _held(place: str) -> LoadError:
    return LoadError(f"Another load is writing to {place}: wait until it has ended.")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
