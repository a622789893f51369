"""The catalogue's facts are those of the API reference.

Each test is about one fact. It looks at all streams and names all that differ.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from source_exact_online.catalog.definitions import Header, Rows, StreamDefinition, Transport, catalog
from tools.generate_schemas import load_catalog
from tools.reference import REPOSITORY, Endpoint, at_address, load_reference
from tools.stream_tables import composite_keys

CATALOG = load_catalog()
REFERENCE = load_reference()

REQUIRED_FIELDS = {"name", "title", "transport", "path", "page_size", "scope", "key", "group"}
OPTIONAL_FIELDS = {
    "cursor", "rows", "entity_type", "sync_timestamp", "header_key", "partition", "division_from", "split_by_year",
    "bulk_path", "header", "core", "full",
}  # fmt: skip
GROUPS = {
    "undocumented",
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
SHARED_KEYS: dict[str, tuple[str, ...]] = {
    "aging_overview": ("Edm.Int32",),
    "available_features": ("Edm.Int32",),
    "currencies": ("Edm.String",),
    "document_type_categories": ("Edm.Int32",),
    "document_types": ("Edm.Int32",),
    "employment_contract_flex_phases": ("Edm.Int32",),
    "employment_end_reasons": ("Edm.Int32",),
    "gl_transaction_sources": ("Edm.Int32",),
    "gl_transaction_types": ("Edm.Int32",),
    "incoterms": ("Edm.Int16",),
    "journal_status_list": ("Edm.String", "Edm.Int32", "Edm.Int32"),
    "opening_balance_current_year_after_entry": ("Edm.Guid", "Edm.Int32"),
    "opening_balance_current_year_processed": ("Edm.Guid", "Edm.Int32"),
    "opening_balance_previous_year_after_entry": ("Edm.Guid", "Edm.Int32"),
    "opening_balance_previous_year_processed": ("Edm.Guid", "Edm.Int32"),
    "outstanding_invoices_overview": ("Edm.String",),
    "payables_list": ("Edm.Int64",),
    "profit_loss_overview": ("Edm.Int32",),
    "project_budget_types": ("Edm.Int16",),
    "receivables_list": ("Edm.Int64",),
    "reporting_balance": ("Edm.Int32", "Edm.Int64"),
    "revenue_list": ("Edm.Int32", "Edm.Int32"),
    "subscription_line_types": ("Edm.Int16",),
}
"""Types of the keys whose first column alone does not identify a row among all divisions."""
NEWER_FEEDS = {
    "sync/Financial/PurchaseEntries": ["purchase_entries", "purchase_entry_lines"],
    "sync/Financial/SalesEntries": ["sales_entries", "sales_entry_lines"],
    "sync/HRM/AbsenceRegistrationTransactions": ["absence_registration_transactions"],
    "sync/HRM/AbsenceRegistrations": ["absence_registrations"],
    "sync/HRM/LeaveBuildUpRegistrations": ["leave_build_up_registrations"],
    "sync/HRM/LeaveRegistrations": ["leave_registrations"],
}
"""Feeds that came after July 2025."""

_SYNC_FEEDS = yaml.safe_load((REPOSITORY / "reference" / "sync_feeds.yaml").read_text(encoding="utf-8"))
ENTITY_TYPES = {path: number for number, path in _SYNC_FEEDS["entity_types"].items()}
SYNC_TIMESTAMP_NAMES = set(_SYNC_FEEDS["sync_timestamp"])

Stream = dict[str, Any]


def endpoint_of(stream: Stream) -> Endpoint:
    return at_address(REFERENCE, stream["path"])


def types_at(path: str) -> dict[str, str]:
    return {prop.name: prop.type for prop in at_address(REFERENCE, path).properties}


def offered(stream: Stream) -> set[str]:
    """Properties of a stream, with what lines take from their header."""
    own = endpoint_of(stream).offered
    return {*own, "Modified"} if "header" in stream else set(own)


def test_sync_facts_are_about_feeds_of_the_reference() -> None:
    feeds = {path for path, endpoint in REFERENCE.items() if endpoint.kind == "sync"}
    assert set(ENTITY_TYPES) <= feeds
    assert {path.rsplit("/", 1)[1] for path in feeds} >= SYNC_TIMESTAMP_NAMES
    assert len(SYNC_TIMESTAMP_NAMES) == 24


def test_core_streams_come_first_and_in_order() -> None:
    assert [stream["name"] for stream in CATALOG][: len(CORE)] == CORE
    assert [stream["name"] for stream in CATALOG if stream.get("core")] == CORE


def test_stream_names_are_unique_snake_case() -> None:
    names = [stream["name"] for stream in CATALOG]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)] == []


def test_entries_have_the_documented_fields_only() -> None:
    missing = {stream["name"]: REQUIRED_FIELDS - stream.keys() for stream in CATALOG}
    unknown = {stream["name"]: stream.keys() - REQUIRED_FIELDS - OPTIONAL_FIELDS for stream in CATALOG}
    assert {name: fields for name, fields in missing.items() if fields} == {}
    assert {name: fields for name, fields in unknown.items() if fields} == {}


def test_fields_with_few_values_have_one_of_them() -> None:
    allowed = {
        "transport": {"feed", "list", "snapshot"},
        "group": GROUPS,
        "rows": {None, "headers", "lines"},
        "partition": {None, "login"},
    }
    found = {(stream["name"], field, stream.get(field)) for stream in CATALOG for field in allowed}
    assert {one for one in found if one[2] not in allowed[one[1]]} == set()


def test_every_field_is_in_the_definition() -> None:
    assert list(catalog()) == [stream["name"] for stream in CATALOG]
    assert [stream["name"] for stream in CATALOG if catalog()[stream["name"]] != _defined(stream)] == []


def _defined(stream: Stream) -> StreamDefinition:
    """The definition that an entry has to become."""
    facts = {field: value for field, value in stream.items() if field not in ("partition", "full")}
    return StreamDefinition(**{
        "cursor": None,
        **facts,
        "transport": Transport(stream["transport"]),
        "key": tuple(stream["key"]),
        "rows": Rows(stream.get("rows", "all")),
        "per_login": "partition" in stream,
        "header": Header(stream["header"]["path"], stream["header"]["navigation"]) if "header" in stream else None,
    })  # fmt: skip


def test_paths_page_sizes_and_scopes_are_the_references() -> None:
    wrong = {
        stream["name"]: stream["path"]
        for stream in CATALOG
        if not endpoint_of(stream).readable
        or (stream["page_size"], stream["scope"]) != (endpoint_of(stream).page_size, endpoint_of(stream).scope)
    }
    assert wrong == {}


def test_keys_are_the_stable_keys_of_the_records() -> None:
    wrong = {}
    for stream in CATALOG:
        # A key that only repeats Division adds nothing to the primary key.
        repeated = {"Division", stream.get("division_from")}
        # What is read a year at a time may be numbered by the year, so the year is part of the key.
        years = [stream["split_by_year"]] if "split_by_year" in stream else []
        expected = [*years, *(name for name in endpoint_of(stream).stable_key if name not in repeated)]
        if stream["key"] != expected or "Timestamp" in stream["key"]:
            wrong[stream["name"]] = (stream["key"], expected)
    assert wrong == {}


def test_the_primary_key_is_the_own_key_and_then_the_division() -> None:
    wrong = {
        definition.name: definition.primary_key
        for definition in catalog().values()
        if definition.primary_key[-1] != "Division"
        or definition.primary_key[:-1] != definition.key
        or "Division" in definition.key
    }
    assert wrong == {}


def test_streams_with_a_row_a_division_have_the_division_alone_as_primary_key() -> None:
    alone = {name for name, definition in catalog().items() if definition.primary_key == ("Division",)}
    assert alone == {"divisions", "all_divisions", "manufacturing_settings"}


def test_the_first_column_of_a_primary_key_is_a_guid_of_one_row_or_is_not_enough() -> None:
    """A reader that takes the first column for the whole key is right about the first sort only."""
    types = {
        stream["name"]: tuple(types_at(stream["path"])[name] for name in stream["key"])
        for stream in CATALOG
        if stream["key"]
    }
    assert {name: found for name, found in types.items() if found != ("Edm.Guid",)} == SHARED_KEYS
    assert set(SHARED_KEYS) <= set(composite_keys())


def test_the_cursor_is_modified_wherever_the_entity_has_it() -> None:
    wrong = {
        stream["name"]: stream.get("cursor")
        for stream in CATALOG
        if stream.get("cursor") != next((name for name in ("Modified", "Timestamp") if name in offered(stream)), None)
    }
    assert wrong == {}


def test_the_transport_fits_the_kind_of_endpoint() -> None:
    streams = {transport: [one for one in CATALOG if one["transport"] == transport] for transport in ("feed", "list")}
    feeds = {stream["name"] for stream in streams["feed"]}
    assert feeds == {stream["name"] for stream in CATALOG if endpoint_of(stream).kind == "sync"}
    assert [stream["name"] for stream in streams["feed"] if "Timestamp" not in types_at(stream["path"])] == []
    assert [stream["name"] for stream in streams["list"] if stream["cursor"] != "Modified"] == []


def test_naming_every_column_satisfies_the_select_rule() -> None:
    rules = {endpoint_of(stream).select for stream in CATALOG}
    assert rules <= {None, "required", "no *"}


def test_no_stream_is_refused_for_lack_of_a_filter() -> None:
    paths = {stream[field] for stream in CATALOG for field in ("path", "bulk_path") if field in stream}
    assert [path for path in paths if at_address(REFERENCE, path).demands_filter] == []


def test_properties_named_in_an_entry_exist_and_are_offered() -> None:
    fields = ("cursor", "header_key", "division_from", "split_by_year")
    unknown = {
        stream["name"]: {stream[field] for field in fields if field in stream} - offered(stream) for stream in CATALOG
    }
    assert {name: properties for name, properties in unknown.items() if properties} == {}


def test_the_headers_of_undated_lines_have_a_date_and_their_lines() -> None:
    undated = [stream for stream in CATALOG if "header" in stream]
    wrong = []
    for stream in undated:
        header, name = at_address(REFERENCE, stream["header"]["path"]), stream["path"].rpartition("/")[2]
        facts = {
            "a standard endpoint": header.kind == "standard",
            "dated": "Modified" in header.offered,
            "needed": "Modified" not in endpoint_of(stream).offered,
            "with lines": types_at(header.path).get(stream["header"]["navigation"]) == f"Collection({name})",
            "in the scope of the lines": header.scope == stream["scope"],
        }
        wrong += [f"{stream['name']}: header is not {fact}" for fact, holds in facts.items() if not holds]
    assert wrong == []
    assert undated


def test_undated_lines_and_their_headers_share_a_guid() -> None:
    wrong = {
        (stream["name"], path): types_at(path).get(stream["header_key"])
        for stream in CATALOG
        if "header" in stream
        for path in (stream["path"], stream["header"]["path"])
        if types_at(path).get(stream["header_key"]) != "Edm.Guid"
    }
    assert wrong == {}


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


def test_deletion_numbers_are_the_feeds() -> None:
    wrong = {s["name"]: s.get("entity_type") for s in CATALOG if s.get("entity_type") != ENTITY_TYPES.get(s["path"])}
    assert wrong == {}


def test_a_stream_tracks_deletions_where_it_has_a_number_in_the_log() -> None:
    tracking = {name for name, definition in catalog().items() if definition.tracks_deletions}
    assert tracking == {stream["name"] for stream in CATALOG if stream["path"] in ENTITY_TYPES}
    assert 0 < len(tracking) < len(CATALOG)


def test_sync_timestamp_is_named_for_exactly_the_feeds_it_knows() -> None:
    wrong = {}
    for stream in CATALOG:
        entity = stream["path"].rsplit("/", 1)[1]
        expected = entity if stream["transport"] == "feed" and entity in SYNC_TIMESTAMP_NAMES else None
        if stream.get("sync_timestamp") != expected:
            wrong[stream["name"]] = stream.get("sync_timestamp")
    assert wrong == {}


def test_a_path_with_two_streams_is_split_into_headers_and_lines() -> None:
    by_path: dict[str, list[str | None]] = {}
    for stream in CATALOG:
        by_path.setdefault(stream["path"], []).append(stream.get("rows"))
    assert {path: rows for path, rows in by_path.items() if rows not in ([None], ["headers", "lines"])} == {}


def test_split_feeds_number_their_lines() -> None:
    split = [stream for stream in CATALOG if "rows" in stream]
    assert [stream["name"] for stream in split if "LineNumber" not in types_at(stream["path"])] == []
    assert split


def test_feeds_that_came_after_july_2025_are_feeds_like_all_others() -> None:
    assert set(NEWER_FEEDS) == {path for path, one in REFERENCE.items() if (one.kind, one.status) == ("sync", "new")}
    streams = {path: [one for one in CATALOG if one["path"] == path] for path in NEWER_FEEDS}
    assert {path: sorted(one["name"] for one in members) for path, members in streams.items()} == NEWER_FEEDS
    facts = {(one["transport"], *one["key"], one["cursor"]) for members in streams.values() for one in members}
    assert facts == {("feed", "ID", "Modified")}
    # Those of HRM have numbers in the log; none is known for the entries.
    assert {path: ENTITY_TYPES[path] for path in NEWER_FEEDS if path in ENTITY_TYPES} == {
        "sync/HRM/LeaveRegistrations": 56,
        "sync/HRM/LeaveBuildUpRegistrations": 57,
        "sync/HRM/AbsenceRegistrationTransactions": 58,
        "sync/HRM/AbsenceRegistrations": 59,
    }
