"""Answers whose rows are damaged, on every sort of listing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from exact_online_sandbox.sandbox import Sandbox
from unit_tests.sandbox.server_caller import DIVISION, NOW, OTHER_DIVISION, Caller, Reply

ERROR_TEXT = "An error occurred while processing this request."
LISTINGS = {
    "feed": ("sync/CRM/Contacts", f"{DIVISION}/sync/CRM/Contacts?$filter=Timestamp gt 1&$select=ID,LastName,Timestamp"),
    "list": ("crm/Contacts", f"{DIVISION}/crm/Contacts?$select=ID,LastName"),
    "list with a limit": ("crm/Contacts", f"{DIVISION}/crm/Contacts?$select=ID,LastName&$top=5"),
    "snapshot": ("read/financial/ReceivablesList", f"{DIVISION}/read/financial/ReceivablesList"),
    "deletions": ("sync/Deleted", f"{DIVISION}/sync/Deleted?$filter=Timestamp gt 1&$select=ID,EntityKey,Timestamp"),
    "divisions": ("system/Divisions", f"{DIVISION}/system/Divisions?$select=Code,Description"),
    "SyncTimestamp": (
        "read/sync/Sync/SyncTimestamp",
        f"{DIVISION}/read/sync/Sync/SyncTimestamp?modified=datetime'2020-01-01'&endPoint='Projects'",
    ),
    "Me": ("current/Me", "current/Me"),
}
KEYS = {"snapshot": "HID", "divisions": "Code", "SyncTimestamp": "TimeStampAsBigInt", "Me": "UserID"}


@pytest.fixture
def full(box: Sandbox, caller: Caller) -> Caller:
    """A caller of a sandbox with some rows in each of the listings."""
    for number in range(4):
        row = box.store.insert(DIVISION, "crm/Contacts", {"LastName": f"Name {number}"}, at=NOW)
        box.store.insert(DIVISION, "read/financial/ReceivablesList", {"HID": number}, at=NOW)
        if number == 3:
            box.store.delete(DIVISION, "crm/Contacts", row["ID"], at=NOW)
            row = box.store.insert(DIVISION, "crm/Contacts", {}, at=NOW)
            box.store.delete(DIVISION, "crm/Contacts", row["ID"], at=NOW)
    box.store.insert(DIVISION, "project/Projects", {}, at=NOW)
    order = box.store.insert(DIVISION, "salesorder/SalesOrders", {}, at=NOW)["OrderID"]
    for _ in range(2):
        box.store.insert(DIVISION, "salesorder/SalesOrderLines", {"OrderID": order}, at=NOW)
    return caller


@pytest.fixture(params=LISTINGS)
def listing(request: pytest.FixtureRequest) -> str:
    """One sort of listing after the other."""
    return str(request.param)


def damaged(caller: Caller, listing: str, **fault: Any) -> Reply:
    path, address = LISTINGS[listing]
    caller.box.faults.clear()
    caller.box.faults.add({"path": path, "count": 1, **fault})
    return caller.get(address)


def sound(caller: Caller, listing: str) -> list[dict[str, Any]]:
    caller.box.faults.clear()
    return caller.get(LISTINGS[listing][1]).rows


def is_error(row: dict[str, Any]) -> bool:
    return row == {"error": {"code": "", "message": {"lang": "", "value": ERROR_TEXT}}}


def test_an_error_stands_among_the_rows(full: Caller, listing: str) -> None:
    rows = sound(full, listing)
    found = damaged(full, listing, kind="error_row").rows
    assert rows
    assert [row for row in found if not is_error(row)] == rows
    assert is_error(found[len(rows) // 2])
    assert is_error(damaged(full, listing, kind="error_row", row=0).rows[0])


def test_the_page_that_an_error_ends_has_no_next_one(full: Caller) -> None:
    full.box.settings.page_sizes.sync = 2
    assert full.get(LISTINGS["feed"][1]).next
    assert damaged(full, "feed", kind="error_row").next is None


def test_an_error_stands_beside_no_rows(full: Caller, listing: str) -> None:
    reply = damaged(full, listing, kind="error_beside")
    assert reply.rows == []
    assert json.loads(reply.text)["error"]["message"]["value"] == ERROR_TEXT
    assert reply.status == 200


def test_an_error_breaks_the_json_in_the_middle_of_a_row(full: Caller, listing: str) -> None:
    reply = damaged(full, listing, kind="error_breaks", row=0)
    good = full.get(LISTINGS[listing][1])
    before, mark, after = reply.text.partition('{"error":')
    assert mark
    assert good.text.startswith(before)
    assert len(good.text) > len(before) > len('{"d":{"results":[{"__metadata"')
    assert ERROR_TEXT in after
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        json.loads(reply.text)


def test_rows_lack_their_key(full: Caller, listing: str) -> None:
    key = KEYS.get(listing, "ID")
    if listing != "SyncTimestamp":  # its key is not the property that is of interest
        assert all(key not in row for row in damaged(full, listing, kind="no_key").rows)
    first, *others = damaged(full, listing, kind="no_key", column=key, row=0).rows
    assert key not in first
    assert all(key in row for row in others)


def test_rows_are_those_of_another_division(full: Caller, listing: str) -> None:
    for row in damaged(full, listing, kind="other_division", other=777).rows:
        assert row.get("Division", 777) == 777
        assert f"/{DIVISION}/" not in row["__metadata"]["uri"]
        assert "/777/" in row["__metadata"]["uri"] or listing == "Me"


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ('"Sales \\ud83d"', b'"Sales \\ud83d"'),
        ('"Sales\x0bNL"', b'"Sales\x0bNL"'),
        ('"a\\u0000b"', b'"a\\u0000b"'),
        ("NaN", b"NaN"),
        ('"/Date(253402300800000)/"', b'"/Date(253402300800000)/"'),
        ('"0000-00-00T00:00:00"', b'"0000-00-00T00:00:00"'),
        ('"n/a"', b'"n/a"'),
        ({"body_base64": base64.b64encode(b'"Caf\xe9"').decode()}, b'"Caf\xe9"'),
    ],
)
def test_a_column_holds_any_bytes(full: Caller, text: Any, raw: bytes) -> None:
    given = text if isinstance(text, dict) else {"body": text}
    for listing in ("feed", "list"):
        reply = damaged(full, listing, kind="value", column="LastName", row=-1, **given)
        assert reply.answer.body.count(b'"LastName":' + raw) == 1
        assert reply.answer.body.count(b'"LastName":"Name ') == 2


def test_a_byte_order_mark_stands_before_the_rows(full: Caller, listing: str) -> None:
    reply = damaged(full, listing, kind="byte_order_mark")
    assert reply.answer.body[:3] == b"\xef\xbb\xbf"
    assert json.loads(reply.answer.body.decode("utf-8-sig"))["d"]


@pytest.mark.parametrize("pages", [1, 2, 3, None])
@pytest.mark.parametrize("listing", ["feed", "list"])
def test_links_lead_in_a_circle(full: Caller, listing: str, pages: int | None) -> None:
    full.box.settings.change({"page_sizes": {"standard": 1, "sync": 1}})
    path, address = LISTINGS[listing]
    every = [row["ID"] for row in full.all(address)]
    full.box.faults.add({"kind": "circle", "path": path, "pages": pages, "division": DIVISION})
    seen, following = [], address
    for _ in range(7):
        reply = full.get(following)
        seen.append(reply.rows[0]["ID"])
        assert reply.next
        following = reply.next
    length = pages or len(every)
    assert seen == [every[number % length] for number in range(7)]


def test_expanded_rows_are_damaged(full: Caller) -> None:
    address = f"{DIVISION}/salesorder/SalesOrders?$filter=Status eq null&$select=OrderID,SalesOrderLines/ID"
    address += "&$expand=SalesOrderLines"
    inside = {"path": "salesorder/SalesOrders", "count": 1, "inside": "SalesOrderLines"}

    def lines(**fault: Any) -> list[dict[str, Any]]:
        full.box.faults.add({**inside, **fault})
        found: list[dict[str, Any]] = full.get(address).rows[0]["SalesOrderLines"]["results"]
        return found

    good = full.get(address).rows[0]["SalesOrderLines"]["results"]
    assert len(good) == 2
    assert is_error(lines(kind="error_row")[1])
    assert [len(line) for line in lines(kind="no_key", column="ID", row=1)] == [2, 1]
    assert "/777/" in lines(kind="other_division", other=777)[0]["__metadata"]["uri"]
    full.box.faults.add({**inside, "kind": "value", "column": "ID", "body": "NaN"})
    assert full.get(address).text.count('"ID":NaN') == 2
    full.box.faults.add({**inside, "kind": "error_breaks"})
    assert full.get(address).text.endswith(f'"value":"{ERROR_TEXT}"}}}}}}')


def test_an_error_stands_among_expanded_rows_though_the_first_header_has_none(full: Caller) -> None:
    first = "00000000-0000-0000-0000-000000000001"
    full.box.store.insert(DIVISION, "salesorder/SalesOrders", {"OrderID": first}, at=NOW)
    path, inside = "salesorder/SalesOrders", "SalesOrderLines"
    full.box.faults.add({"kind": "error_row", "path": path, "count": 1, "inside": inside})

    headers = full.get(f"{DIVISION}/{path}?$filter=Status eq null&$select=OrderID,{inside}/ID&$expand={inside}").rows

    assert [[is_error(line) for line in header[inside]["results"]] for header in headers] == [[], [False, True, False]]


def test_one_row_alone_is_damaged_too(full: Caller) -> None:
    row = full.get(LISTINGS["list"][1]).rows[0]
    address = f"{DIVISION}/crm/Contacts(guid'{row['ID']}')"
    full.box.faults.add({"kind": "error_row", "count": 1})
    assert is_error(full.get(address).d)
    full.box.faults.add({"kind": "no_key", "count": 1})
    assert "ID" not in full.get(address).d


def test_an_answer_without_rows_stays_as_it_is(full: Caller) -> None:
    address = f"{OTHER_DIVISION}/crm/Contacts"
    for kind in ("error_row", "error_breaks", "no_key"):
        full.box.faults.add({"kind": kind, "count": 1})
        assert full.get(address).text == '{"d":{"results":[]}}'
    full.box.faults.add({"kind": "no_key"})
    assert full.get(address, accept="*/*").text.startswith("<?xml")
    assert full.get(f"{DIVISION}/no/Where").status == 404
