"""Typed rows to records: each value in its form, each misfit named, and the lines that a platform reads."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.api.page import PageDecoder, Repair, RowShape
from source_exact_online.read.records import RecordBatch, RecordFormat

NOW_MS = 1_741_000_000_000
INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
DATE = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"}
BIG = {"type": ["null", "integer"]}


def form() -> RecordFormat:
    columns = {"A": {"type": "string"}, "B": {"type": "string"}, "Timestamp": BIG, "Created": INSTANT, "Due": DATE}
    return RecordFormat(columns, ["A", "B"], AMSTERDAM)


def row(**values: Any) -> Any:
    return SimpleNamespace(**{"A": "a", "B": 2, "Timestamp": None, "Created": None, "Due": None, **values})


def written(one: Any) -> list[Repair]:
    return [*form().read_integers([one]), *form().write_dates([one], NOW_MS)]


@pytest.mark.parametrize(
    ("column", "sent", "arrives"),
    [
        ("Timestamp", "12", 12),
        ("Timestamp", 12, 12),
        ("Created", "/Date(1740787200000)/", "2025-02-28T23:00:00.000+00:00"),
        ("Due", "/Date(1740787200000)/", "2025-03-01T00:00:00"),
        ("Created", "", None),
        ("Due", "", None),
    ],
)
def test_a_value_gets_the_form_that_destinations_get(column: str, sent: object, arrives: object) -> None:
    one = row(**{column: sent})

    assert written(one) == []
    assert getattr(one, column) == arrives


@pytest.mark.parametrize(
    ("column", "sent"), [("Timestamp", "many"), ("Timestamp", ""), ("Created", "yesterday"), ("Due", "/Date(x)/")]
)
def test_a_misfit_is_null_and_named_with_its_row_and_value(column: str, sent: str) -> None:
    one = row(**{column: sent})

    assert written(one) == [Repair(column, "a, 2", repr(sent))]
    assert getattr(one, column) is None


class TestBatches:
    def test_each_record_is_a_line_of_the_protocol(self) -> None:
        page = PageDecoder(RowShape.of({"ID": str, "Code": str}, ["ID"]), None).decode(
            b'{"d":{"results":[{"ID":"a","Code":"two\\nlines"},{"ID":"b"}]}}', "https://start.exactonline.nl/"
        )

        batch = RecordBatch.of("journals", page.rows, 7)

        assert (batch.stream, batch.count) == ("journals", 2)
        assert batch.lines.endswith(b"}\n")
        assert [json.loads(line) for line in batch.lines.splitlines()] == [
            {"type": "RECORD", "record": {"stream": "journals", "data": data, "emitted_at": 7}}
            for data in ({"ID": "a", "Code": "two\nlines"}, {"ID": "b"})
        ]

    def test_no_records_are_no_lines(self) -> None:
        batch = RecordBatch.of("journals", [], 7)

        assert batch == RecordBatch("journals", 0, b"")
        assert list(batch.messages()) == []
