"""Standard and bulk endpoints: envelopes, options, demands and refusals."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exact_online_sandbox import errors
from exact_online_sandbox.sandbox import Sandbox
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

ALL = "$filter=Blocked eq false"


def fill(box: Sandbox, entity: str, count: int) -> list[str]:
    """Add rows, one minute apart, the last one now; gives their keys in key order."""
    keys = [f"00000000-0000-4000-8000-{n:012d}" for n in range(count)]
    box.store.insert_many(
        DIVISION,
        entity,
        (
            {
                "ID": key,
                "Name": f"row {n}",
                "Code": str(n).rjust(18),
                "Country": "NL ",
                "Blocked": False,
                "Created": NOW,
                "Modified": NOW - timedelta(minutes=count - 1 - n),
            }
            for n, key in enumerate(keys)
        ),
    )
    return keys


def test_list_comes_in_pages_of_sixty_with_an_absolute_next_address(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 130)
    first = caller.get(f"{DIVISION}/crm/Accounts?{ALL}&$select=ID,Name")
    assert len(first.rows) == 60
    assert first.next is not None
    assert first.next.startswith("http://sandbox.test/api/v1/123/crm/Accounts?")
    assert "$select=ID,Name" in first.next
    assert f"$skiptoken=guid'{keys[59]}'" in first.next
    second = caller.get(first.next)
    third = caller.get(second.next or "")
    assert [row["ID"] for row in first.rows + second.rows + third.rows] == keys
    assert "__next" not in third.d


def test_bulk_comes_in_pages_of_a_thousand(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 1001)
    first = caller.get(f"{DIVISION}/bulk/CRM/Accounts?{ALL}&$select=ID")
    assert len(first.rows) == 1000
    assert len(caller.get(first.next or "").rows) == 1


def test_exactly_one_page_has_no_next_address(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 60)
    assert caller.get(f"{DIVISION}/crm/Accounts?{ALL}").next is None


def test_top_gives_a_bare_array(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 5)
    reply = caller.get(f"{DIVISION}/crm/Accounts?{ALL}&$top=2")
    assert isinstance(reply.d, list)
    assert len(reply.d) == 2


def test_inlinecount_adds_the_count_as_text_in_the_object_form(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 5)
    reply = caller.get(f"{DIVISION}/crm/Accounts?{ALL}&$top=0&$inlinecount=allpages")
    assert reply.d == {"results": [], "__count": "5"}


def test_count_is_plain_text(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 5)
    assert caller.get(f"{DIVISION}/crm/Accounts/$count?$filter=Code ge '                 2'").text == "3"


def test_one_row_by_key(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 2)
    row = caller.get(f"{DIVISION}/crm/Accounts(guid'{keys[1]}')?$select=Name").d
    assert row["Name"] == "row 1"
    assert row["__metadata"]["type"] == "Exact.Web.Api.Models.Account"
    assert row["__metadata"]["uri"] == f"http://sandbox.test/api/v1/123/crm/Accounts(guid'{keys[1]}')"


def test_unknown_key_is_404(caller: Caller) -> None:
    assert caller.get(f"{DIVISION}/crm/Accounts(guid'00000000-0000-4000-8000-000000000000')").status == 404


def test_select_leaves_exactly_what_it_names(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 1)
    (row,) = caller.get(f"{DIVISION}/crm/Accounts?{ALL}&$select=Name, Code").rows
    assert set(row) == {"__metadata", "Name", "Code"}


def test_without_select_every_property_comes_and_collections_are_deferred(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 1)
    (row,) = caller.get(f"{DIVISION}/crm/Accounts?{ALL}").rows
    assert len(row) == 167
    assert row["BankAccounts"]["__deferred"]["uri"].endswith("/BankAccounts")
    assert row["Code"] == "                 0"
    assert row["Country"] == "NL "


def test_deferred_address_leads_to_the_rows(box: Sandbox, caller: Caller) -> None:
    (key,) = fill(box, "crm/Accounts", 1)
    account = box.store.insert(DIVISION, "crm/BankAccounts", {"Account": key}, at=NOW)
    box.store.insert(DIVISION, "crm/BankAccounts", {}, at=NOW)
    (row,) = caller.get(f"{DIVISION}/crm/Accounts(guid'{key}')").d["BankAccounts"]["__deferred"].values()
    assert [found["ID"] for found in caller.get(row).rows] == [account["ID"]]


def test_expand_puts_the_lines_into_the_header(box: Sandbox, caller: Caller) -> None:
    order = box.store.insert(DIVISION, "salesorder/SalesOrders", {"OrderNumber": 71}, at=NOW)
    for number in (1, 2):
        row = {"OrderID": order["OrderID"], "LineNumber": number}
        box.store.insert(DIVISION, "salesorder/SalesOrderLines", row, at=NOW)
    query = "$filter=OrderNumber eq 71&$expand=SalesOrderLines&$select=OrderID,SalesOrderLines/LineNumber"
    (found,) = caller.get(f"{DIVISION}/salesorder/SalesOrders?{query}").rows
    assert sorted(line["LineNumber"] for line in found["SalesOrderLines"]["results"]) == [1, 2]


def test_modified_filter_compares_with_the_wall_clock(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 3)
    # 12:00 UTC is 14:00 in Amsterdam in summer.
    for literal in ("2024-07-01T14:00:00", "2024-07-01T12:00:00Z", "2024-07-01T13:00:00+01:00"):
        rows = caller.get(f"{DIVISION}/crm/Accounts?$filter=Modified ge datetime'{literal}'".replace("+", "%2B")).rows
        assert [row["ID"] for row in rows] == keys[2:], literal


def test_few_matches_among_many_rows_are_found_in_key_order(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 500)
    rows = caller.all(f"{DIVISION}/crm/Accounts?$filter=Modified ge datetime'2024-07-01T12:30:00'&$select=ID")
    assert [row["ID"] for row in rows] == keys[-91:]


def test_padded_code_is_found_padded_or_trimmed_only(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 3)
    assert caller.get(f"{DIVISION}/crm/Accounts?$filter=Code eq '2'").rows == []
    for text in ("Code eq '                 2'", "trim(Code) eq '2'"):
        assert [row["ID"] for row in caller.get(f"{DIVISION}/crm/Accounts?$filter={text}").rows] == [keys[2]]


def test_orderby_skip_and_paging_go_together(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 70)
    rows = caller.all(f"{DIVISION}/crm/Accounts?{ALL}&$orderby=Modified desc&$skip=2&$select=ID")
    assert [row["ID"] for row in rows] == list(reversed(keys))[2:]


def test_skip_works_without_orderby(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 70)
    rows = caller.all(f"{DIVISION}/crm/Accounts?{ALL}&$skip=5&$select=ID")
    assert [row["ID"] for row in rows] == keys[5:]


def test_page_size_can_be_set(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 10)
    box.settings.change({"page_sizes": {"standard": 3}})
    assert len(caller.get(f"{DIVISION}/crm/Accounts?{ALL}").rows) == 3
    assert [row["ID"] for row in caller.all(f"{DIVISION}/crm/Accounts?{ALL}")] == keys


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("crm/Accounts", "This endpoint has mandatory filtering applied."),
        ("crm/Accounts?$filter=Division eq 123", "This endpoint has mandatory filtering applied."),
        ("bulk/CRM/Accounts?$select=ID", "This endpoint has mandatory filtering applied."),
        ("salesorder/SalesOrderLines?$top=1", "This endpoint has mandatory filtering applied."),
        ("bulk/CRM/Contacts", "Please add a $select or a $top=1 statement to the query string."),
        ("bulk/CRM/Contacts?$top=2", "Please add a $select or a $top=1 statement to the query string."),
        ("purchaseentry/PurchaseEntries", "Please add a $select or a $top=1 statement to the query string."),
        (
            "bulk/CRM/Contacts?$select=ID&$filter=Modified ge datetime'2024-01-01'",
            "Filtering on these fields is not supported: Modified",
        ),
        (
            "sync/CRM/Accounts?$top=1&$filter=Modified ge datetime'2024-01-01'",
            "Filtering on these fields is not supported: Modified",
        ),
        ("crm/Contacts?$filter=5", "Expression of type 'System.Boolean' expected at position 0."),
        ("crm/Contacts?$filter=ID eq guid'x'", "Unrecognized 'Edm.Guid' literal 'guid'x'' in '6'."),
        ("crm/Contacts?$filter=ID eq 'x'", "Bad Request - Error in query syntax."),
        ("crm/Contacts?$filter=ID eq", "Bad Request - Error in query syntax."),
        ("crm/Contacts?$filter=Account eq ID", "Bad Request - Error in query syntax."),
        ("crm/Contacts?$top=-1", "Bad Request - Error in query syntax."),
        ("crm/Contacts?$magic=1", "Bad Request - Error in query syntax."),
        ("crm/Contacts?$skiptoken=x", "Bad Request - Error in query syntax."),
        ("bulk/CRM/Contacts?$select=ID&$skip=1", "Bad Request - Error in query syntax."),
        ("bulk/CRM/Contacts?$select=ID&$orderby=ID", "Bad Request - Error in query syntax."),
        ("crm/Contacts?$select=Nome", "does not have a property named 'Nome'"),
        ("crm/Contacts?$expand=Nome", "does not have a property named 'Nome'"),
        ("crm/Contacts?$orderby=Nome", "does not have a property named 'Nome'"),
        (
            "crm/Contacts?$filter=Nome eq 1",
            "No property 'Nome' exists in type 'Exact.Web.Api.Models.Contact' at position 0.",
        ),
    ],
)
def test_bad_query_is_refused_with_exacts_text(caller: Caller, path: str, message: str) -> None:
    reply = caller.get(f"{DIVISION}/{path}")
    assert reply.status == 400
    assert message in reply.message


def test_mandatory_filter_names_its_fields_as_captured(caller: Caller) -> None:
    message = caller.get(f"{DIVISION}/crm/Accounts").message
    assert "with one of the following fields in the url:Accountant,AccountManager,AddressLine1," in message
    assert message.endswith(",Type,VATNumber.")


@pytest.mark.parametrize("query", ["$top=1", "$select=*", "$select=ID&$filter=Account eq null"])
def test_what_a_bulk_endpoint_demands_is_enough(caller: Caller, query: str) -> None:
    assert caller.get(f"{DIVISION}/bulk/CRM/Contacts?{query}").status == 200


def test_error_body_has_crlf_lines(caller: Caller) -> None:
    assert caller.get(f"{DIVISION}/crm/Accounts?$filter=5").text == (
        '{\r\n"error": {\r\n"code": "", "message": {\r\n"lang": "", "value": '
        "\"Expression of type 'System.Boolean' expected at position 0.\"\r\n}\r\n}\r\n}"
    )


def test_address_of_more_than_6000_characters_is_refused(caller: Caller) -> None:
    query = "$select=" + ",".join(["ID"] * 2000)
    assert caller.get(f"{DIVISION}/crm/Contacts?{query}").status == 414


def test_json_has_to_be_asked_for(caller: Caller) -> None:
    assert caller.get(f"{DIVISION}/crm/Contacts", accept="*/*").text.startswith("<?xml")
    assert caller.get(f"{DIVISION}/crm/Contacts", accept="application/xml").status == 415
    assert caller.get(f"{DIVISION}/crm/Contacts?$filter=5", accept="*/*").text.startswith("<?xml")


def test_writing_is_not_offered(caller: Caller) -> None:
    assert caller.get(f"{DIVISION}/crm/Contacts", method="POST").status == 405


@pytest.mark.parametrize(
    "query",
    [
        "$filter=" + "(" * 900 + "Blocked" + ")" * 900,
        "$filter=" + "not " * 900 + "Blocked",
        "$filter=" + "trim(" * 900 + "Name" + ")" * 900 + " eq 'x'",
        "$filter=Blocked eq false and ID gt " + "9" * 5000,
        "$filter=Blocked eq false and Created gt datetime'9999-12-31T23:59:59Z'",
        "$filter=Blocked eq false or CreditLineSales gt 1e999",
        f"{ALL}&$top={'9' * 5000}",
        f"{ALL}&$top={2**31}",
        f"{ALL}&$skip={2**31}",
        f"{ALL}&$top=-1",
        f"{ALL}&$orderby=Name&$skiptoken={'9' * 5000}",
    ],
    ids=lambda query: query[:30],
)
def test_queries_beyond_all_measure_are_refused_in_exacts_envelope(box: Sandbox, caller: Caller, query: str) -> None:
    box.settings.url_limit = 1_000_000
    reply = caller.get(f"{DIVISION}/crm/Accounts?{query}")
    assert (reply.status, reply.message) == (400, "Bad Request - Error in query syntax.")


def test_a_chain_of_many_conditions_is_no_depth(box: Sandbox, caller: Caller) -> None:
    keys = fill(box, "crm/Accounts", 3)
    for chain, rows in (("false or " * 600, keys), ("true and " * 600, keys), ("false and " * 500, [])):
        reply = caller.get(f"{DIVISION}/crm/Accounts?$filter={chain}Blocked eq false&$select=ID")
        assert [row["ID"] for row in reply.rows] == rows


def test_row_versions_beyond_all_measure_are_refused_or_find_nothing(box: Sandbox, caller: Caller) -> None:
    fill(box, "crm/Accounts", 3)
    feed = f"{DIVISION}/sync/CRM/Accounts?$select=ID&$filter=Timestamp"
    assert [caller.get(f"{feed} {rest}").status for rest in ("gt 1e30", f"gt {2**63 - 1}L", f"gt {2**63}L")] == [
        200,
        200,
        400,
    ]
    assert caller.get(f"{feed} gt 1e30").rows == []
    assert caller.get(f"{feed} gt 1&$skiptoken={'9' * 5000}L").status == 400


def test_a_feed_without_select_and_top_is_refused(caller: Caller) -> None:
    for feed in ("sync/Project/TimeCostTransactions", "sync/CRM/Accounts", "sync/Deleted"):
        path = f"{DIVISION}/{feed}?$filter=Timestamp gt 1"
        assert (caller.get(path).status, caller.get(path).message) == (400, errors.SELECT_NEEDED)
        assert caller.get(f"{path}&$select=ID").status == caller.get(f"{path}&$top=1").status == 200
