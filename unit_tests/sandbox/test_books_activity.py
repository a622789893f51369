"""Later changes: plausible, counted, and leaving the books in balance."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from exact_online_sandbox.books.activity import Activity, simulate
from exact_online_sandbox.entities import entities
from exact_online_sandbox.rows import key_of
from exact_online_sandbox.store import Store
from unit_tests.sandbox.books_truth import LINES, UNTIL, by, cents, fill, grouped, listed

LATER = UNTIL + timedelta(hours=3)


@pytest.fixture
def store() -> Store:
    return fill(size="200", divisions=1)


@pytest.fixture
def division(store: Store) -> int:
    return store.division_codes()[0]


def _simulate(store: Store, division: int, steps: int = 5, at: datetime = LATER) -> Activity:
    return simulate(store, seed=13, division=division, at=at, steps=steps)


def test_five_steps_make_one_change_of_each_kind(store: Store, division: int) -> None:
    summary = _simulate(store, division).summary

    assert summary["salesorder/SalesOrders"] == {"inserted": 1}
    assert summary["salesinvoice/SalesInvoices"] == {"inserted": 1}
    assert summary["crm/Accounts"] == {"updated": 1}
    assert summary["cashflow/Receivables"] == {"inserted": 2, "updated": 1}
    assert summary["financialtransaction/BankEntries"] == {"inserted": 1}
    assert summary["crm/Addresses"] == {"deleted": 1}
    assert summary["logistics/Items"] == {"updated": 1}
    assert summary["logistics/SalesItemPrices"]["updated"] >= 1


def test_the_summary_is_what_differs_in_the_store(store: Store, division: int) -> None:
    entities_seen = ("crm/Accounts", "crm/Addresses", "logistics/Items", "salesinvoice/SalesInvoices",
                     "salesinvoice/SalesInvoiceLines", "salesorder/SalesOrderLines", LINES)  # fmt: skip
    before = {entity: {tuple(row.items()) for row in store.rows(division, entity)} for entity in entities_seen}
    summary = _simulate(store, division, steps=10).summary

    for entity in entities_seen:
        after = {tuple(row.items()) for row in store.rows(division, entity)}
        actions = summary[entity]
        changed = actions.get("updated", 0)
        assert len(after - before[entity]) == actions.get("inserted", 0) + changed
        assert len(before[entity] - after) == actions.get("deleted", 0) + changed


def test_the_books_still_balance_and_the_new_invoice_adds_up(store: Store, division: int) -> None:
    known = set(by("InvoiceID", list(store.rows(division, "salesinvoice/SalesInvoices"))))
    _simulate(store, division, steps=15)
    entries = grouped("EntryID", list(store.rows(division, LINES)))
    numbers = {line["EntryNumber"] for line in store.rows(division, LINES)}
    invoices = [row for row in store.rows(division, "salesinvoice/SalesInvoices") if row["InvoiceID"] not in known]
    lines = grouped("InvoiceID", listed(store, division, "salesinvoice/SalesInvoiceLines"))

    assert all(sum(cents(line["AmountDC"]) for line in entry) == 0 for entry in entries.values())
    assert len(invoices) == 3
    for invoice in invoices:
        parts = [cents(line["AmountDC"]) + cents(line["VATAmountDC"]) for line in lines[invoice["InvoiceID"]]]
        assert cents(invoice["AmountDC"]) == sum(parts)
        assert invoice["InvoiceNumber"] in numbers


def test_numbers_go_on_behind_those_in_use(store: Store, division: int) -> None:
    _simulate(store, division, steps=15)
    for entity, number in (("salesorder/SalesOrders", "OrderNumber"), ("salesinvoice/SalesInvoices", "InvoiceNumber"),
                           ("financialtransaction/BankEntries", "EntryNumber")):  # fmt: skip
        found = [row[number] for row in store.rows(division, entity)]
        assert len(found) == len(set(found))


def test_a_received_payment_settles_its_receivable(store: Store, division: int) -> None:
    unpaid = {row["ID"] for row in store.rows(division, "cashflow/Receivables") if row["Status"] == 20}
    _simulate(store, division)
    receivables = by("ID", list(store.rows(division, "cashflow/Receivables")))
    settled = [receivables[key] for key in unpaid if receivables[key]["Status"] == 50]
    lines = [line for line in store.rows(division, LINES) if line["Modified"] >= LATER - timedelta(seconds=1)]

    assert len(settled) == 1
    assert settled[0]["IsFullyPaid"] is True
    assert store.row(division, "sync/Cashflow/PaymentTerms", settled[0]["ID"])["EndDate"] == settled[0]["EndDate"]
    assert settled[0]["TransactionID"] in {line["OffsetID"] for line in lines}


def test_a_deleted_address_is_in_the_deletion_log_and_not_missed_by_any_document(store: Store, division: int) -> None:
    activity = _simulate(store, division)
    (deleted,) = [change.key for change in activity.changes if change.action == "deleted"]
    orders = list(store.rows(division, "salesorder/SalesOrders"))

    assert [(row["EntityType"], row["EntityKey"]) for row in store.deletions(division)] == [(3, deleted)]
    assert deleted not in {row["DeliveryAddress"] for row in orders}


def test_changes_are_modified_at_the_given_time(store: Store, division: int) -> None:
    activity = _simulate(store, division)
    accounts = by("ID", list(store.rows(division, "crm/Accounts")))
    (changed,) = [change.key for change in activity.changes if change.entity == "crm/Accounts"]

    assert timedelta(0) <= accounts[changed]["Modified"] - LATER < timedelta(seconds=1)
    assert max(row["Modified"] for row in store.rows(division, LINES)) < LATER + timedelta(seconds=1)


def test_the_same_seed_makes_the_same_changes() -> None:
    one, other = fill(size="200", divisions=1), fill(size="200", divisions=1)
    division = one.division_codes()[0]

    assert _simulate(one, division) == _simulate(other, division)
    assert list(one.rows(division, LINES)) == list(other.rows(division, LINES))


def test_no_steps_change_nothing(store: Store, division: int) -> None:
    assert _simulate(store, division, steps=0).summary == {}


def test_business_goes_on_when_every_invoice_is_paid(store: Store, division: int) -> None:
    for row in store.rows(division, "cashflow/Receivables"):
        store.update(division, "cashflow/Receivables", row["ID"], {"Status": 50}, at=LATER)
    activity = simulate(store, seed=1, division=division, at=LATER, steps=5)

    assert "crm/Addresses" in activity.summary


def test_business_goes_on_without_a_gl_account_that_was_deleted(store: Store, division: int) -> None:
    before = {row["ID"] for row in store.rows(division, LINES)}
    for step, account in enumerate(list(store.rows(division, "financial/GLAccounts"))):
        at = LATER + timedelta(seconds=step)
        store.delete(division, "financial/GLAccounts", account["ID"], at=at)
        assert "crm/Accounts" in _simulate(store, division, at=at).summary
        entries = grouped("EntryID", [row for row in store.rows(division, LINES) if row["ID"] not in before])
        assert all(sum(cents(line["AmountDC"]) for line in entry) == 0 for entry in entries.values())
        assert account["ID"] not in {row["GLAccount"] for row in store.rows(division, LINES) if row["Modified"] >= at}


def test_business_goes_on_without_a_journal_that_was_deleted(store: Store, division: int) -> None:
    before = {row["ID"] for row in store.rows(division, LINES)}
    for step, journal in enumerate(list(store.rows(division, "financial/Journals"))):
        at = LATER + timedelta(seconds=step)
        store.delete(division, "financial/Journals", key_of(entities()["financial/Journals"], journal), at=at)
        assert "crm/Accounts" in _simulate(store, division, steps=14, at=at).summary
        lines = [row for row in store.rows(division, LINES) if row["ID"] not in before]
        assert all(sum(cents(line["AmountDC"]) for line in entry) == 0 for entry in grouped("EntryID", lines).values())
        assert journal["Code"] not in {row["JournalCode"] for row in lines if row["Modified"] >= at}


@pytest.mark.parametrize(
    "entity",
    [
        "cashflow/PaymentConditions",
        "crm/Accounts",
        "crm/Addresses",
        "financial/ExchangeRates",
        "financial/Journals",
        "hrm/Costcenters",
        "hrm/Costunits",
        "inventory/Warehouses",
        "logistics/Items",
        "vat/VATCodes",
    ],
)
def test_business_goes_on_without_any_master_data_of_a_kind(store: Store, division: int, entity: str) -> None:
    for row in list(store.rows(division, entity)):
        store.delete(division, entity, key_of(entities()[entity], row), at=LATER)
    summary = _simulate(store, division, steps=20).summary

    assert entity not in summary
    assert {"crm/Accounts", "logistics/Items"} & summary.keys()


def test_business_that_comes_to_nothing_half_way_leaves_no_trace(store: Store, division: int) -> None:
    store.update(division, "cashflow/Receivables", _any_open(store, division), {"AmountDC": None}, at=LATER)
    before = store.version(division)
    with pytest.raises(TypeError):
        _simulate(store, division)

    assert store.version(division) == before
    assert all(row["Modified"] < LATER for row in store.rows(division, "salesorder/SalesOrders"))


def _any_open(store: Store, division: int) -> str:
    return next(row["ID"] for row in store.rows(division, "cashflow/Receivables") if row["Status"] == 20)


def test_a_naive_time_and_an_unknown_division_are_refused(store: Store, division: int) -> None:
    with pytest.raises(ValueError, match="time zone"):
        simulate(store, seed=1, division=division, at=datetime(2026, 1, 1), steps=1)
    with pytest.raises(KeyError):
        simulate(store, seed=1, division=99, at=LATER, steps=1)
