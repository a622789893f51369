"""The OData dialect: URLs and literals."""

from __future__ import annotations

from datetime import datetime

import pytest

from source_exact_online.api import odata

BASE = "https://start.exactonline.nl"
URL = f"{BASE}/api/v1/123/crm/Accounts?$select=ID"


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

    def test_the_filter_is_found_in_a_url(self) -> None:
        url = odata.listing_url(BASE, "crm/Accounts", 1, {"$filter": "Name eq 'a&b'", "$select": "ID"})

        assert odata.filtered(url) == "Name eq 'a&b'"
        assert odata.filtered(URL) == ""

    def test_a_column_of_an_expanded_property_has_its_own_name(self) -> None:
        assert odata.selected(f"{BASE}/api/v1/1/a/B?$select=ID,Lines/Amount,Lines/ID") == ("ID", "Amount", "ID")

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
            "file:///etc/passwd",
            f"\0{BASE}/api",
            f"\x1f{BASE}/api",
            f"{BASE}\x7f/api",
        ],
    )
    def test_anything_else_is_foreign(self, url: str) -> None:
        assert not odata.same_origin(BASE, url)

    def test_a_loopback_sandbox_is_its_port_as_well(self) -> None:
        assert odata.same_origin("http://127.0.0.1:8765", "http://127.0.0.1:8765/api/v1/1/x")
        assert not odata.same_origin("http://127.0.0.1:8765", "http://127.0.0.1:8766/api/v1/1/x")
