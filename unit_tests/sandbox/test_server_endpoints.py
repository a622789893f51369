"""Every endpoint of the reference answers, at its address; only services are taken in any case."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from exact_online_sandbox.entities import entities, entity_of
from exact_online_sandbox.reference import Endpoint, endpoints
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.synthetic import fill
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

READABLE = [e for e in endpoints().values() if e.readable and e.status != "removed" and e.properties]
_PARAMETERS = {
    "Edm.Guid": "guid'00000000-0000-4000-8000-000000000000'",
    "Edm.String": "'x'",
    "Edm.DateTime": "datetime'2024-01-01'",
    "Edm.Boolean": "true",
}


def address(endpoint: Endpoint) -> str:
    names = [p.name for p in endpoint.properties.values() if p.is_plain]
    query = [f"$select={','.join(names)}"]
    if endpoint.kind == "sync":
        query.append("$filter=Timestamp gt 1")
    elif endpoint.filterable:
        query.append(f"$filter={endpoint.filterable[0]} ne null")
    query += [f"{p.name}={_PARAMETERS.get(p.type, '1')}" for p in endpoint.parameters]
    return f"{endpoint.uri.replace('{division}', str(DIVISION))}?{'&'.join(query)}"


@pytest.fixture
def filled(box: Sandbox) -> Sandbox:
    fill(box.store, DIVISION, until=NOW)
    return box


def test_reference_is_complete() -> None:
    assert len(endpoints()) == 466
    assert len(READABLE) > 400


def test_every_endpoint_answers_json_of_the_right_types(filled: Sandbox, caller: Caller) -> None:
    kinds: dict[str, tuple[type, ...]] = {
        "Edm.String": (str,),
        "Edm.Guid": (str,),
        "Edm.Int64": (str,),
        "Edm.DateTime": (str,),
        "Edm.Binary": (str,),
        "Edm.Boolean": (bool,),
        "Edm.Double": (int, float),
        "Edm.Int16": (int,),
        "Edm.Int32": (int,),
        "Edm.Byte": (int,),
    }
    seen = 0
    for endpoint in READABLE:
        path = address(endpoint)
        reply = caller.get(path)
        long = len(path) > 5900
        assert reply.status == (414 if long else 200), (endpoint.path, reply.text)
        for row in reply.rows:
            seen += 1
            for name, value in row.items():
                if name != "__metadata" and value is not None:
                    assert isinstance(value, kinds[endpoint.properties[name].type]), (endpoint.path, name, value)
    assert seen > 1000


def test_every_list_has_rows_to_read(filled: Sandbox, caller: Caller) -> None:
    empty = [
        e.path
        for e in READABLE
        if e.kind != "function" and e.path != "sync/Deleted" and not caller.get(address(e)).rows
    ]
    assert empty == []


def test_every_endpoint_answers_well_formed_atom(filled: Sandbox, caller: Caller) -> None:
    for endpoint in READABLE:
        reply = caller.get(address(endpoint), accept="*/*")
        assert reply.status == 200, endpoint.path
        ElementTree.fromstring(reply.text)


@pytest.mark.parametrize(
    "path",
    [
        f"{DIVISION}/crm/accounts",
        f"{DIVISION}/CRM/accounts",
        f"{DIVISION}/bulk/crm/accounts",
        f"{DIVISION}/crm/Accounts//",
        f"{DIVISION}/crm/Nothing",
        f"beta/{DIVISION}/crm/Contacts",
        f"{DIVISION}/payroll/PayrollComponents",
        f"{DIVISION}/current/Me",
        f"{DIVISION}/sync/SalesOrder/SalesOrders",
        f"{DIVISION}/salesorder/PrintedSalesOrders",
        f"{DIVISION}/crm/Contacts/Nothing",
    ],
)
def test_any_other_address_is_404(caller: Caller, path: str) -> None:
    assert caller.get(path).status == 404


@pytest.mark.parametrize(
    ("spelled", "path"),
    [
        ("CRM/Contacts", "crm/Contacts"),
        ("Financial/GLAccounts", "financial/GLAccounts"),
        ("bulk/crm/Contacts", "bulk/CRM/Contacts"),
        ("sync/financial/GLAccounts", "sync/Financial/GLAccounts"),
        ("read/Financial/ReceivablesList", "read/financial/ReceivablesList"),
        ("crm/Contacts/", "crm/Contacts"),
    ],
)
def test_services_are_taken_in_any_case_and_come_back_as_they_were_spelled(
    box: Sandbox, caller: Caller, spelled: str, path: str
) -> None:
    box.settings.change({"page_sizes": {"standard": 1, "bulk": 1, "sync": 1}})
    for number in range(2):
        row = {"HID": number} if "List" in path else {}
        box.store.insert(DIVISION, entity_of(path), row, at=NOW)
    key = endpoints()[path].key[0]
    reply = caller.get(f"{DIVISION}/{spelled}?$select={key}")
    address = f"/api/v1/{DIVISION}/{spelled.removesuffix('/')}"
    assert f"{address}(" in reply.rows[0]["__metadata"]["uri"]
    assert f"{address}?" in (reply.next or "")
    assert len(caller.all(f"{DIVISION}/{spelled}?$select={key}")) == 2
    assert {call["endpoint"] for call in box.calls.describe()} == {path}
    assert caller.get(f"{DIVISION}/{spelled.rstrip('/').rpartition('/')[0]}/$metadata").status == 200


def test_one_row_and_me_are_found_by_a_service_in_any_case(box: Sandbox, caller: Caller) -> None:
    key = box.store.insert(DIVISION, "crm/Contacts", {}, at=NOW)["ID"]
    assert f"/Crm/Contacts(guid'{key}')" in caller.get(f"{DIVISION}/Crm/Contacts(guid'{key}')").d["__metadata"]["uri"]
    assert caller.get(f"{DIVISION}/CRM/Contacts/$count").text == "1"
    assert caller.get("Current/Me").rows[0]["UserName"] == "sam"


def test_removed_endpoints_answer_when_switched_on(box: Sandbox, caller: Caller) -> None:
    path = f"{DIVISION}/sync/SalesOrder/SalesOrders?$top=1&$filter=Timestamp gt 1"
    assert caller.get(path).status == 404
    box.settings.change({"removed_endpoints": True})
    assert caller.get(path).status == 200


def test_undocumented_endpoints_answer_until_switched_off(box: Sandbox, caller: Caller) -> None:
    path = f"{DIVISION}/users/Users?$top=1&$select=UserID,UserTypeCode"
    assert caller.get(path).status == 200
    box.settings.change({"undocumented_endpoints": False})
    assert caller.get(path).status == 404


def test_function_narrows_its_list(box: Sandbox, caller: Caller) -> None:
    account = "00000000-0000-4000-8000-00000000000a"
    for number, owner in ((1, account), (2, "00000000-0000-4000-8000-00000000000b")):
        row = {"HID": number, "AccountId": owner}
        box.store.insert(DIVISION, "read/financial/ReceivablesList", row, at=NOW)
    reply = caller.get(f"{DIVISION}/read/financial/ReceivablesListByAccount?accountId=guid'{account}'")
    assert [row["HID"] for row in reply.d] == ["1"]
    assert caller.get(f"{DIVISION}/read/financial/ReceivablesListByAccount").status == 400


def test_filler_keeps_to_the_code_lists_of_the_reference(box: Sandbox) -> None:
    fill(box.store, DIVISION, until=NOW)
    for endpoint in READABLE:
        if endpoint.kind != "standard" or endpoint.path not in entities() or endpoint.path == "system/Divisions":
            continue
        for row in box.store.rows(DIVISION, endpoint.path):
            for prop in endpoint.properties.values():
                if prop.values and prop.name not in entities()[endpoint.path].key:
                    assert str(row[prop.name]) in prop.values, (endpoint.path, prop.name)
    balance = {row["BalanceType"] for row in box.store.rows(DIVISION, "financial/ReportingBalance")}
    assert balance == {"B", "W"}


def test_filler_is_the_same_every_time(box: Sandbox) -> None:
    added = fill(box.store, DIVISION, until=NOW)
    again = fill(box.store, 456, until=NOW)
    assert added == again > 1000
    assert fill(box.store, DIVISION, until=NOW) == 0


@pytest.mark.parametrize(
    ("path", "entity"),
    [
        ("bulk/CRM/Accounts", "crm/Accounts"),
        ("sync/CRM/Accounts", "crm/Accounts"),
        ("sync/CRM/QuotationHeaders", "crm/Quotations"),
        ("bulk/Financial/TransactionLines", "financialtransaction/TransactionLines"),
        ("sync/Financial/TransactionLines", "financialtransaction/TransactionLines"),
        ("sync/SalesOrder/SalesOrderHeaders", "salesorder/SalesOrders"),
        ("sync/Payroll/BankAccounts", "sync/Payroll/BankAccounts"),
        ("bulk/Project/ProjectWBS", "sync/Project/ProjectWBS"),
        ("hrm/Divisions", "system/Divisions"),
    ],
)
def test_endpoints_of_one_entity_share_its_rows(path: str, entity: str) -> None:
    assert entity_of(path) == entity
    assert entity in entities()


def test_deletion_numbers_are_unique_and_belong_to_feeds() -> None:
    numbers: dict[int, set[str]] = {}
    for entity in entities().values():
        if entity.deletion_type is not None:
            numbers.setdefault(entity.deletion_type, set()).add(entity.name)
    assert set(numbers) == set(range(1, 60)) - {11, 12, 52}
    assert {n: names for n, names in numbers.items() if len(names) > 1} == {
        13: {"salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines"},
        22: {"purchaseorder/PurchaseOrders", "purchaseorder/PurchaseOrderLines"},
    }


def test_instant_and_date_of_one_row_are_told_apart(box: Sandbox, caller: Caller) -> None:
    box.store.insert(DIVISION, "project/Projects", {"StartDate": NOW.date()}, at=NOW)
    (row,) = caller.get(f"{DIVISION}/project/Projects?$select=StartDate,Created").rows
    assert row["StartDate"] == "/Date(1719792000000)/"
    assert row["Created"] == "/Date(1719842400000)/"
