"""The store keeps rows as they are and numbers every change."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from exact_online_sandbox.entities import entities
from exact_online_sandbox.store import RowError, Store, feed_id

DIVISION = 123
AT = datetime(2024, 7, 1, 12, 0, 0, 123000, tzinfo=timezone.utc)
LATER = AT + timedelta(days=1)
INVOICES, LINES = "salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines"


def versions(store: Store, entity: str) -> list[int]:
    return [row.version for row in store.select(DIVISION, entity)]


def test_insert_fills_key_division_created_and_modified(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {"Name": "Acme"}, at=AT)
    assert row["Division"] == DIVISION
    assert row["Created"] == row["Modified"] == AT
    assert len(row["ID"]) == 36


def test_values_come_back_as_they_were_given(store: Store) -> None:
    given = {
        "ID": "0A0B0C0D-0000-4000-8000-000000000001",
        "Code": "                 7",
        "Country": "NL ",
        "DiscountSales": 0.1,
        "CreditLineSales": 9075.0,
        "Blocked": True,
        "IsAgency": 1,
        "StartDate": datetime(2024, 3, 31),
        "Logo": "AAEC",
    }
    row = store.insert(DIVISION, "crm/Accounts", given, at=AT)
    assert {name: row[name] for name in given} == {**given, "ID": given["ID"].lower()}
    assert isinstance(row["CreditLineSales"], float)


def test_row_version_beyond_float_precision_is_kept(store: Store) -> None:
    store.raise_version(DIVISION, 2**53 + 1)
    store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    assert versions(store, "crm/Accounts")[0] > 2**53 + 1


@pytest.mark.parametrize("row", [{"Nome": "x"}, {"Name": 5}, {"CreditLineSales": "much"}, {"ID": "no guid"}])
def test_row_that_does_not_fit_is_refused(store: Store, row: dict[str, object]) -> None:
    with pytest.raises(RowError):
        store.insert(DIVISION, "crm/Accounts", row, at=AT)


def test_same_key_twice_is_refused_and_changes_nothing(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {"Name": "one"}, at=AT)
    with pytest.raises(RowError):
        store.insert(DIVISION, "crm/Accounts", {"ID": row["ID"], "Name": "two"}, at=AT)
    assert [r["Name"] for r in store.rows(DIVISION, "crm/Accounts")] == ["one"]


def test_same_key_may_exist_in_two_divisions(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    store.insert(456, "crm/Accounts", {"ID": row["ID"]}, at=AT)
    assert store.count(456, "crm/Accounts") == 1


def test_bulk_load_is_numbered_in_the_order_given(store: Store) -> None:
    rows = [{"ID": f"00000000-0000-4000-8000-00000000000{n}", "Modified": AT} for n in (3, 1, 2)]
    assert store.insert_many(DIVISION, "crm/Accounts", rows) == 3
    by_version = store.select(DIVISION, "crm/Accounts", by="version")
    assert [row.key[-1] for row in by_version] == ["3", "1", "2"]  # type: ignore[index]


def test_bulk_load_takes_given_row_versions(store: Store) -> None:
    rows = [{"ID": "00000000-0000-4000-8000-000000000001", "Timestamp": 2**60}]
    store.insert_many(DIVISION, "crm/Accounts", rows)
    store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    assert max(versions(store, "crm/Accounts")) > 2**60


def test_row_versions_ascend_with_gaps_over_all_entities(store: Store) -> None:
    for entity in ("crm/Accounts", "logistics/Items", "crm/Contacts"):
        for _ in range(10):
            store.insert(DIVISION, entity, {}, at=AT)
    found = [v for e in ("crm/Accounts", "logistics/Items", "crm/Contacts") for v in sorted(versions(store, e))]
    assert found == sorted(found)
    assert any(b - a > 1 for a, b in pairwise(found))


def test_update_sets_modified_and_a_new_version(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {"Name": "old"}, at=AT)
    before = versions(store, "crm/Accounts")[0]
    changed = store.update(DIVISION, "crm/Accounts", row["ID"], {"Name": "new"}, at=LATER)
    assert (changed["Name"], changed["Modified"], changed["Created"]) == ("new", LATER, AT)
    assert versions(store, "crm/Accounts")[0] > before


def test_silent_update_leaves_modified_but_not_the_version(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {"Name": "old"}, at=AT)
    before = versions(store, "crm/Accounts")[0]
    changed = store.update(DIVISION, "crm/Accounts", row["ID"], {"Name": "new"}, at=LATER, touch_modified=False)
    assert changed["Modified"] == AT
    assert versions(store, "crm/Accounts")[0] > before


def test_key_cannot_be_changed(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    with pytest.raises(RowError):
        store.update(DIVISION, "crm/Accounts", row["ID"], {"ID": "00000000-0000-4000-8000-000000000001"}, at=LATER)


def test_missing_row_cannot_be_updated_or_deleted(store: Store) -> None:
    with pytest.raises(KeyError):
        store.update(DIVISION, "crm/Accounts", "00000000-0000-4000-8000-000000000001", {}, at=AT)
    with pytest.raises(KeyError):
        store.delete(DIVISION, "crm/Accounts", "00000000-0000-4000-8000-000000000001", at=AT)


def test_deletion_is_logged_with_number_key_and_version(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    before = versions(store, "crm/Accounts")[0]
    store.delete(DIVISION, "crm/Accounts", row["ID"], at=LATER)
    (entry,) = store.deletions(DIVISION)
    assert (entry["EntityType"], entry["EntityKey"], entry["DeletedDate"]) == (2, row["ID"], LATER)
    assert entry["Timestamp"] > before
    assert list(store.rows(DIVISION, "crm/Accounts")) == []


def test_deletion_without_a_number_is_not_logged(store: Store) -> None:
    row = store.insert(DIVISION, "financial/Journals", {"Code": "70"}, at=AT)
    store.delete(DIVISION, "financial/Journals", row["ID"], at=LATER)
    assert list(store.deletions(DIVISION)) == []


def test_row_can_be_created_again_after_its_deletion(store: Store) -> None:
    row = store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    store.delete(DIVISION, "crm/Accounts", row["ID"], at=LATER)
    store.insert(DIVISION, "crm/Accounts", {"ID": row["ID"]}, at=LATER)
    (entry,) = store.deletions(DIVISION)
    assert versions(store, "crm/Accounts")[0] > entry["Timestamp"]


def test_deleted_invoice_logs_the_feeds_own_id_and_its_lines(store: Store) -> None:
    invoice = store.insert(DIVISION, INVOICES, {}, at=AT)
    line = store.insert(DIVISION, LINES, {"InvoiceID": invoice["InvoiceID"]}, at=AT)
    store.delete(DIVISION, INVOICES, invoice["InvoiceID"], at=LATER)
    keys = {entry["EntityKey"] for entry in store.deletions(DIVISION)}
    assert keys == {feed_id(invoice["InvoiceID"]), line["ID"]}
    assert feed_id(invoice["InvoiceID"]) != invoice["InvoiceID"]
    assert store.count(DIVISION, LINES) == 0


def test_feed_ids_can_equal_the_named_key() -> None:
    store = Store(own_feed_ids=False)
    store.add_division(DIVISION, {})
    invoice = store.insert(DIVISION, INVOICES, {}, at=AT)
    store.delete(DIVISION, INVOICES, invoice["InvoiceID"], at=LATER)
    assert [entry["EntityKey"] for entry in store.deletions(DIVISION)] == [invoice["InvoiceID"]]


@pytest.mark.parametrize("part", [INVOICES, LINES])
def test_change_of_invoice_or_line_renumbers_both(store: Store, part: str) -> None:
    invoice = store.insert(DIVISION, INVOICES, {}, at=AT)
    line = store.insert(DIVISION, LINES, {"InvoiceID": invoice["InvoiceID"]}, at=AT)
    store.insert(DIVISION, LINES, {"InvoiceID": invoice["InvoiceID"]}, at=AT)
    highest = max(versions(store, INVOICES) + versions(store, LINES))
    key = invoice["InvoiceID"] if part == INVOICES else line["ID"]
    store.update(DIVISION, part, key, {"Description": "new"}, at=LATER)
    assert min(versions(store, INVOICES) + versions(store, LINES)) > highest


def test_sales_order_and_its_lines_are_numbered_apart(store: Store) -> None:
    order = store.insert(DIVISION, "salesorder/SalesOrders", {}, at=AT)
    line = store.insert(DIVISION, "salesorder/SalesOrderLines", {"OrderID": order["OrderID"]}, at=AT)
    before = versions(store, "salesorder/SalesOrders")
    store.update(DIVISION, "salesorder/SalesOrderLines", line["ID"], {"Description": "new"}, at=LATER)
    assert versions(store, "salesorder/SalesOrders") == before


@pytest.mark.parametrize(
    ("header", "key", "lines"),
    [
        ("crm/Quotations", "QuotationID", "crm/QuotationOrderChargeLines"),
        ("salesorder/SalesOrders", "OrderID", "salesorder/SalesOrderOrderChargeLines"),
        (INVOICES, "InvoiceID", "salesinvoice/SalesInvoiceOrderChargeLines"),
    ],
)
def test_change_of_an_order_charge_line_shows_in_its_header(store: Store, header: str, key: str, lines: str) -> None:
    row = store.insert(DIVISION, header, {}, at=AT)
    line = store.insert(DIVISION, lines, {key: row[key]}, at=AT)
    silently = store.update(DIVISION, lines, line["ID"], {"AmountDC": 4.0}, at=LATER, touch_modified=False)
    assert silently["AmountDC"] == 4.0
    assert store.row(DIVISION, header, row[key])["Modified"] == AT
    store.update(DIVISION, lines, line["ID"], {"AmountDC": 5.0}, at=LATER)
    assert store.row(DIVISION, header, row[key])["Modified"] == LATER


def test_order_charge_lines_go_with_their_header(store: Store) -> None:
    order = store.insert(DIVISION, "salesorder/SalesOrders", {}, at=AT)
    store.insert(DIVISION, "salesorder/SalesOrderOrderChargeLines", {"OrderID": order["OrderID"]}, at=AT)
    store.delete(DIVISION, "salesorder/SalesOrders", order["OrderID"], at=LATER)
    assert store.count(DIVISION, "salesorder/SalesOrderOrderChargeLines") == 0


def test_change_of_a_line_without_modified_shows_in_its_header(store: Store) -> None:
    entry = store.insert(DIVISION, "salesentry/SalesEntries", {}, at=AT)
    line = store.insert(DIVISION, "salesentry/SalesEntryLines", {"EntryID": entry["EntryID"]}, at=AT)
    store.update(DIVISION, "salesentry/SalesEntryLines", line["ID"], {"Description": "new"}, at=LATER)
    assert store.row(DIVISION, "salesentry/SalesEntries", entry["EntryID"])["Modified"] == LATER


def test_moved_division_has_new_lower_versions_and_a_move_date(store: Store) -> None:
    kept = store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    gone = store.insert(DIVISION, "crm/Accounts", {}, at=AT)
    store.delete(DIVISION, "crm/Accounts", gone["ID"], at=AT)
    before = versions(store, "crm/Accounts")[0], next(store.deletions(DIVISION))["Timestamp"]
    store.move_division(DIVISION, at=LATER)
    after = versions(store, "crm/Accounts")[0], next(store.deletions(DIVISION))["Timestamp"]
    assert after[0] < before[0]
    assert after[1] < before[1]
    assert store.division(DIVISION)["DivisionMoveDate"] is not None
    changed = store.update(DIVISION, "crm/Accounts", kept["ID"], {"Name": "x"}, at=LATER)
    assert versions(store, "crm/Accounts")[0] > max(after)
    assert changed["Name"] == "x"


def test_composite_keys_work(store: Store) -> None:
    entity = next(e for e in entities().values() if e.name == "openingbalance/CurrentYear/Processed")
    row = {"Division": DIVISION, "GLAccount": "00000000-0000-4000-8000-000000000001", "ReportingYear": 2024}
    store.insert(DIVISION, entity.name, row, at=AT)
    assert store.row(DIVISION, entity.name, [row[name] for name in entity.key])["ReportingYear"] == 2024


def test_a_file_is_kept_between_runs(tmp_path: object) -> None:
    path = f"{tmp_path}/books.sqlite"
    first = Store(path)
    first.add_division(DIVISION, {"Description": "kept"})
    row = first.insert(DIVISION, "crm/Accounts", {"Name": "kept"}, at=AT)
    first.close()
    second = Store(path)
    assert second.row(DIVISION, "crm/Accounts", row["ID"])["Name"] == "kept"
    second.close()
    with pytest.raises(ValueError, match="another reference or time zone"):
        Store(path, zone="Europe/London")


def test_a_file_opened_again_gives_new_rows_keys_of_their_own(tmp_path: Path) -> None:
    keys = set()
    for start in range(3):
        store = Store(str(tmp_path / "data.sqlite"))
        if start == 0:
            store.add_division(DIVISION, {})
        keys.add(store.insert(DIVISION, "crm/Contacts", {"FirstName": "Mo"}, at=AT)["ID"])
        store.close()
    assert len(keys) == 3
