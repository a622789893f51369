"""``$expand``: which columns and rows it shows, and collections that come in pages of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from exact_online_sandbox.entities import entities
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.synthetic import fill
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

ATOM = "{http://www.w3.org/2005/Atom}"


@dataclass(frozen=True)
class Family:
    """Headers, the property that holds their lines, and what joins the two."""

    headers: str
    name: str
    lines: str
    owner: str
    column: str
    value: str
    """A property of the lines."""

    def __repr__(self) -> str:
        return self.headers

    @property
    def key(self) -> str:
        return entities()[self.headers].record_id

    def query(self, *, inner: bool = True) -> str:
        columns = f",{self.name}/ID,{self.name}/{self.value}" if inner else f",{self.name}"
        # 12:00 UTC is 14:00 in Amsterdam in summer.
        return (
            f"$filter=Modified ge datetime'2024-07-01T14:00:00'&$expand={self.name}"
            f"&$select={self.key},Modified{columns}"
        )


FAMILIES = [
    Family(headers, name, f"{headers.partition('/')[0]}/{name}", key, key, "AmountDC")
    for headers, name, key in (
        ("salesorder/SalesOrders", "SalesOrderOrderChargeLines", "OrderID"),
        ("salesinvoice/SalesInvoices", "SalesInvoiceOrderChargeLines", "InvoiceID"),
        ("crm/Quotations", "QuotationOrderChargeLines", "QuotationID"),
    )
]
UPLOADS = Family(
    "cashflow/BankStatementUploads",
    "Attachments",
    "cashflow/BankStatementUploadAttachments",
    "BankStatementDocument",
    "Document",
    "FileSize",
)
ORDERS = FAMILIES[0]


@pytest.fixture(params=[*FAMILIES, UPLOADS], ids=repr)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


def add(box: Sandbox, family: Family, counts: list[int]) -> dict[str, list[str]]:
    """Add one header, changed now, per count, with so many lines; gives the lines' keys by their header's, in order."""
    made: dict[str, list[str]] = {}
    for number, count in enumerate(counts):
        key = f"00000000-0000-4000-8000-{number:012d}"
        owner = key if family.owner == family.key else f"10000000-0000-4000-8000-{number:012d}"
        box.store.insert(DIVISION, family.headers, {family.key: key, family.owner: owner}, at=NOW)
        made[key] = [f"20000000-0000-4000-8000-{number:06d}{line:06d}" for line in range(count)]
        for line in reversed(made[key]):
            row = {"ID": line, family.column: owner, family.value: 1.5}
            box.store.insert(DIVISION, family.lines, row, at=NOW)
    box.store.insert(DIVISION, family.headers, {}, at=NOW - timedelta(seconds=1))
    box.store.insert(DIVISION, family.lines, {}, at=NOW)
    return made


def follow(caller: Caller, collection: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The pages of an expanded collection."""
    pages = [collection["results"]]
    following = collection.get("__next")
    while following:
        reply = caller.get(following)
        assert reply.status == 200, reply.text
        pages.append(reply.rows)
        following = reply.next
    return pages


def test_changed_headers_come_with_their_lines_in_pages_of_sixty(box: Sandbox, caller: Caller, family: Family) -> None:
    made = add(box, family, [2, 0, 1] + [1] * 60)
    first = caller.get(f"{DIVISION}/{family.headers}?{family.query()}")
    assert len(first.rows) == 60
    rows = caller.all(f"{DIVISION}/{family.headers}?{family.query()}")
    assert {row[family.key]: [line["ID"] for line in row[family.name]["results"]] for row in rows} == made
    for row in rows:
        assert set(row) == {"__metadata", family.key, "Modified", family.name}
        assert set(row[family.name]) == {"results"}
        for line in row[family.name]["results"]:
            assert set(line) == {"__metadata", "ID", family.value}
            assert line[family.value] == 1.5
            assert line["__metadata"]["uri"].endswith(f"{DIVISION}/{family.lines}(guid'{line['ID']}')")


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_expanded_collections_can_come_in_pages(box: Sandbox, caller: Caller, family: Family, size: int) -> None:
    made = add(box, family, [5, 0, 2, 6])
    box.settings.change({"page_sizes": {"expanded": size}})
    rows = caller.all(f"{DIVISION}/{family.headers}?{family.query()}")
    for row in rows:
        pages = follow(caller, row[family.name])
        assert [line["ID"] for page in pages for line in page] == made[row[family.key]]
        assert all(len(page) == size for page in pages[:-1])
        assert len(pages[-1]) <= size
        assert all(set(line) == {"__metadata", "ID", family.value} for page in pages for line in page)
    assert len(rows) == 4


