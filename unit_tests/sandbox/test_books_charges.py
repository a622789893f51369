"""Order charges: lines that fit their documents, and books that are the same without them."""

from __future__ import annotations

from typing import Any

import pytest

from exact_online_sandbox.books import charges
from exact_online_sandbox.books.charges import OrderCharges
from exact_online_sandbox.entities import entities
from exact_online_sandbox.store import Store
from unit_tests.sandbox.books_truth import books, by, cents, codes, fill, grouped, rows

CHARGES = "sales/OrderCharges"
ORDERS, ORDER_LINES = "salesorder/SalesOrders", "salesorder/SalesOrderOrderChargeLines"
INVOICES, INVOICE_LINES = "salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceOrderChargeLines"
NEW = {CHARGES, ORDER_LINES, INVOICE_LINES}
DOCUMENTS = [(ORDERS, "OrderID", ORDER_LINES), (INVOICES, "InvoiceID", INVOICE_LINES)]


@pytest.fixture(params=codes(), ids=["dutch", "british"])
def division(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize(("header", "key", "lines"), DOCUMENTS)
def test_some_documents_have_one_or_two_charges(division: int, header: str, key: str, lines: str) -> None:
    headers, own = rows(division, header), grouped(key, rows(division, lines))

    assert set(own) <= {row[key] for row in headers}
    assert 0.05 < len(own) / len(headers) < 0.5
    assert {len(found) for found in own.values()} == {1, 2}
    for found in own.values():
        assert sorted(line["LineNumber"] for line in found) == list(range(1, len(found) + 1))
        assert len({line["OrderCharge"] for line in found}) == len(found)


@pytest.mark.parametrize(("header", "key", "lines"), DOCUMENTS)
def test_amounts_have_the_vat_rate_and_sign_of_the_document(division: int, header: str, key: str, lines: str) -> None:
    headers, accounts = by(key, rows(division, header)), by("ID", rows(division, "crm/Accounts"))
    home = books().division(division)["Country"]
    signs, rates = set(), set()
    for line in rows(division, lines):
        document = headers[line[key]]
        net, tax = line["AmountFCExclVAT"], line["AmountVATFC"]
        assert cents(tax) == cents(round(net * line["VATPercentage"], 2))
        assert cents(line["AmountFCInclVAT"]) == cents(net) + cents(tax)
        assert (net > 0) == (document["AmountFC"] > 0)
        if document["Currency"] == books().division(division)["Currency"]:
            assert line["AmountDC"] == net
        if accounts[document["OrderedBy"]]["Country"] != home:
            assert tax == 0
        signs.add(net > 0)
        rates.add(line["VATPercentage"])

    assert signs == ({True} if header == ORDERS else {True, False})
    assert len(rates) > 1


def test_an_order_is_billed_what_it_was_charged_with(division: int) -> None:
    numbers = {row["OrderID"]: row["OrderNumber"] for row in rows(division, ORDERS)}
    processed = [row for row in rows(division, INVOICES) if row["InvoiceNumber"]]
    first = {row["OrderNumber"]: row for row in sorted(processed, key=lambda row: -row["InvoiceNumber"])}
    billed = grouped("InvoiceID", rows(division, INVOICE_LINES))
    checked = 0
    for order, lines in grouped("OrderID", rows(division, ORDER_LINES)).items():
        if invoice := first.get(numbers[order]):
            checked += 1
            assert _charged(lines) == _charged(billed[invoice["InvoiceID"]])

    assert checked > 3


def _charged(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((line["LineNumber"], line["OrderCharge"], line["OrderChargesLineDescription"]) for line in lines)


def test_charges_that_are_no_longer_used_are_in_no_document(division: int) -> None:
    active = {row["ID"]: row["Active"] for row in rows(division, CHARGES)}
    used = {line["OrderCharge"] for lines in (ORDER_LINES, INVOICE_LINES) for line in rows(division, lines)}

    assert set(active.values()) == {True, False}
    assert used == {charge for charge in active if active[charge]}


def test_charges_come_after_all_other_rows(division: int) -> None:
    versions = {
        entity: [row.version for row in books().select(division, entity, by="version")] for entity in entities()
    }
    highest = max(max(found) for entity, found in versions.items() if found and entity not in NEW)

    assert min(version for entity in NEW for version in versions[entity]) > highest


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_all_other_rows_are_the_same_without_charges(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    with_charges = _others(fill(seed=9, size=size))
    monkeypatch.setattr(charges, "CHARGED_SHARE", 1.0)
    with_many = _others(fill(seed=9, size=size))
    for name in ("charge_order", "charge_invoice", "hand_over"):
        monkeypatch.setattr(OrderCharges, name, lambda *_: None)

    assert with_charges == with_many == _others(fill(seed=9, size=size))


def _others(store: Store) -> dict[tuple[int, str], list[tuple[object, ...]]]:
    return {
        (code, entity): [(row.key, row.version, row.body) for row in store.select(code, entity)]
        for code in store.division_codes()
        for entity in entities()
        if entity not in NEW
    }


def test_the_smallest_books_have_charges_too() -> None:
    store = fill(seed=3, size="tiny")
    for code in store.division_codes():
        for header, _, lines in DOCUMENTS:
            assert store.count(code, header)
            assert store.count(code, lines)
