"""Documents add up, follow from each other and refer to rows that exist."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest

from unit_tests.sandbox.books_truth import LINES, Rows, by, cents, codes, filled_entities, grouped, rows

ACCOUNTS, ITEMS, GL, CHARGES = "crm/Accounts", "logistics/Items", "financial/GLAccounts", "sales/OrderCharges"
TARGETS = {
    "Account": (ACCOUNTS, "ID"),
    "OrderedBy": (ACCOUNTS, "ID"),
    "InvoiceTo": (ACCOUNTS, "ID"),
    "DeliverTo": (ACCOUNTS, "ID"),
    "Supplier": (ACCOUNTS, "ID"),
    "Customer": (ACCOUNTS, "ID"),
    "MainContact": ("crm/Contacts", "ID"),
    "Contact": ("crm/Contacts", "ID"),
    "AccountContact": ("crm/Contacts", "ID"),
    "InvoiceToContactPerson": ("crm/Contacts", "ID"),
    "DeliveryAddress": ("crm/Addresses", "ID"),
    "DeliverToAddress": ("crm/Addresses", "ID"),
    "AccountBankAccountID": ("crm/BankAccounts", "ID"),
    "Item": (ITEMS, "ID"),
    "ItemGroup": ("logistics/ItemGroups", "ID"),
    "GLAccount": (GL, "ID"),
    "GLCosts": (GL, "ID"),
    "GLRevenue": (GL, "ID"),
    "GLStock": (GL, "ID"),
    "GLToPay": (GL, "ID"),
    "GLToClaim": (GL, "ID"),
    "GLAR": (GL, "ID"),
    "GLAP": (GL, "ID"),
    "Classification": ("financial/GLClassifications", "ID"),
    "Parent": ("financial/GLClassifications", "ID"),
    "SalesOrder": ("salesorder/SalesOrders", "OrderID"),
    "OrderID": ("salesorder/SalesOrders", "OrderID"),
    "SalesOrderLine": ("salesorder/SalesOrderLines", "ID"),
    "PurchaseOrderLine": ("purchaseorder/PurchaseOrderLines", "ID"),
    "PurchaseOrderID": ("purchaseorder/PurchaseOrders", "PurchaseOrderID"),
    "WarehouseID": ("inventory/Warehouses", "ID"),
    "Warehouse": ("inventory/Warehouses", "ID"),
    "Project": ("project/Projects", "ID"),
    "JournalCode": ("financial/Journals", "Code"),
    "Journal": ("financial/Journals", "Code"),
    "VATCode": ("vat/VATCodes", "Code"),
    "SalesVATCode": ("vat/VATCodes", "Code"),
    "SalesVatCode": ("vat/VATCodes", "Code"),
    "CostCenter": ("hrm/Costcenters", "Code"),
    "CostCenterCode": ("hrm/Costcenters", "Code"),
    "CostUnit": ("hrm/Costunits", "Code"),
    "CostUnitCode": ("hrm/Costunits", "Code"),
    "PaymentCondition": ("cashflow/PaymentConditions", "Code"),
    "Currency": ("general/Currencies", "Code"),
    "TransactionID": (LINES, "ID"),
    "OffsetID": (LINES, "ID"),
    "OrderCharge": (CHARGES, "ID"),
}
TWINS = {
    "AccountName": ("Account", ACCOUNTS, "Name"),
    "AccountCode": ("Account", ACCOUNTS, "Code"),
    "OrderedByName": ("OrderedBy", ACCOUNTS, "Name"),
    "InvoiceToName": ("InvoiceTo", ACCOUNTS, "Name"),
    "SupplierName": ("Supplier", ACCOUNTS, "Name"),
    "CustomerName": ("Customer", ACCOUNTS, "Name"),
    "InvoiceToContactPersonFullName": ("InvoiceToContactPerson", "crm/Contacts", "FullName"),
    "ItemCode": ("Item", ITEMS, "Code"),
    "ItemDescription": ("Item", ITEMS, "Description"),
    "GLAccountCode": ("GLAccount", GL, "Code"),
    "GLAccountDescription": ("GLAccount", GL, "Description"),
    "ClassificationCode": ("Classification", "financial/GLClassifications", "Code"),
    "JournalDescription": ("Journal", "financial/Journals", "Description"),
    "VATCodeDescription": ("VATCode", "vat/VATCodes", "Description"),
    "VATDescription": ("VATCode", "vat/VATCodes", "Description"),
    "VATPercentage": ("VATCode", "vat/VATCodes", "Percentage"),
    "CostCenterDescription": ("CostCenter", "hrm/Costcenters", "Description"),
    "CostUnitDescription": ("CostUnit", "hrm/Costunits", "Description"),
    "PaymentConditionDescription": ("PaymentCondition", "cashflow/PaymentConditions", "Description"),
    "ProjectDescription": ("Project", "project/Projects", "Description"),
    "OrderChargeCode": ("OrderCharge", CHARGES, "Code"),
    "OrderChargeDescription": ("OrderCharge", CHARGES, "Description"),
}


@pytest.fixture(params=codes(), ids=["dutch", "british"])
def division(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def _all_rows(division: int) -> Iterator[tuple[str, Rows]]:
    for entity in filled_entities(division):
        yield entity, rows(division, entity)


def test_references_point_at_existing_rows(division: int) -> None:
    existing = {(entity, key): {row[key] for row in rows(division, entity)} for entity, key in set(TARGETS.values())}
    checked = set()
    for entity, found in _all_rows(division):
        if entity.startswith("financial/GLAccounts"):
            continue
        for row in found:
            for name, target in TARGETS.items():
                if row.get(name) is not None:
                    checked.add(name)
                    assert row[name] in existing[target], (entity, name)
    assert checked == set(TARGETS)


def test_names_and_descriptions_are_those_of_the_row_referred_to(division: int) -> None:
    keys = {
        entity: by(
            "Code" if reference.endswith(("Code", "Journal", "Center", "Unit", "Condition")) else "ID",
            rows(division, entity),
        )
        for reference, entity, _ in TWINS.values()
    }
    checked = set()
    for entity, found in _all_rows(division):
        for row in found:
            for name, (reference, target, property_name) in TWINS.items():
                if row.get(name) is not None and row.get(reference) is not None:
                    checked.add(name)
                    assert row[name] == keys[target][row[reference]][property_name], (entity, name)
    assert checked == set(TWINS)


@pytest.mark.parametrize(
    ("header", "key", "gross", "net", "lines", "reference", "line_net", "line_vat"),
    [
        ("salesinvoice/SalesInvoices", "InvoiceID", "AmountDC", None, "salesinvoice/SalesInvoiceLines", "InvoiceID",
         "AmountDC", "VATAmountDC"),
        ("salesinvoice/SalesInvoices", "InvoiceID", "AmountFC", "AmountFCExclVat", "salesinvoice/SalesInvoiceLines",
         "InvoiceID", "AmountFC", "VATAmountFC"),
        ("salesorder/SalesOrders", "OrderID", "AmountFC", "AmountFCExclVat", "salesorder/SalesOrderLines", "OrderID",
         "AmountFC", "VATAmount"),
        ("purchaseorder/PurchaseOrders", "PurchaseOrderID", "AmountFC", "AmountFCExclVat",
         "purchaseorder/PurchaseOrderLines", "PurchaseOrderID", "AmountFC", "VATAmount"),
        ("purchase/PurchaseInvoices", "ID", "Amount", "AmountFCExclVat", "purchase/PurchaseInvoiceLines", "InvoiceID",
         "Amount", "VATAmount"),
        ("purchaseentry/PurchaseEntries", "EntryID", "AmountDC", None, "purchaseentry/PurchaseEntryLines", "EntryID",
         "AmountDC", "VATAmountDC"),
        ("salesentry/SalesEntries", "EntryID", "AmountDC", None, "salesentry/SalesEntryLines", "EntryID", "AmountDC",
         "VATAmountDC"),
    ],
)  # fmt: skip
def test_headers_are_the_sum_of_their_lines_with_vat(
    division: int,
    header: str,
    key: str,
    gross: str,
    net: str | None,
    lines: str,
    reference: str,
    line_net: str,
    line_vat: str,
) -> None:
    own = grouped(reference, rows(division, lines))
    headers = rows(division, header)

    assert headers
    assert set(own) == {row[key] for row in headers}
    for row in headers:
        amounts = [cents(line[line_net]) for line in own[row[key]]]
        taxes = [cents(line[line_vat]) for line in own[row[key]]]
        assert cents(row[gross]) == sum(amounts) + sum(taxes)
        if net:
            assert cents(row[net]) == sum(amounts)
        assert sorted(line["LineNumber"] for line in own[row[key]]) == list(range(1, len(amounts) + 1))


def test_line_amounts_are_quantity_times_net_price(division: int) -> None:
    for entity in ("salesinvoice/SalesInvoiceLines", "salesorder/SalesOrderLines", "purchaseorder/PurchaseOrderLines"):
        for line in rows(division, entity):
            assert line["AmountFC"] == pytest.approx(line["Quantity"] * line["NetPrice"], abs=0.0051)
            assert line["NetPrice"] == pytest.approx(line["UnitPrice"] * (1 - line["Discount"]))


def test_invoiced_order_lines_are_on_an_invoice_of_the_same_customer(division: int) -> None:
    orders = by("OrderID", rows(division, "salesorder/SalesOrders"))
    invoices = by("InvoiceID", rows(division, "salesinvoice/SalesInvoices"))
    invoiced = {row["SalesOrderLine"]: row for row in rows(division, "salesinvoice/SalesInvoiceLines")}
    complete = [line for line in rows(division, "salesorder/SalesOrderLines") if line["InvoiceStatus"] == 21]

    assert complete
    for line in complete:
        invoice_line = invoiced.pop(line["ID"])
        invoice = invoices[invoice_line["InvoiceID"]]
        assert invoice_line["Quantity"] == line["Quantity"]
        assert invoice_line["SalesOrderNumber"] == orders[line["OrderID"]]["OrderNumber"] == invoice["OrderNumber"]
        assert invoice["InvoiceTo"] == orders[line["OrderID"]]["InvoiceTo"]
        assert invoice["InvoiceDate"] >= orders[line["OrderID"]]["OrderDate"]
    assert set(invoiced) <= {None}


def test_orders_are_as_complete_as_their_lines(division: int) -> None:
    lines = grouped("OrderID", rows(division, "salesorder/SalesOrderLines"))
    seen = set()
    for order in rows(division, "salesorder/SalesOrders"):
        states = {line["Status"] for line in lines[order["OrderID"]]}
        expected = states.pop() if len(states) == 1 else 20
        assert order["Status"] == expected
        seen.add(expected)
    assert 21 in seen


def test_purchase_invoices_bill_complete_orders(division: int) -> None:
    complete = {row["ID"] for row in rows(division, "purchaseorder/PurchaseOrderLines") if row["InvoicedQuantity"]}
    billed = {row["PurchaseOrderLine"] for row in rows(division, "purchase/PurchaseInvoiceLines")}

    assert billed
    assert billed == complete


def test_journal_period_and_number_fit_the_date(division: int) -> None:
    periods = {(row["FinYear"], row["FinPeriod"]): row for row in rows(division, "financial/FinancialPeriods")}
    types = {row["Code"]: row["Type"] for row in rows(division, "financial/Journals")}
    journal_types = {10: 90, 20: 20, 21: 20, 30: 22, 31: 22, 40: 12, 82: 12, 83: 12, 90: 90, 310: 90}
    for line in rows(division, LINES):
        period = periods[line["FinancialYear"], line["FinancialPeriod"]]
        assert period["StartDate"] <= line["Date"] <= period["EndDate"]
        assert types[line["JournalCode"]] == journal_types[line["Type"]]
        assert str(line["EntryNumber"]).startswith(f"{line['FinancialYear'] % 100}{line['JournalCode']}")


def test_each_year_has_twelve_periods(division: int) -> None:
    years = grouped("FinYear", rows(division, "financial/FinancialPeriods"))

    assert sorted(years) == [2023, 2024, 2025, 2026]
    for periods in years.values():
        assert sorted(row["FinPeriod"] for row in periods) == list(range(1, 13))


def test_the_british_year_begins_in_april_and_the_dutch_one_in_january() -> None:
    for division, month in zip(codes(), (1, 4), strict=True):
        periods = sorted(rows(division, "financial/FinancialPeriods"), key=lambda row: row["StartDate"])
        assert {row["StartDate"].month for row in periods if row["FinPeriod"] == 1} == {month}
        for one, following in pairwise(periods):
            assert following["StartDate"] - one["EndDate"] == timedelta(days=1)


def test_cost_centers_and_units_are_on_profit_and_loss_lines_only(division: int) -> None:
    kinds = {row["ID"]: row["BalanceType"] for row in rows(division, GL)}
    for line in rows(division, LINES):
        if line["Type"] >= 310:  # closing a year knows of no cost centers
            assert line["CostCenter"] is None
            continue
        on_profit_and_loss = line["GLAccount"] is not None and kinds[line["GLAccount"]] == "W"
        assert (line["CostCenter"] is not None) == on_profit_and_loss
        assert (line["CostUnit"] is not None) == on_profit_and_loss


def test_chart_is_of_realistic_size_and_classified(division: int) -> None:
    chart = rows(division, GL)
    mappings = rows(division, "financial/GLAccountClassificationMappings")

    assert 55 <= len(chart) <= 75
    assert {row["GLAccount"] for row in mappings} == {row["ID"] for row in chart}
    assert len({row["Code"] for row in chart}) == len(chart)
