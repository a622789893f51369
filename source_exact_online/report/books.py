"""The figures of a page, read out of a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from source_exact_online.report.errors import ReportError
from source_exact_online.report.queries import CALLS, DIVISIONS, MODELS, TABLES

SCHEMA = "exact_online"
"""Schema of the loaded tables."""
DELETED_AT = "_ab_cdc_deleted_at"
"""Column that is filled in rows that were deleted in Exact."""
BUCKETS = ("not due", "1 to 30 days", "31 to 60 days", "61 to 90 days", "over 90 days")
ASSETS = ("Fixed assets", "Current assets")


@dataclass(frozen=True, slots=True)
class Month:
    """Revenue and result of a financial period, named by the month in which it begins."""

    name: str
    """Year and month, such as 2026-06."""
    revenue: Decimal
    result: Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """A line of the balance sheet; assets are positive on one side, liabilities and equity on the other."""

    section: str
    name: str
    amount: Decimal
    year_before: Decimal


@dataclass(frozen=True, slots=True)
class Debtor:
    """What a customer owes, by age."""

    name: str
    amounts: tuple[Decimal, ...]
    """One for each of `BUCKETS`."""

    @property
    def total(self) -> Decimal:
        """All of it."""
        return sum(self.amounts, Decimal())


@dataclass(frozen=True, slots=True)
class CostCenter:
    """Revenue and costs of the latest financial year."""

    name: str
    revenue: Decimal
    costs: Decimal

    @property
    def result(self) -> Decimal:
        """What is left."""
        return self.revenue - self.costs


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a check in all periods."""

    title: str
    severity: str
    """error or warn."""
    passed: int
    failed: int
    not_compared: int
    worst: Decimal
    """Largest difference among the failed."""
    meaning: str


@dataclass(slots=True)
class Division:
    """An administration and its figures."""

    code: int
    name: str
    currency: str
    months: list[Month] = field(default_factory=list)
    balance_sheet: list[Position] = field(default_factory=list)
    balance_date: date | None = None
    debtors: list[Debtor] = field(default_factory=list)
    cost_centers: list[CostCenter] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def owed(self) -> tuple[Decimal, ...]:
        """What all customers owe, by age."""
        return tuple(sum((one.amounts[number] for one in self.debtors), Decimal()) for number in range(len(BUCKETS)))

    @property
    def assets(self) -> list[Position]:
        """The side of the assets."""
        return [one for one in self.balance_sheet if one.section in ASSETS]

    @property
    def liabilities(self) -> list[Position]:
        """The side of liabilities and equity."""
        return [one for one in self.balance_sheet if one.section not in ASSETS]

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(check.failed > 0 for check in self.checks)


@dataclass(frozen=True, slots=True)
class Stream:
    """What was loaded of a stream."""

    name: str
    rows: dict[int, int]
    """Rows by division, deleted ones left out."""
    deleted: int
    loaded_at: datetime | None
    """When its newest row was loaded, UTC."""

    @property
    def total(self) -> int:
        """Rows of all divisions."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Calls:
    """How many of a day's calls to Exact Online were used when a division was last loaded."""

    division: int
    used: int
    allowed: int
    told_at: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class Books:
    """All figures of a page."""

    divisions: list[Division]
    streams: list[Stream]
    calls: list[Calls]
    has_models: bool

    @property
    def rows(self) -> int:
        """Rows of all streams and divisions."""
        return sum(stream.total for stream in self.streams)

    @property
    def loaded_at(self) -> datetime | None:
        """When the newest row was loaded, UTC."""
        return max((stream.loaded_at for stream in self.streams if stream.loaded_at), default=None)

    @property
    def checks(self) -> list[Check]:
        """The checks of all divisions, one of each title."""
        found: dict[str, list[Check]] = {}
        for division in self.divisions:
            for check in division.checks:
                found.setdefault(check.title, []).append(check)
        together = [
            Check(
                title,
                checks[0].severity,
                sum(check.passed for check in checks),
                sum(check.failed for check in checks),
                sum(check.not_compared for check in checks),
                max(check.worst for check in checks),
                checks[0].meaning,
            )
            for title, checks in found.items()
        ]
        return sorted(together, key=lambda check: (check.failed == 0, check.title))


def read(file: Path, models: str) -> Books:
    """Read the figures of a page.

    Args:
        file: a DuckDB file that `load` has filled.
        models: schema in which the dbt models are, if they were built.

    Raises:
        ReportError: the file is none of DuckDB's, is in use, or holds no ledger.
    """
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            return _books(connection, models)
    except duckdb.Error as error:
        raise ReportError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None


def _books(connection: duckdb.DuckDBPyConnection, models: str) -> Books:
    tables = _columns(connection, SCHEMA)
    missing = [name for name in ("transaction_lines", "gl_accounts", "divisions") if name not in tables]
    if missing:
        raise ReportError(f"No {missing[0]} were loaded: a report needs transaction_lines, gl_accounts and divisions.")
    has_models = "exact__checks" in _columns(connection, models)
    questions = MODELS if has_models else TABLES

    live = {
        f"live_{alias}": f"{alias}.{DELETED_AT} is null" if DELETED_AT in tables[table] else "true"
        for alias, table in (("line", "transaction_lines"), ("account", "gl_accounts"))
    }

    def ask(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql.format(tables=SCHEMA, models=models, **live)).fetchall()

    divisions = {code: Division(code, name or str(code), currency or "") for code, name, currency in ask(DIVISIONS)}
    for code, month, revenue, result in ask(questions["result"]):
        divisions[code].months.append(Month(month, revenue, result))
    for code, day, section, name, amount, year_before in ask(questions["balance_sheet"]):
        side = 1 if section in ASSETS else -1
        divisions[code].balance_date = day
        divisions[code].balance_sheet.append(Position(section, name, side * (amount or Decimal()), side * year_before))
    for code, name, *amounts in ask(questions["ageing"]):
        divisions[code].debtors.append(Debtor(name, tuple(amounts)))
    for code, name, revenue, costs in ask(questions["cost_centers"]):
        divisions[code].cost_centers.append(CostCenter(name, revenue, costs))
    for code, *check in ask(questions["checks"]):
        divisions[code].checks.append(Check(*check))
    streams = [_stream(connection, name, columns) for name, columns in tables.items() if not name.startswith("_")]
    told = ask(CALLS) if "_exact_calls" in tables else []
    calls = [Calls(code, used, allowed, at.astimezone(timezone.utc)) for code, used, allowed, at in told]
    return Books(list(divisions.values()), streams, calls, has_models)


def _columns(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, set[str]]:
    """Columns by table of a schema."""
    rows = connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = ? order by 1", [schema]
    ).fetchall()
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


def _stream(connection: duckdb.DuckDBPyConnection, name: str, columns: Iterable[str]) -> Stream:
    deleted = f"{DELETED_AT} is not null" if DELETED_AT in columns else "false"
    loaded = "max(_read_at)" if "_read_at" in columns else "null"
    division = "division" if "division" in columns else "0"
    rows: Sequence[tuple[Any, ...]] = connection.execute(
        f"select {division}, count(*) filter (where not {deleted}), count(*) filter (where {deleted}), {loaded} "
        f'from {SCHEMA}."{name}" group by 1 order by 1'
    ).fetchall()
    moments = [moment for *_, moment in rows if moment is not None]
    return Stream(
        name,
        {division: count for division, count, *_ in rows},
        sum(count for _, _, count, _ in rows),
        max(moments).astimezone(timezone.utc) if moments else None,
    )
