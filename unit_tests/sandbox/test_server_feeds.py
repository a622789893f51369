"""Sync endpoints: row versions, mixed feeds, the deletion log, SyncTimestamp."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.store import feed_id
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

ACCOUNTS = f"{DIVISION}/sync/CRM/Accounts?$top=1&$filter=Timestamp gt "
INVOICES, LINES = "salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines"
FEED = f"{DIVISION}/sync/SalesInvoice/SalesInvoices?$top=1&$filter=Timestamp gt 1"


def fill(box: Sandbox, count: int) -> None:
    rows = ({"ID": f"00000000-0000-4000-8000-{count - n:012d}", "Name": str(n), "Modified": NOW} for n in range(count))
    box.store.insert_many(DIVISION, "crm/Accounts", rows)


def invoice(box: Sandbox, lines: int = 2) -> dict[str, Any]:
    header = box.store.insert(
        DIVISION, INVOICES, {"InvoiceNumber": 24001, "AmountDC": 242.0, "Description": "header"}, at=NOW
    )
    for number in range(1, lines + 1):
        row = {"InvoiceID": header["InvoiceID"], "LineNumber": number, "AmountDC": 121.0, "Quantity": 1.0}
        box.store.insert(DIVISION, LINES, row, at=NOW)
    return header


def test_feed_ascends_by_row_version_and_goes_on_behind_the_last_one(box: Sandbox, caller: Caller) -> None:
    fill(box, 2500)
    rows = caller.all(ACCOUNTS + "1&$select=ID,Timestamp")
    versions = [int(row["Timestamp"]) for row in rows]
    assert versions == sorted(versions)
    assert len({row["ID"] for row in rows}) == 2500
    assert caller.all(f"{ACCOUNTS}{versions[-1]}L") == []
    assert len(caller.all(f"{ACCOUNTS}{versions[-3]}L")) == 2


def test_row_version_is_text_and_exact_beyond_float_precision(box: Sandbox, caller: Caller) -> None:
    box.store.raise_version(DIVISION, 2**60)
    fill(box, 1)
    (row,) = caller.get(ACCOUNTS + str(2**60)).rows
    assert isinstance(row["Timestamp"], str)
    assert int(row["Timestamp"]) > 2**60
    assert f"Accounts({row['Timestamp']}L)" in row["__metadata"]["uri"]


def test_top_is_ignored(box: Sandbox, caller: Caller) -> None:
    fill(box, 5)
    reply = caller.get(ACCOUNTS + "1")
    assert "$top=1" in ACCOUNTS
    assert len(reply.d["results"]) == 5


def test_star_is_refused_where_the_reference_says_so(caller: Caller) -> None:
    assert caller.get(f"{DIVISION}/sync/CRM/Contacts?$filter=Timestamp gt 1&$select=*").status == 400
    assert caller.get(f"{DIVISION}/sync/CRM/Accounts?$filter=Timestamp gt 1&$select=*").status == 200


def test_row_changed_during_a_pass_comes_again_at_its_end(box: Sandbox, caller: Caller) -> None:
    fill(box, 1500)
    first = caller.get(ACCOUNTS + "1&$select=ID,Name")
    changed = first.rows[0]["ID"]
    box.store.update(DIVISION, "crm/Accounts", changed, {"Name": "new"}, at=NOW)
    second = caller.get(first.next or "")
    assert (second.rows[-1]["ID"], second.rows[-1]["Name"]) == (changed, "new")


def test_mixed_feed_has_headers_as_line_zero_and_lines_with_header_properties(box: Sandbox, caller: Caller) -> None:
    header = invoice(box)
    rows = sorted(caller.all(FEED), key=lambda row: row["LineNumber"])
    assert [row["LineNumber"] for row in rows] == [0, 1, 2]
    assert [row["AmountDC"] for row in rows] == [-242, -121, -121]
    assert {row["InvoiceID"] for row in rows} == {header["InvoiceID"]}
    assert {row["InvoiceNumber"] for row in rows} == {24001}
    assert rows[0]["Quantity"] is None


def test_header_of_a_mixed_feed_has_an_id_of_its_own(box: Sandbox, caller: Caller) -> None:
    header = invoice(box, lines=0)
    (row,) = caller.all(FEED)
    assert row["ID"] == feed_id(header["InvoiceID"]) != row["InvoiceID"]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_mixed_feed_pages_through_every_row_once(box: Sandbox, caller: Caller, size: int) -> None:
    for _ in range(4):
        invoice(box)
    box.settings.change({"page_sizes": {"sync": size}})
    rows = caller.all(FEED + "&$select=ID,Timestamp")
    assert len(rows) == len({row["ID"] for row in rows}) == 12
    versions = [int(row["Timestamp"]) for row in rows]
    assert versions == sorted(versions)


@pytest.mark.parametrize(
    ("feed", "header", "lines", "key"),
    [
        ("sync/PurchaseOrder/PurchaseOrders", "purchaseorder/PurchaseOrders", "purchaseorder/PurchaseOrderLines",
         "PurchaseOrderID"),
        ("sync/Financial/SalesEntries", "salesentry/SalesEntries", "salesentry/SalesEntryLines", "EntryID"),
        ("sync/Financial/PurchaseEntries", "purchaseentry/PurchaseEntries", "purchaseentry/PurchaseEntryLines",
         "EntryID"),
    ],
)  # fmt: skip
def test_other_mixed_feeds_work_alike(
    box: Sandbox, caller: Caller, feed: str, header: str, lines: str, key: str
) -> None:
    row = box.store.insert(DIVISION, header, {}, at=NOW)
    box.store.insert(DIVISION, lines, {key: row[key], "LineNumber": 1}, at=NOW)
    rows = caller.all(f"{DIVISION}/{feed}?$filter=Timestamp gt 1&$select=ID,LineNumber,{key},Modified")
    assert sorted(found["LineNumber"] for found in rows) == [0, 1]
    assert {found[key] for found in rows} == {row[key]}
    assert all(found["Modified"] for found in rows)


def test_order_headers_and_lines_are_feeds_of_their_own(box: Sandbox, caller: Caller) -> None:
    order = box.store.insert(DIVISION, "salesorder/SalesOrders", {}, at=NOW)
    box.store.insert(DIVISION, "salesorder/SalesOrderLines", {"OrderID": order["OrderID"]}, at=NOW)
    (header,) = caller.all(f"{DIVISION}/sync/SalesOrder/SalesOrderHeaders?$top=1&$filter=Timestamp gt 1")
    (line,) = caller.all(f"{DIVISION}/sync/SalesOrder/SalesOrderLines?$top=1&$filter=Timestamp gt 1")
    assert header["OrderID"] == line["OrderID"] == order["OrderID"]
    assert header["ID"] == feed_id(order["OrderID"])


def test_deletion_log_is_one_scale_with_the_feeds(box: Sandbox, caller: Caller) -> None:
    fill(box, 2)
    box.store.delete(DIVISION, "crm/Accounts", "00000000-0000-4000-8000-000000000001", at=NOW)
    box.store.delete(DIVISION, "crm/Contacts", box.store.insert(DIVISION, "crm/Contacts", {}, at=NOW)["ID"], at=NOW)
    (account,) = caller.all(ACCOUNTS + "1")
    log = caller.all(f"{DIVISION}/sync/Deleted?$top=1&$filter=Timestamp gt 1L and EntityType eq 2")
    assert [row["EntityKey"] for row in log] == ["00000000-0000-4000-8000-000000000001"]
    assert int(log[0]["Timestamp"]) > int(account["Timestamp"])
    assert len(caller.all(f"{DIVISION}/sync/Deleted?$top=1&$filter=Timestamp gt 1")) == 2


def test_deletions_are_forgotten_after_two_months(box: Sandbox, caller: Caller) -> None:
    fill(box, 1)
    box.store.delete(DIVISION, "crm/Accounts", "00000000-0000-4000-8000-000000000001", at=NOW)
    box.settings.tokens.life_seconds = 10_000_000
    box.clock.advance(timedelta(days=60).total_seconds())
    assert len(caller.all(f"{DIVISION}/sync/Deleted?$top=1&$filter=Timestamp gt 1")) == 1
    box.clock.advance(timedelta(days=2).total_seconds())
    assert caller.all(f"{DIVISION}/sync/Deleted?$top=1&$filter=Timestamp gt 1") == []


def test_moved_division_starts_a_lower_scale(box: Sandbox, caller: Caller) -> None:
    fill(box, 3)
    before = {int(row["Timestamp"]) for row in caller.all(ACCOUNTS + "1")}
    box.store.move_division(DIVISION, at=NOW)
    after = {int(row["Timestamp"]) for row in caller.all(ACCOUNTS + "1")}
    assert len(after) == 3
    assert max(after) < min(before)
    (division,) = caller.get(f"{DIVISION}/system/Divisions?$filter=Code eq 123&$select=DivisionMoveDate").rows
    assert division["DivisionMoveDate"] is not None


class TestFeedsThatBehaveWorse:
    def test_shuffled_pass_has_every_row_once_but_out_of_order(self, box: Sandbox, caller: Caller) -> None:
        fill(box, 100)
        box.settings.change({"feeds": {"shuffled": True}, "page_sizes": {"sync": 7}})
        versions = [int(row["Timestamp"]) for row in caller.all(ACCOUNTS + "1")]
        assert len(set(versions)) == len(versions) == 100
        assert versions != sorted(versions)

    def test_shuffled_pass_leaves_later_changes_to_the_next_one(self, box: Sandbox, caller: Caller) -> None:
        fill(box, 30)
        box.settings.change({"feeds": {"shuffled": True}, "page_sizes": {"sync": 10}})
        first = caller.get(ACCOUNTS + "1")
        box.store.update(DIVISION, "crm/Accounts", "00000000-0000-4000-8000-000000000005", {"Name": "n"}, at=NOW)
        rows = first.rows + caller.all(first.next or "")
        highest = max(int(row["Timestamp"]) for row in rows)
        assert [row["Name"] for row in caller.all(f"{ACCOUNTS}{highest}")] == ["n"]

    @pytest.mark.parametrize("shuffled", [False, True])
    def test_a_pass_goes_on_in_the_order_in_which_it_began(self, box: Sandbox, caller: Caller, shuffled: bool) -> None:
        fill(box, 30)
        box.store.raise_version(DIVISION, 2**60)
        keys = [f"00000000-0000-4000-8000-0000000000{number:02d}" for number in range(1, 21)]
        for key in keys:
            box.store.update(DIVISION, "crm/Accounts", key, {"Name": "n"}, at=NOW)
        box.settings.change({"feeds": {"shuffled": shuffled}, "page_sizes": {"sync": 10}})
        first = caller.get(ACCOUNTS + "1")
        box.settings.change({"feeds": {"shuffled": not shuffled}})
        rows = first.rows + caller.all(first.next or "")
        assert len(rows) == len({row["ID"] for row in rows}) == 30

    def test_repeated_rows_come_at_the_head_of_the_next_page(self, box: Sandbox, caller: Caller) -> None:
        fill(box, 25)
        box.settings.change({"feeds": {"repeat_rows": 3}, "page_sizes": {"sync": 10}})
        first = caller.get(ACCOUNTS + "1")
        second = caller.get(first.next or "")
        assert [row["ID"] for row in second.rows[:3]] == [row["ID"] for row in first.rows[-3:]]
        assert len({row["ID"] for row in caller.all(ACCOUNTS + "1")}) == 25

    @pytest.mark.parametrize("shuffled", [False, True])
    def test_empty_pages_have_a_next_address(self, box: Sandbox, caller: Caller, shuffled: bool) -> None:
        fill(box, 45)
        box.settings.change({"feeds": {"empty_pages": 2, "shuffled": shuffled}, "page_sizes": {"sync": 10}})
        sizes, following = [], ACCOUNTS + "1"
        while following:
            reply = caller.get(following)
            sizes.append(len(reply.rows))
            following = reply.next or ""
        assert sum(sizes) == 45
        assert sizes[2] == 0
        assert sizes[-1] > 0


class TestSyncTimestamp:
    PATH = f"{DIVISION}/read/sync/Sync/SyncTimestamp"

    def test_gives_the_lowest_version_from_a_moment_on(self, box: Sandbox, caller: Caller) -> None:
        rows = [
            {"ID": f"00000000-0000-4000-8000-00000000000{n}", "Modified": NOW + timedelta(hours=n)} for n in range(5)
        ]
        box.store.insert_many(DIVISION, "financialtransaction/TransactionLines", rows)
        # NOW is 14:00 on the server's wall clock.
        query = "?modified=datetime'2024-07-01T16:00:00'&endPoint='TransactionLines'"
        (found,) = caller.get(self.PATH + query).d
        assert found["API"] == "TransactionLines"
        start = int(found["TimeStampAsBigInt"]) - 1
        feed = caller.all(f"{DIVISION}/sync/Financial/TransactionLines?$filter=Timestamp gt {start}L&$select=ID")
        assert [row["ID"][-1] for row in feed] == ["2", "3", "4"]

    @pytest.mark.parametrize("name", ["Accounts", "Nonsense", "ProjectPlanning"])
    def test_nothing_to_give_is_an_empty_list(self, caller: Caller, name: str) -> None:
        assert caller.get(f"{self.PATH}?modified=datetime'2024-07-01'&endPoint='{name}'").d == []

    @pytest.mark.parametrize("query", ["", "?modified=datetime'2024-07-01'", "?endPoint='TransactionLines'"])
    def test_both_parameters_are_mandatory(self, caller: Caller, query: str) -> None:
        assert caller.get(self.PATH + query).status == 400


def test_cost_center_of_an_order_line_is_a_code_in_the_list_and_an_id_in_the_feed(box: Sandbox, caller: Caller) -> None:
    center = box.store.insert(DIVISION, "hrm/Costcenters", {"Code": "ALG"}, at=NOW)
    order = box.store.insert(DIVISION, "purchaseorder/PurchaseOrders", {}, at=NOW)
    line = {"PurchaseOrderID": order["PurchaseOrderID"], "LineNumber": 1, "CostCenter": "ALG"}
    box.store.insert(DIVISION, "purchaseorder/PurchaseOrderLines", line, at=NOW)
    (standard,) = caller.get(f"{DIVISION}/purchaseorder/PurchaseOrderLines").rows
    feed = caller.all(f"{DIVISION}/sync/PurchaseOrder/PurchaseOrders?$top=1&$filter=Timestamp gt 1")
    (found,) = (row for row in feed if row["LineNumber"])
    assert standard["CostCenter"] == "ALG"
    assert (found["CostCenter"], found["CostCenterCode"]) == (center["ID"], "ALG")


def test_vat_lines_are_in_the_feed_of_invoices_and_in_no_list(box: Sandbox, caller: Caller) -> None:
    invoice = box.store.insert(DIVISION, INVOICES, {}, at=NOW)["InvoiceID"]
    for number, amount in ((1, 100), (9999, 21)):
        box.store.insert(DIVISION, LINES, {"InvoiceID": invoice, "LineNumber": number, "AmountDC": amount}, at=NOW)
    feed = {row["LineNumber"]: row for row in caller.all(FEED)}
    vat = feed[9999]["ID"]
    assert {number: row["AmountDC"] for number, row in feed.items()} == {0: None, 1: -100, 9999: -21}
    for path in ("salesinvoice/SalesInvoiceLines", "bulk/SalesInvoice/SalesInvoiceLines"):
        listed = f"{DIVISION}/{path}?$select=LineNumber&$filter=InvoiceID eq guid'{invoice}'"
        assert [row["LineNumber"] for row in caller.all(listed)] == [1]
    assert caller.get(f"{DIVISION}/salesinvoice/SalesInvoiceLines/$count?$filter=LineNumber gt 0").text == "1"
    assert caller.get(f"{DIVISION}/salesinvoice/SalesInvoiceLines(guid'{vat}')").status == 404
    expanded = f"{DIVISION}/salesinvoice/SalesInvoices(guid'{invoice}')?$expand=SalesInvoiceLines"
    assert [row["LineNumber"] for row in caller.get(expanded).d["SalesInvoiceLines"]["results"]] == [1]
    box.store.delete(DIVISION, INVOICES, invoice, at=NOW)
    deleted = {row["EntityKey"] for row in caller.all(f"{DIVISION}/sync/Deleted?$top=1")}
    assert vat in deleted


def test_amounts_of_the_feed_bear_the_ledgers_sign_unless_told_otherwise(box: Sandbox, caller: Caller) -> None:
    header = {"AmountDC": 121.0, "AmountFCExclVat": 100.0}
    invoice = box.store.insert(DIVISION, INVOICES, header, at=NOW)["InvoiceID"]
    box.store.insert(DIVISION, LINES, {"InvoiceID": invoice, "LineNumber": 1, "AmountDC": 100, "Quantity": 2}, at=NOW)
    assert [(row["AmountDC"], row["AmountFCExclVat"], row["Quantity"]) for row in caller.all(FEED)] == [
        (-121, -100, None), (-100, None, 2)]  # fmt: skip
    box.settings.change({"feeds": {"ledger_signs": False}})
    assert [(row["AmountDC"], row["AmountFCExclVat"], row["Quantity"]) for row in caller.all(FEED)] == [
        (121, 100, None), (100, None, 2)]  # fmt: skip
    box.settings.change({"feeds": {"ledger_signs": True}})
    assert caller.get(f"{DIVISION}/salesinvoice/SalesInvoiceLines?$filter=LineNumber eq 1").rows[0]["AmountDC"] == 100
