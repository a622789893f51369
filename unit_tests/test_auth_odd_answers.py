"""Token answers, configurations and texts that are not as they should be: no login is lost to them, no secret shown."""

from __future__ import annotations

import html
import io
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth import token_endpoint
from source_exact_online.auth.masking import mask, mask_configured
from source_exact_online.auth.token_endpoint import Granted, Lost, TokenEndpoint
from source_exact_online.auth.token_errors import LONGEST_DETAIL, read_refusal
from source_exact_online.clock import SystemClock
from source_exact_online.config import parse_config
from source_exact_online.source import SourceExactOnline
from unit_tests.auth_fakes import CLIENT_SECRET, FakeClock, Fault, Login, configuration

DEEP = "[" * 100_000
"""Deeper than Python reads JSON."""


class TestAnswersThatAreNoStrictJson:
    @pytest.mark.parametrize(
        "body",
        [
            '{"access_token":"acc\tess","refresh_token":"refresh!9","expires_in":"600"}',
            '{"access_token":"acc\\xess","refresh_token":"refresh!9","expires_in":"600"}',
            '{"access_token":"acc\ness","refresh_token":"refresh!9","expires_in":"600"}',
            '{"access_token":"acc\\ud800ess","refresh_token":"refresh!9","expires_in":"600"}',
            '{"access_token":"ac\u20access","refresh_token":"refresh!9","expires_in":"600"}',
            '{"access_token":"access-9","refresh_token":"refresh!9","expires_in":' + "9" * 5000 + "}",
            '{"access_token":"access-9","refresh_token":"refresh!9","expires_in":"600","x":' + DEEP,
            '[{"access_token":"access-9","refresh_token":"refresh!9","expires_in":"600"}]',
        ],
        ids=["tab", "bad escape", "line break", "half a pair", "not latin", "endless number", "deep", "list"],
    )
    def test_a_refresh_token_that_came_keeps_the_login(self, body: str, tmp_path: Path) -> None:
        login = Login(tmp_path / "tokens.json")
        login.server.faults.append(Fault(200, body))
        login.server.live_refresh_token = "refresh!9"

        token = login.auth.get_access_token()

        assert token in ("access-1", "access-9"), "an access token that no header can carry is not used"
        assert login.messages[0]["credentials"]["refresh_token"] == "refresh!9"
        assert login.again(configuration()).auth.get_access_token() == token

    @pytest.mark.parametrize(
        "rest",
        ['"access_token":"acc\tess","expires_in":"600"', '"access_token":"access-9","expires_in":1e-300'],
        ids=["no header can carry it", "it ends before it comes"],
    )
    def test_access_tokens_that_cannot_be_used_are_not_asked_for_without_end(self, rest: str, tmp_path: Path) -> None:
        login = Login(tmp_path / "tokens.json")
        login.server.faults += [Fault(200, f'{{"refresh_token":"refresh!{number}",{rest}}}') for number in range(9)]

        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()

        assert caught.value.failure_type is FailureType.transient_error
        assert "no access token that can be used" in str(caught.value)
        assert login.server.calls == 2
        assert json.loads((tmp_path / "tokens.json").read_text())["refresh_token"] == "refresh!1"

    @pytest.mark.parametrize("refresh_token", ["half\\ud800pair", "half\\udc00pair"])
    def test_a_refresh_token_that_cannot_be_sent_is_none(self, refresh_token: str) -> None:
        login = Login()
        body = f'{{"access_token":"access-9","refresh_token":"{refresh_token}","expires_in":"600"}}'
        login.server.faults.append(Fault(200, body))
        assert login.auth.get_access_token() == "access-9"
        assert login.config["credentials"]["refresh_token"] == "refresh!0"

    def test_a_refusal_that_is_deep_is_unreadable(self) -> None:
        assert read_refusal(400, "", DEEP.encode()).status == 400

    @pytest.mark.parametrize("suffix", ["", ".pending"])
    def test_a_deep_token_file_is_named(self, suffix: str, tmp_path: Path) -> None:
        login = Login(tmp_path / "tokens.json")
        login.auth.get_access_token()
        (tmp_path / f"tokens.json{suffix}").write_text(DEEP)
        if suffix:
            assert login.again(configuration()).auth.get_access_token() == "access-1"
        else:
            with pytest.raises(AirbyteTracedException, match=r"tokens\.json is cut off or is no JSON"):
                login.again(configuration()).auth.get_access_token()


class TestMomentsThatNoCalendarHas:
    @pytest.mark.parametrize(
        "moment",
        ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z"],
    )
    def test_in_a_configuration_or_a_token_file_they_are_none(self, moment: str, tmp_path: Path) -> None:
        config = configuration()
        config["credentials"].update(access_token="access-of-old", token_expiry_date=moment)
        login = Login(tmp_path / "tokens.json", config=config)
        assert login.auth.get_access_token() == "access-1"

        for name in ("expires_at", "refreshed_at"):
            record = json.loads((tmp_path / "tokens.json").read_text())
            (tmp_path / "tokens.json").write_text(json.dumps({**record, name: moment}))
            with pytest.raises(AirbyteTracedException, match="lacks parts of the token record"):
                login.again(configuration()).auth.get_access_token()
            (tmp_path / "tokens.json").write_text(json.dumps(record))


