"""Rows on disk, from the moment they are read until a load package takes them: memory stays small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from source_exact_online.catalog.schemas import DELETED_AT
from source_exact_online.load.arrow import READ_AT, TableFormat

_BATCH_BYTES = 2 << 20
"""Bytes of records that are turned into rows at a time."""

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


class Spool:
    """Rows of one stream, in a file that is removed once it has been read.

    Attributes:
        rows: number of rows that count, tombstones included.
        deleted: number of tombstones; known once the spool is closed.

    Args:
        table: how records become rows.
        file: where they go; made when the first rows come.
        now_us: the time, microseconds since 1970.
    """

    def __init__(
        self, table: TableFormat, file: Path, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._table = table
        self._file = file
        self._now_us = now_us
        self._lines = bytearray()
        self._held = 0
        self._read_at = 0
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._divisions: pa.Array | None = None
        self.rows = 0
        self.deleted = 0

    def add(self, count: int, lines: bytes | bytearray) -> None:
        """Take records, a line each."""
        self._lines += lines
        self._held += count
        self.rows += count
        if len(self._lines) >= _BATCH_BYTES:
            self._write()

    def close(self) -> None:
        """Write out what is held; nothing can be added any more."""
        self._write()
        if self._writer is not None:
            self._writer.close()

    def keep(self, divisions: frozenset[int]) -> None:
        """Leave out the rows of all other divisions. To be called once it is closed."""
        self._divisions = pa.array(divisions, pa.int64())
        if self._writer is not None:
            with self._batches() as batches:
                self.rows = sum(pc.sum(self._is_kept(batch), min_count=0).as_py() for batch in batches)

    def tables(self, *, distinct: bool) -> Iterator[pa.Table]:
        """Yield the rows in the order in which they came, in several tables; if there are none, one without rows.

        The file is removed after that.

        Args:
            distinct: leave out all but the last row of each primary key. A run that had to begin a listing anew has
                read rows twice.
        """
        if self._writer is None:
            yield self._table.schema.empty_table()
            return
        last = self._last_of_each_key() if distinct else None
        with self._batches() as batches:
            for batch in batches:
                table = pa.Table.from_batches([batch])
                if last is not None:
                    table = table.filter(pc.is_in(table[READ_AT], last))
                yield table if self._divisions is None else table.filter(self._is_kept(table))
        self._file.unlink()

    def _is_kept(self, rows: pa.Table | pa.RecordBatch) -> pa.Array:
        return pc.is_in(rows["Division"], self._divisions)

    def _last_of_each_key(self) -> pa.Array | None:
        """Return the values of `READ_AT` of the rows that count; None if all do."""
        key = list(self._table.key)
        with self._batches() as batches:
            rows = pa.Table.from_batches([batch.select([*key, READ_AT]) for batch in batches])
        last = rows.group_by(key).aggregate([(READ_AT, "max")])[f"{READ_AT}_max"]
        return None if len(last) == len(rows) else last.combine_chunks()

    @contextmanager
    def _batches(self) -> Iterator[Iterator[pa.RecordBatch]]:
        with pa.OSFile(str(self._file)) as file, pa.ipc.open_stream(file) as reader:
            yield iter(reader)

    def _write(self) -> None:
        if not self._held:
            return
        if self._writer is None:
            self._writer = pa.ipc.new_stream(str(self._file), self._table.schema, options=_COMPRESSED)
        self._read_at = max(self._read_at + 1, self._now_us())
        batch = self._table.batch(self._lines, self._read_at)
        self._writer.write_batch(batch)
        if DELETED_AT in self._table.kinds:
            self.deleted += len(batch) - batch.column(DELETED_AT).null_count
        self._read_at += self._held - 1
        self._lines, self._held = bytearray(), 0
