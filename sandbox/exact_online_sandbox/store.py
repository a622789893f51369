"""The sandbox's data: divisions, rows, row versions and the deletion log."""

from __future__ import annotations

import random
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import orjson

from exact_online_sandbox.database import Database, Deletion, Key, RawRow, Record, Where
from exact_online_sandbox.entities import DELETED, DIVISIONS, Entity, entities
from exact_online_sandbox.rows import KeyValue, RowCodec, RowError, Values, key_of, stored_key
from exact_online_sandbox.wallclock import WallClock, instant_from_ms, to_ms

__all__ = ["Key", "RawRow", "RowError", "Store", "feed_id"]

_FIRST_VERSION = 1_400_000_000
_MAX_GAP = 9
_CHUNK = 2000
_NAMESPACE = uuid.UUID("5a3c8c7e-0f51-4d2e-9a57-0a7d8c1f0b11")


def feed_id(named_key: str) -> str:
    """The own ``ID`` that a sync feed gives a header, made from the header's named key (``InvoiceID`` ...)."""
    return str(uuid.uuid5(_NAMESPACE, named_key))


class Store:
    """All rows of all divisions. Safe for threads.

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

        Raises:
            ValueError: the file was written with another reference or time zone.
        """
        self.wall = WallClock(zone)
        self.own_feed_ids = own_feed_ids
        self._db = Database(path)
        versions = [self._db.version(code) for code in self._db.division_codes()]
        # A file opened again would otherwise draw the keys that it has.
        self._random = random.Random(f"{seed}:{versions}" if versions else seed)
        self._numbers = {name: number for number, name in enumerate(entities())}
        self._codecs: dict[str, RowCodec] = {}
        layout = orjson.dumps([zone, {name: list(entity.columns) for name, entity in entities().items()}]).decode()
        digest = str(uuid.uuid5(_NAMESPACE, layout))
        if self._db.keep("layout", digest) != digest:
            raise ValueError(f"{path} was written with another reference or time zone")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All changes made in it, or, after an exception, none of them."""
        return self._db.transaction()

    # -- divisions ---------------------------------------------------------------------------------------------------

    def add_division(self, code: int, row: Mapping[str, Any]) -> None:
        """Add a division; ``row`` is its row of system/Divisions (``Code`` is filled in)."""
        codec = self.codec(DIVISIONS)
        body = codec.dump(codec.encode({**row, "Code": code}))
        self._db.add_division(code, _FIRST_VERSION + self._random.randrange(1_000_000), body)

    def division_codes(self) -> list[int]:
        """Codes of all divisions, ascending."""
        return self._db.division_codes()

    def division(self, code: int) -> dict[str, Any]:
        """Row of system/Divisions of one division.

        Raises:
            KeyError: there is no such division.
        """
        codec = self.codec(DIVISIONS)
        return codec.decode(codec.load(self._db.division(code)))

    def update_division(self, code: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change properties of a division's row.

        Raises:
            KeyError: there is no such division.
        """
        codec = self.codec(DIVISIONS)
        self._db.set_division(code, codec.dump(codec.encode({**self.division(code), **changes, "Code": code})))
        return self.division(code)

    def move_division(self, division: int, *, at: datetime) -> None:
        """Move a division to another database: all its row versions are renumbered and ``DivisionMoveDate`` is set.

        The new numbers start below the old ones, as another database counts by itself; rows come in the order of
        their entity and key, so that the new numbers say nothing about when a row last changed.

        Raises:
            KeyError: there is no such division.
        """
        with self._db.transaction():
            version = self._db.version(division) // 2 + self._random.randrange(1_000)
            for table in ("row", "deletion"):
                changes = []
                for rowid in self._db.row_ids(table, division):
                    version += self._random.randint(1, _MAX_GAP)
                    changes.append((version, rowid))
                self._db.renumber(table, changes)
            self._db.set_version(division, version)
            self.update_division(division, {"DivisionMoveDate": at, "Modified": at})

    def version(self, division: int) -> int:
        """The last row version given in a division: it changes with every change of its rows.

        Raises:
            KeyError: there is no such division.
        """
        return self._db.version(division)

    def raise_version(self, division: int, version: int) -> None:
        """Let the next row version of a division be higher than ``version``."""
        with self._db.transaction():
            self._db.set_version(division, max(version, self._db.version(division)))

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
        with self._db.transaction():
            version = self._given_version(division, row)
            self._fill(division, facts, complete, at)
            record = self._record(facts, codec, codec.encode(complete), version)
            try:
                self._db.insert(division, self._numbers[entity], [record])
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
            KeyError: there is no such division or entity.
        """
        facts, codec = entities()[entity], self.codec(entity)
        own_division = codec.index.get("Division")
        number, count = self._numbers[entity], 0
        with self._db.transaction():
            version = self._db.version(division)
            batch: list[Record] = []
            for row in rows:
                values = codec.encode(row)
                if own_division is not None and values[own_division] is None:
                    values[own_division] = division
                given = row.get("Timestamp")
                own = int(given) if given else version + self._random.randint(1, _MAX_GAP)
                version = max(version, own)
                batch.append(self._record(facts, codec, values, own))
                if len(batch) == _CHUNK:
                    count += self._write(division, entity, number, batch)
                    batch = []
            count += self._write(division, entity, number, batch)
            self._db.set_version(division, version)
        return count

    def update(
        self,
        division: int,
        entity: str,
        key: KeyValue,
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
        with self._db.transaction():
            row = self.row(division, entity, key)
            new = {**row, **changes}
            if stored_key(facts, key_of(facts, new)) != stored_key(facts, key):
                raise RowError(f"the key of {entity} cannot be changed")
            if touch_modified and "Modified" in codec.index and "Modified" not in changes:
                new["Modified"] = at
            self._replace(division, facts, codec.encode(new))
            self._touch_family(division, facts, new, at=at, modified=touch_modified)
            return self.row(division, entity, key)

    def delete(self, division: int, entity: str, key: KeyValue, *, at: datetime) -> None:
        """Delete one row, with its lines, and log it where the entity has a number in sync/Deleted.

        Raises:
            KeyError: there is no such row.
        """
        facts = entities()[entity]
        with self._db.transaction():
            row = self.row(division, entity, key)
            self._delete(division, facts, stored_key(facts, key), at)
            self._touch_family(division, facts, row, at=at, modified=True)

    # -- the truth ---------------------------------------------------------------------------------------------------

    def row(self, division: int, entity: str, key: KeyValue) -> dict[str, Any]:
        """One row by its key: every column, as Python values.

        Raises:
            KeyError: there is no such row.
        """
        facts, codec = entities()[entity], self.codec(entity)
        stored = stored_key(facts, key)
        body = self._db.bodies(division, self._numbers[entity], [stored]).get(stored)
        if body is None:
            raise KeyError(f"{entity} {key} in division {division}")
        return codec.decode(codec.load(body))

    def rows(self, division: int, entity: str) -> Iterator[dict[str, Any]]:
        """All rows of an entity in key order, every column, as Python values."""
        if entity == DIVISIONS:
            yield from (self.division(code) for code in self.division_codes())
            return
        if entity == DELETED:
            yield from self.deletions(division)
            return
        codec = self.codec(entity)
        after: Key | None = None
        while True:
            page = self.select(division, entity, after=after, limit=_CHUNK)
            yield from (codec.decode(codec.load(row.body)) for row in page)
            if len(page) < _CHUNK:
                return
            after = page[-1].key

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
        since_ms = 0 if since is None else to_ms(since)
        for entry in self._db.deletions(division, since_ms=since_ms, after=after, limit=limit):
            yield {
                "Timestamp": entry.version,
                "DeletedBy": entry.deleted_by,
                "DeletedDate": instant_from_ms(entry.deleted_ms),
                "Division": division,
                "EntityKey": entry.key,
                "EntityType": entry.type,
                "ID": entry.id,
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
        where: Where = (),
        by: str = "key",
        after: Key | None = None,
        limit: int = -1,
        index: str | None = None,
    ) -> list[RawRow]:
        """Rows in the order of an indexed column.

        Args:
            division: code of the division.
            entity: name of the entity.
            where: conditions that all have to hold.
            by: ``key`` or ``version``.
            after: only rows behind this value of ``by``.
            limit: at most so many rows; -1 for all.
            index: name of the index to use instead of the planner's choice.
        """
        if after is not None:
            where = [*where, (by, ">", after)]
        return self._db.select(division, self._numbers[entity], where=where, by=by, limit=limit, index=index)

    def count(self, division: int, entity: str, *, where: Where = (), limit: int = -1) -> int:
        """Number of rows that meet all conditions, giving up at ``limit``."""
        return self._db.count(division, self._numbers[entity], where=where, limit=limit)

    def first_version(self, division: int, entity: str, modified_from: int) -> RawRow | None:
        """The row with the lowest row version among those with ``Modified`` (wall clock ms) from a moment on."""
        found = self.select(division, entity, where=[("modified", ">=", modified_from)], by="version", limit=1)
        return found[0] if found else None

    def bodies(self, division: int, entity: str, keys: Iterable[Key]) -> dict[Key, bytes]:
        """Kept rows by key, for the keys that exist."""
        return self._db.bodies(division, self._numbers[entity], keys)

    def record_key(self, facts: Entity, key: Key) -> str:
        """The ``ID`` by which feed and deletion log know the row with that key."""
        return feed_id(str(key)) if facts.own_feed_id and self.own_feed_ids else str(key)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _given_version(self, division: int, row: Mapping[str, Any]) -> int:
        if not row.get("Timestamp"):
            return self._next_version(division)
        version = int(row["Timestamp"])
        self.raise_version(division, version)
        return version

    def _next_version(self, division: int) -> int:
        version = self._db.version(division) + self._random.randint(1, _MAX_GAP)
        self._db.set_version(division, version)
        return version

    def _fill(self, division: int, facts: Entity, row: dict[str, Any], at: datetime) -> None:
        for name in facts.key:
            if row.get(name) is None and name != "Division":
                row[name] = self._new_key(division, facts, name)
        for name, value in (("Division", division), ("Created", at), ("Modified", at)):
            if name in facts.columns and row.get(name) is None:
                row[name] = value

    def _new_key(self, division: int, facts: Entity, name: str) -> Key:
        type_ = facts.columns[name]
        if type_ == "Edm.Guid":
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        if type_ in ("Edm.Int16", "Edm.Int32", "Edm.Int64") and len(facts.key) == 1:
            return int(self._db.highest_key(division, self._numbers[facts.name]) or 0) + 1
        raise RowError(f"{facts.name} needs a value for its key {name}")

    def _record(self, facts: Entity, codec: RowCodec, values: Values, version: int) -> Record:
        index = codec.index
        parts = [values[index[name]] for name in facts.key]
        if not parts or None in parts:
            raise RowError(f"a row of {facts.name} lacks its key {', '.join(facts.key)}")
        modified = values[index["Modified"]] if "Modified" in index else None
        return Record(
            key=parts[0] if len(parts) == 1 else orjson.dumps(parts).decode(),
            parent=None if facts.header_key is None else values[index[facts.header_key]],
            modified=None if modified is None else self.wall.to_wall_ms(modified),
            version=version,
            body=codec.dump(values),
        )

    def _write(self, division: int, entity: str, number: int, batch: list[Record]) -> int:
        try:
            self._db.insert(division, number, batch)
        except sqlite3.IntegrityError as error:
            raise RowError(f"{entity} has rows with the same key in division {division}") from error
        return len(batch)

    def _replace(self, division: int, facts: Entity, values: Values) -> None:
        record = self._record(facts, self.codec(facts.name), values, self._next_version(division))
        self._db.replace(division, self._numbers[facts.name], record)

    def _touch_family(
        self, division: int, facts: Entity, row: Mapping[str, Any], *, at: datetime, modified: bool
    ) -> None:
        """Let a change show in the header and, in feeds that mix both, give header and lines new row versions."""
        header, key = facts, row.get(facts.record_id)
        if facts.header is not None and facts.header_key is not None:
            header, key = entities()[facts.header], row.get(facts.header_key)
        if key is None or not (facts.shares_version or facts.modifies_header):
            return
        number = self._numbers[header.name]
        body = self._db.bodies(division, number, [key]).get(key)
        if facts is not header and modified and facts.modifies_header and body is not None:
            codec = self.codec(header.name)
            values = codec.load(body)
            values[codec.index["Modified"]] = to_ms(at)
            self._replace(division, header, values)
        if not facts.shares_version:
            return
        if body is not None:
            self._db.renumber_row(division, number, key, self._next_version(division))
        for name in header.lines:
            if entities()[name].shares_version:
                for line in self.select(division, name, where=[("parent", "=", key)]):
                    version = self._next_version(division)
                    self._db.renumber_row(division, self._numbers[name], line.key, version)

    def _delete(self, division: int, facts: Entity, key: Key, at: datetime) -> None:
        for name in facts.lines:
            for line in self.select(division, name, where=[("parent", "=", key)]):
                self._delete(division, entities()[name], line.key, at)
        self._db.delete(division, self._numbers[facts.name], key)
        if facts.deletion_type is not None:
            entry = Deletion(
                version=self._next_version(division),
                type=facts.deletion_type,
                id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
                key=self.record_key(facts, key),
                deleted_by=str(uuid.uuid5(_NAMESPACE, "user")),
                deleted_ms=to_ms(at),
            )
            self._db.log_deletion(division, entry)