class TestConfigurationsThatCannotBeHandedBack:
    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"lookback_window_minutes": 10**20}, "lookback_window_minutes"),
            ({"daily_calls_reserve": 2**64}, "daily_calls_reserve"),
            ({"mine": {"note": "half an emoji \ud83d"}}, "mine.note"),
            ({"mine": json.loads("[" * 300 + "]" * 300)}, "mine"),
            ({"half \ud83d": 1}, "half"),
        ],
    )
    def test_the_field_is_named_and_no_token_is_spent(self, fields: dict[str, Any], name: str) -> None:
        login = Login(config=configuration())
        login.config.update(fields)
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type is FailureType.config_error
        assert str(caught.value).startswith(name)
        assert login.server.calls == 0

    def test_what_airbyte_sends_beside_our_fields_does_no_harm(self) -> None:
        login = Login(config={**configuration(), "__injected": {"a": [1, 2.5, None, True]}})
        assert login.auth.get_access_token() == "access-1"


class TestSecretsInTexts:
    @pytest.mark.parametrize("secret", ['pw"quo\\te&<>', "line\nbreak-and-more", "s3cret/of+the=app", "pässwörd-ünïc"])
    def test_a_secret_is_masked_however_it_is_spelled(self, secret: str) -> None:
        mask(secret)
        spellings = [
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            html.escape(secret),
            html.escape(secret, quote=False),
            quote(secret),
            quote(secret, safe=""),
            quote(secret, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%2B", "%2b"),
        ]
        assert [text for text in spellings if filter_secrets(f"<{text}>") != "<****>"] == []

    def test_what_is_too_short_for_a_secret_of_exact_masks_no_words(self) -> None:
        specification = SourceExactOnline().spec(logging.getLogger()).connectionSpecification
        raw = configuration()
        raw["credentials"].update(client_id="me", client_secret="secret", refresh_token="refresh!0")
        mask_configured(specification, raw)
        Login(config=raw)
        text = "The client secret and the refresh token refresh!0 mean something."
        assert filter_secrets(text) == text.replace("refresh!0", "****")

    def test_a_short_password_of_a_database_is_masked(self) -> None:
        mask("pw1", shortest=1)
        assert filter_secrets("password is pw1") == "password is ****"

    def test_a_long_token_in_a_refusal_is_masked_before_the_text_is_cut(self) -> None:
        token = "A1b2C3d4" * 80
        mask(token)
        body = json.dumps({"error": "odd", "error_description": f"{'x' * (LONGEST_DETAIL - 50)} {token}"}).encode()
        assert "A1b2" not in read_refusal(400, token, body).detail

    def test_an_access_token_with_a_line_break_is_refused_by_name(self) -> None:
        raw = configuration(access_token="eyREAL.ACCESS\nTOKENVALUE", token_expiry_date="2025-03-03T10:00:00Z")
        with pytest.raises(AirbyteTracedException) as caught:
            parse_config(raw, FakeClock().now(), {})
        assert "credentials.access_token" in str(caught.value)
        assert "TOKENVALUE" not in f"{caught.value} {caught.value.internal_message}"

    def test_a_header_that_cannot_be_sent_shows_no_token(self) -> None:
        secret = "eyREAL.ACCESS\nTOKENVALUE"
        mask(secret)
        with pytest.raises(requests.exceptions.InvalidHeader) as caught:
            requests.Request("GET", "http://127.0.0.1/", headers={"Authorization": f"Bearer {secret}"}).prepare()
        assert "TOKENVALUE" not in filter_secrets(str(caught.value))


class TestTheTokenEndpoint:
    @pytest.mark.parametrize("base_url", ["https://evil.example\\[::1]", "https://evil.example\\@127.0.0.1"])
    def test_an_address_that_two_readers_take_for_two_servers_is_refused(self, base_url: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            TokenEndpoint(base_url, "id", CLIENT_SECRET, SystemClock())

    def test_an_answer_of_any_length_is_not_read_whole(self) -> None:
        read: list[bytes] = []

        class Long(requests.Response):
            def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Any:
                yield b'{"access_token":"access-9","refresh_token":"refresh!9","expires_in":"600","x":"'
                for _ in range(1000):
                    read.append(b"x" * 10_000)
                    yield read[-1]

        class Session(requests.Session):
            def post(self, url: str | bytes, *_: Any, **__: Any) -> requests.Response:  # type: ignore[override]
                answer = Long()
                answer.status_code = 200
                answer.raw = io.BytesIO()
                return answer

        endpoint = TokenEndpoint("http://127.0.0.1:9", "id", CLIENT_SECRET, FakeClock(), session=Session())
        answer = endpoint.refresh("r")

        assert isinstance(answer, Granted)
        assert answer.tokens.refresh_token == "refresh!9"
        assert sum(map(len, read)) < token_endpoint.LONGEST_BODY + 10_000

    def test_an_answer_that_drips_has_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = FakeClock()

        class Dripping(requests.Response):
            def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Any:
                while True:
                    clock.advance(0.5)
                    yield b" "

        class Session(requests.Session):
            def post(self, url: str | bytes, *_: Any, **__: Any) -> requests.Response:  # type: ignore[override]
                answer = Dripping()
                answer.status_code = 200
                answer.raw = io.BytesIO()
                return answer

        monkeypatch.setattr(token_endpoint, "LONGEST_BODY", 10**9)
        answer = TokenEndpoint("http://127.0.0.1:9", "id", CLIENT_SECRET, clock, session=Session()).refresh("r")

        assert isinstance(answer, Lost)
        assert clock.monotonic() <= token_endpoint.TOTAL_SECONDS + 1
