"""The catalogue's facts are those of the API reference."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tools.generate_schemas import load_catalog
from tools.reference import REPOSITORY, at_address, load_reference

CATALOG = load_catalog()
REFERENCE = load_reference()
STREAMS = [pytest.param(stream, id=stream["name"]) for stream in CATALOG]

REQUIRED_FIELDS = {"name", "title", "transport", "path", "page_size", "scope", "key", "group"}
OPTIONAL_FIELDS = {
    "cursor", "rows", "entity_type", "sync_timestamp", "header_key", "filter_required", "partition", "division_from",
    "year", "whole", "header", "stand_in",
}  # fmt: skip
GROUPS = {
    "accounting",
    "crm",
    "sales",
    "purchase",
    "inventory",
    "projects",
    "hrm",
    "payroll",
    "manufacturing",
    "documents",
}
CORE = [
    "accounts", "contacts", "addresses", "items", "item_groups", "sales_orders", "sales_order_lines", "sales_invoices",
    "sales_invoice_lines", "purchase_orders", "purchase_order_lines", "purchase_invoices", "purchase_invoice_lines",
    "gl_accounts", "gl_classifications", "transaction_lines", "journals", "financial_periods", "cost_centers",
    "cost_units", "divisions",
]  # fmt: skip

_SYNC_FEEDS = yaml.safe_load((REPOSITORY / "reference" / "sync_feeds.yaml").read_text(encoding="utf-8"))
ENTITY_TYPES = {path: number for number, path in _SYNC_FEEDS["entity_types"].items()}
SYNC_TIMESTAMP_NAMES = set(_SYNC_FEEDS["sync_timestamp"])


def test_sync_facts_are_about_feeds_of_the_reference() -> None:
    feeds = {path for path, endpoint in REFERENCE.items() if endpoint.kind == "sync"}
    assert set(ENTITY_TYPES) <= feeds
    assert {path.rsplit("/", 1)[1] for path in feeds} >= SYNC_TIMESTAMP_NAMES
    assert len(SYNC_TIMESTAMP_NAMES) == 24


def test_core_streams_come_first_and_in_order() -> None:
    assert [stream["name"] for stream in CATALOG][: len(CORE)] == CORE


def test_stream_names_are_unique_snake_case() -> None:
    names = [stream["name"] for stream in CATALOG]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)] == []


@pytest.mark.parametrize("stream", STREAMS)
def test_entry_has_the_documented_fields_only(stream: dict[str, Any]) -> None:
    assert stream.keys() >= REQUIRED_FIELDS
    assert stream.keys() - REQUIRED_FIELDS - OPTIONAL_FIELDS == set()
    assert stream["transport"] in {"feed", "list", "snapshot"}
    assert stream["group"] in GROUPS
    assert stream.get("rows") in {None, "headers", "lines"}
    assert stream.get("partition") in {None, "login"}


@pytest.mark.parametrize("stream", STREAMS)
def test_path_page_size_and_scope_are_the_references(stream: dict[str, Any]) -> None:
    endpoint = at_address(REFERENCE, stream["path"])
    assert endpoint.readable
    assert (stream["page_size"], stream["scope"]) == (endpoint.page_size, endpoint.scope)


@pytest.mark.parametrize("stream", STREAMS)
def test_key_is_the_stable_key_of_the_record(stream: dict[str, Any]) -> None:
    endpoint = at_address(REFERENCE, stream["path"])
    # A key that only repeats Division adds nothing to the primary key.
    repeated = {"Division", stream.get("division_from")}
    # What is read a year at a time may be numbered by the year, so the year is part of the key.
    years = [stream["year"]] if "year" in stream else []
    assert stream["key"] == [*years, *(name for name in endpoint.stable_key if name not in repeated)]
    assert "Timestamp" not in stream["key"]


@pytest.mark.parametrize("stream", STREAMS)
def test_cursor_is_modified_wherever_the_entity_has_it(stream: dict[str, Any]) -> None:
    offered = set(_offered(stream))
    expected = next((name for name in ("Modified", "Timestamp") if name in offered), None)
    assert stream.get("cursor") == expected


@pytest.mark.parametrize("stream", STREAMS)
def test_transport_fits_the_kind_of_endpoint(stream: dict[str, Any]) -> None:
    endpoint = at_address(REFERENCE, stream["path"])
    assert (stream["transport"] == "feed") == (endpoint.kind == "sync")
    if stream["transport"] == "feed":
        assert "Timestamp" in {prop.name for prop in endpoint.properties}
    if stream["transport"] == "list":
        assert stream["cursor"] == "Modified"


@pytest.mark.parametrize("stream", STREAMS)
def test_naming_every_column_satisfies_the_select_rule(stream: dict[str, Any]) -> None:
    assert at_address(REFERENCE, stream["path"]).select in {None, "required", "no *"}


@pytest.mark.parametrize("stream", STREAMS)
def test_properties_named_in_the_entry_exist_and_are_offered(stream: dict[str, Any]) -> None:
    named = {stream[field] for field in ("cursor", "header_key", "division_from", "year") if field in stream}
    assert named - _offered(stream) == set()


def _offered(stream: dict[str, Any]) -> set[str]:
    """Properties of a stream, with what lines take from their header."""
    own = at_address(REFERENCE, stream["path"]).offered
    return {*own, "Modified"} if "header" in stream else set(own)


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if "header" in stream.values[0]])  # type: ignore[operator]
def test_the_header_of_undated_lines_has_a_date_and_shows_them(stream: dict[str, Any]) -> None:
    header = at_address(REFERENCE, stream["header"]["path"])
    (shown,) = (prop for prop in header.properties if prop.name == stream["header"]["lines"])
    assert header.kind == "standard"
    assert "Modified" in header.offered
    assert "Modified" not in at_address(REFERENCE, stream["path"]).offered
    assert shown.type == f"Collection({stream['path'].rpartition('/')[2]})"
    assert header.scope == stream["scope"], "no scope is needed besides that of the lines"


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if "stand_in" in stream.values[0]])  # type: ignore[operator]
def test_a_stand_in_shows_the_same_rows(stream: dict[str, Any]) -> None:
    feed, stand_in = at_address(REFERENCE, stream["path"]), at_address(REFERENCE, stream["stand_in"]["path"])
    header = stream["stand_in"].get("header")
    has = {*stand_in.offered, "Modified"} if header else set(stand_in.offered)
    assert (stand_in.kind, stand_in.readable, stand_in.scope) == ("standard", True, stream["scope"])
    assert set(stream["stand_in"]["lacks"]) == feed.offered - has
    assert "Modified" in (at_address(REFERENCE, header["path"]) if header else stand_in).offered
    assert stand_in.stable_key == (stream["stand_in"].get("key_from", *stream["key"]),)
    types = {prop.name: prop.type for prop in stand_in.properties}
    assert {prop.name for prop in feed.properties if types.get(prop.name, prop.type) != prop.type} == set()


def test_stand_ins_are_for_feeds_that_the_main_sources_do_not_have() -> None:
    doubtful = {path for path, endpoint in REFERENCE.items() if endpoint.kind == "sync" and endpoint.status == "new"}
    assert {stream["path"] for stream in CATALOG if "stand_in" in stream} == doubtful


@pytest.mark.parametrize("stream", STREAMS)
def test_lines_can_be_asked_for_by_a_guid(stream: dict[str, Any]) -> None:
    read_as = [one for one in (stream, {**stream, **stream.get("stand_in", {})}) if "header" in one]
    for lines in read_as:
        for path in (lines["path"], lines["header"]["path"]):
            types = {prop.name: prop.type for prop in at_address(REFERENCE, path).properties}
            assert types[lines["header_key"]] == "Edm.Guid"


def test_no_lines_are_read_whole_whose_headers_have_a_date() -> None:
    whole = {stream["path"] for stream in CATALOG if stream["transport"] == "snapshot"}
    shown = {
        f"{header.path.rpartition('/')[0]}/{prop.type[len('Collection(') : -1]}"
        for header in REFERENCE.values()
        if header.kind == "standard" and header.readable and "Modified" in header.offered
        for prop in header.properties
        if prop.is_navigation
    }
    # Files of a bank statement do not change, and do not tell which statement they belong to.
    assert whole & shown == {"cashflow/BankStatementUploadAttachments"}


@pytest.mark.parametrize("stream", STREAMS)
def test_deletion_number_is_the_feeds(stream: dict[str, Any]) -> None:
    assert stream.get("entity_type") == ENTITY_TYPES.get(stream["path"])


@pytest.mark.parametrize("stream", STREAMS)
def test_sync_timestamp_is_named_for_exactly_the_feeds_it_knows(stream: dict[str, Any]) -> None:
    entity = stream["path"].rsplit("/", 1)[1]
    expected = entity if stream["transport"] == "feed" and entity in SYNC_TIMESTAMP_NAMES else None
    assert stream.get("sync_timestamp") == expected


def test_a_path_with_two_streams_is_split_into_headers_and_lines() -> None:
    by_path: dict[str, list[str | None]] = {}
    for stream in CATALOG:
        by_path.setdefault(stream["path"], []).append(stream.get("rows"))
    assert {path: rows for path, rows in by_path.items() if rows not in ([None], ["headers", "lines"])} == {}


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if "rows" in stream.values[0]])  # type: ignore[operator]
def test_a_split_feed_numbers_its_lines(stream: dict[str, Any]) -> None:
    assert "LineNumber" in {prop.name for prop in at_address(REFERENCE, stream["path"]).properties}
