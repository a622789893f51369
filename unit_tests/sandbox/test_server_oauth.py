"""OAuth2: rotation, the refresh rule and every refusal."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from exact_online_sandbox.authorize import Authorization
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.sandbox import Sandbox

CREDENTIALS = {"client_id": "app", "client_secret": "secret"}


def post(box: Sandbox, **form: str) -> tuple[int, dict[str, str], dict[str, str]]:
    request = Request("POST", "/api/oauth2/token", form={**CREDENTIALS, **form})
    answer: Answer = Authorization(box).handle(request)
    return answer.status, json.loads(answer.body) if answer.body else {}, dict(answer.headers)


def refresh(box: Sandbox, token: str, **form: str) -> tuple[int, dict[str, str], dict[str, str]]:
    return post(box, grant_type="refresh_token", refresh_token=token, **form)


def login(box: Sandbox) -> str:
    return box.oauth.login("app", "sam", [123]).refresh_token


def test_refresh_gives_a_pair_with_the_life_as_text(box: Sandbox) -> None:
    status, body, _ = refresh(box, login(box))
    assert status == 200
    assert body["expires_in"] == "600"
    assert body["token_type"].lower() == "bearer"
    assert set("!+/=") <= set(body["refresh_token"])


def test_refresh_is_refused_until_570_seconds_have_passed(box: Sandbox) -> None:
    _, pair, _ = refresh(box, login(box))
    box.clock.advance(569)
    status, body, headers = refresh(box, pair["refresh_token"])
    assert (status, body["error"]) == (400, "access_denied")
    assert body["error_description"] == "Rate limit exceeded: access_token not expired"
    assert headers["Reason"] == "TooEarlyToRefreshTokens: Rate limit exceeded: access_token not expired"
    box.clock.advance(1)
    assert refresh(box, pair["refresh_token"])[0] == 200


def test_too_early_refresh_does_not_spend_the_token(box: Sandbox) -> None:
    _, pair, _ = refresh(box, login(box))
    assert refresh(box, pair["refresh_token"])[0] == 400
    box.clock.advance(570)
    assert refresh(box, pair["refresh_token"])[0] == 200


def test_strict_refresh_waits_for_the_whole_life(box: Sandbox) -> None:
    box.settings.tokens.strict_refresh = True
    _, pair, _ = refresh(box, login(box))
    box.clock.advance(599)
    assert refresh(box, pair["refresh_token"])[0] == 400
    box.clock.advance(1)
    assert refresh(box, pair["refresh_token"])[0] == 200


def test_refresh_rule_scales_with_the_life(box: Sandbox) -> None:
    box.settings.tokens.life_seconds = 10
    _, pair, _ = refresh(box, login(box))
    assert pair["expires_in"] == "10"
    box.clock.advance(9.4)
    assert refresh(box, pair["refresh_token"])[0] == 400
    box.clock.advance(0.1)
    assert refresh(box, pair["refresh_token"])[0] == 200


def test_old_refresh_token_is_refused_and_ends_the_login(box: Sandbox) -> None:
    old = login(box)
    _, pair, _ = refresh(box, old)
    box.clock.advance(600)
    status, body, _ = refresh(box, old)
    assert (status, body) == (401, {"error": "unauthorized_client", "error_description": "Old refresh token used."})
    assert refresh(box, pair["refresh_token"])[0] == 401


def test_login_can_be_set_to_survive_an_old_token(box: Sandbox) -> None:
    box.settings.tokens.reuse_kills_chain = False
    old = login(box)
    _, pair, _ = refresh(box, old)
    box.clock.advance(600)
    assert refresh(box, old)[0] == 401
    assert refresh(box, pair["refresh_token"])[0] == 200


def test_refresh_token_expires_after_thirty_idle_days(box: Sandbox) -> None:
    token = login(box)
    box.clock.advance(timedelta(days=30).total_seconds())
    status, body, _ = refresh(box, token)
    assert (status, body["error"]) == (400, "invalid_request")
    assert body["error_description"] == (
        "The refresh token expired at 7/31/2024 2:00:00 PM and it is now 7/31/2024 2:00:00 PM."
    )


def test_second_login_of_the_same_user_and_app_ends_the_first(box: Sandbox) -> None:
    first = login(box)
    second = login(box)
    status, body, _ = refresh(box, first)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert body["error_description"] == "Token is not allowed, because of invalid or empty chainId"
    assert refresh(box, second)[0] == 200


def test_login_of_another_user_leaves_the_first_alone(box: Sandbox) -> None:
    first = login(box)
    box.oauth.login("app", "kim", [123])
    assert refresh(box, first)[0] == 200


@pytest.mark.parametrize("form", [{"client_secret": "wrong"}, {"client_id": "unknown"}])
@pytest.mark.parametrize("status", [400, 401])
def test_wrong_client_is_refused_with_the_status_chosen(box: Sandbox, form: dict[str, str], status: int) -> None:
    box.settings.tokens.invalid_client_status = status
    assert refresh(box, login(box), **form)[:2] == (
        status,
        {"error": "invalid_client", "error_description": "The client credentials are invalid."},
    )


def test_unknown_grant_type_is_refused(box: Sandbox) -> None:
    assert post(box, grant_type="client_credentials")[0] == 400


def test_code_is_exchanged_once(box: Sandbox) -> None:
    uri = "https://app.example.com/callback"
    code = box.oauth.authorize("app", "sam", [123], uri)
    assert "!" in code
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": uri}
    assert post(box, **form)[0] == 200
    assert post(box, **form)[0] == 400


def test_code_lives_three_minutes(box: Sandbox) -> None:
    uri = "https://app.example.com/callback"
    code = box.oauth.authorize("app", "sam", [123], uri)
    box.clock.advance(180)
    assert post(box, grant_type="authorization_code", code=code, redirect_uri=uri)[0] == 400


def test_code_is_tied_to_its_redirect_uri(box: Sandbox) -> None:
    code = box.oauth.authorize("app", "sam", [123], "https://app.example.com/callback")
    assert post(box, grant_type="authorization_code", code=code, redirect_uri="https://evil.example.com")[0] == 400


def test_code_counts_as_a_refresh_for_the_early_rule(box: Sandbox) -> None:
    uri = "https://app.example.com/callback"
    code = box.oauth.authorize("app", "sam", [123], uri)
    _, pair, _ = post(box, grant_type="authorization_code", code=code, redirect_uri=uri)
    assert refresh(box, pair["refresh_token"])[0] == 400
    box.clock.advance(570)
    assert refresh(box, pair["refresh_token"])[0] == 200


def test_errors_of_the_token_endpoint_count_for_the_error_limit(box: Sandbox) -> None:
    authorization = Authorization(box)
    form = {**CREDENTIALS, "grant_type": "refresh_token", "refresh_token": "nonsense"}
    request = Request("POST", "/api/oauth2/token", form=form)
    statuses = [authorization.handle(request).status for _ in range(12)]
    assert statuses == [400] * 10 + [429] * 2


def test_gateway_fault_is_not_oauth_shaped_and_spends_nothing(box: Sandbox) -> None:
    token = login(box)
    box.faults.add({"kind": "gateway_fault", "path": "oauth2/token", "count": 1})
    status, body, _ = refresh(box, token)
    assert (status, list(body)) == (500, ["fault"])
    assert refresh(box, token)[0] == 200


def test_lost_answer_spends_the_token(box: Sandbox) -> None:
    token = login(box)
    box.faults.add({"kind": "lost_answer", "path": "oauth2/token", "count": 1})
    request = Request(
        "POST", "/api/oauth2/token", form={**CREDENTIALS, "grant_type": "refresh_token", "refresh_token": token}
    )
    assert Authorization(box).handle(request).cut == "lost"
    assert refresh(box, token)[0] == 401


def test_empty_body_can_be_injected(box: Sandbox) -> None:
    box.faults.add({"kind": "empty_body", "path": "oauth2/token"})
    assert refresh(box, login(box))[:2] == (200, {})


def test_token_calls_are_logged_without_secrets(box: Sandbox) -> None:
    token = login(box)
    refresh(box, token)
    (call,) = box.token_calls.describe()
    assert (call["status"], call["client_id"]) == (200, "app")
    assert token not in json.dumps(call)
    assert "secret" not in json.dumps(call)
