"""Streams that `full_columns` names: read from the endpoint that has all their columns, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.catalog.definitions import Transport, catalog
from source_exact_online.catalog.offer import definitions
from source_exact_online.catalog.schemas import properties, schema
from source_exact_online.offline import answer
from source_exact_online.source import SourceExactOnline
from source_exact_online.sync.planner import selected_columns
from tools.reference import at_address, load_reference
from unit_tests.exact_fakes import FakeClock, Run, ScriptedApi, configured, page, read, refusal, row

FEED, BULK = "sync/Logistics/Items", "bulk/Logistics/Items"
LOG = "sync/Deleted"
FULL = {"full_columns": ["items"]}
ITEMS = configured("items", columns=("ID", "Description", "StandardSalesPrice"))
EVERYTHING = definitions(frozenset(catalog()))
ELSEWHERE = {name: one for name, one in EVERYTHING.items() if one.path != catalog()[name].path}
REFERENCE = load_reference()
STARTED = "Modified ge datetime'1753-01-01T00:00:00'"
"""Exact lists no items without a filter: every row meets this one."""


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always(LOG, page([]))


def offered(**config: Any) -> dict[str, Any]:
    return {stream.name: stream.get_json_schema()["properties"] for stream in SourceExactOnline().streams(config)}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "full_columns" in line]


class TestOffer:
    def test_the_schema_of_a_named_stream_grows_and_no_other(self) -> None:
        usual, full = offered(), offered(**FULL)

        assert set(full["items"]) - set(usual["items"]) > {"StandardSalesPrice"}
        assert {name for name in usual if usual[name] != full[name]} == {"items"}

    def test_no_column_goes(self) -> None:
        usual, full = offered(), offered(full_columns=sorted(catalog()))

        assert {name: set(usual[name]) - set(full[name]) for name in usual if set(usual[name]) - set(full[name])} == {}

    def test_obsolete_and_hidden_columns_are_marked(self) -> None:
        columns = offered(full_columns=["cost_centers", "items"])

        assert "obsolete" in columns["cost_centers"]["Active"]["description"]
        assert "obsolete" in columns["items"]["GLCostsWorkInProgress"]["description"]
        assert "obsolete" not in columns["items"]["StandardSalesPrice"]["description"]

    def test_pictures_are_still_left_out(self) -> None:
        assert "Picture" not in offered(**FULL)["items"]
        assert "Picture" in offered(**FULL, include_binary=True)["items"]

    def test_discover_says_the_same_without_the_cdk(self, tmp_path: Any) -> None:
        file = tmp_path / "config.json"
        credentials = '{"client_id": "x", "client_secret": "y", "refresh_token": "z"}'
        file.write_text(f'{{"site": "nl", "full_columns": ["items"], "credentials": {credentials}}}')

        told = answer(["discover", "--config", str(file)])
        file.write_text(f'{{"site": "nl", "full_columns": ["itms"], "credentials": {credentials}}}')

        assert told is not None
        assert b"StandardSalesPrice" in told
        assert answer(["discover", "--config", str(file)]) is None, "the connector has to say what is wrong"

    def test_a_name_that_is_none_is_told_with_the_nearest(self, clock: FakeClock) -> None:
        with pytest.raises(AirbyteTracedException, match="did you mean items"):
            SourceExactOnline(clock).streams({"full_columns": ["itms"]})

        assert "did you mean items" in str(read(clock, ITEMS, full_columns=["itms"]).error)

    def test_a_stream_that_has_all_its_columns_stays_as_it_is(self) -> None:
        assert definitions(frozenset({"account_owners"})) == catalog()


class TestCatalogue:
    def test_what_is_read_elsewhere_is_a_list_by_modified(self) -> None:
        assert {name for name, one in ELSEWHERE.items() if one.transport is not Transport.LIST} == set()
        assert {name for name, one in ELSEWHERE.items() if one.cursor != "Modified"} == set()
        assert {
            name
            for name, one in ELSEWHERE.items()
            if "Modified" not in at_address(REFERENCE, one.header.path if one.header else one.path).offered
        } == set()

    def test_bulk_goes_before_standard(self) -> None:
        assert ELSEWHERE["items"].path == BULK
        assert ELSEWHERE["transaction_lines"].path == "bulk/Financial/TransactionLines"
        assert ELSEWHERE["sales_invoices"].path == "bulk/SalesInvoice/SalesInvoices"
        assert ELSEWHERE["item_warehouses"].path == "inventory/ItemWarehouses", "there is no bulk endpoint"

    def test_keys_are_those_of_the_endpoint(self) -> None:
        assert ELSEWHERE["sales_invoices"].primary_key == ("InvoiceID", "Division")
        assert {
            name
            for name, one in ELSEWHERE.items()
            if set(one.key) != set(at_address(REFERENCE, one.path).stable_key) - {"Division"}
        } == set()

    def test_deletions_are_logged_as_before(self) -> None:
        assert {name for name, one in EVERYTHING.items() if one.entity_type != catalog()[name].entity_type} == set()

    def test_only_columns_that_the_endpoint_has_are_asked_for(self) -> None:
        for name, one in EVERYTHING.items():
            known = {prop.name for prop in at_address(REFERENCE, one.path).properties} | {"Division"}
            if one.header is not None:
                known.add("Modified")
            asked = set(
                selected_columns(one, configured(name, columns=list(schema(one.schema)["properties"])).streams[0])
            )
            assert asked <= known, name
            assert set(one.always_read) <= set(properties(one.schema)), name


class TestRead:
    def first(self, api: ScriptedApi, clock: FakeClock, **config: Any) -> Run:
        api.on(FEED if not config else BULK, page([row("a", None if config else 900)]))
        run = read(clock, ITEMS, **config)
        clock.advance(3600)
        return run

    def test_all_columns_come_from_the_endpoint_that_has_them(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(BULK, page([row("a", StandardSalesPrice=9.95)]))

        run = read(clock, ITEMS, **FULL)

        (asked,) = api.asked(BULK)
        assert "StandardSalesPrice" in asked.select
        assert asked.filter == STARTED
        assert run.records("items")[0]["StandardSalesPrice"] == 9.95
        assert api.asked(FEED) == []

    def test_changes_are_asked_for_by_modified(self, api: ScriptedApi, clock: FakeClock) -> None:
        first = self.first(api, clock, **FULL)
        api.on(BULK, page([row("b", modified="2025-03-03T10:30:00")]))

        run = read(clock, ITEMS, first.state, **FULL, lookback_window_minutes=0)

        assert api.asked(BULK)[1].filter == "Modified ge datetime'2025-03-01T10:00:00'"
        assert run.keys("items") == ["b"]

    def test_deletions_arrive(self, api: ScriptedApi, clock: FakeClock) -> None:
        first = self.first(api, clock, **FULL)
        entry = {"ID": "1", "Timestamp": "5", "EntityKey": "a", "EntityType": 9, "DeletedDate": None}
        api.on(LOG, page([entry])).on(BULK, page([]))

        run = read(clock, ITEMS, first.state, **FULL)

        assert [record["ID"] for record in run.records("items") if "_ab_cdc_deleted_at" in record] == ["a"]

    @pytest.mark.parametrize("on_first", [True, False], ids=["off again", "on later"])
    def test_a_switch_reads_the_stream_from_the_start(
        self, on_first: bool, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        before, after = (FULL, {}) if on_first else ({}, FULL)
        first = self.first(api, clock, **before)
        api.on(BULK if after else FEED, page([row("a", None if after else 900), row("b", None if after else 901)]))

        run = read(clock, ITEMS, first.state, **after)

        (asked,) = api.asked(BULK if after else FEED)
        assert asked.filter == (STARTED if after else "Timestamp gt 1L")
        assert run.keys("items") == ["a", "b"]
        assert len(warnings(caplog)) == 1
        assert not [line for line in caplog.messages if "stay empty" in line], "all rows get the new columns"

        api.on(BULK if after else FEED, page([]))
        read(clock, ITEMS, run.state, **after)
        assert len(warnings(caplog)) == 1, "one switch, one warning"

    def test_deletions_during_a_switch_are_not_lost(self, api: ScriptedApi, clock: FakeClock) -> None:
        first = self.first(api, clock)
        entry = {"ID": "1", "Timestamp": "5", "EntityKey": "a", "EntityType": 9, "DeletedDate": None}
        api.on(LOG, page([entry])).on(BULK, page([row("b")]))

        run = read(clock, ITEMS, first.state, **FULL)

        assert [(record["ID"], "_ab_cdc_deleted_at" in record) for record in run.records("items")] == [
            ("a", True),
            ("b", False),
        ]

    def test_a_listing_that_broke_off_is_not_gone_on_with_at_the_other_endpoint(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(BULK, page([row("a")], more="1"), *[refusal(404)])
        broken = read(clock, ITEMS, **FULL)
        api.on(FEED, page([row("a", 900), row("b", 901)]))

        run = read(clock, ITEMS, broken.state)

        assert api.asked(FEED)[0].filter == "Timestamp gt 1L"
        assert run.keys("items") == ["a", "b"]

    def test_lines_of_the_same_feed_stay_with_it(self, api: ScriptedApi, clock: FakeClock) -> None:
        feed, bulk = "sync/SalesInvoice/SalesInvoices", "bulk/SalesInvoice/SalesInvoices"
        api.on(bulk, page([{"InvoiceID": "i", "Modified": None, "SelectionCode": "s"}]))
        api.on(feed, page([row("h", 1, LineNumber=0), row("l", 2, LineNumber=1), row("v", 3, LineNumber=9999)]))

        run = read(
            clock,
            configured("sales_invoices", "sales_invoice_lines", columns=("ID", "InvoiceID", "SelectionCode")),
            full_columns=["sales_invoices"],
        )

        assert [record["SelectionCode"] for record in run.records("sales_invoices")] == ["s"]
        assert run.keys("sales_invoices", "InvoiceID") == ["i"]
        assert run.keys("sales_invoice_lines") == ["l", "v"], "the line of VAT is a row of the feed"

    def test_a_column_that_exact_refuses_is_left_out_with_a_warning(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = "Could not find a property named 'UseExplosion' on type 'Exact.Web.Api.Models.Item'."
        api.on(BULK, refusal(400, text), page([row("a")]))

        run = read(clock, configured("items", columns=("ID", "UseExplosion", "StandardSalesPrice")), **FULL)

        assert run.keys("items") == ["a"]
        assert "UseExplosion" not in api.asked(BULK)[1].select
        assert [line for line in caplog.messages if "refuses UseExplosion" in line]
