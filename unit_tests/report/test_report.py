"""The page of `report`: its figures from the loaded tables or from the models, and what it is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from source_exact_online.command_line import command_parser
from source_exact_online.report import command
from source_exact_online.report.books import read

ACCOUNTS = {"bank": (12, "B"), "debtors": (20, "B"), "equity": (52, "B"), "sales": (110, "W"), "costs": (121, "W")}
LINES = (
    # entry, type, year, period, date, account, customer, invoice, due, amount, cost center
    ("start", 10, 2025, 1, "2025-01-01", "bank", None, None, None, "1000", None),
    ("start", 10, 2025, 1, "2025-01-01", "equity", None, None, None, "-1000", None),
    ("sale", 20, 2025, 2, "2025-02-10", "debtors", "Jones", 1, "2025-03-10", "300", None),
    ("sale", 20, 2025, 2, "2025-02-10", "sales", "Jones", 1, None, "-300", "NORTH"),
    ("closing", 310, 2025, 12, "2025-12-31", "sales", None, None, None, "300", None),
    ("closing", 310, 2025, 12, "2025-12-31", "equity", None, None, None, "-300", None),
    ("carry", 327, 2025, 12, "2025-12-31", "bank", None, None, None, "-1000", None),
    ("carry", 327, 2025, 12, "2025-12-31", "equity", None, None, None, "1000", None),
    ("cost", 40, 2026, 1, "2026-01-15", "costs", None, None, None, "119.9999999997", "NORTH"),
    ("cost", 40, 2026, 1, "2026-01-15", "bank", None, None, None, "-120", None),
)


TABLES = """
    create schema exact_online;
    create table exact_online.divisions (division bigint, description varchar, currency varchar);
    create table exact_online.gl_accounts (
        division bigint, id varchar, type bigint, type_description varchar, balance_type varchar,
        _ab_cdc_deleted_at timestamptz
    );
    create table exact_online.transaction_lines (
        division bigint, entry_id varchar, type bigint, financial_year bigint, financial_period bigint, date timestamp,
        gl_account varchar, account varchar, invoice_number bigint, due_date timestamp, amount_dc decimal(28, 10),
        cost_center varchar, account_name varchar, cost_center_description varchar, status bigint,
        _ab_cdc_deleted_at timestamptz, _read_at timestamptz
    );
