"""The committed catalogue is what the generator makes of the reference and the decisions; nothing is forgotten."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tools import generate_catalog
from tools.generate_catalog import (
    CATALOG_FILE,
    CatalogGenerator,
    differences,
    load_generator,
    load_overlay,
    main,
    render,
)
from tools.reference import REPOSITORY, at_address, load_reference

REFERENCE = load_reference()
OVERLAY = load_overlay()
GENERATOR = load_generator()
CATALOG = yaml.safe_load(CATALOG_FILE.read_text(encoding="utf-8"))
STREAMS = {stream["name"]: stream for stream in CATALOG["streams"]}
PYTHON = [
    file.read_text(encoding="utf-8")
    for file in sorted((REPOSITORY / "source_exact_online").rglob("*.py"))
    if file.parent.name != "report"  # it asks tables by their names
]


def generator(**decisions: object) -> CatalogGenerator:
    return CatalogGenerator(REFERENCE, replace(OVERLAY, **decisions), {}, frozenset())  # type: ignore[arg-type]


def test_the_committed_catalogue_is_what_the_generator_writes() -> None:
    assert differences(render(GENERATOR)) == []


def test_every_readable_entity_is_a_stream_or_left_out_with_a_reason() -> None:
    served = {GENERATOR.name_of(at_address(REFERENCE, stream["path"])) for stream in STREAMS.values()}
    served |= set(STREAMS)
    forgotten = [
        endpoint.path
        for endpoint in REFERENCE.values()
        if endpoint.readable and endpoint.path not in CATALOG["left_out"] and GENERATOR.name_of(endpoint) not in served
    ]
    assert forgotten == []
    assert all(len(reason) > 10 for reason in CATALOG["left_out"].values())


def test_95_percent_of_the_readable_entities_are_streams() -> None:
    readable = {endpoint.entity for endpoint in REFERENCE.values() if endpoint.readable}
    paths = {endpoint.path for endpoint in REFERENCE.values() if endpoint.readable} - CATALOG["left_out"].keys()
    covered = {REFERENCE[path].entity for path in paths}
    assert len(readable) > 270
    assert len(covered) >= 0.95 * len(readable)


def test_every_function_is_left_out_with_a_reason() -> None:
    functions = {
        endpoint.path
        for endpoint in REFERENCE.values()
        if endpoint.kind == "function" and "GET" in endpoint.methods and endpoint.status != "removed"
    }
    assert functions <= CATALOG["left_out"].keys()


def test_titles_say_what_a_row_is_in_one_line() -> None:
    titles = [stream["title"] for stream in STREAMS.values()]
    assert [title for title in titles if not re.fullmatch(r"[A-Z].{3,119}[^.]", title)] == []
    assert len(set(titles)) == len(titles)


def test_streams_that_the_reasons_point_to_exist() -> None:
    pointed = {
        name
        for reason in CATALOG["left_out"].values()
        for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b(?!_?\.\.\.)", reason)
        if not name.endswith("_billing")
    }
    assert pointed - STREAMS.keys() == set()


def test_a_feed_is_preferred() -> None:
    entities = GENERATOR.entities()
    fed = [name for name in STREAMS if any(one.kind == "sync" for one in entities[name])]
    assert [name for name in fed if at_address(REFERENCE, STREAMS[name]["path"]).kind != "sync"] == []


def test_a_bulk_endpoint_serves_lists_where_all_is_read() -> None:
    wrong = []
    streams = [stream for stream in STREAMS.values() if "bulk_path" in stream]
    for stream in streams:
        bulk, listed = REFERENCE[stream["bulk_path"]], at_address(REFERENCE, stream["path"])
        kinds = (bulk.kind, listed.kind) == ("bulk", "standard")
        if not (kinds and listed.offered <= bulk.offered and bulk.scope == listed.scope):
            wrong.append(stream["name"])
    assert wrong == []
    assert streams


def test_an_endpoint_that_demands_a_filter_is_refused() -> None:
    """A first sync names no date, so that such an endpoint would refuse it."""
    with pytest.raises(ValueError, match="accounts: crm/Accounts wants a filter"):
        generator(endpoints={"accounts": "crm/Accounts", **OVERLAY.endpoints}).entries()


def test_groups_stand_together_after_the_core() -> None:
    groups = [stream["group"] for stream in CATALOG["streams"]][len(OVERLAY.core) :]
    assert list(dict.fromkeys(groups)) == OVERLAY.group_order
    assert [group for at, group in enumerate(groups) if at and group != groups[at - 1]] == OVERLAY.group_order[1:]


def test_headers_and_lines_carry_the_key_they_share() -> None:
    shared = {"sales_orders": "OrderID", "quotation_lines": "QuotationID", "sales_entry_lines": "EntryID",
              "goods_receipt_lines": "GoodsReceiptID", "warehouse_transfer_lines": "TransferID"}  # fmt: skip
    assert {name: STREAMS[name]["header_key"] for name in shared} == shared


@pytest.mark.parametrize(
    ("decisions", "complaint"),
    [
        ({"names": {"crm/Nowhere": "nowhere"}}, "crm/Nowhere"),
        ({"words": {"Costcentres": "CostCentres"}}, "Costcentres"),
        ({"core": ["account"]}, "account"),
        ({"left_out": {}}, "no title"),
        ({"endpoints": {}}, "divisions: hrm/Divisions or system/Divisions"),
    ],
)
def test_a_decision_that_is_missing_or_out_of_date_is_refused(decisions: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        generator(**decisions).entries()


def test_check_ends_with_1_and_names_the_streams_that_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--check"]) == 0
    edited = tmp_path / "catalog.yaml"
    edited.write_text(CATALOG_FILE.read_text(encoding="utf-8").replace("path: sync/CRM/Contacts", "path: crm/Contacts"))
    assert differences(render(GENERATOR), edited) == ["contacts: changed"]
    monkeypatch.setattr(generate_catalog, "render", lambda _: edited.read_text())
    assert main(["--check"]) == 1
    assert "contacts: changed" in capsys.readouterr().out


def test_no_python_of_the_connector_names_a_stream_or_a_path_of_exact() -> None:
    words = {word for text in PYTHON for word in re.findall(r"[\"']([\w/]+)[\"']", text)}
    paths = {endpoint.path for endpoint in REFERENCE.values()} | {stream["path"] for stream in STREAMS.values()}
    # Both are also fields of the configuration or of endpoints.yaml.
    assert words & paths == set()
    # The last two stand in the example of dlt_source.py.
    assert words & STREAMS.keys() <= {"deleted", "divisions", "accounts", "transaction_lines"}
