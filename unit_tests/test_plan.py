"""From the configured catalogue to partitions: what is asked, how often, and in which order."""

from __future__ import annotations

import pytest
from airbyte_cdk.models import FailureType, SyncMode
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.catalog.definitions import catalog
from source_exact_online.sync.planner import chosen_streams, is_full_refresh, selected_columns
from unit_tests.exact_fakes import FakeClock, ScriptedApi, configured, page, read, row

CORE = [
    "accounts",
    "contacts",
    "addresses",
    "items",
    "item_groups",
    "sales_orders",
    "sales_order_lines",
    "sales_invoices",
    "sales_invoice_lines",
    "purchase_orders",
    "purchase_order_lines",
    "purchase_invoices",
    "purchase_invoice_lines",
    "gl_accounts",
    "gl_classifications",
    "transaction_lines",
    "journals",
    "financial_periods",
    "cost_centers",
    "cost_units",
    "divisions",
]


@pytest.fixture
def quiet(api: ScriptedApi) -> ScriptedApi:
    """Two divisions in which nothing has changed."""
    api.divisions(123, 456).always("sync/Deleted", page([]))
    for name in CORE:
        if not catalog()[name].per_login:
            api.always(catalog()[name].path, page([]))
    return api


class TestColumns:
    @pytest.mark.parametrize("name", CORE)
    def test_keys_and_cursor_are_always_among_them(self, name: str) -> None:
        definition = catalog()[name]

        columns = selected_columns(definition, configured(name, columns=("Division",)).streams[0])

        assert set(definition.always_read) == set(columns)

    def test_an_empty_selection_means_all(self) -> None:
        columns = selected_columns(catalog()["journals"], configured("journals", columns=()).streams[0])

        assert len(columns) > 20
        assert "_ab_cdc_deleted_at" not in columns

    def test_what_the_schema_does_not_have_is_not_asked_for(self) -> None:
        stream = configured("accounts", columns=("Name", "Nonsense", "_ab_cdc_deleted_at")).streams[0]

        columns = selected_columns(catalog()["accounts"], stream)

        assert set(columns) == {"ID", "Modified", "Name"}


class TestModes:
    def test_a_stream_is_full_as_configured(self) -> None:
        definition = catalog()["accounts"]

        assert is_full_refresh(definition, configured("accounts:full_refresh").streams[0])
        assert not is_full_refresh(definition, configured("accounts:incremental").streams[0])

    def test_a_stream_without_cursor_is_always_full(self) -> None:
        without = [one for one in catalog().values() if one.cursor is None]
        for definition in without:
            stream = configured(definition.name).streams[0]
            assert stream.sync_mode is SyncMode.incremental
            assert is_full_refresh(definition, stream)
        assert all(one.cursor for name, one in catalog().items() if name in CORE)


def test_an_unknown_stream_is_a_config_error_that_names_it() -> None:
    with pytest.raises(AirbyteTracedException, match=r"unicorns.*refresh the source schema") as raised:
        chosen_streams(configured("accounts", "unicorns"))

    assert raised.value.failure_type is FailureType.config_error


def test_a_wrong_name_brings_the_nearest() -> None:
    with pytest.raises(AirbyteTracedException, match=r"no stream Accounts \(did you mean accounts\?\)"):
        chosen_streams(configured("Accounts"))


@pytest.mark.parametrize(
    ("stream", "cursor_field", "words"),
    [
        ("accounts", ["Created"], "its cursor is always Modified"),
        ("aging_overview", ["Modified"], "it has no cursor and is read whole"),
        ("accounts", ["Modified"], None),
        ("accounts", [], None),
        ("accounts:full_refresh", ["Created"], None),
    ],
)
def test_a_cursor_that_is_not_the_streams_is_said_to_be_ignored(
    stream: str, cursor_field: list[str], words: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = configured(stream)
    chosen.streams[0].cursor_field = cursor_field

    chosen_streams(chosen)

    assert [words in one.getMessage() for one in caplog.records if words] == ([True] if words else [])
    assert len(caplog.records) == bool(words)


def test_an_hourly_run_without_changes_costs_a_call_per_listing_and_division(
    quiet: ScriptedApi, clock: FakeClock
) -> None:
    """At most streams x divisions, one deletion log a division, and three calls for the login."""
    streams = configured(*CORE)
    first = read(clock, streams)
    assert first.error is None
    before = len(quiet.sent)
    clock.advance(3600)

    second = read(clock, streams, first.state)

    assert second.error is None
    assert len(quiet.sent) - before <= len(CORE) * 2 + 2 + 3
    listings = {catalog()[name].path for name in CORE}
    asked = [one.path for one in quiet.sent[before:]]
    assert all(asked.count(path) <= 2 for path in listings - {"system/Divisions"})


def test_the_first_calls_already_go_to_all_divisions(quiet: ScriptedApi, clock: FakeClock) -> None:
    """So that the quotas of all are known early."""
    read(clock, configured(*CORE))

    assert [one.division for one in quiet.asked()[:4]] == [123, 456, 123, 456]


def test_excluded_divisions_are_not_asked(quiet: ScriptedApi, clock: FakeClock) -> None:
    read(clock, configured("journals", "accounts"), exclude_divisions=[123])

    assert {one.division for one in quiet.asked()} == {456}


def test_only_configured_divisions_are_asked(quiet: ScriptedApi, clock: FakeClock) -> None:
    read(clock, configured("journals", "accounts"), divisions=[456])

    assert {one.division for one in quiet.asked()} == {456}


def test_streams_come_in_the_order_configured(quiet: ScriptedApi, clock: FakeClock) -> None:
    read(clock, configured("journals", "accounts"), divisions=[123])

    assert [one.path for one in quiet.asked()] == ["financial/Journals", "sync/CRM/Accounts"]


def test_a_row_of_each_division_bears_its_number(quiet: ScriptedApi, clock: FakeClock) -> None:
    quiet.on("financial/Journals", page([row("a")]), division=123).on(
        "financial/Journals", page([row("a")]), division=456
    )

    run = read(clock, configured("journals"))

    assert [(one["Division"], one["ID"]) for one in run.records("journals")] == [(123, "a"), (456, "a")]
