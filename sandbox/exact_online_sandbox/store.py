"""The sandbox's data: divisions, rows, row versions and the deletion log, in SQLite."""

from __future__ import annotations

import random
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from exact_online_sandbox.entities import DELETED, DIVISIONS, Entity, entities
from exact_online_sandbox.rows import RowCodec, RowError, Values
from exact_online_sandbox.wallclock import WallClock, instant_from_ms, to_ms

__all__ = ["RawRow", "RowError", "Store", "feed_id"]

Key = str | int
_FIRST_VERSION = 1_400_000_000
_MAX_GAP = 9
_CHUNK = 2000
_NAMESPACE = uuid.UUID("5a3c8c7e-0f51-4d2e-9a57-0a7d8c1f0b11")

_TABLES = """
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


@dataclass(frozen=True, slots=True)
class RawRow:
    """One kept row as the views use it."""

    key: Key
    version: int
    body: bytes


def feed_id(named_key: str) -> str:
    """The own ``ID`` that a sync feed gives a header, made from the header's named key (``InvoiceID`` ...)."""
    return str(uuid.uuid5(_NAMESPACE, named_key))


class Store:
    """All rows of all divisions. Safe for threads: one connection behind one lock.

    Row versions are one ascending counter per division with gaps, shared by all entities and the deletion log.
    """

    def __init__(
        self, path: str = ":memory:", *, seed: int = 1, zone: str = "Europe/Amsterdam", own_feed_ids: bool = True
    ) -> None:
        """Open or create a store.

        Args:
            path: SQLite file, or ``:memory:``.
            seed: of the gaps between row versions and of generated keys.
            zone: time zone of the server's wall clock, in which ``Modified`` filters are compared.
            own_feed_ids: whether feeds give headers an ``ID`` of their own, different from ``InvoiceID`` and the like.
        """
        self.wall = WallClock(zone)
        self.own_feed_ids = own_feed_ids
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;" + _TABLES)
        self._numbers = {name: number for number, name in enumerate(entities())}
        self._codecs: dict[str, RowCodec] = {}
        self._check_layout()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    # -- divisions ---------------------------------------------------------------------------------------------------

    def add_division(self, code: int, row: Mapping[str, Any]) -> None:
        """Add a division; ``row`` is its row of system/Divisions (``Code`` is filled in)."""
        codec = self.codec(DIVISIONS)
        body = codec.dump(codec.encode({**row, "Code": code}))
        with self._lock:
            version = _FIRST_VERSION + self._random.randrange(1_000_000)
            self._db.execute("INSERT INTO division VALUES (?, ?, ?)", (code, version, body))

    def division_codes(self) -> list[int]:
        """Codes of all divisions, ascending."""
        with self._lock:
            return [code for (code,) in self._db.execute("SELECT code FROM division ORDER BY code")]

    def division(self, code: int) -> dict[str, Any]:
        """Row of system/Divisions of one division.

        Raises:
            KeyError: there is no such division.
        """
        with self._lock:
            found = self._db.execute("SELECT body FROM division WHERE code = ?", (code,)).fetchone()
        if found is None:
            raise KeyError(code)
        codec = self.codec(DIVISIONS)
        return codec.decode(codec.load(found[0]))

    def update_division(self, code: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change properties of a division's row."""
        row = {**self.division(code), **changes, "Code": code}
        codec = self.codec(DIVISIONS)
        with self._lock:
            self._db.execute(
                "UPDATE division SET body = ? WHERE code = ?", (codec.dump(codec.encode(row)), code)
            )
        return row

    def move_division(self, division: int, *, at: datetime) -> None:
        """Move a division to another database: all its row versions are renumbered and ``DivisionMoveDate`` is set.

        The new numbers start below the old ones, as another database counts by itself; rows come in the order of
        their entity and key, so that the new numbers say nothing about when a row last changed.
        """
        with self._lock, self._transaction():
            version = self._version(division) // 2 + self._random.randrange(1_000)
            for table, order in (("row", "entity, key"), ("deletion", "version")):
                ids = [
                    rowid
                    for (rowid,) in self._db.execute(
                        f"SELECT rowid FROM {table} WHERE division = ? ORDER BY {order}", (division,)
                    )
                ]
                changes = []
                for rowid in ids:
                    version += self._random.randint(1, _MAX_GAP)
                    changes.append((version, rowid))
                self._db.executemany(f"UPDATE {table} SET version = ? WHERE rowid = ?", changes)
            self._db.execute("UPDATE division SET version = ? WHERE code = ?", (version, division))
        self.update_division(division, {"DivisionMoveDate": at})

    def raise_version(self, division: int, version: int) -> None:
        """Let the next row version of a division be higher than ``version``."""
        with self._lock:
            self._db.execute(
                "UPDATE division SET version = max(version, ?) WHERE code = ?", (version, division)
            )

    # -- changes -----------------------------------------------------------------------------------------------------

    def insert(self, division: int, entity: str, row: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
        """Add one row.

        Args:
            division: code of the division.
            entity: name of the entity.
            row: its properties; a missing key, ``Division``, ``Created`` and ``Modified`` are filled in.
            at: moment of the change, aware UTC.

        Returns:
            The complete row.

        Raises:
            RowError: a property or value does not fit, or the key exists already.
            KeyError: there is no such division or entity.
        """
        facts, codec = entities()[entity], self.codec(entity)
        complete = dict(row)
        with self._lock, self._transaction():
            self._version(division)
            self._fill(division, facts, complete, at)
            try:
                self._insert(division, facts, codec, codec.encode(complete), complete.get("Timestamp"))
            except sqlite3.IntegrityError as error:
                raise RowError(f"{entity} has a row with that key already in division {division}") from error
            self._touch_family(division, facts, complete, at=at, modified=True)
        return self.row(division, entity, key_of(facts, complete))

    def insert_many(self, division: int, entity: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add many rows quickly. Rows bring their own key, ``Created`` and ``Modified``; versions ascend as given.

        A row may bring its own row version as ``Timestamp``.

        Returns:
            The number of rows added.

        Raises:
            RowError: a property or value does not fit, or a key exists already.
        """
        facts, codec = entities()[entity], self.codec(entity)
        has_division = "Division" in codec.index
        number, count = self._numbers[entity], 0
        with self._lock, self._transaction():
            version = self._version(division)
            batch: list[tuple[Any, ...]] = []
            for row in rows:
                values = codec.encode(row)
                if has_division and values[codec.index["Division"]] is None:
                    values[codec.index["Division"]] = division
                given = row.get("Timestamp")
                version = max(version, int(given)) if given else version + self._random.randint(1, _MAX_GAP)
                own = int(given) if given else version
                batch.append(self._record(division, number, facts, codec, values, own))
                if len(batch) == _CHUNK:
                    self._write(batch, entity, division)
                    count += len(batch)
                    batch = []
            self._write(batch, entity, division)
            count += len(batch)
            self._db.execute("UPDATE division SET version = ? WHERE code = ?", (version, division))
        return count

    def update(
        self,
        division: int,
        entity: str,
        key: Any,
        changes: Mapping[str, Any],
        *,
        at: datetime,
        touch_modified: bool = True,
    ) -> dict[str, Any]:
        """Change one row and give it a new row version.

        Args:
            division: code of the division.
            entity: name of the entity.
            key: its key; a list or tuple where the key is composite.
            changes: properties with their new values.
            at: moment of the change, aware UTC.
            touch_modified: whether ``Modified`` becomes ``at``; some changes in Exact may leave it alone.

        Returns:
            The complete row.

        Raises:
            KeyError: there is no such row.
            RowError: a property or value does not fit.
        """
        facts, codec = entities()[entity], self.codec(entity)
        with self._lock, self._transaction():
            row = self.row(division, entity, key)
            new = {**row, **changes}
            if stored_key(facts, key_of(facts, new)) != stored_key(facts, key):
                raise RowError(f"the key of {entity} cannot be changed")
            if touch_modified and "Modified" in codec.index and "Modified" not in changes:
                new["Modified"] = at
            self._replace(division, facts, codec, codec.encode(new))
            self._touch_family(division, facts, new, at=at, modified=touch_modified)
        return self.row(division, entity, key)

    def delete(self, division: int, entity: str, key: Any, *, at: datetime) -> None:
        """Delete one row, with its lines, and log it where the entity has a number in sync/Deleted.

        Raises:
            KeyError: there is no such row.
        """
        facts = entities()[entity]
        with self._lock, self._transaction():
            row = self.row(division, entity, key)
            self._delete(division, facts, key_of(facts, row), at)
            self._touch_family(division, facts, row, at=at, modified=True)

    # -- the truth ---------------------------------------------------------------------------------------------------

    def row(self, division: int, entity: str, key: Any) -> dict[str, Any]:
        """One row by its key.

        Raises:
            KeyError: there is no such row.
        """
        facts, codec = entities()[entity], self.codec(entity)
        with self._lock:
            found = self._db.execute(
                "SELECT body FROM row WHERE division = ? AND entity = ? AND key = ?",
                (division, self._numbers[entity], stored_key(facts, key)),
            ).fetchone()
        if found is None:
            raise KeyError((division, entity, key))
        return codec.decode(codec.load(found[0]))

    def rows(self, division: int, entity: str) -> Iterator[dict[str, Any]]:
        """All rows of an entity in key order, every column, as Python values."""
        codec = self.codec(entity)
        if entity == DIVISIONS:
            yield from (self.division(code) for code in self.division_codes())
            return
        if entity == DELETED:
            yield from self.deletions(division)
            return
        after: Key | None = None
        while True:
            page = self.select(division, entity, after=after, limit=_CHUNK)
            yield from (codec.decode(codec.load(row.body)) for row in page)
            if len(page) < _CHUNK:
                return
            after = page[-1].key

    def count(self, division: int, entity: str) -> int:
        """Number of rows of an entity."""
        with self._lock:
            (number,) = self._db.execute(
                "SELECT count(*) FROM row WHERE division = ? AND entity = ?", (division, self._numbers[entity])
            ).fetchone()
        return int(number)

    def deletions(
        self, division: int, *, since: datetime | None = None, after: int = 0, limit: int = -1
    ) -> Iterator[dict[str, Any]]:
        """The deletion log of a division in the order of its row versions, ``Timestamp`` included.

        Args:
            division: code of the division.
            since: oldest moment to show (aware UTC); Exact drops entries after two months.
            after: only entries with a higher row version.
            limit: at most so many entries; -1 for all.
        """
        with self._lock:
            found = self._db.execute(
                "SELECT version, deleted_by, deleted_ms, key, type, id FROM deletion"
                " WHERE division = ? AND deleted_ms >= ? AND version > ? ORDER BY version LIMIT ?",
                (division, 0 if since is None else to_ms(since), after, limit),
            ).fetchall()
        for version, deleted_by, deleted_ms, key, type_, id_ in found:
            yield {
                "Timestamp": version,
                "DeletedBy": deleted_by,
                "DeletedDate": instant_from_ms(deleted_ms),
                "Division": division,
                "EntityKey": key,
                "EntityType": type_,
                "ID": id_,
            }

    # -- for the views -----------------------------------------------------------------------------------------------

    def codec(self, entity: str) -> RowCodec:
        """The codec of an entity's rows."""
        codec = self._codecs.get(entity)
        if codec is None:
            codec = self._codecs[entity] = RowCodec(entities()[entity], self.wall)
        return codec

    def select(
        self,
        division: int,
        entity: str,
        *,
        where: Sequence[tuple[str, str, Any]] = (),
        by: str = "key",
        after: Any = None,
        limit: int = -1,
        index: str | None = None,
    ) -> list[RawRow]:
        """Rows in the order of an indexed column.

        Args:
            division: code of the division.
            entity: name of the entity.
            where: conditions (column, operator, value) over ``key``, ``parent``, ``modified`` (wall clock
                milliseconds) and ``version``.
            by: ``key`` or ``version``.
            after: only rows behind this value of ``by``.
            limit: at most so many rows; -1 for all.
            index: name of the index to use instead of the planner's choice.
        """
        conditions = [*where]
        if after is not None:
            conditions.append((by, ">", after))
        text = "".join(f" AND {column} {operator} ?" for column, operator, _ in conditions)
        hint = f" INDEXED BY {index}" if index else ""
        with self._lock:
            found = self._db.execute(
                f"SELECT key, version, body FROM row{hint} WHERE division = ? AND entity = ?{text}"
                f" ORDER BY {by} LIMIT ?",
                (division, self._numbers[entity], *(value for *_, value in conditions), limit),
            ).fetchall()
        return [RawRow(*row) for row in found]

    def count_where(
        self, division: int, entity: str, where: Sequence[tuple[str, str, Any]], *, limit: int = -1
    ) -> int:
        """Count rows that meet conditions as in ``select``, giving up at ``limit``."""
        text = "".join(f" AND {column} {operator} ?" for column, operator, _ in where)
        with self._lock:
            (number,) = self._db.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM row WHERE division = ? AND entity = ?{text} LIMIT ?)",
                (division, self._numbers[entity], *(value for *_, value in where), limit),
            ).fetchone()
        return int(number)

    def first_version(self, division: int, entity: str, modified_from: int) -> tuple[int, bytes] | None:
        """Lowest row version, and that row, among rows with ``Modified`` (wall clock ms) from ``modified_from`` on."""
        with self._lock:
            found = self._db.execute(
                "SELECT version, body FROM row WHERE division = ? AND entity = ? AND modified >= ?"
                " ORDER BY version LIMIT 1",
                (division, self._numbers[entity], modified_from),
            ).fetchone()
        return None if found is None else (found[0], found[1])

    def bodies(self, division: int, entity: str, keys: Iterable[Key]) -> dict[Key, bytes]:
        """Kept rows by key, for the keys that exist."""
        wanted, found = list(keys), {}
        with self._lock:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                found.update(
                    self._db.execute(
                        f"SELECT key, body FROM row WHERE division = ? AND entity = ? AND key IN ({marks})",
                        (division, self._numbers[entity], *part),
                    ).fetchall()
                )
        return found

    def record_key(self, facts: Entity, key: Any) -> str:
        """The ``ID`` by which feed and deletion log know the row with that key."""
        return feed_id(str(key)) if facts.own_feed_id and self.own_feed_ids else str(key)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _check_layout(self) -> None:
        """Refuse a file written with other entities, columns or wall clock: its arrays would be misread."""
        layout = orjson.dumps([self.wall.zone, {n: list(e.columns) for n, e in entities().items()}])
        digest = str(uuid.uuid5(_NAMESPACE, layout.decode()))
        self._db.execute("INSERT OR IGNORE INTO setting VALUES ('layout', ?)", (digest,))
        (kept,) = self._db.execute("SELECT value FROM setting WHERE name = 'layout'").fetchone()
        if kept != digest:
            raise ValueError("this database was written with another reference or time zone")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _version(self, division: int) -> int:
        found = self._db.execute("SELECT version FROM division WHERE code = ?", (division,)).fetchone()
        if found is None:
            raise KeyError(f"no division {division}")
        return int(found[0])

    def _next_version(self, division: int) -> int:
        version = self._version(division) + self._random.randint(1, _MAX_GAP)
        self._db.execute("UPDATE division SET version = ? WHERE code = ?", (version, division))
        return version

    def _fill(self, division: int, facts: Entity, row: dict[str, Any], at: datetime) -> None:
        for name in facts.key:
            if row.get(name) is None:
                row[name] = self._new_key(division, facts, name)
        for name, value in (("Division", division), ("Created", at), ("Modified", at)):
            if name in facts.columns and row.get(name) is None:
                row[name] = value

    def _new_key(self, division: int, facts: Entity, name: str) -> Any:
        type_ = facts.columns[name]
        if type_ == "Edm.Guid":
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        if type_ in ("Edm.Int16", "Edm.Int32", "Edm.Int64") and len(facts.key) == 1:
            (highest,) = self._db.execute(
                "SELECT max(key) FROM row WHERE division = ? AND entity = ?", (division, self._numbers[facts.name])
            ).fetchone()
            return (highest or 0) + 1
        raise RowError(f"{facts.name} needs a value for its key {name}")

    def _record(
        self, division: int, number: int, facts: Entity, codec: RowCodec, values: Values, version: int
    ) -> tuple[Any, ...]:
        index = codec.index
        if len(facts.key) == 1:
            key = values[index[facts.key[0]]]
        else:
            key = orjson.dumps([values[index[name]] for name in facts.key]).decode()
        if key is None:
            raise RowError(f"a row of {facts.name} lacks its key {facts.key[0]}")
        parent = None if facts.header_key is None else values[index[facts.header_key]]
        modified = values[index["Modified"]] if "Modified" in index else None
        if modified is not None:
            modified = self.wall.to_wall_ms(modified)
        return (division, number, key, parent, modified, version, codec.dump(values))

    def _write(self, batch: list[tuple[Any, ...]], entity: str, division: int) -> None:
        try:
            self._db.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)", batch)
        except sqlite3.IntegrityError as error:
            raise RowError(f"{entity} has rows with the same key in division {division}") from error

    def _insert(self, division: int, facts: Entity, codec: RowCodec, values: Values, given: Any) -> None:
        if given:
            self.raise_version(division, int(given))
        version = int(given) if given else self._next_version(division)
        record = self._record(division, self._numbers[facts.name], facts, codec, values, version)
        self._db.execute("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)", record)

    def _replace(self, division: int, facts: Entity, codec: RowCodec, values: Values) -> None:
        version = self._next_version(division)
        record = self._record(division, self._numbers[facts.name], facts, codec, values, version)
        self._db.execute(
            "UPDATE row SET parent = ?, modified = ?, version = ?, body = ?"
            " WHERE division = ? AND entity = ? AND key = ?",
            (*record[3:], *record[:3]),
        )

    def _touch_family(
        self, division: int, facts: Entity, row: Mapping[str, Any], *, at: datetime, modified: bool
    ) -> None:
        """Let a change show in the header and, in feeds that mix both, give header and lines new row versions."""
        header, header_key = facts, row.get(facts.record_id)
        if facts.header is not None and facts.header_key is not None:
            header, header_key = entities()[facts.header], row.get(facts.header_key)
        if header_key is None or not (facts.shares_version or facts.modifies_header):
            return
        if facts is not header and modified and facts.modifies_header:
            codec = self.codec(header.name)
            found = self.bodies(division, header.name, [header_key]).get(header_key)
            if found is not None and "Modified" in codec.index:
                values = codec.load(found)
                values[codec.index["Modified"]] = to_ms(at)
                self._replace(division, header, codec, values)
        if not facts.shares_version:
            return
        numbers = [self._numbers[name] for name in header.lines if entities()[name].shares_version]
        ids = self._db.execute(
            "SELECT rowid FROM row WHERE division = ? AND entity = ? AND key = ?",
            (division, self._numbers[header.name], header_key),
        ).fetchall()
        for number in numbers:
            ids += self._db.execute(
                "SELECT rowid FROM row WHERE division = ? AND entity = ? AND parent = ? ORDER BY key",
                (division, number, header_key),
            ).fetchall()
        for (rowid,) in ids:
            self._db.execute("UPDATE row SET version = ? WHERE rowid = ?", (self._next_version(division), rowid))

    def _delete(self, division: int, facts: Entity, key: Any, at: datetime) -> None:
        stored = stored_key(facts, key)
        for name in facts.lines:
            lines = entities()[name]
            for row in self.select(division, name, where=[("parent", "=", stored)]):
                self._delete(division, lines, row.key, at)
        self._db.execute(
            "DELETE FROM row WHERE division = ? AND entity = ? AND key = ?",
            (division, self._numbers[facts.name], stored),
        )
        if facts.deletion_type is not None:
            log_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
            user = str(uuid.uuid5(_NAMESPACE, "user"))
            version = self._next_version(division)
            self._db.execute(
                "INSERT INTO deletion VALUES (?, ?, ?, ?, ?, ?, ?)",
                (division, version, facts.deletion_type, log_id, self.record_key(facts, stored), user, to_ms(at)),
            )


def key_of(facts: Entity, row: Mapping[str, Any]) -> Any:
    """Key of a row: one value, or a list where the key is composite."""
    return row.get(facts.key[0]) if len(facts.key) == 1 else [row.get(name) for name in facts.key]


def stored_key(facts: Entity, key: Any) -> Key:
    """The key as the store keeps it: GUIDs in lower case, composite keys as JSON."""
    if len(facts.key) != 1:
        return orjson.dumps(list(key)).decode()
    type_ = facts.columns.get(facts.key[0])
    if type_ == "Edm.Guid":
        return str(key).lower()
    if type_ == "Edm.String":
        return str(key)
    return int(key)


class _Transaction:
    """One SQLite transaction; a nested one belongs to the outer."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._outer = False

    def __enter__(self) -> None:
        self._outer = not self._db.in_transaction
        if self._outer:
            self._db.execute("BEGIN")

    def __exit__(self, kind: object, *_: object) -> None:
        if self._outer:
            self._db.execute("ROLLBACK" if kind is not None else "COMMIT")