"""
LINE = """
    insert into exact_online.transaction_lines
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'North', 50, null, timestamptz '2026-02-01 12:00:00+00')
"""


def books_file(folder: Path, *, divisions: Sequence[int] = (1,), lines: Sequence[tuple[object, ...]] = LINES) -> Path:
    """Write tables as `load` would."""
    file = folder / "books.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(TABLES)
        for division in divisions:
            name = f"Mill & Son {division}"
            connection.execute("insert into exact_online.divisions values (?, ?, 'EUR ')", [division, name])
            for account, (kind, statement) in ACCOUNTS.items():
                row = [division, account, kind, account.title(), statement]
                connection.execute("insert into exact_online.gl_accounts values (?, ?, ?, ?, ?, null)", row)
            for line in lines:
                connection.execute(LINE, [division, *line, line[6]])
    return file


def run(file: Path, to: Path) -> int:
    """Run the command."""
    return command.run(command_parser().parse_args(["report", "--from", str(file), "--to", str(to)]))


class TestFiguresOfTheTables:
    def test_a_closed_year_keeps_its_result(self, tmp_path: Path) -> None:
        (division,) = read(books_file(tmp_path), "models").divisions
        assert [(month.name, month.revenue, month.result) for month in division.months] == [
            ("2025-02", Decimal(300), Decimal(300)),
            ("2026-01", Decimal(0), Decimal(-120)),
        ]

    def test_the_balance_sheet_balances_without_the_entries_that_carry_balances_over(self, tmp_path: Path) -> None:
        (division,) = read(books_file(tmp_path), "models").divisions
        assert {one.name: one.amount for one in division.assets} == {"Bank": Decimal(880), "Debtors": Decimal(300)}
        assert sum(one.amount for one in division.liabilities) == Decimal(1180)

    def test_customers_owe_by_age(self, tmp_path: Path) -> None:
        (division,) = read(books_file(tmp_path), "models").divisions
        assert [(debtor.name, debtor.total) for debtor in division.debtors] == [("Jones", Decimal(300))]
        assert division.owed[-1] == Decimal(300)

    def test_cost_centers_of_the_latest_year(self, tmp_path: Path) -> None:
        (division,) = read(books_file(tmp_path), "models").divisions
        assert [(one.name, one.result) for one in division.cost_centers] == [("NORTH North", Decimal(-120))]

    def test_an_entry_that_does_not_sum_to_zero_is_told(self, tmp_path: Path) -> None:
        books = read(books_file(tmp_path, lines=LINES[1:]), "models")
        assert [(check.failed, check.worst) for check in books.checks] == [(1, Decimal(1000))]

    def test_deleted_rows_count_nowhere(self, tmp_path: Path) -> None:
        file = books_file(tmp_path)
        with duckdb.connect(str(file)) as connection:
            gone = "update exact_online.transaction_lines set _ab_cdc_deleted_at = now() where entry_id = 'cost'"
            connection.execute(gone)
        books = read(file, "models")
        assert [month.name for month in books.divisions[0].months] == ["2025-02"]
        (stream,) = [stream for stream in books.streams if stream.name == "transaction_lines"]
        assert (stream.total, stream.deleted) == (8, 2)


class TestPage:
    @pytest.mark.parametrize("count", [1, 50])
    def test_it_needs_nothing_else(self, tmp_path: Path, count: int) -> None:
        to = tmp_path / "report.html"
        assert run(books_file(tmp_path, divisions=range(1, count + 1)), to) == 0
        text = to.read_text(encoding="utf-8")
        assert text.count("<svg") == 4 * count  # two charts, wide and narrow
        assert not re.search(r"<script|<link|<img|(?:src|href)=\"(?!#)|url\((?!#)|@import", text)

    def test_names_are_text_and_never_markup(self, tmp_path: Path) -> None:
        to = tmp_path / "report.html"
        run(books_file(tmp_path), to)
        assert "Mill &amp; Son 1" in to.read_text(encoding="utf-8")

    def test_calls_used_of_the_quota_are_told_where_load_has_noted_them(self, tmp_path: Path) -> None:
        file, to = books_file(tmp_path), tmp_path / "report.html"
        run(file, to)
        assert "Calls used of the quota" not in to.read_text(encoding="utf-8")
        with duckdb.connect(str(file)) as connection:
            connection.execute(
                "create table exact_online._exact_calls as select * from (values "
                "(1, 4321, 5000, timestamptz '2026-02-01 23:59:00+00'), "
                "(1, 17, 5000, timestamptz '2026-02-02 08:00:00+00')"
                ") as calls (division, used, allowed, told_at)"
            )
        run(file, to)
        text = to.read_text(encoding="utf-8")
        assert "<td>17</td><td>5,000</td><td>2026-02-02 08:00</td>" in text
        assert "4,321" not in text
        assert "_exact_calls" not in text, "it is no stream"


class TestWhatCannotBeDone:
    def test_no_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(tmp_path / "none.duckdb", tmp_path / "report.html") == 1
        assert "There is no file" in capsys.readouterr().err

    def test_no_ledger(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        duckdb.connect(str(tmp_path / "empty.duckdb")).close()
        assert run(tmp_path / "empty.duckdb", tmp_path / "report.html") == 1
        assert "a report needs transaction_lines" in capsys.readouterr().err

    def test_no_database(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "text.duckdb").write_text("no database at all" * 300)
        assert run(tmp_path / "text.duckdb", tmp_path / "report.html") == 1
        assert "cannot be read" in capsys.readouterr().err