def test_next_address_of_an_expanded_collection_is_behind_the_key_with_the_inner_columns(
    box: Sandbox, caller: Caller
) -> None:
    ((key, lines),) = add(box, ORDERS, [3]).items()
    box.settings.change({"page_sizes": {"expanded": 2}})
    address = f"http://sandbox.test/api/v1/{DIVISION}/salesorder/SalesOrders(guid'{key}')/{ORDERS.name}"
    token = f"$skiptoken=guid'{lines[1]}'"
    for inner, text in ((True, f"$select=ID,AmountDC&{token}"), (False, token)):
        (row,) = caller.get(f"{DIVISION}/salesorder/SalesOrders?{ORDERS.query(inner=inner)}").rows
        assert row[ORDERS.name]["__next"] == f"{address}?{text}"
    single = caller.get(f"{DIVISION}/salesorder/SalesOrders(guid'{key}')?$expand={ORDERS.name}").d
    assert single[ORDERS.name]["__next"] == f"{address}?{token}"
    assert len(caller.get(f"{address}?{token}").rows[0]) > 10


def test_link_to_a_collection_leads_to_pages_of_the_same_size(box: Sandbox, caller: Caller, family: Family) -> None:
    ((key, lines),) = add(box, family, [3]).items()
    link = caller.get(f"{DIVISION}/{family.headers}(guid'{key}')").d[family.name]["__deferred"]["uri"]
    assert [line["ID"] for line in caller.get(link).rows] == lines
    box.settings.change({"page_sizes": {"expanded": 2}})
    first = caller.get(f"{link}?$select=ID")
    assert [line["ID"] for line in first.rows] == lines[:2]
    assert first.next == f"{link}?$select=ID&$skiptoken=guid'{lines[1]}'"
    assert [line["ID"] for line in caller.all(f"{link}?$select=ID")] == lines


def test_malformed_token_of_a_collection_is_refused(box: Sandbox, caller: Caller) -> None:
    (key,) = add(box, ORDERS, [1])
    assert caller.get(f"{DIVISION}/{ORDERS.headers}(guid'{key}')/{ORDERS.name}?$skiptoken=5").status == 400


@pytest.mark.parametrize("columns", ["{name}/Nome", "{name}/ID,{name}/Nome"])
def test_unknown_inner_column_is_refused(box: Sandbox, caller: Caller, family: Family, columns: str) -> None:
    add(box, family, [1])
    text = columns.format(name=family.name)
    reply = caller.get(f"{DIVISION}/{family.headers}?$filter=Modified ne null&$expand={family.name}&$select={text}")
    assert reply.status == 400
    assert "does not have a property named 'Nome'" in reply.message


def test_expanded_collection_has_to_be_selected(box: Sandbox, caller: Caller, family: Family) -> None:
    add(box, family, [1])
    path = f"{DIVISION}/{family.headers}?$filter=Modified ge datetime'2024-07-01T14:00:00'&$expand={family.name}"
    (without,) = caller.get(f"{path}&$select={family.key}").rows
    assert set(without) == {"__metadata", family.key}
    for query in ("", f"&$select={family.name}", f"&$select=*,{family.name}/ID"):
        (row,) = caller.get(path + query).rows
        assert len(row[family.name]["results"]) == 1, query


def test_atom_has_the_next_address_of_an_expanded_collection(box: Sandbox, caller: Caller) -> None:
    (key,) = add(box, ORDERS, [3])
    box.settings.change({"page_sizes": {"expanded": 2}})
    path = f"{DIVISION}/salesorder/SalesOrders(guid'{key}')?$expand={ORDERS.name}"
    entry = ElementTree.fromstring(caller.get(path, accept="*/*").text)
    (link,) = (found for found in entry.iter(f"{ATOM}link") if found.get("rel") == "next")
    assert len(entry.findall(f".//{ATOM}feed/{ATOM}entry")) == 2
    assert len(caller.get(link.attrib["href"]).rows) == 1
    rest = ElementTree.fromstring(caller.get(link.attrib["href"], accept="*/*").text)
    assert len(rest.findall(f"{ATOM}entry")) == 1


def test_filler_is_found_by_expand(box: Sandbox, caller: Caller, family: Family) -> None:
    fill(box.store, DIVISION, until=NOW)
    query = f"$filter=Modified ne null&$expand={family.name}&$select={family.name}/ID"
    rows = caller.all(f"{DIVISION}/{family.headers}?{query}")
    found = sorted(line["ID"] for row in rows for line in row[family.name]["results"])
    assert len(found) == 3
    assert found == sorted(row["ID"] for row in box.store.rows(DIVISION, family.lines))
