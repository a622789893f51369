"""The marts against the sandbox's own books, added up in Python from its rows: to the cent."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from integration_tests.marts_models import MODELS, PROJECT, Warehouse
from integration_tests.sandbox_client import Row, Sandbox

MONTHS = 24
CLOSING, CARRY_OVER = {310, *range(320, 329)}, {327, 328}
RECEIVABLE, PAYABLE = {20, 21}, {22}
Figures = dict[Any, Decimal]


def differences(sandbox: Sandbox, warehouse: Warehouse) -> Iterator[str]:
    """Yield where the marts differ from the books: statements, open items at 24 month ends, cash, the group."""
    compared = 0
    with (PROJECT / "seeds" / "exact_gl_account_types.csv").open(encoding="utf-8", newline="") as file:
        subsections = {int(row["account_type"]): row["subsection"] for row in csv.DictReader(file)}
    for division in sandbox.divisions:
        accounts = {row["ID"]: row for row in sandbox.truth("financial/GLAccounts", division)}
        lines = sandbox.truth("financialtransaction/TransactionLines", division)
        lines = [line for line in lines if line["GLAccount"] and line["Status"] in (20, 50)]
        questions = [
            *_questions(accounts, lines),
            _cash(sandbox, division, accounts, subsections),
            _group(sandbox, division, accounts, lines, subsections),
        ]
        for what, expected, sql in questions:
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


def _cash(
    sandbox: Sandbox, division: int, accounts: dict[str, Row], subsections: dict[int, str]
) -> tuple[str, Figures, str]:
    """Cash by what it was paid for, added up from the lines of bank statements instead of the ledger's."""
    periods = {row["EntryID"]: _period(row) for row in sandbox.truth("financialtransaction/BankEntries", division)}
    flows: Figures = defaultdict(Decimal)
    for line in sandbox.truth("financialtransaction/BankEntryLines", division):
        subsection = subsections[accounts[line["GLAccount"]]["Type"]]
        flows[(*map(str, periods[line["EntryID"]]), subsection)] += _cents(line)
    return (
        "direct cash flow",
        flows,
        "select fiscal_year, fiscal_period, subsection, amount_dc from {models}.exact__cash_flow_direct "
        "where division = {division} and section <> 'opening'",
    )


def _group(
    sandbox: Sandbox, division: int, accounts: dict[str, Row], lines: list[Row], subsections: dict[int, str]
) -> tuple[str, Figures, str]:
    """The latest balances in euros, but equity. The sandbox's periods are months, and its rates last a quarter."""
    last = max(_period(line) for line in lines)
    ends = {
        (row["FinYear"], row["FinPeriod"]): row["EndDate"][:10]
        for row in sandbox.truth("financial/FinancialPeriods", division)
    }
    rates = sorted(
        (row["StartDate"][:10], Decimal(str(row["Rate"])))
        for row in sandbox.truth("financial/ExchangeRates", min(sandbox.divisions))
        if (row["SourceCurrency"], row["TargetCurrency"]) == ("GBP", "EUR")
    )
    (currency,) = {row["Currency"] for row in sandbox.truth("system/Divisions") if row["Code"] == division}

    def in_euros(amount: Decimal, day: str) -> Decimal:
        rate = Decimal(1) if currency == "EUR" else [rate for start, rate in rates if start <= day][-1]
        return (amount * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)

    sums: Figures = defaultdict(Decimal)
    for line in lines:
        result = accounts[line["GLAccount"]]["BalanceType"] == "W"
        if line["Type"] not in (CLOSING if result else CARRY_OVER) and (not result or line["FinancialYear"] == last[0]):
            # A balance is translated once, a result month by month.
            sums[line["GLAccount"], ends[_period(line) if result else last]] += _cents(line)
    euros: Figures = defaultdict(Decimal)
    for (account, day), amount in sums.items():
        if accounts[account]["Type"] not in (50, 52):
            euros[(subsections[accounts[account]["Type"]],)] += in_euros(amount, day)
    return (
        "group",
        euros,
        "select group_account_code, balance_gc from {models}.exact__consolidated_trial_balance "
        f"where division = {{division}} and month_end = date '{ends[last]}' "
        "and translated_at in ('average rate', 'closing rate')",
    )


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
