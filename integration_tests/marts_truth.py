"""The marts against the sandbox's own books, added up in Python from its rows: to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from integration_tests.marts_models import MODELS, Warehouse
from integration_tests.sandbox_client import Row, Sandbox

MONTHS = 24
CLOSING, CARRY_OVER = {310, *range(320, 329)}, {327, 328}
RECEIVABLE, PAYABLE = {20, 21}, {22}
Figures = dict[Any, Decimal]


def differences(sandbox: Sandbox, warehouse: Warehouse) -> Iterator[str]:
    """Yield where the marts differ from the books: trial balance, statements, open items at 24 month ends."""
    compared = 0
    for division in sandbox.divisions:
        accounts = {row["ID"]: row for row in sandbox.truth("financial/GLAccounts", division)}
        lines = sandbox.truth("financialtransaction/TransactionLines", division)
        lines = [line for line in lines if line["GLAccount"] and line["Status"] in (20, 50)]
        for what, expected, sql in _questions(accounts, lines):
            rows = warehouse.execute(sql.format(models=MODELS, division=division))
            found = {tuple(map(str, row[:-1])): Decimal(row[-1]) for row in rows if row[-1]}
            expected = {key: amount for key, amount in expected.items() if amount}
            compared += len(expected)
            for key in expected.keys() | found.keys():
                if expected.get(key) != found.get(key):
                    yield f"{division} {what} {key}: {found.get(key)} instead of {expected.get(key)}"
    print(f"       {compared} figures of {len(sandbox.divisions)} divisions compared with the books", flush=True)


def _questions(accounts: dict[str, Row], lines: list[Row]) -> Iterator[tuple[str, Figures, str]]:
    periods = sorted({(line["FinancialYear"], line["FinancialPeriod"]) for line in lines})
    last = periods[-MONTHS:]
    balances: Figures = defaultdict(Decimal)
    results: Figures = defaultdict(Decimal)
    for line in lines:
        booked, account, cents = _period(line), accounts[line["GLAccount"]], _cents(line)
        for period in last:
            if account["BalanceType"] == "B":
                if booked <= period and line["Type"] not in CARRY_OVER:
                    balances[(account["ID"], *map(str, period))] += cents
            elif booked[0] == period[0] and booked <= period and line["Type"] not in CLOSING:
                results[(account["ID"], *map(str, period))] -= cents
    posted = ", ".join(f"({year}, {period})" for year, period in last)
    where = f"where division = {{division}} and (fiscal_year, fiscal_period) in ({posted})"
    keys = "select gl_account_id, fiscal_year, fiscal_period"
    for what, expected, rest in (
        (
            "trial balance",
            _mirrored(balances, results),
            f"after_entry_balance_dc from {{models}}.exact__trial_balance {where}",
        ),
        (
            "balance sheet",
            balances,
            f"closing_balance_dc from {{models}}.exact__balance_sheet {where} and not is_computed",
        ),
        ("profit and loss", results, f"year_to_date_dc from {{models}}.exact__profit_and_loss {where}"),
    ):
        yield what, expected, f"{keys}, {rest}"
    for name, types, sign in (("receivables", RECEIVABLE, 1), ("payables", PAYABLE, -1)):
        owed: Figures = defaultdict(Decimal)
        for line in lines:
            if accounts[line["GLAccount"]]["Type"] in types and line["Type"] not in CARRY_OVER:
                for day in _month_ends():
                    if line["Date"][:10] <= day:
                        owed[line["Account"], day] += sign * _cents(line)
        days = ", ".join(f"date '{day}'" for day in _month_ends())
        sql = f"select relation_id, as_of_date, total_dc from {{models}}.exact__{name}_ageing "
        yield name, owed, sql + f"where division = {{division}} and as_of_date in ({days})"


def _mirrored(balances: Figures, results: Figures) -> Figures:
    return balances | {key: -amount for key, amount in results.items()}


def _period(line: Row) -> tuple[int, int]:
    return line["FinancialYear"], line["FinancialPeriod"]


def _cents(line: Row) -> Decimal:
    return Decimal(str(line["AmountDC"])).quantize(Decimal("0.01"))


def _month_ends() -> list[str]:
    """The 24 month ends up to June 2026."""
    firsts = [date(2024 + (6 + month) // 12, (6 + month) % 12 + 1, 1) for month in range(1, MONTHS + 1)]
    return [(first - timedelta(days=1)).isoformat() for first in firsts]
