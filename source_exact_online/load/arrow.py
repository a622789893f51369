"""Records as Arrow tables: the type of each column follows from the stream's JSON schema."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import json as arrow_json

from source_exact_online.catalog.column_types import ColumnType, column_type

logger = logging.getLogger("airbyte.exact_online")

READ_AT = "_read_at"
"""Column with the moment at which a row was read: UTC, microseconds, and different for each row of a stream, so that it
tells which of two versions of a row came last."""

DECIMAL_PRECISION, DECIMAL_SCALE = 28, 10
"""Digits of a number in all, and behind the point."""

_TYPES: Mapping[ColumnType, pa.DataType] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BIG_INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.INSTANT: pa.timestamp("us", "UTC"),
    ColumnType.DATE: pa.timestamp("us"),
    ColumnType.OBJECT: pa.string(),
}

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_STEP = Decimal(1).scaleb(-DECIMAL_SCALE)
_DECIMAL_BOUND = Decimal(10) ** (DECIMAL_PRECISION - DECIMAL_SCALE)
_INTEGER_BOUND = 2**63


class TableFormat:
    """How the records of one stream become rows of a table.

    Attributes:
        key: columns of the primary key.
        kinds: kinds of the columns by name.
        schema: columns of the table, in the order of the stream's schema, and `READ_AT`.

    Args:
        stream: name of the stream.
        properties: JSON schemas of its columns by name.
        key: columns of its primary key.
    """

    def __init__(self, stream: str, properties: Mapping[str, Mapping[str, Any]], key: Sequence[str]) -> None:
        self.key = tuple(key)
        self.kinds = {name: column_type(name, schema) for name, schema in properties.items()}
        self._stream = stream
        self._columns = pa.struct([pa.field(name, _TYPES[kind]) for name, kind in self.kinds.items()])
        self.schema = pa.schema(
            [pa.field(name, _TYPES[kind], nullable=name not in self.key) for name, kind in self.kinds.items()]
            + [pa.field(READ_AT, pa.timestamp("us", "UTC"))]
        )
        self._is_plain = ColumnType.OBJECT not in self.kinds.values()
        self._options = arrow_json.ParseOptions(
            explicit_schema=pa.schema([("record", pa.struct([("data", self._columns)]))]),
            unexpected_field_behavior="ignore",
        )
        self._decoder = msgspec.json.Decoder(float_hook=Decimal)
        self._warned: set[str] = set()

    def batch(self, lines: bytes | bytearray, first_read_at: int) -> pa.RecordBatch:
        """Return records as rows.

        Numbers with more digits behind the point than a column has are rounded; those that are too large for it become
        null, with a warning.

        Args:
            lines: RECORD messages of Airbyte's protocol, a line each.
            first_read_at: when the first was read, microseconds since 1970; each row gets one more than the last.
        """
        if not self._is_plain:
            lines = self._fitted(lines)
        try:
            rows = self._parse(lines)
        except pa.ArrowInvalid:
            rows = self._parse(self._fitted(lines))
        read_at = pa.array(range(first_read_at, first_read_at + len(rows)), pa.int64()).cast(pa.timestamp("us", "UTC"))
        return pa.RecordBatch.from_arrays([*rows.flatten(), read_at], schema=self.schema)

    def _parse(self, lines: bytes | bytearray) -> pa.StructArray:
        """Return rows whose values fit their columns.

        Raises:
            pa.ArrowInvalid: some do not.
        """
        table = arrow_json.read_json(
            io.BytesIO(lines), arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1), self._options
        )
        records: pa.StructArray = table.column("record").combine_chunks().field("data")
        records.validate(full=True)  # 1e18 is read though it has more digits than the column
        return records

    def _fitted(self, lines: bytes | bytearray) -> bytes:
        """Return lines whose values fit their columns; objects are text in them."""
        return b"".join(map(self._fitted_line, lines.splitlines()))

    def _fitted_line(self, line: bytes | bytearray) -> bytes:
        data: dict[str, Any] = self._decoder.decode(line)["record"]["data"]
        for name, value in data.items():
            if value is not None and name in self.kinds:
                data[name] = self._fit(name, value)
        return _ENCODER.encode({"record": {"data": data}}) + b"\n"

    def _fit(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        kind = self.kinds[name]
        if kind is ColumnType.OBJECT:
            return value if isinstance(value, str) else _ENCODER.encode(value).decode()
        fits = True
        if kind is ColumnType.NUMBER:
            try:
                value = Decimal(value).quantize(_STEP)
                fits = abs(value) < _DECIMAL_BOUND
            except InvalidOperation:  # more digits than any column has
                fits = False
        elif kind in (ColumnType.INTEGER, ColumnType.BIG_INTEGER):
            fits = -_INTEGER_BOUND <= value < _INTEGER_BOUND
        if not fits and name not in self._warned:
            self._warned.add(name)
            logger.warning(
                "%s of %s has a number that is too large for a table; it was left empty.", name, self._stream
            )
        return value if fits else None
