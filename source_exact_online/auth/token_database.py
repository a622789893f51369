"""The token database: the texts of token stores in a table of PostgreSQL, for processes on many machines.

* One row an app and site: two apps never meet, and all who use one login share its row.
* The lock is an advisory lock of a transaction, which ends with its connection however that ends. What is written goes
  through a second connection, so that a pooler of transactions between here and the database cannot separate the lock
  from who holds it.
* A lock can be lost while its holder lives: the database was started anew. So a record only ever takes the place of the
  one that was read.
* Nobody is waited for without end: an address that swallows everything counts as unreachable after some seconds.
"""

from __future__ import annotations

import hashlib
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from airbyte_cdk.models import FailureType
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from source_exact_online.auth.masking import mask
from source_exact_online.auth.token_record import Owner, Place
from source_exact_online.auth.token_store import (
    LOCK_HEARTBEAT_SECONDS,
    LOCK_HEARTBEATS,
    StorageError,
    kept_locked,
    storage_failed,
)
from source_exact_online.config import config_error

logger = logging.getLogger("airbyte.exact_online")

ANSWER_SECONDS = 15
"""Seconds that the database has for a connection or a statement; all of them take milliseconds."""

TABLE = "public.exact_online_tokens"
"""With its schema: what a role finds without one depends on its search_path, and a login in two tables is lost."""

_COLUMNS = {"client_id": "text", "site": "text", "host": "text", "record": "text", "journal": "bytea"}

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    client_id text NOT NULL, site text NOT NULL, host text NOT NULL, record text, journal bytea,
    PRIMARY KEY (client_id, site, host))"""

_LOCK_SCHEMA = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('exact_online_tokens', 0))"
"""Two that make the table at once would meet in PostgreSQL's own catalogue."""

_COLUMNS_FOUND = f"""
SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = pg_catalog.to_regclass('{TABLE}') AND attnum > 0 AND NOT attisdropped"""

_ROW = "client_id = %(client_id)s AND site = %(site)s AND host = %(host)s"

_READ = f"SELECT record, journal FROM {TABLE} WHERE {_ROW}"

_BEGIN = f"""
INSERT INTO {TABLE} AS kept (client_id, site, host, journal)
VALUES (%(client_id)s, %(site)s, %(host)s, %(journal)s)
ON CONFLICT (client_id, site, host) DO UPDATE SET journal = EXCLUDED.journal
WHERE kept.record IS NOT DISTINCT FROM %(read)s"""

_APPEND = f"UPDATE {TABLE} SET journal = journal || %(data)s WHERE {_ROW}"

_DROP = f"UPDATE {TABLE} SET journal = NULL WHERE {_ROW}"

# A record that is there already is this process's: only the news of it got lost on the way.
_REPLACE = f"""
INSERT INTO {TABLE} AS kept (client_id, site, host, record)
VALUES (%(client_id)s, %(site)s, %(host)s, %(record)s)
ON CONFLICT (client_id, site, host) DO UPDATE SET record = EXCLUDED.record, journal = NULL
WHERE kept.record IS NOT DISTINCT FROM %(read)s OR kept.record = EXCLUDED.record"""

# What a role or a database may have set otherwise, and what would end the lock or its wait too early. Where the machine
# of a holder has gone without a word, the server hears of it within a minute.
_LOCK = """
SET LOCAL lock_timeout = '{seconds:g}s'; SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_keepalives_idle = 20;
SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3;
SELECT pg_catalog.pg_advisory_xact_lock({key})"""

_WRITE = f"""
SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = '{ANSWER_SECONDS}s';
SET LOCAL lock_timeout = '{ANSWER_SECONDS}s'"""

_DEFAULTS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": ANSWER_SECONDS * 1000,
    "application_name": "source-exact-online",
}

_REFUSALS = re.compile(
    r"FATAL:\s+(password authentication failed|no pg_hba\.conf entry|role .* does not exist|database .* does not exist"
    r"|permission denied for database)"
)
"""What a server says to a connection that it will not take tomorrow either; libpq hands out no code for it."""


