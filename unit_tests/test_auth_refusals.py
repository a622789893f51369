"""What each refusal of the token endpoint, and each lost answer, leads to."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.token_endpoint import Granted, Lost, TokenEndpoint, Unsent
from source_exact_online.auth.token_errors import Refused, TokenAction, TokenErrorKind, read_refusal, token_error_rows
from source_exact_online.auth.tokens import complete_fields
from source_exact_online.clock import SystemClock
from source_exact_online.failures import NoTokenInThisRunError
from unit_tests.auth_fakes import CLIENT_SECRET, OLD_TOKEN, TOO_EARLY, Fault, Login, configuration

EXPIRED = (
    '{"error":"invalid_request","error_description":"The refresh token expired at 10/11/2022 9:18:20 PM and it is now '
    '10/28/2022 4:15:50 PM."}'
)
CHAIN = '{"error":"invalid_grant","error_description":"Token is not allowed, because of invalid or empty chainId"}'
FAULT = (
    '{"fault":{"faultstring":"Failed to execute the ExtractVariables: ExtractAccessToken","detail":'
    '{"errorcode":"steps.extractvariables.ExecutionFailed"}}}'
)
NO_PROXY = (
    '{"fault":{"faultstring":"Unable to identify proxy for host: start.exactonline.nl:443 and url: /api/oauth2/token",'
    '"detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}'
)


@pytest.mark.parametrize(
    ("status", "reason", "body", "name", "action"),
    [
        (400, "", TOO_EARLY, "too early", TokenAction.WAIT),
        (401, "", '{"error":"x","error_description":"Access Token not expired"}', "too early", TokenAction.WAIT),
        (400, "TooEarlyToRefreshTokens: Rate limit exceeded", "", "too early", TokenAction.WAIT),
        (
            400,
            "",
            '{"error":"access_denied","error_description":"Rate limit exceeded"}',
            "token calls limited",
            TokenAction.WAIT,
        ),
        (401, "", OLD_TOKEN, "old refresh token", TokenAction.LOG_IN),
        (400, "", OLD_TOKEN, "old refresh token", TokenAction.LOG_IN),
        (400, "", EXPIRED, "expired refresh token", TokenAction.LOG_IN),
        (400, "", CHAIN, "broken chain", TokenAction.LOG_IN),
        (400, "", '{"error":"invalid_grant"}', "invalid grant", TokenAction.LOG_IN),
        (401, "", '{"error":"invalid_client"}', "wrong client", TokenAction.CORRECT_CLIENT),
        (400, "", '{"error":"unauthorized_client"}', "wrong client", TokenAction.CORRECT_CLIENT),
        (500, "", FAULT, "gateway fault", TokenAction.RETRY),
        (404, "", NO_PROXY, "gateway fault", TokenAction.RETRY),
        (200, "", "", "empty answer", TokenAction.RETRY),
        (500, "", "", "empty answer", TokenAction.RETRY),
        (503, "", "<html>Maintenance</html>", "server trouble", TokenAction.RETRY),
        (429, "", "", "server trouble", TokenAction.RETRY),
        (200, "", "<html>Maintenance</html>", "not a token answer", TokenAction.RETRY),
        (400, "", '{"error":"unsupported_grant_type"}', "other refusal", TokenAction.REPORT),
        (403, "", "<html>Access denied</html>", "refused on the way", TokenAction.RETRY),
        (403, "", "", "unreadable refusal", TokenAction.REPORT),
        (404, "", "<html>Not found</html>", "unreadable refusal", TokenAction.REPORT),
        (401, "", "", "unreadable refusal", TokenAction.REPORT),
        (302, "", "", "redirected", TokenAction.CORRECT_SITE),
    ],
)
def test_every_refusal_has_its_row(status: int, reason: str, body: str, name: str, action: TokenAction) -> None:
    refused = read_refusal(status, reason, body.encode())
    assert refused.row.kind is TokenErrorKind(name)
    assert refused.row.action is action


@pytest.mark.parametrize("body", ["", "<html>", FAULT])
def test_after_trouble_of_any_server_the_refresh_token_counts_as_perhaps_spent(body: str) -> None:
    for status in range(500, 600):
        refused = read_refusal(status, "", body.encode())
        assert (refused.row.action, refused.may_have_rotated) == (TokenAction.RETRY, True)


def test_every_row_has_message_and_source_and_differs_in_its_message() -> None:
    rows = token_error_rows()
    assert [row.kind for row in rows] == list(TokenErrorKind)
    assert all(row.message and row.source for row in rows)
    assert len({row.message for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(401, OLD_TOKEN), ["used before", "runner does not keep", "source-exact-online login --site nl"]),
        (Fault(400, EXPIRED), ["30 days", "source-exact-online login --site nl"]),
        (Fault(400, CHAIN), ["chain", "source-exact-online login --site nl"]),
        (Fault(400, '{"error":"invalid_grant"}'), ["invalid_grant", "source-exact-online login --site nl"]),
        (Fault(401, '{"error":"invalid_client"}'), ["client id or client secret", "App Centre", "site"]),
        (Fault(400, '{"error":"odd","error_description":"new words"}'), ["new words", "HTTP 400"]),
    ],
)
def test_final_refusal_is_one_config_error_and_is_not_asked_twice(fault: Fault, words: list[str]) -> None:
    login = Login()
    login.server.faults.append(fault)
    for _ in range(8):
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.config_error
        assert [word for word in words if word not in str(caught.value)] == []
    assert login.server.calls == 1


def test_old_token_after_our_own_success_names_the_second_connection() -> None:
    login = Login()
    login.auth.get_access_token()
    login.clock.advance(590)
    login.server.faults.append(Fault(401, OLD_TOKEN))
    with pytest.raises(AirbyteTracedException, match="two connections"):
        login.auth.get_access_token()


def test_old_token_from_the_token_file_names_the_second_connection(tmp_path: Path) -> None:
    login = Login(tmp_path / "tokens.json")
    login.auth.get_access_token()
    login.clock.advance(7200)
    following = login.again(configuration())
    login.server.faults.append(Fault(401, OLD_TOKEN))
    with pytest.raises(AirbyteTracedException, match="two connections"):
        following.auth.get_access_token()


def test_old_token_beside_a_token_file_that_is_gone_names_the_file(tmp_path: Path) -> None:
    token_file = tmp_path / "tokens.json"
    login = Login(token_file)
    login.auth.get_access_token()
    token_file.unlink()
    following = login.again(configuration())
    with pytest.raises(AirbyteTracedException, match=r"the token file .*tokens\.json has no newer one: if it"):
        following.auth.get_access_token()


def test_old_token_after_a_refresh_cut_short_names_that(tmp_path: Path) -> None:
    login = Login(tmp_path / "tokens.json")
    login.server.faults.append(Fault(error=requests.ReadTimeout(), rotates=True))
    with pytest.raises(AirbyteTracedException, match="lost"):
        login.auth.get_access_token()
    with pytest.raises(AirbyteTracedException, match="cut off before its answer arrived"):
        login.again(configuration()).auth.get_access_token()
    assert login.server.answers == [401]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, FAULT),
        Fault(404, NO_PROXY),
        Fault(200, ""),
        Fault(502, ""),
        Fault(503, "<html>Maintenance</html>"),
        Fault(599, ""),
        Fault(429, ""),
        Fault(error=requests.ConnectTimeout()),
        Fault(
            error=requests.ConnectionError(
                urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "refused"))  # type: ignore[arg-type]
            )
        ),
    ],
)
def test_fault_that_passes_is_a_transient_error_and_asked_again_later(fault: Fault) -> None:
    login = Login()
    login.server.faults.append(fault)
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.get_access_token()
    assert caught.value.failure_type == FailureType.transient_error
    login.clock.advance(6)
    assert login.auth.get_access_token() == "access-1"
    assert login.server.calls == 2


def test_fault_is_one_call_however_many_ask_at_that_moment() -> None:
    login = Login()
    login.server.faults.extend([Fault(503, "")] * 50)
    for _ in range(5):
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.transient_error
    assert login.server.calls == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_unreadable_refusal_is_a_transient_error_and_is_not_repeated(status: int) -> None:
    login = Login()
    login.server.faults.extend([Fault(status, "")] * 50)
    for _ in range(50):
        with pytest.raises(NoTokenInThisRunError, match="Try again later") as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.transient_error
        login.clock.advance(60)
    assert login.server.calls == 1


@pytest.mark.parametrize(("status", "body"), [(404, NO_PROXY), (403, "<html>Reference #18.2d</html>")])
def test_refusals_that_may_pass_are_repeated_less_often_than_exact_counts(status: int, body: str) -> None:
    """More than ten an hour block the key."""
    login = Login()
    login.server.faults.extend([Fault(status, body)] * 50)
    for _ in range(50):
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.transient_error
        login.clock.advance(60)
    assert login.server.calls == 5
    assert isinstance(caught.value, NoTokenInThisRunError), "asking again is of no use"


def test_too_early_without_end_costs_fewer_calls_than_exact_counts() -> None:
    login = Login()
    login.server.faults.extend([Fault(400, TOO_EARLY)] * 50)
    for _ in range(20):
        with pytest.raises(NoTokenInThisRunError, match="too young") as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.transient_error
        login.clock.advance(60)
    assert login.server.calls <= 10


def test_a_redirect_is_a_config_error_that_names_the_target_without_its_query() -> None:
    login = Login()
    target = "https://start.exactonline.be/api/oauth2/token"
    login.server.faults.append(Fault(301, "", {"Location": f"{target}?code=s3cret"}))

    with pytest.raises(AirbyteTracedException, match=re.escape(target)) as caught:
        login.auth.get_access_token()

    assert caught.value.failure_type == FailureType.config_error
    assert "s3cret" not in str(caught.value)
    assert "Log in again" not in str(caught.value), "the new login would be sent there too"
    assert login.server.calls == 1


LOST = [
    requests.ReadTimeout(),
    requests.ConnectionError(
        urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
    ),
    requests.exceptions.ChunkedEncodingError(),
]


@pytest.mark.parametrize("error", LOST)
def test_lost_answer_is_one_call_and_one_config_error(error: Exception) -> None:
    login = Login()
    login.server.faults.append(Fault(error=error, rotates=True))
    for _ in range(4):
        with pytest.raises(AirbyteTracedException, match=r"lost.*login --site nl") as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.config_error
    assert login.server.calls == 1


def test_after_a_lost_answer_the_old_access_token_is_used_to_its_end() -> None:
    login = Login()
    login.auth.get_access_token()
    login.clock.advance(586)
    login.server.faults.append(Fault(error=requests.ReadTimeout(), rotates=True))
    for _ in range(5):
        assert login.auth.get_access_token() == "access-1"
    login.clock.advance(15)
    with pytest.raises(AirbyteTracedException, match="lost"):
        login.auth.get_access_token()
    assert login.server.calls == 2


def test_after_a_lost_answer_a_refused_access_token_is_not_used_again() -> None:
    login = Login()
    login.auth.get_access_token()
    login.clock.advance(586)
    login.server.faults.append(Fault(error=requests.ReadTimeout(), rotates=True))
    token = login.auth.get_access_token()
    with pytest.raises(AirbyteTracedException, match="lost"):
        login.auth.reject(token)
    assert login.server.calls == 2


def test_next_run_after_a_lost_answer_tries_once_more() -> None:
    login = Login()
    login.server.faults.append(Fault(error=requests.ReadTimeout(), rotates=False))
    with pytest.raises(AirbyteTracedException, match="lost"):
        login.auth.get_access_token()
    assert login.again().auth.get_access_token() == "access-1"


def test_tokens_of_another_process_are_taken_after_a_lost_answer(tmp_path: Path) -> None:
    login = Login(tmp_path / "tokens.json")
    login.auth.get_access_token()
    login.clock.advance(586)
    login.server.faults.append(Fault(error=requests.ReadTimeout()))
    assert login.auth.get_access_token() == "access-1"
    login.clock.advance(15)
    other = login.again(configuration())
    assert other.auth.get_access_token() == "access-2"
    assert login.auth.get_access_token() == "access-2"
    assert login.server.calls == 3


@pytest.mark.parametrize("kept", [1.0, 0.999, 0.99])
def test_cut_off_answer_gives_up_every_field_that_arrived_whole(kept: float) -> None:
    body = json.dumps({"access_token": "a" * 500, "refresh_token": 'r!"\\' + "r" * 300, "expires_in": "600"}).encode()
    fields = complete_fields(body[: int(len(body) * kept)])
    assert fields["refresh_token"] == 'r!"\\' + "r" * 300


def test_half_a_field_is_not_taken() -> None:
    assert complete_fields(b'{"access_token":"whole","refresh_token":"hal') == {"access_token": "whole"}
    assert complete_fields(b'{"access_token":"whole","expires_in":60') == {"access_token": "whole"}


@pytest.mark.parametrize("end", ["}", ""], ids=["whole", "cut off"])
def test_a_refresh_token_is_taken_as_it_came(end: str) -> None:
    """Also with a character that JSON would want escaped: without it the login is lost for certain."""
    body = f'{{"refresh_token":"refresh\t!9","expires_in":"600"{end}'
    assert complete_fields(body.encode())["refresh_token"] == "refresh\t!9"


def test_refresh_token_in_a_cut_off_answer_saves_the_login() -> None:
    login = Login()
    login.server.faults.append(Fault(200, '{"access_token":"access-9","refresh_token":"refresh!9","expires_'))
    assert login.auth.get_access_token() == "access-9"
    assert login.messages[0]["credentials"]["refresh_token"] == "refresh!9"


def test_cut_off_answer_without_the_refresh_token_is_a_lost_one() -> None:
    login = Login()
    login.server.faults.append(Fault(200, '{"access_token":"acc'))
    with pytest.raises(AirbyteTracedException, match="lost"):
        login.auth.get_access_token()
    assert login.server.calls == 1


def test_no_secret_in_any_message_or_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    texts: list[str] = []
    echo = f'{{"error":"odd","error_description":"you sent refresh!0 and {CLIENT_SECRET}"}}'
    for fault in (Fault(401, OLD_TOKEN), Fault(400, echo), Fault(error=requests.ReadTimeout("refresh!0"))):
        login = Login()
        login.server.faults.append(fault)
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()
        texts += [str(caught.value), caught.value.internal_message or "", repr(login.auth._refresher._state)]
    login = Login()
    login.auth.get_access_token()
    texts += [repr(login.auth._refresher._state), repr(login.auth._credentials), *caplog.messages]
    for secret in ("refresh!0", "refresh!1", "access-1", CLIENT_SECRET):
        assert [text for text in texts if secret in text] == []


def test_tokens_are_masked_in_log_lines_also_in_their_url_form() -> None:
    login = Login()
    login.auth.get_access_token()
    assert filter_secrets("code refresh!1 refresh%211 access-1") == "code **** **** ****"


@pytest.mark.parametrize("on_platform", [True, False])
def test_airbyte_is_only_spoken_of_where_its_platform_runs_the_connector(on_platform: bool) -> None:
    login = Login(environment={"WORKER_JOB_ID": "42"} if on_platform else {})
    login.server.faults.append(Fault(401, OLD_TOKEN))
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.get_access_token()
    assert "run `source-exact-online login --site nl`" in str(caught.value)
    assert ("Airbyte" in str(caught.value)) is on_platform


@contextmanager
def serving(*answers: bytes | None) -> Iterator[str]:
    """A server that answers one connection after the other with raw bytes; None = closes without a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def run() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                received = b""
                while b"grant_type" not in received:
                    received += connection.recv(65536)
                if answer is not None:
                    connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


