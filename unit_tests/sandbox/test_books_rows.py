"""Rows fit the reference and hold the values that careless readers get wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import pytest

from exact_online_sandbox.books import generate
from exact_online_sandbox.books.checksums import valid_iban
from exact_online_sandbox.entities import DIVISIONS, entities
from exact_online_sandbox.reference import is_instant
from unit_tests.sandbox.books_truth import LINES, UNTIL, books, codes, filled_entities, rows

DUTCH, BRITISH = codes()
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RANGES = {"Edm.Byte": (0, 255), "Edm.Int16": (-(2**15), 2**15 - 1), "Edm.Int32": (-(2**31), 2**31 - 1)}
EXPECTED = (
    "crm/Accounts", "crm/Contacts", "crm/Addresses", "crm/BankAccounts", "logistics/Items", "logistics/ItemGroups",
    "logistics/SalesItemPrices", "logistics/Units", "salesorder/SalesOrders", "salesorder/SalesOrderLines",
    "salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines", "purchaseorder/PurchaseOrders",
    "purchaseorder/PurchaseOrderLines", "purchase/PurchaseInvoices", "purchase/PurchaseInvoiceLines",
    "purchaseentry/PurchaseEntries", "purchaseentry/PurchaseEntryLines", "salesentry/SalesEntries",
    "salesentry/SalesEntryLines", "financialtransaction/BankEntries", "financialtransaction/BankEntryLines",
    "generaljournalentry/GeneralJournalEntries", "generaljournalentry/GeneralJournalEntryLines", LINES,
    "financial/GLAccounts", "financial/GLClassifications", "financial/GLAccountClassificationMappings",
    "financial/GLSchemes", "financial/Journals", "financial/FinancialPeriods", "financial/ExchangeRates",
    "hrm/Costcenters", "hrm/Costunits", "vat/VATCodes", "cashflow/PaymentConditions", "cashflow/Receivables",
    "cashflow/Payments", "sync/Cashflow/PaymentTerms",
    "inventory/Warehouses", "general/Currencies", "documents/Documents", "project/Projects", "sales/OrderCharges",
    "salesorder/SalesOrderOrderChargeLines", "salesinvoice/SalesInvoiceOrderChargeLines",
)  # fmt: skip


def _fits(type_: str, name: str, value: object) -> bool:
    if type_ in RANGES:
        low, high = RANGES[type_]
        return type(value) is int and low <= value <= high
    if type_ == "Edm.DateTime":
        aware = isinstance(value, datetime) and value.tzinfo is not None
        return isinstance(value, datetime) and aware == is_instant(name)
    if type_ == "Edm.Guid":
        return isinstance(value, str) and GUID.fullmatch(value) is not None
    kinds = {"Edm.String": str, "Edm.Boolean": bool, "Edm.Double": float, "Edm.Int64": int}
    return type(value) is kinds[type_]


class _Recorder:
    """A store that keeps the rows as the generator gives them."""

    def __init__(self) -> None:
        self.given: dict[str, list[dict[str, object]]] = {}

    def add_division(self, code: int, row: dict[str, object]) -> None:
        self.given.setdefault(DIVISIONS, []).append(row)

    def insert_many(self, division: int, entity: str, rows_given: Iterable[dict[str, object]]) -> int:
        kept = list(rows_given)
        self.given.setdefault(entity, []).extend(kept)
        return len(kept)


@pytest.mark.parametrize("division", [DUTCH, BRITISH])
def test_every_promised_entity_has_rows(division: int) -> None:
    assert set(filled_entities(division)) == set(EXPECTED)


def test_every_value_given_to_the_store_has_a_property_of_its_type() -> None:
    recorder = _Recorder()
    generate(recorder, seed=3, divisions=2, size="small", until=UNTIL)

    assert set(recorder.given) == {*EXPECTED, DIVISIONS}
    for entity, given in recorder.given.items():
        columns = entities()[entity].columns
        for row in given:
            for name, value in row.items():
                assert value is None or _fits(columns[name], name, value), (entity, name, value)


def test_division_rows_have_all_sixty_two_properties() -> None:
    recorder = _Recorder()
    generate(recorder, seed=3, divisions=2, size="tiny", until=UNTIL)

    assert [len(row) for row in recorder.given[DIVISIONS]] == [62, 62]


def test_companies_are_dutch_and_british() -> None:
    dutch, british = (books().division(code) for code in (DUTCH, BRITISH))

    assert (dutch["Country"], dutch["Currency"]) == ("NL ", "EUR")
    assert (british["Country"], british["Currency"]) == ("GB ", "GBP")
    assert {row["Percentage"] for row in rows(DUTCH, "vat/VATCodes")} == {0.21, 0.09, 0}
    assert {row["Percentage"] for row in rows(BRITISH, "vat/VATCodes")} == {0.2, 0.05, 0}


def test_codes_are_padded_as_exact_pads_them() -> None:
    for account in rows(DUTCH, "crm/Accounts"):
        assert len(account["Code"]) == 18
        assert account["Code"].strip().isdigit()
        assert (len(account["Country"]), len(account["Language"]), len(account["SearchCode"])) == (3, 10, 9)
    assert any(account["Code"].startswith(" ") for account in rows(DUTCH, "crm/Accounts"))


@pytest.mark.parametrize("division", [DUTCH, BRITISH])
def test_relation_codes_are_unique(division: int) -> None:
    found = [row["Code"] for row in rows(division, "crm/Accounts")]

    assert len(set(found)) == len(found)


def test_bank_accounts_and_vat_numbers_have_valid_checksums() -> None:
    for division in (DUTCH, BRITISH):
        numbers = [row["IBAN"] for row in rows(division, "crm/BankAccounts") if row["IBAN"][:2].isalpha()]
        assert numbers
        assert all(valid_iban(number) for number in numbers)
    dutch = [row["VATNumber"] for row in rows(DUTCH, "crm/Accounts") if row["VATNumber"]]
    british = [row["VATNumber"] for row in rows(BRITISH, "crm/Accounts") if row["VATNumber"]]
    assert dutch
    assert british
    for number in dutch:
        assert int("".join(str(int(letter, 36)) for letter in number)) % 97 == 1
    for number in british:
        weighted = sum(int(digit) * weight for digit, weight in zip(number[2:9], range(8, 1, -1), strict=True))
        assert (weighted + int(number[9:])) % 97 == 0


def test_bar_codes_have_valid_check_digits() -> None:
    found = [row["Barcode"] for row in rows(DUTCH, "logistics/Items") if row["Barcode"]]

    assert found
    for code in found:
        assert sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(code)) % 10 == 0


def test_some_integer_is_beyond_what_a_double_holds() -> None:
    wide = [books().division(code)["Hid"] for code in codes()]

    assert all(hid > 2**53 for hid in wide)
    assert any(int(float(hid)) != hid for hid in wide)


def test_amounts_have_awkward_digits() -> None:
    prices = {row["StandardSalesPrice"] for row in rows(DUTCH, "logistics/Items")}
    amounts = [row["AmountDC"] for row in rows(DUTCH, LINES)]

    assert {1e-05, 0.1 + 0.2, 9876.54321} <= prices
    assert any(len(repr(amount).partition(".")[2]) > 8 for amount in amounts)
    assert any(row["AmountDC"] < 0 for row in rows(DUTCH, "salesinvoice/SalesInvoices"))
    assert any(row["ExchangeRate"] != 1 for row in rows(BRITISH, LINES))


def test_text_has_what_breaks_careless_parsers() -> None:
    names = [row["Name"] for row in rows(DUTCH, "crm/Accounts")]
    texts = names + [row["Remarks"] for row in rows(DUTCH, "crm/Accounts") if row["Remarks"]]
    texts += [row["Notes"] for row in rows(DUTCH, "salesinvoice/SalesInvoiceLines") if row["Notes"]]
    everything = "".join(texts)

    assert all(wanted in everything for wanted in ("é", "€", "🚚", '"', "&", "\r\n", "<"))
    assert any(name != name.strip() for name in names)


def test_credit_notes_are_posted_with_their_own_type() -> None:
    invoices = [row for row in rows(DUTCH, "salesinvoice/SalesInvoices") if row["InvoiceNumber"]]
    types = {row["InvoiceNumber"]: row["Type"] for row in invoices}
    posted = {row["EntryNumber"]: row["Type"] for row in rows(DUTCH, LINES)}

    assert {posted[invoice] for invoice, kind in types.items() if kind == 8024} == {21}
    assert {posted[invoice] for invoice, kind in types.items() if kind != 8024} == {20}