class TokenDatabase:
    """A `TokenStorage` in a row of PostgreSQL.

    Args:
        url: of the database, ``postgresql://...``; a secret.
        owner: whose row.

    Raises:
        AirbyteTracedException: the URL is none (config error).
    """

    lock_may_break = True

    def __init__(self, url: str, owner: Owner) -> None:
        try:
            parameters = conninfo_to_dict(url)
        except psycopg.Error:  # its words have parts of the URL in them
            raise config_error(
                "credentials.token_store is no address of a PostgreSQL database. It looks like "
                "postgresql://user:password@host:5432/database, with what is special in a password written as in a URL "
                "(%40 for @)."
            ) from None
        mask(url, *(str(parameters.get(name) or "") for name in ("password", "sslpassword")), shortest=1)
        self._address = make_conninfo(
            url, client_encoding="UTF8", **{name: _DEFAULTS[name] for name in _DEFAULTS.keys() - parameters.keys()}
        )
        where = f"{parameters.get('dbname') or 'of its default name'} on {parameters.get('host') or 'this machine'}"
        self._place = Place(
            name=f"The token store (table {TABLE} of the database {where})",
            kind="token store",
            content=f"the row of this app in {TABLE}",
            own="a database of its own (credentials.token_store)",
            checks=f"Check its address and role, which needs SELECT, INSERT and UPDATE on {TABLE}, and CREATE on its "
            "schema while there is no such table.",
        )
        self._row = {"client_id": owner.client_id, "site": owner.site, "host": owner.host}
        digest = hashlib.sha256("\n".join((TABLE, owner.client_id, owner.site, owner.host)).encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._holder: psycopg.Connection | None = None
        self._writer: psycopg.Connection | None = None
        self._read: str | None = None
        self._journal_begun = False

    @property
    def place(self) -> Place:
        """Where the record is."""
        return self._place

    @property
    def journal_place(self) -> Place:
        """Where the journal is: in the same row."""
        return self._place

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that all processes with this row share; says so at least once a minute while it waits.

        Raises:
            AirbyteTracedException: the database cannot be reached or another process keeps the lock for more than ten
                minutes (transient error), or it refuses this role (config error).
        """
        try:
            self._holder = self._lock()
            yield
        finally:
            self.close_journal()
            for connection in (self._writer, self._holder):
                if connection is not None:
                    _close(connection)
            self._writer = self._holder = None

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the record and the journal of the row.

        Raises:
            AirbyteTracedException: the role must not read it (config error) or the database has gone (transient one).
        """
        if self._holder is None:
            raise RuntimeError("read without the lock")
        try:
            with _answering(self._holder):
                exists = self._holder.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", (TABLE,)).fetchone()
                row = self._holder.execute(_READ, self._row).fetchone() if exists and exists[0] else None
        except psycopg.Error as error:
            raise storage_failed(self.place, "read", _reason(error)) from None
        record, journal = row or (None, None)
        self._read = record
        return None if record is None else record.encode(), journal

    def begin_journal(self, head: bytes) -> None:
        """Make the journal anew, and before it the table if there is none.

        Raises:
            StorageError: nothing can be written, or the columns would not take every token.
        """
        with self._writing() as writer:
            if not (found := dict(writer.execute(_COLUMNS_FOUND).fetchall())):
                writer.execute(_LOCK_SCHEMA)
                writer.execute(_CREATE)
            elif wrong := [name for name, kind in _COLUMNS.items() if found.get(name) != kind]:
                raise StorageError(f"its column {wrong[0]} has to be of type {_COLUMNS[wrong[0]]}")
            if not writer.execute(_BEGIN, {**self._row, "journal": head, "read": self._read}).rowcount:
                raise _overtaken()
        self._journal_begun = True

    def append_journal(self, data: bytes) -> None:
        """Add to the journal that was begun, if one was.

        Raises:
            StorageError: it could not be written.
        """
        if self._journal_begun:
            self._journal_begun = False  # a part that is missing makes the rest worthless
            with self._writing() as writer:
                writer.execute(_APPEND, {**self._row, "data": data})
            self._journal_begun = True

    def close_journal(self) -> None:
        """Write no more to the journal, and leave it."""
        self._journal_begun = False

    def drop_journal(self) -> None:
        """Take the journal away, if that can be done."""
        with suppress(StorageError), self._writing() as writer:
            writer.execute(_DROP, self._row)

    def replace(self, record: bytes) -> None:
        """Put a record in the place of the one that was read, and take the journal away.

        Raises:
            StorageError: it could not be written, or the record is another one by now.
        """
        text = record.decode()
        with self._writing() as writer:
            if not writer.execute(_REPLACE, {**self._row, "record": text, "read": self._read}).rowcount:
                raise _overtaken()
        self._read = text
        self.close_journal()

    def _lock(self) -> psycopg.Connection:
        statement = _LOCK.format(seconds=LOCK_HEARTBEAT_SECONDS, key=self._key)
        for _ in range(LOCK_HEARTBEATS):
            connection = None
            try:
                connection = self._connect()
                with _answering(connection, LOCK_HEARTBEAT_SECONDS + ANSWER_SECONDS):
                    connection.execute(statement)
                return connection
            except errors.LockNotAvailable:
                logger.info("Waiting for another process that holds the lock of the token store.")
            except psycopg.Error as error:
                raise storage_failed(self.place, "used", _reason(error)) from None
            finally:
                if (
                    connection is not None
                    and connection.info.transaction_status != psycopg.pq.TransactionStatus.INTRANS
                ):
                    _close(connection)
        raise kept_locked(self.place)

    @contextmanager
    def _writing(self) -> Iterator[psycopg.Connection]:
        """Begin a transaction that is durable at its end; a connection that was lost is made anew.

        Raises:
            StorageError: it failed; whether it was carried out is unknown if the connection was lost at its end.
        """
        try:
            if self._writer is None:
                self._writer = self._connect()
            with _answering(self._writer), self._writer.transaction():
                self._writer.execute(_WRITE)
                yield self._writer
        except psycopg.Error as error:
            if self._writer is not None:
                _close(self._writer)
            self._writer = None
            raise _reason(error) from None

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(self._address, prepare_threshold=None)
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # what was read has to be the newest
        return connection


@contextmanager
def _answering(connection: psycopg.Connection, seconds: float = ANSWER_SECONDS) -> Iterator[None]:
    """Cut a connection whose other end has not answered in time: new tokens may be waiting for it."""

    def cut() -> None:
        with suppress(OSError, psycopg.Error):
            end = socket.socket(fileno=connection.fileno())
            try:
                end.shutdown(socket.SHUT_RDWR)
            finally:
                end.detach()

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _close(connection: psycopg.Connection) -> None:
    """Close a connection; the server has let go of its lock on return, if it can be reached."""
    with suppress(psycopg.Error):
        with suppress(psycopg.Error), _answering(connection):
            connection.rollback()
        connection.close()


def _overtaken() -> StorageError:
    return StorageError("another process has replaced its record meanwhile", FailureType.transient_error)


def _reason(error: psycopg.Error) -> StorageError:
    """Return what went wrong in one line, and whether a person must act.

    The server's details are left out, as they may have tokens in them.
    """
    text = " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
    passing = isinstance(error, psycopg.OperationalError) and not _REFUSALS.search(text)
    return StorageError(text, FailureType.transient_error if passing else FailureType.config_error)
