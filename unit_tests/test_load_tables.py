"""Records as rows of tables: types, digits, what does not fit, and which of two versions of a row counts."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from source_exact_online.catalog.definitions import catalog, with_full_columns
from source_exact_online.catalog.schemas import DELETED_AT, properties, schema
from source_exact_online.load.arrow import READ_AT, TableFormat
from source_exact_online.load.reading import is_snapshot
from source_exact_online.load.resources import hints
from source_exact_online.load.spool import Spool
from source_exact_online.read.records import RecordBatch

PROPERTIES: dict[str, dict[str, Any]] = {
    "ID": {"type": "string"},
    "Amount": {"type": ["null", "number"]},
    "Number": {"type": ["null", "integer"]},
    "Modified": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    "Date": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
    "Active": {"type": ["null", "boolean"]},
    "Text": {"type": ["null", "string"]},
}


def rows(*records: dict[str, Any], columns: dict[str, Any] = PROPERTIES) -> list[dict[str, Any]]:
    lines = RecordBatch.of("things", records, 0).lines
    return TableFormat("things", columns, ["ID"]).batch(lines, 1_000_000).to_pylist()


def test_each_value_has_the_type_of_its_column() -> None:
    (row,) = rows(
        {
            "ID": "a",
            "Amount": 0.1,
            "Number": 9007199254740993,
            "Modified": "2024-03-31T01:30:00.123+00:00",
            "Date": "2024-01-31T00:00:00",
            "Active": True,
            "Text": "0500",
        }
    )
    assert row == {
        "ID": "a",
        "Amount": Decimal("0.1000000000"),
        "Number": 9007199254740993,
        "Modified": datetime(2024, 3, 31, 1, 30, 0, 123000, tzinfo=timezone.utc),
        "Date": datetime(2024, 1, 31),
        "Active": True,
        "Text": "0500",
        READ_AT: datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc),
    }


def test_what_is_absent_is_null_and_empty_text_is_not() -> None:
    (row,) = rows({"ID": "a", "Text": ""})
    assert {name for name, value in row.items() if value is not None} == {"ID", "Text", READ_AT}
    assert row["Text"] == ""


def test_unknown_properties_have_no_column() -> None:
    assert "Surprise" not in rows({"ID": "a", "Surprise": 1})[0]


@pytest.mark.parametrize(
    ("sent", "held"),
    [
        (1234567.89, "1234567.8900000000"),
        (0.12345678901234, "0.1234567890"),
        (0.00000000005, "0E-10"),
        (1.7e-21, "0E-10"),
        (123456789012345.67, "123456789012345.6700000000"),
        (-999999999999999999, "-999999999999999999.0000000000"),
    ],
)
def test_amounts_keep_their_digits_up_to_ten_behind_the_point(sent: float, held: str) -> None:
    assert rows({"ID": "a", "Amount": sent})[0]["Amount"] == Decimal(held)


def test_a_number_that_is_too_large_is_empty_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "airbyte.exact_online"):
        found = rows({"ID": "a", "Amount": 1e300}, {"ID": "b", "Amount": 10**18}, {"ID": "c", "Amount": 1.5})
    assert [row["Amount"] for row in found] == [None, None, Decimal("1.5")]
    assert caplog.messages == ["Amount of things has a number that is too large for a table; it was left empty."]


def test_an_object_is_text_that_holds_its_json() -> None:
    (row,) = rows(
        {"ID": "a", "Calculator": {"x": 0.5}},
        columns={"ID": {"type": "string"}, "Calculator": {"type": ["null", "object"]}},
    )
    assert row["Calculator"] == '{"x":0.5}'


def test_the_columns_of_every_stream_keep_apart_as_snake_case_and_have_a_type() -> None:
    naming = NamingConvention()
    clashes, untyped = [], []
    for stream in (*catalog().values(), *with_full_columns().values()):
        name = stream.schema
        names = [naming.normalize_identifier(column) for column in (*properties(name), READ_AT)]
        clashes += [(name, column) for column in names if names.count(column) > 1]
        clashes += [(name, column) for column in names if len(column) > 63]
        found = hints(schema(name)["properties"], merged=not is_snapshot(stream))
        table = TableFormat(name, schema(name)["properties"], stream.primary_key).schema
        untyped += [(name, column) for column in table.names if "data_type" not in found[column]]
    assert clashes == []
    assert untyped == []


def test_tombstones_remove_rows_where_rows_are_merged() -> None:
    found = hints(schema("accounts")["properties"], merged=True)
    assert found[DELETED_AT]["hard_delete"] is True
    assert found[READ_AT]["dedup_sort"] == "desc"


class Clock:
    def __init__(self, *moments: int) -> None:
        self._moments = list(moments)

    def __call__(self) -> int:
        return self._moments.pop(0)


def spooled(tmp_path: Path, *pages: list[dict[str, Any]], now: Clock, distinct: bool) -> pa.Table:
    spool = Spool(TableFormat("things", PROPERTIES, ["ID"]), tmp_path / "things.arrows", now)
    for page in pages:
        batch = RecordBatch.of("things", page, 0)
        spool.add(batch.count, batch.lines)
        spool._write()
    spool.close()
    return pa.concat_tables(spool.tables(distinct=distinct))


def test_rows_come_out_of_a_spool_in_their_order_and_each_was_read_at_another_moment(tmp_path: Path) -> None:
    table = spooled(tmp_path, [{"ID": "a"}, {"ID": "b"}], [{"ID": "c"}], now=Clock(5, 3), distinct=False)
    assert table["ID"].to_pylist() == ["a", "b", "c"]
    assert table[READ_AT].cast(pa.int64()).to_pylist() == [5, 6, 7]
    assert list(tmp_path.iterdir()) == []


def test_of_rows_that_were_read_twice_the_last_is_left(tmp_path: Path) -> None:
    first = [{"ID": "a", "Text": "old"}, {"ID": "b"}]
    table = spooled(tmp_path, first, [{"ID": "a", "Text": "new"}], now=Clock(5, 9), distinct=True)
    assert [(row["ID"], row["Text"]) for row in table.to_pylist()] == [("b", None), ("a", "new")]


def test_a_spool_without_rows_has_columns(tmp_path: Path) -> None:
    table = spooled(tmp_path, now=Clock(), distinct=True)
    assert table.num_rows == 0
    assert table.column_names == [*PROPERTIES, READ_AT]


@pytest.mark.parametrize("sent", [1e18, -1e18, 10**18, 1.7e18])
def test_a_number_that_is_too_large_is_empty_also_where_all_others_fit(sent: float) -> None:
    assert rows({"ID": "a", "Amount": sent})[0]["Amount"] is None
