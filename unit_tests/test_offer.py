"""What `discover` offers, and that it can be narrowed down and widened."""

from __future__ import annotations

from typing import Any

import pytest
from airbyte_cdk.models import ConfiguredAirbyteStream, DestinationSyncMode, SyncMode

from source_exact_online.catalog.definitions import UNDOCUMENTED, catalog
from source_exact_online.catalog.offer import named
from source_exact_online.catalog.schemas import schema
from source_exact_online.catalog.stream import ExactStream
from source_exact_online.source import SourceExactOnline
from source_exact_online.sync.planner import selected_columns


def offered(**config: Any) -> dict[str, dict[str, Any]]:
    streams = SourceExactOnline().streams(config)
    return {stream.name: dict(stream.get_json_schema()["properties"]) for stream in streams}


def configured(name: str, properties: dict[str, Any]) -> ConfiguredAirbyteStream:
    stream = ExactStream(catalog()[name]).as_airbyte_stream()
    stream.json_schema = {"properties": properties}
    return ConfiguredAirbyteStream(
        stream=stream, sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.overwrite
    )


@pytest.mark.parametrize(
    "groups", [{}, {"stream_groups": []}, {"stream_groups": ["all"]}, {"stream_groups": ["hrm", "all"]}]
)
def test_all_documented_streams_are_offered_unless_groups_are_named(groups: dict[str, Any]) -> None:
    assert list(offered(**groups)) == [name for name, one in catalog().items() if one.group != UNDOCUMENTED]


def test_undocumented_streams_are_offered_where_they_are_named() -> None:
    undocumented = ["business_types", "cashflow_balance", "opportunity_stages", "sales_types", "transactions", "users"]
    assert list(offered(stream_groups=["undocumented"])) == undocumented
    assert list(offered(stream_groups=["all", "undocumented"])) == list(catalog())


def test_only_streams_of_the_named_groups_are_offered() -> None:
    names = list(offered(stream_groups=["hrm", "payroll"]))
    assert {catalog()[name].group for name in names} == {"hrm", "payroll"}
    assert names == [name for name, definition in catalog().items() if definition.group in ("hrm", "payroll")]


def test_the_groups_of_the_spec_are_those_of_the_catalogue() -> None:
    specification = SourceExactOnline().spec(logger=None).connectionSpecification  # type: ignore[arg-type]
    groups = set(specification["properties"]["stream_groups"]["items"]["enum"])
    assert groups == {definition.group for definition in catalog().values()} | {"all"}


def test_pictures_and_files_are_offered_only_where_they_are_asked_for() -> None:
    plain, heavy = offered(), offered(include_binary=True)
    added = {name: sorted(heavy[name].keys() - plain[name].keys()) for name in plain}
    assert added["accounts"] == ["Logo"]
    assert added["document_attachments"] == ["Attachment"]
    assert added["transaction_lines"] == []
    assert all(heavy[name][column]["contentEncoding"] == "base64" for name in added for column in added[name])


def test_a_file_in_the_configured_schema_is_read_whatever_is_offered() -> None:
    asked = configured("accounts", {"Name": {}, "Logo": {}})
    assert set(selected_columns(catalog()["accounts"], asked)) >= {"Name", "Logo"}


def test_an_empty_schema_means_all_columns_but_pictures_and_files() -> None:
    columns = selected_columns(catalog()["accounts"], configured("accounts", {}))
    assert set(columns) == set(schema("accounts")["properties"]) - {"_ab_cdc_deleted_at", "Division"}
    assert "Logo" not in columns


def test_any_stream_can_be_resumed_and_names_its_own_cursor() -> None:
    for name, definition in catalog().items():
        stream = ExactStream(definition).as_airbyte_stream()
        assert stream.is_resumable is True, name
        assert stream.source_defined_cursor is (True if definition.cursor else None), name
        assert stream.default_cursor_field == ([definition.cursor] if definition.cursor else None), name


def test_the_core_and_others_are_named_together() -> None:
    core = [name for name, definition in catalog().items() if definition.core]
    assert [one.name for one in named("core,payment_terms, accounts", frozenset())] == [*core, "payment_terms"]
