"""The configuration: what fits becomes a typed object, what does not gets one clear sentence without any secret."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.authenticator import ExactAuthenticator
from source_exact_online.config import Config, check_shape, config_warnings, fits, parse_config, token_file_beside
from source_exact_online.source import SourceExactOnline
from unit_tests.exact_fakes import SECRETS, raw_config
from unit_tests.fake_clock import START

OFFICIAL = "https://start.exactonline.nl"


def specification() -> dict[str, Any]:
    found: dict[str, Any] = SourceExactOnline().spec(None).connectionSpecification  # type: ignore[arg-type]
    return found


def parse(environment: dict[str, str] | None = None, **fields: Any) -> Config:
    raw = raw_config(**fields)
    check_shape(raw, specification())
    return parse_config(raw, START, environment or {})


def refused(**fields: Any) -> str:
    with pytest.raises(AirbyteTracedException) as raised:
        parse(**fields)
    assert raised.value.failure_type is FailureType.config_error
    message = str(raised.value.message)
    said = f"{message} {raised.value.internal_message}"
    assert not [secret for secret in SECRETS if secret in said]
    assert "\n" not in message
    assert message.endswith(".")
    return message


def credentials(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {**raw_config()["credentials"], **changes}
    return found


class TestDefaults:
    def test_what_is_left_out_has_its_default(self) -> None:
        raw = {"site": "be", "credentials": {"client_id": "a", "client_secret": "b", "refresh_token": "c"}}

        config = parse_config(raw, START, {})

        assert config.base_url == "https://start.exactonline.be"
        assert (config.divisions, config.exclude_divisions, config.start_date) == ((), frozenset(), None)
        assert config.lookback == timedelta(minutes=120)
        assert (config.read_deletions, config.num_workers, config.daily_calls_reserve) == (True, 10, 0)
        assert config.quota_wait == timedelta(minutes=10)
        assert config.maintenance_wait == timedelta(minutes=45)
        assert config.token_file is None

    @pytest.mark.parametrize(
        "field",
        ["divisions", "exclude_divisions", "start_date", "lookback_window_minutes", "read_deletions", "num_workers",
         "daily_calls_reserve", "quota_wait_minutes", "maintenance_wait_minutes", "stream_groups", "include_binary",
         "base_url"],
    )  # fmt: skip
    def test_null_is_the_default(self, field: str) -> None:
        raw = {name: value for name, value in raw_config().items() if name != field}

        check_shape({**raw, field: None}, specification())

        assert parse_config({**raw, field: None}, START, {}) == parse_config(raw, START, {})

    @pytest.mark.parametrize("field", ["access_token", "token_expiry_date", "token_file"])
    def test_so_it_is_in_the_credentials(self, field: str) -> None:
        assert parse(credentials=credentials(**{field: None})) == parse()

    @pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token"])
    def test_null_is_missing_where_a_value_is_required(self, field: str) -> None:
        assert refused(credentials=credentials(**{field: None})).startswith(f"credentials.{field} is missing")

    def test_the_sites_name_may_be_in_capitals(self) -> None:
        assert parse(site="CO.UK") == parse(site="co.uk")

    def test_what_is_forgiven_stays_as_it_is_in_what_is_handed_back(self) -> None:
        raw = raw_config(site="NL", start_date=None)
        parse_config(raw, START, {})
        assert raw == raw_config(site="NL", start_date=None)

    def test_airbytes_platform_is_told_by_the_job_that_it_names(self) -> None:
        assert parse({"WORKER_JOB_ID": "42"}).on_platform
        assert not parse({}).on_platform

    def test_unknown_fields_are_ignored_as_airbyte_adds_its_own(self) -> None:
        assert parse(something={"new": 1}, credentials=credentials(auth_type="oauth")).site == "nl"

    @pytest.mark.parametrize("site", ["nl", "be", "de", "fr", "es", "co.uk", "com"])
    def test_every_site_has_its_own_host(self, site: str) -> None:
        assert parse(site=site).base_url == f"https://start.exactonline.{site}"

    def test_divisions_keep_their_order_and_are_read_once(self) -> None:
        assert parse(divisions=[3, 1, 3, 2]).divisions == (3, 1, 2)

    def test_zero_is_a_value(self) -> None:
        config = parse(lookback_window_minutes=0, read_deletions=False, daily_calls_reserve=0)

        assert (config.lookback, config.read_deletions) == (timedelta(0), False)

    def test_no_secret_shows_when_the_settings_are_printed(self) -> None:
        assert not [secret for secret in SECRETS if secret in repr(parse())]


class TestWarnings:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"divison": [1]}, "divison (did you mean divisions?)"),
            ({"Start-Date": "2024-01-01"}, "Start-Date (did you mean start_date?)"),
            ({"client_id": "x"}, "client_id (did you mean credentials.client_id?)"),
            (
                {"credentials": credentials(tokenfile="x")},
                "credentials.tokenfile (did you mean credentials.token_file?)",
            ),
            ({"credentials": credentials(auth_type="x")}, "credentials.auth_type:"),
            ({"unicorns": 7}, "unicorns:"),
        ],
        ids=str,
    )
    def test_a_field_without_effect_is_named_with_the_one_that_was_meant(
        self, fields: dict[str, Any], words: str
    ) -> None:
        (warning,) = config_warnings(raw_config(**fields), specification(), {})

        assert words in warning
        assert not [secret for secret in SECRETS if secret in warning]
        assert not fits(raw_config(**fields), specification())

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"__injected_declarative_manifest": {}, "airbyte_workspace": "x"},
            {"credentials": credentials(__oauth=1, airbyteThing=2, token_file="x", access_token="y")},
            {"start_date": None, "site": "NL"},
        ],
        ids=str,
    )
    def test_fields_of_airbyte_are_passed_over(self, fields: dict[str, Any]) -> None:
        assert config_warnings(raw_config(**fields), specification(), {}) == []
        assert fits(raw_config(**fields), specification())

    @pytest.mark.parametrize("value", ["", " "])
    def test_an_empty_variable_for_the_token_file_is_named(self, value: str) -> None:
        environment = {"EXACT_ONLINE_TOKEN_FILE": value}
        own = raw_config(credentials=credentials(token_file="t.json"))

        assert "EXACT_ONLINE_TOKEN_FILE is empty" in config_warnings(raw_config(), specification(), environment)[0]
        assert config_warnings(own, specification(), environment) == [], "it is not needed"


STORE = "postgresql://exact:gehe%40im@db.example/tokens"


class TestTokenStore:
    def test_is_taken_before_a_token_file_of_the_environment(self) -> None:
        config = parse({"EXACT_ONLINE_TOKEN_FILE": "/tokens/env.json"}, credentials=credentials(token_store=STORE))
        assert config.token_store == STORE

    def test_is_a_secret(self) -> None:
        assert "gehe" not in repr(parse(credentials=credentials(token_store=STORE)))

    def test_and_a_token_file_are_one_place_too_many(self) -> None:
        message = refused(credentials=credentials(token_store=STORE, token_file="/tokens/own.json"))
        assert "Remove one" in message

    @pytest.mark.parametrize(
        "url", ["/tokens.json", "mysql://u:gehe@h/d", "postgresql://u:gehe@h/d ", "postgresql://u:ge he@h"]
    )
    def test_that_is_none_is_refused_without_a_word_of_it(self, url: str) -> None:
        message = refused(credentials=credentials(token_store=url))
        assert "credentials.token_store" in message
        assert url not in message
        assert "gehe" not in message

    @pytest.mark.parametrize("url", ["postgresql://u:gehe%zz@h/d", "postgresql://h/d?gehe=1"])
    def test_that_its_client_cannot_read_is_refused_without_a_word_of_it(self, url: str) -> None:
        raw = {"site": "nl", "credentials": credentials(token_store=url)}
        with pytest.raises(AirbyteTracedException) as caught:
            ExactAuthenticator(parse(credentials=raw["credentials"]), raw)
        assert caught.value.failure_type is FailureType.config_error
        assert "credentials.token_store" in str(caught.value)
        assert "gehe" not in str(caught.value)

    def test_without_its_client_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "source_exact_online.auth.token_database", raising=False)
        monkeypatch.setitem(sys.modules, "psycopg", None)
        raw = {"site": "nl", "credentials": credentials(token_store=STORE)}
        with pytest.raises(AirbyteTracedException, match=r"pip install 'airbyte-source-exact-online\[postgres\]'"):
            ExactAuthenticator(parse(credentials=raw["credentials"]), raw)


class TestTokenFile:
    def test_it_may_stand_in_the_configuration_or_the_environment(self) -> None:
        environment = {"EXACT_ONLINE_TOKEN_FILE": "/tokens/env.json"}

        assert parse(environment).token_file == Path("/tokens/env.json")
        configured = parse(environment, credentials=credentials(token_file="/tokens/own.json"))
        assert configured.token_file == Path("/tokens/own.json"), "the configuration is nearer"

    def test_an_empty_one_is_none(self) -> None:
        assert parse({"EXACT_ONLINE_TOKEN_FILE": ""}).token_file is None


class TestStartDate:
    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("2024-01-01T00:00:00Z", datetime(2024, 1, 1, tzinfo=timezone.utc)),
            ("2024-01-01T00:00:00+01:00", datetime(2023, 12, 31, 23, tzinfo=timezone.utc)),
            ("2024-01-01T00:00:00.500Z", datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
            ("2024-01-01T00:00:00", datetime(2024, 1, 1, tzinfo=timezone.utc)),
            ("2024-01-01", datetime(2024, 1, 1, tzinfo=timezone.utc)),
        ],
    )
    def test_any_usual_notation_is_understood(self, text: str, utc: datetime) -> None:
        assert parse(start_date=text).start_date == utc

    @pytest.mark.parametrize("text", ["yesterday", "01/02/2024 x", "2024-13-01T00:00:00Z", "2024-02-30", "{}"])
    def test_what_is_no_date_is_named(self, text: str) -> None:
        assert "start_date" in refused(start_date=text)

    def test_a_date_in_the_future_would_read_nothing(self) -> None:
        message = refused(start_date="2025-03-03T09:00:01Z")

        assert "start_date" in message
        assert "future" in message
        assert parse(start_date="2025-03-03T09:00:00Z").start_date == START


class TestBaseUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "http://localhost:8765",
            "http://127.0.0.1:8765",
            "http://127.0.0.1:8765/",
            "https://localhost",
            "http://[::1]:80",
        ],
    )
    def test_a_loopback_address_is_for_a_sandbox(self, url: str) -> None:
        assert parse(base_url=url).base_url == url.rstrip("/")

    @pytest.mark.parametrize("url", [OFFICIAL, f"{OFFICIAL}/", "", None])
    def test_the_sites_own_address_is_the_default(self, url: str | None) -> None:
        fields: dict[str, Any] = {} if url is None else {"base_url": url}

        assert parse(**fields).base_url == OFFICIAL

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example",
            "http://start.exactonline.nl",
            "https://start.exactonline.be",
            "https://start.exactonline.nl.evil.example",
            "https://start.exactonline.nl@evil.example",
            "http://localhost@evil.example",
            "http://evil.example\\@localhost",
            "http://user:pass@localhost",
            "http://localhost.evil.example",
            "http://localhost/api",
            "http://localhost?x=1",
            "http://127.0.0.1.evil.example",
            "http://0.0.0.0:80",
            "http://10.0.0.1",
            "ftp://localhost",
            "file:///etc/passwd",
            "localhost:8765",
            "http://localhost:port",
            "http://[::1",
        ],
    )
    def test_a_token_never_goes_anywhere_else(self, url: str) -> None:
        message = refused(base_url=url)

        assert "base_url" in message
        assert "loopback" in message


class TestRefusals:
    @pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token"])
    @pytest.mark.parametrize("value", [" x", "x\n", "a b", "\tx", "a\u00a0b"])
    def test_white_space_in_a_credential_is_named(self, field: str, value: str) -> None:
        message = refused(credentials=credentials(**{field: SECRETS[2] + value}))

        assert f"credentials.{field}" in message
        assert "white space" in message

    @pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token", "access_token"])
    @pytest.mark.parametrize(
        ("value", "words"),
        [('"{}"', "quotes"), ("'{}'", "quotes"), ("\u201c{}\u201d", "quotes"), ("{}%21IAAAA", "exclamation mark")],
    )
    def test_what_copying_added_is_named(self, field: str, value: str, words: str) -> None:
        message = refused(credentials=credentials(**{field: value.format(SECRETS[2])}))

        assert message.startswith(f"credentials.{field} ")
        assert words in message

    @pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token"])
    def test_an_empty_credential_is_named(self, field: str) -> None:
        assert f"credentials.{field}" in refused(credentials=credentials(**{field: ""}))

    @pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token"])
    def test_a_missing_credential_is_named(self, field: str) -> None:
        rest = {name: value for name, value in credentials().items() if name != field}

        assert f"credentials.{field}" in refused(credentials=rest)

    @pytest.mark.parametrize("field", ["site", "credentials"])
    def test_a_missing_field_is_named(self, field: str) -> None:
        raw = {name: value for name, value in raw_config().items() if name != field}
        with pytest.raises(AirbyteTracedException, match=f"^{field} is missing"):
            check_shape(raw, specification())

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"site": "us"}, "site"),
            ({"site": None}, "site"),
            ({"divisions": "all"}, "divisions"),
            ({"divisions": ["all"]}, "divisions[0]"),
            ({"divisions": [True]}, "divisions[0]"),
            ({"exclude_divisions": [1.5]}, "exclude_divisions[0]"),
            ({"num_workers": 0}, "num_workers"),
            ({"num_workers": 51}, "num_workers"),
            ({"num_workers": "10"}, "num_workers"),
            ({"lookback_window_minutes": -1}, "lookback_window_minutes"),
            ({"daily_calls_reserve": -1}, "daily_calls_reserve"),
            ({"read_deletions": "yes"}, "read_deletions"),
            ({"start_date": 20240101}, "start_date"),
            ({"base_url": 7}, "base_url"),
        ],
    )
    def test_a_value_of_the_wrong_kind_is_named_with_its_field(self, fields: dict[str, Any], name: str) -> None:
        assert refused(**fields).startswith(name)

    @pytest.mark.parametrize(
        "broken",
        [
            SECRETS[2],
            [SECRETS[2]],
            {"client_id": [SECRETS[0]], "client_secret": SECRETS[1], "refresh_token": SECRETS[2]},
            {"client_id": SECRETS[0], "client_secret": {"value": SECRETS[1]}, "refresh_token": SECRETS[2]},
            {"client_id": SECRETS[0], "client_secret": SECRETS[1], "refresh_token": [SECRETS[2]]},
        ],
    )
    def test_credentials_of_a_wrong_kind_are_not_repeated(self, broken: Any) -> None:
        assert refused(credentials=broken).startswith("credentials")

    def test_a_configuration_that_is_no_object_is_refused(self) -> None:
        for raw in ([], "text", None, 7, [SECRETS[2]]):
            with pytest.raises(AirbyteTracedException) as raised:
                check_shape(raw, specification())  # type: ignore[arg-type]
            assert SECRETS[2] not in str(raised.value.message)

    def test_divisions_that_are_all_excluded_leave_nothing(self) -> None:
        assert "exclude_divisions" in refused(divisions=[1, 2], exclude_divisions=[2, 1, 3])
        assert parse(divisions=[1, 2], exclude_divisions=[2]).divisions == (1, 2)


@pytest.mark.parametrize("divisions", [[412873.0], [412873]])
def test_a_division_is_a_whole_number_in_every_url(divisions: list[Any]) -> None:
    assert [str(code) for code in parse(divisions=divisions).divisions] == ["412873"]


class TestValuesThatMadeItCrash:
    @pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token", "access_token"])
    @pytest.mark.parametrize("value", ["nul\0", "half\ud800", "bell\x07"])
    def test_a_credential_with_a_character_that_cannot_be_sent_is_named(self, field: str, value: str) -> None:
        assert f"credentials.{field}" in refused(credentials=credentials(**{field: SECRETS[2] + value}))

    @pytest.mark.parametrize("field", ["access_token"])
    def test_white_space_in_the_access_token_is_named(self, field: str) -> None:
        assert f"credentials.{field}" in refused(credentials=credentials(**{field: f"{SECRETS[3]} x"}))

    @pytest.mark.parametrize("path", ["~nobody-of-that-name/tokens.json", "nul\0.json", "half\ud800.json"])
    def test_a_token_file_that_cannot_be_is_named(self, path: str) -> None:
        assert "credentials.token_file" in refused(credentials=credentials(token_file=path))

    def test_home_is_understood(self) -> None:
        assert parse(credentials=credentials(token_file="~/tokens.json")).token_file == Path.home() / "tokens.json"

    @pytest.mark.parametrize(
        "text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "P99999999999999999999Y", "1e400"]
    )
    def test_a_date_beyond_the_calendar_is_named(self, text: str) -> None:
        assert "start_date" in refused(start_date=text)

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"lookback_window_minutes": 10**20}, "lookback_window_minutes"),
            ({"daily_calls_reserve": 10**20}, "daily_calls_reserve"),
            ({"quota_wait_minutes": 10**20}, "quota_wait_minutes"),
            ({"maintenance_wait_minutes": 10**20}, "maintenance_wait_minutes"),
            ({"divisions": [10**20]}, "divisions[0]"),
            ({"exclude_divisions": [10**20]}, "exclude_divisions[0]"),
        ],
    )
    def test_a_number_beyond_sense_is_named(self, fields: dict[str, Any], name: str) -> None:
        assert refused(**fields).startswith(name)

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example\\[::1]",
            "http://@localhost",
            "http://:pw@localhost",
            "http://localhost#",
            "http://localhost?",
            "http://local\thost",
            "http://localhost\n",
            " http://localhost",
        ],
    )
    def test_an_address_that_can_be_read_in_two_ways_is_refused(self, url: str) -> None:
        assert "base_url" in refused(base_url=url)

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    @pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
    def test_a_ca_bundle_that_cannot_be_used_is_named(
        self, variable: str, content: bytes | None, tmp_path: Path
    ) -> None:
        bundle = tmp_path / "company.pem"
        if content is not None:
            bundle.write_bytes(content)
        with pytest.raises(AirbyteTracedException, match=rf"{variable} .*company\.pem") as raised:
            parse({variable: str(bundle)})
        assert raised.value.failure_type is FailureType.config_error
        assert parse({variable: str(bundle)}, base_url="http://127.0.0.1:8123").base_url, "no certificate is asked for"

    def test_a_ca_bundle_of_certificates_is_taken(self, tmp_path: Path) -> None:
        for bundle in (requests.certs.where(), str(tmp_path), ""):
            assert parse({"REQUESTS_CA_BUNDLE": bundle}).base_url == OFFICIAL

    def test_the_login_button_takes_only_sites_of_exact(self) -> None:
        flow = SourceExactOnline().spec(None).advanced_auth.oauth_config_specification  # type: ignore[arg-type, union-attr]
        asked = flow.oauth_user_input_from_connector_config_specification["properties"]["site"]  # type: ignore[index, union-attr]
        assert asked["enum"] == specification()["properties"]["site"]["enum"]


def test_configurations_that_differ_in_their_last_suffix_have_token_files_of_their_own(tmp_path: Path) -> None:
    names = [
        token_file_beside(tmp_path / name).name for name in ("books.json", "books.acme", "books.umbrella", "books")
    ]

    assert names == ["books.tokens.json", "books.acme.tokens.json", "books.umbrella.tokens.json", "books.tokens.json"]