def endpoint(base_url: str, read_timeout: float = 5.0) -> TokenEndpoint:
    return TokenEndpoint(base_url, "id", "secret", SystemClock(), timeout=(5.0, read_timeout))


def test_real_connection_that_closes_without_an_answer_is_lost() -> None:
    with serving(None) as url:
        assert isinstance(endpoint(url).refresh("r"), Lost)


def test_real_answer_shorter_than_announced_gives_up_its_refresh_token() -> None:
    body = b'{"access_token":"a","token_type":"bearer","refresh_token":"new!","expires_in":"6'
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + body) as url:
        answer = endpoint(url).refresh("r")
    assert isinstance(answer, Granted)
    assert (answer.tokens.access_token, answer.tokens.refresh_token) == ("a", "new!")


def test_real_answer_shorter_than_announced_without_the_token_is_lost() -> None:
    with serving(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"access_token":"a","refr') as url:
        assert isinstance(endpoint(url).refresh("r"), Lost)


def test_real_silence_is_a_lost_answer() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert isinstance(endpoint(url, read_timeout=0.05).refresh("r"), Lost)
    finally:
        listener.close()


def test_real_refused_connection_is_unsent() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    assert isinstance(endpoint(f"http://127.0.0.1:{port}").refresh("r"), Unsent)


def test_real_connection_that_breaks_in_the_tls_handshake_is_unsent() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def hang_up() -> None:
        connection, _ = listener.accept()
        connection.recv(10)
        connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    answer = endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}").refresh("r")
    thread.join()
    listener.close()
    assert isinstance(answer, Unsent)


def test_redirect_is_not_followed() -> None:
    with serving(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as url:
        answer = endpoint(url).refresh("r")
    assert isinstance(answer, Refused)
    assert answer.status == 302


def test_credentials_of_a_netrc_file_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen = io.BytesIO()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            while b"grant_type" not in seen.getvalue():
                seen.write(connection.recv(65536))
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"refresh_token":"n"}')

    thread = threading.Thread(target=run)
    thread.start()
    answer = endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}").refresh("r!+/=")
    thread.join()
    listener.close()
    assert isinstance(answer, Granted)
    assert b"Authorization" not in seen.getvalue()
    assert b"refresh_token=r%21%2B%2F%3D" in seen.getvalue()
