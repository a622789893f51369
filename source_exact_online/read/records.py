"""Typed rows to records: dates and integers in the form that destinations get, and warnings for what does not fit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type

from source_exact_online.api import exact_time
from source_exact_online.api.exact_time import WallClock
from source_exact_online.api.page import Repair, Row
from source_exact_online.api.repair import fit, shown
from source_exact_online.catalog.column_types import ColumnType, column_type

logger = logging.getLogger("airbyte.exact_online")

Record = Any
"""What becomes a record: a typed row whose unset properties are left out, or a mapping."""

_Convert = Callable[[Sequence[str | None]], Sequence[str | None]]

_ENCODER = msgspec.json.Encoder()

_SAFE_DIGITS = 19
"""Digits from which on a number may not fit into 64 bits."""


class RecordFormat:
    """How the rows of one selection become records, decided once instead of per row.

    Args:
        properties: JSON schemas of the columns by name.
        key: columns that name a row to a person.
        clock: of the site.
    """

    def __init__(self, properties: Mapping[str, Mapping[str, Any]], key: Sequence[str], clock: WallClock) -> None:
        kinds = {name: column_type(name, schema) for name, schema in properties.items()}
        self._big_integers = [name for name, kind in kinds.items() if kind is ColumnType.BIG_INTEGER]
        self._instants = [name for name, kind in kinds.items() if kind is ColumnType.INSTANT]
        self._dates = [name for name, kind in kinds.items() if kind is ColumnType.DATE]
        self._key = key
        self._clock = clock

    def read_integers(self, rows: Sequence[Row]) -> list[Repair]:
        """Turn integers that came as text, as Edm.Int64 does, into integers, in place. Return those that are none."""
        repairs: list[Repair] = []
        for name in self._big_integers:
            for row in rows:
                value = getattr(row, name)
                if type(value) is str:
                    if len(value) < _SAFE_DIGITS and value.isdecimal() and value.isascii():
                        setattr(row, name, int(value))
                        continue
                    number, is_odd = fit(value, int)
                    if is_odd:
                        repairs.append(self._drop(row, name, value))
                    else:
                        setattr(row, name, number)
        return repairs

    def write_dates(self, rows: Sequence[Row], now_ms: float) -> list[Repair]:
        """Give dates the form that destinations get, in place. Return those that are none.

        Args:
            rows: typed rows with dates as Exact sent them.
            now_ms: the latest that Exact's clock may show, epoch milliseconds; it tells the two instants of the
                repeated hour apart, and a row may have been changed a moment ago.
        """
        repairs: list[Repair] = []
        for name in self._instants:
            self._write(rows, name, lambda values: self._clock.utc_texts(values, now_ms), repairs)
        for name in self._dates:
            self._write(rows, name, exact_time.wall_texts, repairs)
        return repairs

    def _write(self, rows: Sequence[Row], name: str, convert: _Convert, repairs: list[Repair]) -> None:
        try:
            texts = convert(list(map(attrgetter(name), rows)))
        except ValueError:
            if len(rows) == 1:
                repairs.append(self._drop(rows[0], name, getattr(rows[0], name)))
            else:
                for row in rows:
                    self._write([row], name, convert, repairs)
            return
        for row, text in zip(rows, texts, strict=True):
            setattr(row, name, text)

    def _drop(self, row: Row, name: str, value: object) -> Repair:
        setattr(row, name, None)
        return Repair(name, ", ".join(str(getattr(row, key)) for key in self._key), shown(value))


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one stream, as the lines in which Airbyte's protocol has them.

    Attributes:
        stream: name of the stream.
        count: number of records.
        lines: a RECORD message a line, UTF-8, each with its end.
    """

    stream: str
    count: int
    lines: bytes | bytearray

    @classmethod
    def of(cls, stream: str, records: Sequence[Record], emitted_at: int) -> RecordBatch:
        """Return the batch of some records.

        Args:
            stream: name of the stream.
            records: typed rows, whose unset properties are left out, or mappings.
            emitted_at: epoch milliseconds.
        """
        if not records:
            return cls(stream, 0, b"")
        head = b'{"type":"RECORD","record":{"stream":"%s","data":' % stream.encode()
        tail = b',"emitted_at":%d}}\n' % emitted_at
        lines = bytearray()
        for record in records:
            lines += head
            _ENCODER.encode_into(record, lines, -1)
            lines += tail
        return cls(stream, len(records), lines)

    def messages(self) -> Iterator[AirbyteMessage]:
        """Yield the records as message objects, for callers that want those."""
        for line in self.lines.splitlines():
            record = msgspec.json.decode(line)["record"]
            yield AirbyteMessage(type=Type.RECORD, record=AirbyteRecordMessage(**record))


class RepairLog:
    """Warns of values that did not fit: once per stream and column in a run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._warned: set[tuple[str, str]] = set()

    def warn(self, stream: str, division: int, repairs: Iterable[Repair]) -> None:
        """Warn of some repairs, as far as that has not been done.

        Args:
            stream: name of the stream.
            division: in which they were found.
            repairs: what was found.
        """
        for repair in repairs:
            with self._lock:
                if (stream, repair.column) in self._warned:
                    continue
                self._warned.add((stream, repair.column))
            what = (
                f"has the value {repair.value}, which does not fit the column and was left empty"
                if repair.value
                else "has characters that are none; U+FFFD stands for them"
            )
            logger.warning(
                "%s of %s in division %d, row %s, %s. Other rows of the column may be affected as well.",
                repair.column,
                stream,
                division,
                repair.key,
                what,
            )
