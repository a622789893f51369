"""JSON as the real API was captured to write it, and Atom that parses."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from xml.etree import ElementTree

import pytest

from exact_online_sandbox.api import Api
from exact_online_sandbox.atom import render_elements
from exact_online_sandbox.captured import CAPTURES, captured_rows, load_captured
from exact_online_sandbox.http import Request
from exact_online_sandbox.reader import Result
from exact_online_sandbox.reference import endpoints
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.shape import select
from exact_online_sandbox.truth import truth_rows
from exact_online_sandbox.views import TableView
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

ATOM = "{http://www.w3.org/2005/Atom}"
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
META = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"


@pytest.fixture
def captured_caller(box: Sandbox) -> Caller:
    load_captured(box.store)
    chain = box.oauth.login("app", "sam", box.store.division_codes())
    form = {
        "grant_type": "refresh_token",
        "refresh_token": chain.refresh_token,
        "client_id": "app",
        "client_secret": "secret",
    }
    return Caller(box, box.oauth.token(form)["access_token"])


@pytest.mark.parametrize("name", CAPTURES)
def test_captured_rows_come_out_as_they_were_captured(captured_caller: Caller, name: str) -> None:
    division, entity = CAPTURES[name]
    rows = captured_rows(name)
    served = {
        row["ID"]: row for row in captured_caller.all(f"{division}/{entity}?$filter=Modified ge datetime'2000-01-01'")
    }
    assert len(rows) == len({row["ID"] for row in rows})
    for row in rows:
        own = served[row["ID"]]
        assert row.keys() - own.keys() == set()
        for key, value in row.items():
            if key not in ("__metadata", "BankAccounts"):
                assert (type(own[key]), own[key]) == (type(value), value), key
        if "__metadata" in row:
            # Exact replaced its host and the division in the addresses of one capture.
            assert own["__metadata"]["type"] == row["__metadata"]["type"]
            assert own["__metadata"]["uri"].rpartition("/")[2] == row["__metadata"]["uri"].rpartition("/")[2]
            assert list(own["__metadata"]) == list(row["__metadata"])
        if row.get("BankAccounts") is not None:
            deferred = own["BankAccounts"]["__deferred"]["uri"]
            assert deferred.endswith(row["BankAccounts"]["__deferred"]["uri"].rpartition("crm/")[2])


def test_number_of_captured_rows_is_served(captured_caller: Caller) -> None:
    rows = captured_caller.all("102/crm/Accounts?$filter=Blocked eq false or Blocked eq true&$select=ID")
    assert len(rows) == 51


def test_types_appear_as_exact_writes_them(box: Sandbox, caller: Caller) -> None:
    row = {"AmountDC": 9075.0, "AmountFC": 0.1, "LineNumber": 1, "Date": date(2024, 1, 31), "Description": 'é"<'}
    box.store.insert(DIVISION, "financialtransaction/TransactionLines", row, at=NOW)
    reply = caller.get(f"{DIVISION}/financialtransaction/TransactionLines?$filter=Status eq null")
    assert '"AmountDC":9075,' in reply.text
    assert '"AmountFC":0.1,' in reply.text
    assert '"Date":"/Date(1706659200000)/"' in reply.text
    assert reply.rows[0]["Description"] == 'é"<'
    assert reply.answer.content_type == "application/json; charset=utf-8"


def test_atom_holds_the_same_values(box: Sandbox, caller: Caller) -> None:
    box.settings.change({"page_sizes": {"sync": 1}})
    for name in ("Acme & Zn. <x>", "Other"):
        box.store.insert(DIVISION, "crm/Accounts", {"Name": name, "Blocked": True, "StartDate": NOW.date()}, at=NOW)
    reply = caller.get(f"{DIVISION}/sync/CRM/Accounts?$top=1&$filter=Timestamp gt 1", accept="application/atom+xml")
    feed = ElementTree.fromstring(reply.text)
    (entry,) = feed.findall(f"{ATOM}entry")
    found = entry.find(f"{ATOM}content/{META}properties")
    assert found is not None
    values = {element.tag.removeprefix(DATA): element for element in found}
    assert values["Name"].text == "Acme & Zn. <x>"
    assert values["Modified"].text == "2024-07-01T14:00:00"
    assert values["StartDate"].text == "2024-07-01T00:00:00"
    assert values["Blocked"].text == "true"
    assert values["Website"].get(f"{META}null") == "true"
    assert values["Timestamp"].get(f"{META}type") == "Edm.Int64"
    assert any(link.get("rel") == "next" for link in feed.findall(f"{ATOM}link"))


def test_single_entry_and_expansion_are_well_formed_atom(box: Sandbox, caller: Caller) -> None:
    order = box.store.insert(DIVISION, "salesorder/SalesOrders", {}, at=NOW)
    box.store.insert(DIVISION, "salesorder/SalesOrderLines", {"OrderID": order["OrderID"]}, at=NOW)
    path = f"{DIVISION}/salesorder/SalesOrders(guid'{order['OrderID']}')?$expand=SalesOrderLines"
    entry = ElementTree.fromstring(caller.get(path, accept="*/*").text)
    assert entry.tag == f"{ATOM}entry"
    assert len(entry.findall(f".//{META}inline//{ATOM}entry")) == 1


def test_truth_of_a_feed_has_the_row_version_as_a_number(box: Sandbox, caller: Caller) -> None:
    box.store.raise_version(DIVISION, 2**60)
    box.store.insert(DIVISION, "crm/Accounts", {"AccountManagerHID": 5}, at=datetime(2024, 1, 1, tzinfo=timezone.utc))
    (row,) = json.loads(b"".join(truth_rows(box, DIVISION, "sync/CRM/Accounts")))["rows"]
    (seen,) = caller.get(f"{DIVISION}/sync/CRM/Accounts?$top=1&$filter=Timestamp gt 1").rows
    assert row["Timestamp"] == int(seen["Timestamp"]) > 2**60
    assert row["Modified"] == "2024-01-01T00:00:00+00:00"


def test_truth_streams_more_rows_than_a_piece(box: Sandbox) -> None:
    rows = ({"ID": f"00000000-0000-4000-8000-{n:012d}"} for n in range(1201))
    box.store.insert_many(DIVISION, "crm/Accounts", rows)
    assert len(json.loads(b"".join(truth_rows(box, DIVISION, "crm/Accounts")))["rows"]) == 1201


def test_calls_are_logged(box: Sandbox, caller: Caller) -> None:
    box.store.insert(DIVISION, "crm/Contacts", {}, at=NOW)
    caller.get(f"{DIVISION}/crm/Contacts?$select=ID")
    Api(box).handle(Request("GET", "/api/v1/nonsense"))
    first, second = box.calls.describe()
    assert (first["endpoint"], first["division"], first["status"], first["rows"]) == ("crm/Contacts", DIVISION, 200, 1)
    assert (first["client_id"], first["user"], first["query"]) == ("app", "sam", "$select=ID")
    assert (second["status"], second["client_id"]) == (401, None)
    assert [call["number"] for call in box.calls.describe(after=1)] == [2]


@pytest.mark.parametrize(("service", "name"), [("crm", "Accounts"), ("sync/CRM", "Accounts"), ("system", "Divisions")])
def test_metadata_describes_a_service(caller: Caller, service: str, name: str) -> None:
    edm = "{http://schemas.microsoft.com/ado/2008/09/edm}"
    root = ElementTree.fromstring(caller.get(f"{DIVISION}/{service}/$metadata").text)
    (found,) = (s for s in root.iter(f"{edm}EntitySet") if s.get("Name") == name)
    types = {kind.get("Name"): kind for kind in root.iter(f"{edm}EntityType")}
    described = types[found.attrib["EntityType"].rpartition(".")[2]]
    assert len(described.findall(f"{edm}Property")) > 50
    assert len(described.findall(f"{edm}Key/{edm}PropertyRef")) == 1
    assert caller.get(f"{DIVISION}/nothing/$metadata").status == 404


@pytest.mark.parametrize("accept", ["application/json", "Application/JSON", "text/html, APPLICATION/JSON;q=0.9"])
def test_the_wanted_type_is_read_in_any_case(caller: Caller, accept: str) -> None:
    assert caller.get("current/Me", accept=accept).rows[0]["UserName"] == "sam"


def test_complex_rows_of_a_function_are_plain_elements(box: Sandbox, caller: Caller) -> None:
    item = "00000000-0000-4000-8000-00000000000a"
    path = f"{DIVISION}/read/logistics/StockPosition?itemId=guid'{item}'"
    root = ElementTree.fromstring(caller.get(path, accept="*/*").text)
    assert (root.tag, len(root)) == (f"{DATA}StockPosition", 0)

    endpoint = endpoints()["read/logistics/StockPosition"]
    view = TableView(endpoint, box.store)
    rows = [view.codec.encode({"ItemId": item, "InStock": 2.5})]
    root = ElementTree.fromstring(render_elements(Result(view, select(view, None, ()), rows)))
    (element,) = root.findall(f"{DATA}element")
    values = {found.tag.removeprefix(DATA): found for found in element}
    assert (values["ItemId"].text, values["InStock"].text) == (item, "2.5")
    assert values["InStock"].get(f"{META}type") == "Edm.Double"
    assert values["PlanningIn"].get(f"{META}null") == "true"


def test_numbers_and_flags_that_are_never_null_are_zero_where_nothing_is_given(box: Sandbox, caller: Caller) -> None:
    box.store.insert(DIVISION, "financialtransaction/TransactionLines", {"AmountDC": None}, at=NOW)
    box.store.insert(DIVISION, "sync/Cashflow/PaymentTerms", {"LineType": 22}, at=NOW)
    (line,) = caller.get(f"{DIVISION}/financialtransaction/TransactionLines?$filter=Type eq 0").rows
    (term,) = caller.get(f"{DIVISION}/sync/Cashflow/PaymentTerms?$top=1").rows
    assert [line[name] for name in ("AmountDC", "AmountFC", "LineType", "Type", "Status")] == [0, 0, 0, 0, None]
    assert [term[name] for name in ("Source", "IsFullyPaid", "TransactionIsReversal", "LineType", "Status")] == [
        0, False, False, 22, None]  # fmt: skip
    assert (
        '"LineType" Type="Edm.Int16" Nullable="false"' in caller.get(f"{DIVISION}/financialtransaction/$metadata").text
    )
    box.store.update(DIVISION, "sync/Cashflow/PaymentTerms", term["ID"], {"LineType": None}, at=NOW)
    assert caller.get(f"{DIVISION}/sync/Cashflow/PaymentTerms?$top=1").rows[0]["LineType"] == 0
