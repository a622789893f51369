"""The SQLite tables under the store: rows by key, by row version, by ``Modified`` and by header; the deletion log."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Key = str | int
Where = Sequence[tuple[str, str, Any]]
"""Conditions (column, operator, value) over ``key``, ``parent``, ``modified`` (wall clock ms) and ``version``."""

_TABLES = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS division (code INTEGER PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    division INTEGER NOT NULL, entity INTEGER NOT NULL, key, parent, modified INTEGER, version INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS row_key ON row (division, entity, key);
CREATE INDEX IF NOT EXISTS row_version ON row (division, entity, version);
CREATE INDEX IF NOT EXISTS row_modified ON row (division, entity, modified);
CREATE INDEX IF NOT EXISTS row_parent ON row (division, entity, parent) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS deletion (
    division INTEGER NOT NULL, version INTEGER NOT NULL, type INTEGER NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,
    deleted_by TEXT NOT NULL, deleted_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS deletion_version ON deletion (division, version);
"""
_KEYS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class RawRow:
    """One kept row as the views use it."""

    key: Key
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One kept row with everything that is indexed."""

    key: Key
    parent: Key | None
    modified: int | None
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Deletion:
    """One entry of the deletion log."""

    version: int
    type: int
    id: str
    key: str
    deleted_by: str
    deleted_ms: int


class Database:
    """One connection behind one lock; ``entity`` is the entity's number everywhere."""

    def __init__(self, path: str) -> None:
        self.lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._db.close()

    def transaction(self) -> Transaction:
        """A transaction that holds the lock; a nested one belongs to the outer."""
        return Transaction(self._db, self.lock)

    def keep(self, name: str, value: str) -> str:
        """Keep a setting unless it is there already; gives the one kept."""
        with self.lock:
            self._db.execute("INSERT OR IGNORE INTO setting VALUES (?, ?)", (name, value))
            (kept,) = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return str(kept)

    # -- divisions ---------------------------------------------------------------------------------------------------

    def add_division(self, code: int, version: int, body: bytes) -> None:
        """Add a division."""
        with self.lock:
            self._db.execute("INSERT INTO division VALUES (?, ?, ?)", (code, version, body))

    def division_codes(self) -> list[int]:
        """Codes of all divisions, ascending."""
        with self.lock:
            return [code for (code,) in self._db.execute("SELECT code FROM division ORDER BY code")]

    def division(self, code: int) -> bytes:
        """Kept row of a division.

        Raises:
            KeyError: there is no such division.
        """
        return bytes(self._of_division(code, "body"))

    def set_division(self, code: int, body: bytes) -> None:
        """Replace the kept row of a division."""
        with self.lock:
            self._db.execute("UPDATE division SET body = ? WHERE code = ?", (body, code))

    def version(self, division: int) -> int:
        """The last row version given in a division.

        Raises:
            KeyError: there is no such division.
        """
        return int(self._of_division(division, "version"))

    def set_version(self, division: int, version: int) -> None:
        """Set the last row version given."""
        with self.lock:
            self._db.execute("UPDATE division SET version = ? WHERE code = ?", (version, division))

    def _of_division(self, code: int, column: str) -> Any:  # noqa: ANN401 - bytes or a number
        with self.lock:
            found = self._db.execute(f"SELECT {column} FROM division WHERE code = ?", (code,)).fetchone()
        if found is None:
            raise KeyError(f"division {code}")
        return found[0]

    # -- changes -----------------------------------------------------------------------------------------------------

    def insert(self, division: int, entity: int, records: Iterable[Record]) -> None:
        """Add rows.

        Raises:
            sqlite3.IntegrityError: a key exists already.
        """
        with self.lock:
            self._db.executemany(
                "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((division, entity, r.key, r.parent, r.modified, r.version, r.body) for r in records),
            )

    def replace(self, division: int, entity: int, record: Record) -> None:
        """Replace the row with the record's key."""
        with self.lock:
            self._db.execute(
                "UPDATE row SET parent = ?, modified = ?, version = ?, body = ?"
                " WHERE division = ? AND entity = ? AND key = ?",
                (record.parent, record.modified, record.version, record.body, division, entity, record.key),
            )

    def renumber_row(self, division: int, entity: int, key: Key, version: int) -> None:
        """Give one row another row version."""
        with self.lock:
            self._db.execute(
                "UPDATE row SET version = ? WHERE division = ? AND entity = ? AND key = ?",
                (version, division, entity, key),
            )

    def renumber(self, table: str, versions: Iterable[tuple[int, int]]) -> None:
        """Give rows of a table (``row`` or ``deletion``) other row versions: (version, row id)."""
        with self.lock:
            self._db.executemany(f"UPDATE {table} SET version = ? WHERE rowid = ?", versions)

    def row_ids(self, table: str, division: int) -> list[int]:
        """Row ids of a table (``row`` or ``deletion``): rows by entity and key, deletions as they happened."""
        order = "entity, key" if table == "row" else "version"
        with self.lock:
            return [
                rowid
                for (rowid,) in self._db.execute(
                    f"SELECT rowid FROM {table} WHERE division = ? ORDER BY {order}", (division,)
                )
            ]

    def delete(self, division: int, entity: int, key: Key) -> None:
        """Remove one row."""
        with self.lock:
            self._db.execute("DELETE FROM row WHERE division = ? AND entity = ? AND key = ?", (division, entity, key))

    def log_deletion(self, division: int, deletion: Deletion) -> None:
        """Add an entry to the deletion log."""
        d = deletion
        with self.lock:
            self._db.execute(
                "INSERT INTO deletion VALUES (?, ?, ?, ?, ?, ?, ?)",
                (division, d.version, d.type, d.id, d.key, d.deleted_by, d.deleted_ms),
            )

    # -- reading -----------------------------------------------------------------------------------------------------

    def select(
        self,
        division: int,
        entity: int,
        *,
        where: Where = (),
        by: str = "key",
        limit: int = -1,
        index: str | None = None,
    ) -> list[RawRow]:
        """Rows that meet all conditions, in the order of the column ``by``; -1 for no limit."""
        text, values = _conditions(where)
        hint = f" INDEXED BY {index}" if index else ""
        with self.lock:
            found = self._db.execute(
                f"SELECT key, version, body FROM row{hint} WHERE division = ? AND entity = ?{text}"
                f" ORDER BY {by} LIMIT ?",
                (division, entity, *values, limit),
            ).fetchall()
        return [RawRow(*row) for row in found]

    def count(self, division: int, entity: int, *, where: Where = (), limit: int = -1) -> int:
        """Number of rows that meet all conditions, giving up at ``limit``."""
        text, values = _conditions(where)
        with self.lock:
            (number,) = self._db.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM row WHERE division = ? AND entity = ?{text} LIMIT ?)",
                (division, entity, *values, limit),
            ).fetchone()
        return int(number)

    def highest_key(self, division: int, entity: int) -> Key | None:
        """The highest key of an entity."""
        with self.lock:
            (key,) = self._db.execute(
                "SELECT max(key) FROM row WHERE division = ? AND entity = ?", (division, entity)
            ).fetchone()
        found: Key | None = key
        return found

    def bodies(self, division: int, entity: int, keys: Iterable[Key]) -> dict[Key, bytes]:
        """Kept rows by key, for the keys that exist."""
        wanted = list(keys)
        found: dict[Key, bytes] = {}
        with self.lock:
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                part = wanted[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                found.update(
                    self._db.execute(
                        f"SELECT key, body FROM row WHERE division = ? AND entity = ? AND key IN ({marks})",
                        (division, entity, *part),
                    ).fetchall()
                )
        return found

    def deletions(self, division: int, *, since_ms: int = 0, after: int = 0, limit: int = -1) -> list[Deletion]:
        """Entries of the deletion log in the order of their row versions."""
        with self.lock:
            found = self._db.execute(
                "SELECT version, type, id, key, deleted_by, deleted_ms FROM deletion"
                " WHERE division = ? AND deleted_ms >= ? AND version > ? ORDER BY version LIMIT ?",
                (division, since_ms, after, limit),
            ).fetchall()
        return [Deletion(*row) for row in found]


def _conditions(where: Where) -> tuple[str, list[Any]]:
    return "".join(f" AND {column} {operator} ?" for column, operator, _ in where), [value for *_, value in where]


class Transaction:
    """A transaction as a context: committed at its end, rolled back by an exception."""

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._db = db
        self._lock = lock
        self._outer = False

    def __enter__(self) -> None:
        """Take the lock and begin."""
        self._lock.acquire()
        self._outer = not self._db.in_transaction
        if self._outer:
            self._db.execute("BEGIN")

    def __exit__(self, kind: object, *_: object) -> None:
        """Commit or roll back, and let go of the lock."""
        try:
            if self._outer:
                self._db.execute("ROLLBACK" if kind is not None else "COMMIT")
        finally:
            self._lock.release()
