"""Check figures agree with the ledger, under each reading of what the reference leaves open."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest

from exact_online_sandbox.api import data_view
from exact_online_sandbox.books.activity import simulate
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.reference import endpoints
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.store import Store
from exact_online_sandbox.views import Listing
from unit_tests.sandbox.books_truth import LINES, UNTIL, Rows, by, cents, fill, grouped

CLOSING, CARRIED_OVER = {310, *range(320, 329)}, {327, 328}
DIVISIONS = 3
TERMS = {20: "cashflow/Receivables", 22: "cashflow/Payments"}
LISTS = {20: "read/financial/ReceivablesList", 22: "read/financial/PayablesList"}
AGES = {20: "read/financial/AgingReceivablesList", 22: "read/financial/AgingPayablesList"}
READINGS = [
    {},
    {"receivables_negative": False},
    {"matched_terms_zero": True},
    {"opening_in_period_0": True},
    {"opening_ledger_signs": True},
    {"age_from_due_date": True},
    {"payables_list_negative": True},
    {"lists_in_invoice_currency": True},
]


@cache
def _store() -> Store:
    return fill(divisions=DIVISIONS)


@cache
def _ledger(division: int) -> Rows:
    return [line for line in _store().rows(division, LINES) if line["GLAccount"]]


@cache
def _accounts(division: int) -> dict[str, dict[str, Any]]:
    return by("ID", list(_store().rows(division, "financial/GLAccounts")))


def _sandbox(store: Store, now: datetime = UNTIL, **reading: bool) -> Sandbox:
    clock = Clock(now)
    clock.freeze()
    clock.set(now)
    box = Sandbox(store, clock)
    box.settings.change({"figures": reading})
    return box


def _served(box: Sandbox, division: int, endpoint: str) -> Rows:
    view = data_view(endpoints()[endpoint], box)
    codec = view.codec  # type: ignore[attr-defined]
    return [codec.decode(values[: codec.width]) for values in view.every(Listing(division))]


def _month_ends(now: datetime = UNTIL) -> list[datetime]:
    found, day = [], now.replace(tzinfo=None, day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(24):
        found.append(day - timedelta(days=1))
        day = found[-1].replace(day=1)
    return found


def _control(division: int, kind: int) -> set[str]:
    return {key for key, row in _accounts(division).items() if row["Type"] == kind}


def _by_relation(lines: Rows, control: set[str], until: datetime) -> dict[str, int]:
    """Balances of a control account by relation."""
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        if line["GLAccount"] in control and line["Date"] <= until and line["Type"] not in CARRIED_OVER:
            sums[line["Account"]] += cents(line["AmountDC"])
    return {account: amount for account, amount in sums.items() if amount}


@pytest.fixture(params=range(DIVISIONS))
def division(request: pytest.FixtureRequest) -> int:
    return _store().division_codes()[request.param]


@pytest.mark.parametrize("period_0", [False, True])
def test_balances_at_month_ends_are_those_of_the_ledger(division: int, period_0: bool) -> None:
    figures = _served(_sandbox(_store(), opening_in_period_0=period_0), division, "financial/ReportingBalance")
    periods = list(_store().rows(division, "financial/FinancialPeriods"))
    for day in _month_ends():
        (end,) = [(row["FinYear"], row["FinPeriod"]) for row in periods if row["EndDate"] == day]
        expected: dict[str, int] = defaultdict(int)
        for line in _ledger(division):
            if line["Date"] <= day and line["Type"] not in CARRIED_OVER:
                expected[line["GLAccount"]] += cents(line["AmountDC"])
        found: dict[str, int] = defaultdict(int)
        for row in figures:
            at = (row["ReportingYear"], row["ReportingPeriod"])
            balance_sheet = row["BalanceType"] == "B"
            begin = (end[0], 0) if period_0 and balance_sheet else (0, 1)
            if begin <= at <= end and row["Type"] not in CARRIED_OVER:
                found[row["GLAccount"]] += cents(row["Amount"])

        assert {a: n for a, n in found.items() if n} == {a: n for a, n in expected.items() if n}


def test_movements_are_grouped_without_a_rest(division: int) -> None:
    figures = _served(_sandbox(_store()), division, "financial/ReportingBalance")
    keys = [tuple(value for name, value in row.items() if name not in AMOUNTS) for row in figures]
    years: dict[int, int] = defaultdict(int)
    for row in figures:
        assert cents(row["Amount"]) == cents(row["AmountDebit"]) - cents(row["AmountCredit"])
        years[row["ReportingYear"]] += cents(row["Amount"])

    assert sum(row["Count"] for row in figures) == len(_ledger(division))
    assert len(set(keys)) == len(keys)
    assert set(years.values()) == {0}


AMOUNTS = {"ID", "Amount", "AmountCredit", "AmountDebit", "Count"}


@pytest.mark.parametrize("ledger_signs", [False, True])
@pytest.mark.parametrize(("state", "states"), [("AfterEntry", {20, 50}), ("Processed", {50})])
def test_opening_balances_are_what_stood_at_the_end_of_the_year_before(
    division: int, state: str, states: set[int], ledger_signs: bool
) -> None:
    box = _sandbox(_store(), opening_ledger_signs=ledger_signs)
    accounts = _accounts(division)
    today = UNTIL.replace(tzinfo=None)
    periods = list(_store().rows(division, "financial/FinancialPeriods"))
    (current,) = [row["FinYear"] for row in periods if row["StartDate"] <= today < row["EndDate"] + timedelta(days=1)]
    for year, name in ((current, "CurrentYear"), (current - 1, "PreviousYear")):
        expected: dict[str, int] = defaultdict(int)
        for line in _ledger(division):
            balance_sheet = accounts[line["GLAccount"]]["BalanceType"] == "B"
            earlier = line["FinancialYear"] < year and line["Type"] not in CARRIED_OVER
            if balance_sheet and earlier and line["Status"] in states:
                expected[line["GLAccount"]] += cents(line["AmountDC"])
        found = {}
        for row in _served(box, division, f"openingbalance/{name}/{state}"):
            assert row["ReportingYear"] == year
            assert row["BalanceSide"] == accounts[row["GLAccount"]]["BalanceSide"]
            sign = -1 if row["BalanceSide"] == "C" and not ledger_signs else 1
            found[row["GLAccount"]] = sign * cents(row["Amount"])

        assert found == {account: amount for account, amount in expected.items() if amount}
        assert found


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: next(iter(reading), "default"))
def test_open_items_are_the_balance_of_each_relation(division: int, reading: dict[str, bool]) -> None:
    box = _sandbox(_store(), **reading)
    for kind, path in LISTS.items():
        expected = _by_relation(_ledger(division), _control(division, kind), UNTIL.replace(tzinfo=None))
        listed: dict[str, int] = defaultdict(int)
        negative = kind == 22 and reading.get("payables_list_negative", False)
        rate_of = by("ID", list(_store().rows(division, TERMS[kind])))
        for row in _served(box, division, path):
            amount = cents(row["Amount"])
            if reading.get("lists_in_invoice_currency"):
                term = rate_of[row["Id"]]
                assert row["CurrencyCode"] == term["Currency"]
                assert abs(amount) == abs(cents(term["AmountFC"]))
                amount = cents(term["AmountDC"])
            listed[row["AccountId"]] += amount * (-1 if (kind == 22) != negative else 1)
        aged = {row["AccountId"]: cents(row["TotalAmount"]) for row in _served(box, division, AGES[kind])}

        assert {account: amount for account, amount in listed.items() if amount} == expected
        assert {a: n for a, n in aged.items() if n} == {a: n * (1 if kind == 20 else -1) for a, n in expected.items()}


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: next(iter(reading), "default"))
def test_open_terms_are_the_balance_of_each_relation(division: int, reading: dict[str, bool]) -> None:
    box = _sandbox(_store(), **reading)
    feed = by("ID", _served(box, division, "sync/Cashflow/PaymentTerms"))
    for kind, path in TERMS.items():
        terms = _served(box, division, path)
        sign = -1 if kind == 22 or reading.get("receivables_negative", True) else 1
        open_terms = [term for term in terms if term["Status"] != 50]
        expected = _by_relation(_ledger(division), _control(division, kind), UNTIL.replace(tzinfo=None))

        found: dict[str, int] = defaultdict(int)
        for term in open_terms:
            found[term["Account"]] += sign * cents(term["AmountDC"])
        assert {account: amount for account, amount in found.items() if amount} == expected
        assert {feed[term["ID"]]["AmountDC"] for term in terms} == {term["AmountDC"] for term in terms}
        matched = {term["AmountDC"] for term in terms if term["Status"] == 50}
        assert (matched == {0.0}) == reading.get("matched_terms_zero", False)


def test_terms_tell_what_was_open_at_month_ends(division: int) -> None:
    box = _sandbox(_store())
    for kind, path in TERMS.items():
        terms = _served(box, division, path)
        for day in _month_ends():
            found: dict[str, int] = defaultdict(int)
            for term in terms:
                if term["InvoiceDate"] <= day and (term["EndDate"] is None or term["EndDate"] > day):
                    found[term["Account"]] -= cents(term["AmountDC"])
            expected = _by_relation(_ledger(division), _control(division, kind), day)

            assert {account: amount for account, amount in found.items() if amount} == expected


@pytest.mark.parametrize("due", [False, True])
def test_ages_count_from_the_date_in_the_settings(division: int, due: bool) -> None:
    box = _sandbox(_store(), age_from_due_date=due)
    today, begin = UNTIL.replace(tzinfo=None), "DueDate" if due else "InvoiceDate"
    total: dict[int, int] = defaultdict(int)
    for kind in LISTS:
        expected: dict[tuple[str, int], int] = defaultdict(int)
        for row in _served(box, division, LISTS[kind]):
            days = (today - row[begin]).days
            expected[row["AccountId"], 1 + (days > 30) + (days > 60) + (days > 90)] += cents(row["Amount"])
        found = {
            (row["AccountId"], group): cents(row[f"AgeGroup{group}Amount"])
            for row in _served(box, division, AGES[kind])
            for group in (1, 2, 3, 4)
            if row[f"AgeGroup{group}Amount"]
        }
        assert found == {key: amount for key, amount in expected.items() if amount}
        for (_, group), amount in found.items():
            total[10 * kind + group] += amount
    overview = _served(box, division, "read/financial/AgingOverview")
    for row in overview:
        assert cents(row["AmountReceivable"]) == total[200 + row["AgeGroup"]]
        assert cents(row["AmountPayable"]) == total[220 + row["AgeGroup"]]
    assert [row["AgeGroup"] for row in overview] == [1, 2, 3, 4]


def test_the_overviews_of_results_leave_closing_entries_out(division: int) -> None:
    box, accounts = _sandbox(_store()), _accounts(division)
    (overview,) = _served(box, division, "read/financial/ProfitLossOverview")
    revenue: dict[tuple[int, int], int] = defaultdict(int)
    costs: dict[tuple[int, int], int] = defaultdict(int)
    for line in _ledger(division):
        account = accounts[line["GLAccount"]]
        if account["BalanceType"] == "W" and line["Type"] not in CLOSING:
            side = revenue if account["Type"] == 110 else costs
            side[line["FinancialYear"], line["FinancialPeriod"]] += cents(line["AmountDC"])
    year, period = overview["CurrentYear"], overview["CurrentPeriod"]
    for name, of, only in (
        ("CurrentPeriod", year, period), ("CurrentYear", year, None), ("PreviousYear", year - 1, None),
        ("PreviousYearPeriod", year - 1, period),
    ):  # fmt: skip
        income = -sum(amount for at, amount in revenue.items() if at[0] == of and only in (None, at[1]))
        cost = sum(amount for at, amount in costs.items() if at[0] == of and only in (None, at[1]))
        assert cents(overview[f"Revenue{name}"]) == income
        assert cents(overview[f"Costs{name}"]) == cost
        assert cents(overview[f"Result{name}"]) == income - cost
    listed = {(row["Year"], row["Period"]): cents(row["Amount"]) for row in _served(box, division, REVENUE)}

    assert listed == {at: -amount for at, amount in revenue.items()}
    assert overview["ResultPreviousYear"] != 0


REVENUE = "read/financial/RevenueList"


def test_what_is_outstanding_and_overdue_is_counted(division: int) -> None:
    box, today = _sandbox(_store()), UNTIL.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    (overview,) = _served(box, division, "read/financial/OutstandingInvoicesOverview")
    for kind, name in ((20, "Receivable"), (22, "Payable")):
        rows = _served(box, division, LISTS[kind])
        for state, chosen in (("Outstanding", rows), ("Overdue", [row for row in rows if row["DueDate"] < today])):
            assert overview[f"{state}{name}InvoiceCount"] == len(chosen)
            assert cents(overview[f"{state}{name}InvoiceAmount"]) == sum(cents(row["Amount"]) for row in chosen)


@pytest.mark.parametrize("months_ago", range(0, 24, 3))
def test_lists_of_books_that_end_earlier_agree_with_the_ledger_too(months_ago: int) -> None:
    now = (_month_ends()[months_ago] + timedelta(hours=15)).replace(tzinfo=UNTIL.tzinfo)
    store = fill(size="300", divisions=DIVISIONS, until=now)
    box = _sandbox(store, now)
    for division in store.division_codes():
        accounts = by("ID", list(store.rows(division, "financial/GLAccounts")))
        for kind, path in LISTS.items():
            control = {key for key, row in accounts.items() if row["Type"] == kind}
            expected = _by_relation(list(store.rows(division, LINES)), control, now.replace(tzinfo=None))
            found: dict[str, int] = defaultdict(int)
            for row in _served(box, division, path):
                found[row["AccountId"]] += cents(row["Amount"]) * (1 if kind == 20 else -1)

            assert {account: amount for account, amount in found.items() if amount} == expected


def test_figures_follow_a_change_of_the_books(division: int) -> None:
    store = fill(size="tiny", divisions=DIVISIONS)
    box = _sandbox(store)
    before = _served(box, division, "financial/ReportingBalance")
    line = next(line for line in store.rows(division, LINES) if line["GLAccount"])
    store.update(division, LINES, line["ID"], {"AmountDC": line["AmountDC"] + 1}, at=UNTIL)
    after = _served(box, division, "financial/ReportingBalance")

    assert sum(cents(row["Amount"]) for row in after) == sum(cents(row["Amount"]) for row in before) + 100


def test_figures_agree_with_the_ledger_while_business_goes_on() -> None:
    store = fill(size="300", divisions=DIVISIONS)
    box, now = _sandbox(store), UNTIL
    kinds: set[int] = set()
    for round_ in range(4):
        now += timedelta(days=9)
        box.clock.set(now)
        for division in store.division_codes():
            simulate(store, seed=round_, division=division, at=now, steps=28)
            accounts = by("ID", list(store.rows(division, "financial/GLAccounts")))
            lines = list(store.rows(division, LINES))
            periods = {(row["FinYear"], row["FinPeriod"]) for row in store.rows(division, "financial/FinancialPeriods")}
            for entry in grouped("EntryID", lines).values():
                assert sum(cents(line["AmountDC"]) for line in entry) == 0
                assert len({line["Status"] for line in entry}) == 1
            assert {(line["FinancialYear"], line["FinancialPeriod"]) for line in lines} <= periods
            for kind, path in LISTS.items():
                control = {key for key, row in accounts.items() if row["Type"] == kind}
                sign = 1 if kind == 20 else -1
                terms = grouped("TransactionID", list(store.rows(division, TERMS[kind])))
                for line in lines:
                    if line["GLAccount"] in control and line["Type"] not in CLOSING:
                        own = terms.pop(line["ID"])
                        kinds.add(line["Type"])
                        assert sum(cents(term["AmountDC"]) for term in own) == sign * cents(line["AmountDC"])
                        assert {term["TransactionStatus"] for term in own} == {line["Status"]}
                assert not terms
                found: dict[str, int] = defaultdict(int)
                for row in _served(box, division, path):
                    found[row["AccountId"]] += sign * cents(row["Amount"])
                assert {account: amount for account, amount in found.items() if amount} == _by_relation(
                    lines, control, now.replace(tzinfo=None)
                )
            count = sum(row["Count"] for row in _served(box, division, "financial/ReportingBalance"))
            assert count == sum(1 for line in lines if line["GLAccount"])
    assert {20, 30, 40, 82, 83} <= kinds
