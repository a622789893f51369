"""The ledger balances and agrees with the documents behind it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exact_online_sandbox.entities import VAT_LINE
from unit_tests.sandbox.books_truth import LINES, books, by, cents, codes, fill, grouped, rows

DOCUMENTS = {
    "salesinvoice/SalesInvoices": ("InvoiceNumber", "EntryNumber", 1),
    "salesentry/SalesEntries": ("EntryID", "EntryID", 1),
    "purchase/PurchaseInvoices": ("EntryNumber", "EntryNumber", -1),
    "purchaseentry/PurchaseEntries": ("EntryID", "EntryID", -1),
}
BOOKED = {entity: {50} if "Invoices" in entity else {20, 50} for entity in DOCUMENTS}
CLOSING = {310, *range(320, 329)}


@pytest.fixture(params=codes(), ids=["dutch", "british"])
def division(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_debits_and_credits_of_each_entry_balance(division: int) -> None:
    entries = grouped("EntryID", rows(division, LINES))

    assert len(entries) > 250
    assert {entry: sum(cents(line["AmountDC"]) for line in lines) for entry, lines in entries.items()} == dict.fromkeys(
        entries, 0
    )


def test_lines_of_an_entry_are_numbered_by_its_kind(division: int) -> None:
    bank_lines = grouped("EntryID", rows(division, "financialtransaction/BankEntryLines"))
    seen = set()
    for entry, lines in grouped("EntryID", rows(division, LINES)).items():
        kind = min(line["Type"] for line in lines)
        numbers = sorted(line["LineNumber"] for line in lines)
        vat = [line["LineNumber"] for line in lines if line["LineNumber"] == VAT_LINE]
        seen.add(kind)
        if kind == 40:
            count = len(bank_lines[entry])
            assert numbers == [0] * count + list(range(1, len(lines) - count + 1))
        elif kind in CLOSING:
            assert numbers == list(range(1, len(lines) + 1))
        else:
            assert numbers == list(range(len(lines) - len(vat))) + vat
            assert not vat or kind in (20, 21, 30, 31)
    assert {10, 20, 21, 30, 31, 40, 90} < seen


def test_vat_is_on_lines_9999_and_nothing_else_is(division: int) -> None:
    accounts = by("ID", rows(division, "financial/GLAccounts"))
    on_vat = {
        line["ID"]
        for line in rows(division, LINES)
        if line["GLAccount"] and accounts[line["GLAccount"]]["Type"] == 24 and line["Type"] not in CLOSING
    }

    assert on_vat == {line["ID"] for line in rows(division, LINES) if line["LineNumber"] == VAT_LINE}


def test_each_entry_number_belongs_to_one_entry(division: int) -> None:
    for lines in grouped("EntryNumber", rows(division, LINES)).values():
        assert len({line["EntryID"] for line in lines}) == 1


@pytest.mark.parametrize("entity", DOCUMENTS)
def test_each_document_is_posted_with_its_amount(division: int, entity: str) -> None:
    key, line_key, sign = DOCUMENTS[entity]
    control = {row["ID"] for row in rows(division, "financial/GLAccounts") if row["Type"] in (20, 22)}
    posted = [line for line in rows(division, LINES) if line["Type"] in (20, 21, 30, 31)]
    headers = by(line_key, [line for line in posted if line["LineNumber"] == 0 and line["GLAccount"] in control])
    documents = [row for row in rows(division, entity) if row["Status"] in BOOKED[entity]]

    assert documents
    for document in documents:
        assert cents(headers[document[key]]["AmountDC"]) == sign * cents(document["AmountDC"])
        if entity.endswith("Entries"):
            assert headers[document[key]]["Status"] == document["Status"]


@pytest.mark.parametrize(
    ("invoices", "key", "number", "entries", "lines", "own_lines"),
    [
        ("salesinvoice/SalesInvoices", "InvoiceID", "InvoiceNumber", "salesentry/SalesEntries",
         "salesentry/SalesEntryLines", "salesinvoice/SalesInvoiceLines"),
        ("purchase/PurchaseInvoices", "ID", "EntryNumber", "purchaseentry/PurchaseEntries",
         "purchaseentry/PurchaseEntryLines", "purchase/PurchaseInvoiceLines"),
    ],
)  # fmt: skip
def test_a_processed_invoice_is_an_entry_with_the_same_number_and_another_id(
    division: int, invoices: str, key: str, number: str, entries: str, lines: str, own_lines: str
) -> None:
    made = by("EntryNumber", rows(division, entries))
    entry_lines = grouped("EntryID", rows(division, lines))
    invoice_lines = grouped("InvoiceID", rows(division, own_lines))
    states = set()
    for invoice in rows(division, invoices):
        states.add(invoice["Status"])
        if invoice["Status"] != 50:
            assert invoice[number] is None
            continue
        entry = made[invoice[number]]
        assert entry["EntryID"] != invoice[key]
        assert cents(entry["AmountDC"]) == cents(invoice["AmountDC"])
        assert sorted(cents(line["AmountDC"]) for line in entry_lines[entry["EntryID"]]) == sorted(
            cents(line["AmountDC"]) for line in invoice_lines[invoice[key]]
        )
    assert 50 in states
    assert len(made) > sum(1 for row in rows(division, invoices) if row["Status"] == 50)


def test_documents_that_are_not_booked_are_in_no_ledger(division: int) -> None:
    booked = {line["EntryID"] for line in rows(division, LINES)}
    rejected = [row for row in rows(division, "purchaseentry/PurchaseEntries") if row["Status"] == 5]
    prepared = [row for row in rows(division, "salesinvoice/SalesInvoices") if row["Status"] in (10, 20)]

    assert rejected
    assert {row["Status"] for row in prepared} == {10, 20}
    assert not booked & {row["EntryID"] for row in rejected}
    assert not booked & {row["InvoiceID"] for row in prepared}


def test_late_entries_are_open_and_old_ones_processed(division: int) -> None:
    states = {line["Status"] for line in rows(division, LINES)}
    latest = max(line["Date"] for line in rows(division, LINES))

    assert states == {20, 50}
    for line in rows(division, LINES):
        if line["Date"] < latest - timedelta(days=60):
            assert line["Status"] == 50


def test_each_statement_is_posted_and_continues_the_balance_of_the_one_before(division: int) -> None:
    bank = {row["ID"] for row in rows(division, "financial/GLAccounts") if row["Type"] == 12}
    posted = grouped("EntryID", [line for line in rows(division, LINES) if line["GLAccount"] in bank])
    (opening,) = [
        line for lines in posted.values() for line in lines if line["Type"] == 10 and line["GLAccount"] in bank
    ]
    balance = cents(opening["AmountDC"])
    for statement in sorted(rows(division, "financialtransaction/BankEntries"), key=lambda row: row["Created"]):
        assert cents(statement["OpeningBalanceFC"]) == balance
        balance = cents(statement["ClosingBalanceFC"])
        movement = sum(cents(line["AmountDC"]) for line in posted[statement["EntryID"]])
        assert movement == balance - cents(statement["OpeningBalanceFC"])


def test_each_line_of_a_statement_is_a_pair_in_the_ledger(division: int) -> None:
    lines = by("ID", rows(division, LINES))
    entries = grouped("EntryID", rows(division, LINES))
    for bank_line in rows(division, "financialtransaction/BankEntryLines"):
        line = lines[bank_line["ID"]]
        assert line["LineNumber"] == bank_line["LineNumber"]
        assert cents(line["AmountDC"]) == -cents(bank_line["AmountDC"])
        twins = [
            other
            for other in entries[bank_line["EntryID"]]
            if other["LineNumber"] == 0 and cents(other["AmountDC"]) == cents(bank_line["AmountDC"])
        ]
        assert twins
        assert {twin["OffsetID"] for twin in twins} == {None}


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
    assert balance == sign * sum(cents(term["AmountDC"]) for term in terms if term["Status"] != 50)
    assert {20, 50} <= {term["Status"] for term in terms} <= {20, 30, 40, 50}


def test_the_feed_of_payment_terms_shows_receivables_and_payments(division: int) -> None:
    feed = by("ID", rows(division, "sync/Cashflow/PaymentTerms"))
    terms = {20: rows(division, "cashflow/Receivables"), 22: rows(division, "cashflow/Payments")}

    assert len(feed) == sum(len(found) for found in terms.values())
    for line_type, found in terms.items():
        for term in found:
            assert feed[term["ID"]]["LineType"] == line_type
            assert (feed[term["ID"]]["AmountDC"], feed[term["ID"]]["Status"]) == (term["AmountDC"], term["Status"])


def test_matched_lines_of_invoice_and_payment_point_at_each_other(division: int) -> None:
    lines = by("ID", rows(division, LINES))
    control = {row["ID"] for row in rows(division, "financial/GLAccounts") if row["Type"] in (20, 22)}
    invoices, payments = 0, 0
    for line in lines.values():
        if line["GLAccount"] not in control or line["OffsetID"] is None:
            continue
        other = lines[line["OffsetID"]]
        if line["EntryID"] == other["EntryID"]:  # a receipt that nobody has matched
            assert line["Type"] == 40
            assert line["InvoiceNumber"] == 0
            continue
        assert other["GLAccount"] == line["GLAccount"]
        assert other["Account"] == line["Account"]
        assert other["InvoiceNumber"] == line["InvoiceNumber"]
        invoices += line["Type"] in (20, 21, 30, 31)
        payments += line["Type"] in (40, 82, 83)
    assert invoices > 50
    assert payments > 50


def test_lines_of_sales_and_purchases_hang_on_line_0(division: int) -> None:
    for lines in grouped("EntryID", [line for line in rows(division, LINES) if line["Type"] in (20, 30)]).values():
        (header,) = [line for line in lines if line["LineNumber"] == 0]
        assert {line["OffsetID"] for line in lines if line["LineNumber"]} == {header["ID"]}


@pytest.mark.parametrize("entity", ["cashflow/Receivables", "cashflow/Payments"])
def test_terms_of_a_transaction_add_up_to_it(division: int, entity: str) -> None:
    lines, terms = by("ID", rows(division, LINES)), grouped("TransactionID", rows(division, entity))
    sign = 1 if entity == "cashflow/Receivables" else -1
    for transaction, own in terms.items():
        booked = sign * cents(lines[transaction]["AmountDC"])
        assert sum(cents(term["AmountDC"]) for term in own) == booked
        for term in own:
            assert cents(term["TransactionAmountDC"]) == booked
            assert term["TransactionEntryID"] == lines[transaction]["EntryID"]
            assert term["TransactionType"] == lines[transaction]["Type"]
            assert (term["EndDate"] is None) == (term["Status"] != 50)
        assert len({term["EntryID"] for term in own}) == len(own)


def test_terms_are_split_where_a_part_is_paid_and_stand_for_payments_and_differences_too() -> None:
    for entity in ("cashflow/Receivables", "cashflow/Payments"):
        terms = [term for code in codes() for term in rows(code, entity)]
        states = [{term["Status"] for term in own} for own in grouped("TransactionID", terms).values() if len(own) > 1]

        assert states
        assert {40, 82, 83} <= {term["TransactionType"] for term in terms}


def test_every_control_line_has_a_term(division: int) -> None:
    accounts = by("ID", rows(division, "financial/GLAccounts"))
    for entity, kind in (("cashflow/Receivables", 20), ("cashflow/Payments", 22)):
        own = {
            line["ID"]
            for line in rows(division, LINES)
            if line["GLAccount"] and accounts[line["GLAccount"]]["Type"] == kind and line["Type"] not in CLOSING
        }
        assert own == {term["TransactionID"] for term in rows(division, entity)}


def test_differences_are_booked_where_payments_lack_something() -> None:
    kinds = {line["Type"] for code in codes() for line in rows(code, LINES)}

    assert {82, 83} <= kinds
    for code in codes():
        for lines in grouped("EntryID", [line for line in rows(code, LINES) if line["Type"] in (82, 83)]).values():
            assert sum(cents(line["AmountDC"]) for line in lines) == 0
            assert all(line["AmountFC"] == 0 for line in lines if line["Type"] == 82)
            assert all(abs(line["AmountDC"]) <= 2.5 for line in lines if line["Type"] == 83)


def test_closed_years_leave_no_result_and_all_of_it_in_the_reserves(division: int) -> None:
    accounts = by("ID", rows(division, "financial/GLAccounts"))
    lines = [line for line in rows(division, LINES) if line["GLAccount"]]
    closed = {line["FinancialYear"] for line in lines if line["Type"] in (310, 326)}
    years = {line["FinancialYear"] for line in lines}

    assert closed == years - {max(years)}
    for year in closed:
        results = [
            line
            for line in lines
            if line["FinancialYear"] == year and accounts[line["GLAccount"]]["BalanceType"] == "W"
        ]
        result = sum(cents(line["AmountDC"]) for line in results if line["Type"] not in CLOSING)
        (booked,) = [
            cents(line["AmountDC"])
            for line in lines
            if line["FinancialYear"] == year
            and line["Type"] in (310, 326)
            and accounts[line["GLAccount"]]["Type"] == 52
        ]
        assert sum(cents(line["AmountDC"]) for line in results) == 0
        assert result == booked != 0
        assert {line["FinancialPeriod"] for line in lines if line["FinancialYear"] == year and line["Type"] == 310} <= {
            12
        }


def test_some_companies_carry_their_balances_over() -> None:
    store = fill(divisions=3)
    division = store.division_codes()[2]
    accounts = by("ID", list(store.rows(division, "financial/GLAccounts")))
    lines = [line for line in store.rows(division, LINES) if line["GLAccount"]]
    kinds = {line["Type"] for line in lines}
    assert {326, 327, 328} <= kinds
    assert 310 not in kinds
    for year in {line["FinancialYear"] for line in lines if line["Type"] == 327}:
        left: dict[str, int] = {}
        for line in lines:
            if line["FinancialYear"] <= year:
                left[line["GLAccount"]] = left.get(line["GLAccount"], 0) + cents(line["AmountDC"])
        carried = {line["GLAccount"] for line in lines if line["Type"] == 328 and line["FinancialYear"] == year + 1}
        assert set(left.values()) == {0}
        assert carried
        assert {accounts[account]["BalanceType"] for account in carried} == {"B"}


def test_vat_lines_follow_from_the_rate_and_the_base(division: int) -> None:
    accounts = by("ID", rows(division, "financial/GLAccounts"))
    vat = [line for line in rows(division, LINES) if line["GLAccount"] and accounts[line["GLAccount"]]["Type"] == 24]
    vat = [line for line in vat if line["Type"] not in CLOSING]

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
