"""The OData dialect: URLs and literals going out, pages and records coming in."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_exact_online.api import odata
from source_exact_online.api.odata import NotAListingError, RowPlan

BASE = "https://start.exactonline.nl"
NOW_MS = 1_741_000_000_000.0
URL = f"{BASE}/api/v1/123/crm/Accounts?$select=ID"

INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
DATE = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"}
SCHEMA: dict[str, Any] = {
    "Code": {"type": ["null", "string"]},
    "HID": {"type": ["null", "integer"]},
    "LineNumber": {"type": "integer"},
    "Amount": {"type": ["null", "number"]},
    "Blocked": {"type": ["null", "boolean"]},
    "Modified": INSTANT,
    "InvoiceDate": DATE,
}


def body(d: Any) -> bytes:
    return json.dumps({"d": d}).encode()


def record(**row: Any) -> dict[str, Any]:
    return RowPlan.compile(SCHEMA, row).record(row, NOW_MS)


class TestUrls:
    def test_division_stands_before_the_path(self) -> None:
        assert odata.listing_url(BASE, "crm/Accounts", 123, {}) == f"{BASE}/api/v1/123/crm/Accounts"

    def test_a_beta_path_goes_in_front_of_the_division(self) -> None:
        assert odata.listing_url(BASE, "beta/a/B", 123, {}) == f"{BASE}/api/v1/beta/123/a/B"

    def test_a_path_without_division_stands_alone(self) -> None:
        assert odata.listing_url(BASE, "current/Me", None, {}) == f"{BASE}/api/v1/current/Me"

    def test_options_keep_their_dollar_and_lose_their_blanks(self) -> None:
        options = {"$select": "ID,Modified", "$filter": "Modified ge datetime'2024-01-31T13:45:00'"}

        url = odata.listing_url(BASE, "crm/Accounts", 1, options)

        assert url.endswith("?$select=ID,Modified&$filter=Modified%20ge%20datetime'2024-01-31T13:45:00'")

    @pytest.mark.parametrize("text", ["a&b=c", "a+b", "50%", "a#b", "\u00e9"])
    def test_a_value_cannot_break_out_of_its_option(self, text: str) -> None:
        url = odata.listing_url(BASE, "crm/Accounts", 1, {"$filter": text, "$select": "ID"})

        assert url.count("&") == 1
        assert not set("+# ") & set(url.partition("?")[2])

    def test_selected_columns_are_found_in_a_url(self) -> None:
        assert odata.selected(f"{URL},Name&$skiptoken=guid'1'") == ("ID", "Name")
        assert odata.selected(f"{BASE}/api/v1/1/a/B?%24select=ID%2CName") == ("ID", "Name")
        assert odata.selected(f"{BASE}/api/v1/1/a/B") == ()

    def test_a_datetime_literal_is_cut_to_the_second_before(self) -> None:
        assert odata.datetime_literal(datetime(2024, 1, 31, 13, 45, 59, 999_000)) == "datetime'2024-01-31T13:45:59'"


class TestOrigin:
    @pytest.mark.parametrize(
        "url",
        [
            f"{BASE}/api/v1/1/x",
            f"{BASE}:443/api/v1/1/x",
            "HTTPS://START.exactonline.NL/api",
            f"{BASE}/x?$skiptoken=guid' a@b\\'",
        ],
    )
    def test_the_same_site_is_recognised(self, url: str) -> None:
        assert odata.same_origin(BASE, url)

    @pytest.mark.parametrize(
        "url",
        [
            "http://start.exactonline.nl/api",
            "https://start.exactonline.be/api",
            "https://start.exactonline.nl.evil.example/api",
            "https://start.exactonline.nl:8443/api",
            "https://start.exactonline.nl@evil.example/api",
            "https://someone:pass@start.exactonline.nl/api",
            "https://evil.example\\@start.exactonline.nl/api",
            "https://evil.example/\\@start.exactonline.nl/api",
            "https://start.exactonline.nl\t.evil.example/api",
            "//evil.example/api",
            "/api/v1",
            "https://start.exactonline.nl:port/api",
            "https://[start.exactonline.nl/api",
            "javascript:alert(1)",
        ],
    )
    def test_anything_else_is_foreign(self, url: str) -> None:
        assert not odata.same_origin(BASE, url)

    def test_a_loopback_sandbox_is_its_port_as_well(self) -> None:
        assert odata.same_origin("http://127.0.0.1:8765", "http://127.0.0.1:8765/api/v1/1/x")
        assert not odata.same_origin("http://127.0.0.1:8765", "http://127.0.0.1:8766/api/v1/1/x")


class TestPages:
    @pytest.mark.parametrize(
        "data",
        [{"results": [{"ID": "a"}]}, [{"ID": "a"}], {"ID": "a"}, {"results": [{"ID": "a"}], "__count": "1"}],
        ids=["results", "bare array", "single object", "count"],
    )
    def test_every_envelope_holds_its_rows(self, data: Any) -> None:
        assert odata.parse_page(body(data), URL) == odata.Page([{"ID": "a"}], None)

    @pytest.mark.parametrize("data", [{"results": []}, []])
    def test_an_empty_page_is_a_page(self, data: Any) -> None:
        assert odata.parse_page(body(data), URL) == odata.Page([], None)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b'{"d": {"results": [{"ID": "a"},',
            b"<html><body>Maintenance</body></html>",
            b"<feed xmlns='http://www.w3.org/2005/Atom'/>",
            b"null",
            b"[]",
            b"42",
            b"{}",
            b'{"error": {"code": "", "message": {"lang": "", "value": "Forbidden"}}}',
            b'{"fault": {"faultstring": "Failed to execute"}}',
            body(None),
            body({}),
            body("text"),
            body(7),
            body([1, 2]),
            body([[]]),
            body({"results": None}),
            body({"results": {}}),
            body({"results": ["a"]}),
        ],
    )
    def test_what_is_no_listing_is_never_an_empty_page(self, content: bytes) -> None:
        with pytest.raises(NotAListingError):
            odata.parse_page(content, URL)

    @given(st.integers(1, 60))
    def test_a_body_cut_short_anywhere_is_no_page(self, missing: int) -> None:
        whole = body({"results": [{"ID": "a"}, {"ID": "b"}], "__next": f"{URL}&$skiptoken=b"})

        with pytest.raises(NotAListingError):
            odata.parse_page(whole[:-missing], URL)

    def test_the_next_page_is_where_exact_says(self) -> None:
        link = f"{URL}&$skiptoken=guid'b'"

        assert odata.parse_page(body({"results": [], "__next": link}), URL).next_url == link

    def test_a_link_as_the_documentation_prints_it_is_meant_from_the_root(self) -> None:
        link = "../api/v1/123/crm/Accounts?$select=ID&$skiptoken=guid'x'"

        found = odata.parse_page(body({"results": [], "__next": link}), URL).next_url

        assert found == f"{BASE}/api/v1/123/crm/Accounts?$select=ID&$skiptoken=guid'x'"

    def test_a_relative_link_is_resolved(self) -> None:
        link = "/api/v1/123/crm/Accounts?$select=ID&$skiptoken=guid'b'"

        assert odata.parse_page(body({"results": [], "__next": link}), URL).next_url == BASE + link
        beside = odata.parse_page(body({"results": [], "__next": "Accounts?$skiptoken=1"}), URL)
        assert beside.next_url == f"{BASE}/api/v1/123/crm/Accounts?$skiptoken=1"

    @pytest.mark.parametrize("link", [None, "", 7])
    def test_no_link_means_the_last_page(self, link: Any) -> None:
        assert odata.parse_page(body({"results": [], "__next": link}), URL).next_url is None

    @pytest.mark.parametrize("link", [URL, "http://[", "?$select=ID"])
    def test_a_link_that_leads_nowhere_is_no_listing(self, link: str) -> None:
        """A page that links to itself would be read for ever."""
        with pytest.raises(NotAListingError):
            odata.parse_page(body({"results": [], "__next": link}), URL)


class TestRecords:
    @pytest.mark.parametrize("number", [2**53 + 1, -(2**63), 2**63 - 1, 0])
    def test_a_long_integer_arrives_as_text_and_leaves_with_every_digit(self, number: int) -> None:
        assert record(HID=str(number)) == {"HID": number}

    def test_an_integer_that_arrives_as_a_number_stays_one(self) -> None:
        rows = odata.parse_page(body([{"HID": 9_007_199_254_740_993, "LineNumber": 3}]), URL).rows

        assert record(**rows[0]) == {"HID": 9_007_199_254_740_993, "LineNumber": 3}

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_an_amount_keeps_all_its_digits(self, amount: float) -> None:
        rows = odata.parse_page(f'{{"d": [{{"Amount": {amount!r}}}]}}'.encode(), URL).rows

        assert repr(float(record(**rows[0])["Amount"])) == repr(amount)

    @pytest.mark.parametrize("text", ["9075", "0", "-12", "0.1", "1234567890123.45", "1E-05"])
    def test_an_amount_is_the_number_that_was_sent(self, text: str) -> None:
        rows = odata.parse_page(f'{{"d": [{{"Amount": {text}}}]}}'.encode(), URL).rows

        assert record(**rows[0])["Amount"] == float(text)

    @pytest.mark.parametrize("text", ["                10", "NL ", "NL        ", "", "caf\u00e9 \U0001f600"])
    def test_text_keeps_its_padding(self, text: str) -> None:
        assert record(Code=text) == {"Code": text}

    def test_instants_leave_as_utc_and_business_dates_as_they_stand(self) -> None:
        midnight = "/Date(1719792000000)/"

        assert record(Modified=midnight, InvoiceDate=midnight) == {
            "Modified": "2024-06-30T22:00:00.000+00:00",
            "InvoiceDate": "2024-07-01T00:00:00",
        }

    def test_a_null_is_left_out_and_false_and_zero_are_not(self) -> None:
        row = dict.fromkeys(SCHEMA)

        assert record(**row) == {}
        assert record(Blocked=False, Amount=0, LineNumber=0) == {"Blocked": False, "Amount": 0, "LineNumber": 0}

    def test_only_the_columns_of_the_plan_are_in_the_record(self) -> None:
        row = {"Code": "1", "__metadata": {"uri": "x"}, "BankAccounts": {"__deferred": {}}, "HID": "5"}

        assert RowPlan.compile(SCHEMA, ["Code"]).record(row, NOW_MS) == {"Code": "1"}

    def test_a_column_missing_from_the_row_is_missing_from_the_record(self) -> None:
        assert RowPlan.compile(SCHEMA, SCHEMA).record({"Code": "1"}, NOW_MS) == {"Code": "1"}


def test_every_stream_has_a_plan_for_all_its_columns() -> None:
    """Each property of the committed schemas goes into exactly one part of the plan."""
    folder = Path(odata.__file__).parents[1] / "schemas"
    schemas = [json.loads(path.read_text("utf-8"))["properties"] for path in sorted(folder.glob("*.json"))]
    assert schemas
    for properties in schemas:
        plan = RowPlan.compile(properties, properties)
        assert sorted([*plan.copied, *plan.integers, *plan.instants, *plan.dates]) == sorted(properties)
