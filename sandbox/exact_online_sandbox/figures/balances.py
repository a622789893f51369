"""Balances and results: ReportingBalance, opening balances, the overview of profit and loss, revenue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.figures.options import FigureOptions
from exact_online_sandbox.figures.summary import GLAccount, Group, Summary, Sums

OPEN, PROCESSED = 20, 50
OPENING = 10
REVENUE = 110
"""Type of G/L accounts with revenue."""
CLOSING = frozenset({310, *range(320, 329)})
"""Types of the entries that close a year; they leave no result in it."""
CARRIED_OVER = frozenset({327, 328})
"""Types of the entries that empty the balance sheet at the end of a year and fill it anew in the next."""


def reporting_balance(books: Summary, options: FigureOptions) -> Iterator[Row]:
    """Movements by year, period, account, cost center, cost unit, type of entry and status."""
    groups = dict(books.movements)
    if options.opening_in_period_0:
        for year in sorted({group.year for group in books.movements}):
            for status in (OPEN, PROCESSED):
                for account_id, amount in _opening(books, year, {status}).items():
                    sums = groups[Group(year, 0, account_id, None, None, OPENING, status)] = Sums()
                    sums.add(amount, 0)
    ordered = sorted(groups.items(), key=lambda item: tuple(str(part or "").rjust(40) for part in item[0]))
    for number, (group, sums) in enumerate(ordered, 1):
        account = books.accounts.get(group.account)
        yield {
            "ID": number,
            "Amount": sums.net / 100,
            "AmountCredit": sums.credit / 100,
            "AmountDebit": sums.debit / 100,
            "BalanceType": account and account.balance_type,
            "CostCenterCode": group.cost_center,
            "CostCenterDescription": books.names.get(("CostCenter", group.cost_center or "")),
            "CostUnitCode": group.cost_unit,
            "CostUnitDescription": books.names.get(("CostUnit", group.cost_unit or "")),
            "Count": sums.count,
            "Division": books.division,
            "GLAccount": group.account,
            "GLAccountCode": account and account.code,
            "GLAccountDescription": account and account.description,
            "ReportingPeriod": group.period,
            "ReportingYear": group.year,
            "Status": group.status,
            "Type": group.type,
        }


def by_classification(
    books: Summary, options: FigureOptions, mappings: Iterable[Mapping[str, object]], scheme: str, year: int
) -> Iterator[Row]:
    """The movements of a year with each account's classification in a scheme."""
    found = {row["GLAccount"]: row for row in mappings if row["GLSchemeID"] == scheme}
    for row in reporting_balance(books, options):
        mapping = found.get(row["GLAccount"])
        if row["ReportingYear"] == year and mapping is not None:
            yield {
                **row,
                "ClassificationCode": mapping["ClassificationCode"],
                "ClassificationDescription": mapping["ClassificationDescription"],
                "GLScheme": scheme,
            }


def opening_balance(
    books: Summary, options: FigureOptions, today: datetime, *, years_back: int, after_entry: bool
) -> Iterator[Row]:
    """What stood on each account of the balance sheet when the current year, or one before, began."""
    current = books.period_of(today)
    if current is None:
        return
    year = current.year - years_back
    for account_id, amount in _opening(books, year, {OPEN, PROCESSED} if after_entry else {PROCESSED}).items():
        account = books.accounts[account_id]
        mirrored = account.side == "C" and not options.opening_ledger_signs
        yield {
            "Division": books.division,
            "GLAccount": account.id,
            "ReportingYear": year,
            "Amount": (-amount if mirrored else amount) / 100,
            "BalanceSide": account.side,
            "GLAccountCode": account.code,
            "GLAccountDescription": account.description,
        }


def _opening(books: Summary, year: int, states: set[int]) -> dict[str, int]:
    """Balances by account before the year, in cents, those of 0 left out."""
    balances: dict[str, int] = {}
    for group, sums in books.movements.items():
        account = books.accounts.get(group.account)
        if account is None or account.balance_type != "B" or group.status not in states:
            continue
        if group.year < year and group.type not in CARRIED_OVER:
            balances[account.id] = balances.get(account.id, 0) + sums.net
    return {account: amount for account, amount in balances.items() if amount}


def profit_and_loss(books: Summary, today: datetime) -> Iterator[Row]:
    """Revenue, costs and result of today's period and year, and of the year before."""
    current = books.period_of(today)
    if current is None:
        return
    year, period = current.year, current.period
    row: Row = {
        "CurrencyCode": books.currency,
        "CurrentPeriod": period,
        "CurrentYear": year,
        "PreviousYear": year - 1,
        "PreviousYearPeriod": period,
    }
    for name, of, only in (
        ("CurrentPeriod", year, period),
        ("CurrentYear", year, None),
        ("PreviousYear", year - 1, None),
        ("PreviousYearPeriod", year - 1, period),
    ):
        revenue = costs = 0
        for account, group, sums in _results(books):
            if group.year == of and only in (None, group.period):
                if account.type == REVENUE:
                    revenue -= sums.net
                else:
                    costs += sums.net
        row[f"Revenue{name}"], row[f"Costs{name}"] = revenue / 100, costs / 100
        row[f"Result{name}"] = (revenue - costs) / 100
    yield row


def revenue(books: Summary, *, after_entry: bool = True) -> Iterator[Row]:
    """Revenue by period."""
    sums_by_period: dict[tuple[int, int], int] = {}
    for account, group, sums in _results(books):
        if account.type == REVENUE and (after_entry or group.status == PROCESSED):
            at = group.year, group.period
            sums_by_period[at] = sums_by_period.get(at, 0) - sums.net
    for (year, period), amount in sums_by_period.items():
        yield {"Year": year, "Period": period, "Amount": amount / 100}


def _results(books: Summary) -> Iterator[tuple[GLAccount, Group, Sums]]:
    """Movements on accounts of profit and loss, without the entries that close a year."""
    for group, sums in books.movements.items():
        account = books.accounts.get(group.account)
        if account is not None and account.balance_type == "W" and group.type not in CLOSING:
            yield account, group, sums
