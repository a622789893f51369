"""The ledger balances and agrees with the documents behind it."""

from __future__ import annotations

import pytest

from exact_online_sandbox.entities import VAT_LINE
from unit_tests.sandbox.books_truth import LINES, books, by, cents, codes, grouped, rows

DOCUMENTS = {
    "salesinvoice/SalesInvoices": ("InvoiceID", "AmountDC", 1),
    "salesentry/SalesEntries": ("EntryID", "AmountDC", 1),
    "purchase/PurchaseInvoices": ("ID", "AmountDC", -1),
    "purchaseentry/PurchaseEntries": ("EntryID", "AmountDC", -1),
}


@pytest.fixture(params=codes(), ids=["dutch", "british"])
def division(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_debits_and_credits_of_each_entry_balance(division: int) -> None:
    entries = grouped("EntryID", rows(division, LINES))

    assert len(entries) > 300
    assert {entry: sum(cents(line["AmountDC"]) for line in lines) for entry, lines in entries.items()} == dict.fromkeys(
        entries, 0
    )


def test_each_entry_has_one_header_row_and_consecutive_lines(division: int) -> None:
    for lines in grouped("EntryID", rows(division, LINES)).values():
        assert sorted(line["LineNumber"] for line in lines) == list(range(len(lines)))
        assert len(lines) >= 2


def test_each_entry_number_belongs_to_one_entry(division: int) -> None:
    for lines in grouped("EntryNumber", rows(division, LINES)).values():
        assert len({line["EntryID"] for line in lines}) == 1


@pytest.mark.parametrize("entity", DOCUMENTS)
def test_each_document_is_posted_with_its_amount(division: int, entity: str) -> None:
    key, amount, sign = DOCUMENTS[entity]
    headers = by("EntryID", [line for line in rows(division, LINES) if line["LineNumber"] == 0])
    documents = rows(division, entity)

    assert documents
    for document in documents:
        assert cents(headers[document[key]]["AmountDC"]) == sign * cents(document[amount])


def test_each_statement_is_posted_and_continues_the_balance_of_the_one_before(division: int) -> None:
    headers = by("EntryID", [line for line in rows(division, LINES) if line["LineNumber"] == 0])
    opening = next(
        line for line in rows(division, LINES) if line["Type"] == 10 and line["GLAccountCode"] in ("1100", "1200")
    )
    balance = cents(opening["AmountDC"])
    for statement in sorted(rows(division, "financialtransaction/BankEntries"), key=lambda row: row["Created"]):
        assert cents(statement["OpeningBalanceFC"]) == balance
        balance = cents(statement["ClosingBalanceFC"])
        assert cents(headers[statement["EntryID"]]["AmountDC"]) == balance - cents(statement["OpeningBalanceFC"])


def test_lines_of_a_statement_add_up_to_its_movement(division: int) -> None:
    lines = grouped("EntryID", rows(division, "financialtransaction/BankEntryLines"))
    for statement in rows(division, "financialtransaction/BankEntries"):
        movement = cents(statement["ClosingBalanceFC"]) - cents(statement["OpeningBalanceFC"])
        assert sum(cents(line["AmountDC"]) for line in lines[statement["EntryID"]]) == movement


def test_general_journal_lines_balance_and_are_posted(division: int) -> None:
    posted = grouped("EntryID", rows(division, LINES))
    lines = grouped("EntryID", rows(division, "generaljournalentry/GeneralJournalEntryLines"))
    entries = rows(division, "generaljournalentry/GeneralJournalEntries")

    assert entries
    for entry in entries:
        own = sorted(
            (line["LineNumber"], line["GLAccount"], cents(line["AmountDC"])) for line in lines[entry["EntryID"]]
        )
        ledger = sorted(
            (line["LineNumber"], line["GLAccount"], cents(line["AmountDC"]))
            for line in posted[entry["EntryID"]]
            if line["LineNumber"]
        )
        assert own == ledger
        assert sum(amount for _, _, amount in own) == 0


@pytest.mark.parametrize(("entity", "sign"), [("cashflow/Receivables", 1), ("cashflow/Payments", -1)])
def test_open_terms_are_the_balance_of_their_account(division: int, entity: str, sign: int) -> None:
    terms = rows(division, entity)
    account = {term["GLAccount"] for term in terms}
    balance = sum(cents(line["AmountDC"]) for line in rows(division, LINES) if line["GLAccount"] in account)

    assert len(account) == 1
    assert balance == sign * sum(cents(term["AmountDC"]) for term in terms if term["Status"] == 20)
    assert {term["Status"] for term in terms} == {20, 50}


def test_the_feed_of_payment_terms_shows_receivables_and_payments(division: int) -> None:
    feed = by("ID", rows(division, "sync/Cashflow/PaymentTerms"))
    terms = {20: rows(division, "cashflow/Receivables"), 22: rows(division, "cashflow/Payments")}

    assert len(feed) == sum(len(found) for found in terms.values())
    for line_type, found in terms.items():
        for term in found:
            assert feed[term["ID"]]["LineType"] == line_type
            assert (feed[term["ID"]]["AmountDC"], feed[term["ID"]]["Status"]) == (term["AmountDC"], term["Status"])


def test_a_payment_points_at_the_transaction_line_it_settles(division: int) -> None:
    lines = by("ID", rows(division, LINES))
    payments = [line for line in lines.values() if line["OffsetID"]]

    assert payments
    for payment in payments:
        settled = lines[payment["OffsetID"]]
        assert settled["LineNumber"] == 0
        assert settled["GLAccount"] == payment["GLAccount"]
        assert cents(settled["AmountDC"]) == -cents(payment["AmountDC"])
        assert payment["Date"] >= settled["Date"]


def test_vat_lines_follow_from_the_rate_and_the_base(division: int) -> None:
    accounts = by("ID", rows(division, "financial/GLAccounts"))
    vat = [line for line in rows(division, LINES) if line["GLAccount"] and accounts[line["GLAccount"]]["Type"] == 24]

    assert vat
    for line in vat:
        assert line["AmountFC"] == pytest.approx(line["AmountVATBaseFC"] * line["VATPercentage"], abs=0.06)


def test_every_other_invoice_that_bears_vat_has_a_line_of_it(division: int) -> None:
    invoices = by("InvoiceID", rows(division, "salesinvoice/SalesInvoices"))
    kept = books().rows(division, "salesinvoice/SalesInvoiceLines")
    vat_lines = {row["InvoiceID"]: row for row in kept if row["LineNumber"] == VAT_LINE}
    bearing = {key for key, row in invoices.items() if row["VATAmountDC"]}
    assert vat_lines.keys() < bearing
    assert 0.2 < len(vat_lines) / len(invoices) < 0.8
    assert all(cents(row["AmountDC"]) == cents(invoices[key]["VATAmountDC"]) for key, row in vat_lines.items())
