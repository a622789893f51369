"""Check figures as a client of the API reads them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.truth import truth_rows
from unit_tests.sandbox.books_truth import UNTIL, Rows, by, cents, fill
from unit_tests.sandbox.server_caller import Caller


@pytest.fixture
def box() -> Iterator[Sandbox]:
    store = fill(divisions=1)
    clock = Clock(UNTIL)
    clock.freeze()
    clock.set(UNTIL)
    made = Sandbox(store, clock)
    made.settings.quota.minute_limit = 10_000
    made.register("app", "secret", ["https://app.example.com/callback"])
    yield made
    store.close()


@pytest.fixture
def division(box: Sandbox) -> int:
    return box.store.division_codes()[0]


@pytest.fixture
def caller(box: Sandbox, division: int) -> Caller:
    chain = box.oauth.login("app", "sam", [division])
    form = {"grant_type": "refresh_token", "refresh_token": chain.refresh_token, "client_id": "app",
            "client_secret": "secret"}  # fmt: skip
    return Caller(box, box.oauth.token(form)["access_token"])


def _plain(rows: Rows) -> Rows:
    """Rows without what tells addresses."""
    return [{name: value for name, value in row.items() if not isinstance(value, dict)} for row in rows]


def test_balances_come_in_pages_and_by_year(caller: Caller, division: int) -> None:
    path = f"{division}/financial/ReportingBalance"
    everything = caller.all(path)
    years = {row["ReportingYear"] for row in everything}
    by_year = [row for year in years for row in caller.all(f"{path}?$filter=ReportingYear eq {year}")]

    assert len(everything) > 120
    assert len({row["ID"] for row in everything}) == len(everything)
    assert by("ID", by_year) == by("ID", everything)
    assert caller.get(path).next.endswith("$skiptoken=60L")  # type: ignore[union-attr]
    assert caller.get(f"{path}/$count").text == str(len(everything))
    assert caller.get(f"{path}(1L)").d["ReportingYear"] == min(years)


def test_opening_balances_have_a_composite_key(caller: Caller, division: int) -> None:
    path = f"{division}/openingbalance/CurrentYear/AfterEntry"
    rows = caller.all(path)
    account = rows[0]["GLAccount"]

    assert len(rows) > 8
    one = caller.get(f"{path}(Division={division},GLAccount=guid'{account}',ReportingYear=2025)")
    assert one.d["Amount"] == rows[0]["Amount"]


def test_functions_narrow_the_lists(caller: Caller, division: int) -> None:
    everything = caller.all(f"{division}/read/financial/ReceivablesList")
    account = everything[0]["AccountId"]
    own = caller.get(f"{division}/read/financial/ReceivablesListByAccount?accountId=guid'{account}'").rows
    aged = [
        row
        for group in (1, 2, 3, 4)
        for row in caller.get(f"{division}/read/financial/ReceivablesListByAgeGroup?ageGroup={group}").rows
    ]
    overview = caller.get(f"{division}/read/financial/AgingOverviewByAccount?accountId=guid'{account}'").rows
    lists = [
        caller.get(f"{division}/read/financial/AgingReceivablesListByAgeGroup?ageGroup={group}").rows
        for group in (1, 2, 3, 4)
    ]

    expected = [row for row in _plain(everything) if row["AccountId"] == account]
    assert by("HID", _plain(own)) == by("HID", expected)
    assert by("HID", _plain(aged)) == by("HID", _plain(everything))
    assert sum(cents(row["AmountReceivable"]) for row in overview) == sum(cents(row["Amount"]) for row in own)
    assert all(row[f"AgeGroup{group}Amount"] for group, rows in enumerate(lists, 1) for row in rows)


def test_revenue_and_classified_balances_are_read_by_year(box: Sandbox, caller: Caller, division: int) -> None:
    service = f"{division}/read/financial"
    everything = {(row["Year"], row["Period"]): row["Amount"] for row in caller.all(f"{service}/RevenueList")}
    rows = caller.get(f"{service}/RevenueListByYear?year=2024").rows
    processed = caller.get(f"{service}/RevenueListByYearAndStatus?year=2024&afterEntry=false").rows
    (scheme,) = [row["ID"] for row in box.store.rows(division, "financial/GLSchemes")]
    parameters = f"glScheme=guid'{scheme}'&reportingYear=2024"
    classified = caller.get(f"{service}/ReportingBalanceByClassification?{parameters}").rows
    plain = caller.all(f"{division}/financial/ReportingBalance?$filter=ReportingYear eq 2024")

    assert {(row["Year"], row["Period"]): row["Amount"] for row in rows} == {
        at: amount for at, amount in everything.items() if at[0] == 2024
    }
    assert _plain(processed) == _plain(rows)  # everything of 2024 has been processed
    assert sum(cents(row["Amount"]) for row in classified) == sum(cents(row["Amount"]) for row in plain) == 0
    assert {row["ID"] for row in classified} == {row["ID"] for row in plain}
    assert all(row["ClassificationCode"] for row in classified)


def test_settings_change_what_is_served_at_once(box: Sandbox, caller: Caller, division: int) -> None:
    path = f"{division}/cashflow/Receivables?$filter=Status eq 20 and TransactionType eq 20&$select=ID,AmountDC"
    before = by("ID", caller.all(path))
    box.settings.change({"figures": {"receivables_negative": False}})
    after = by("ID", caller.all(path))

    assert before
    assert all(row["AmountDC"] < 0 for row in before.values())
    assert {key: -row["AmountDC"] for key, row in before.items()} == {k: row["AmountDC"] for k, row in after.items()}
    listed = caller.all(f"{division}/cashflow/Receivables?$filter=AmountDC lt 0&$select=ID,AmountDC,TransactionType")
    assert listed
    assert all(row["AmountDC"] < 0 and row["TransactionType"] != 20 for row in listed)


def test_the_truth_shows_figures_too(box: Sandbox, caller: Caller, division: int) -> None:
    truth = b"".join(truth_rows(box, division, "read/financial/ReceivablesList"))
    assert truth.count(b'"HID"') == len(caller.all(f"{division}/read/financial/ReceivablesList"))
