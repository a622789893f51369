"""When new tokens are asked for, and what happens to them."""

from __future__ import annotations

import json
import logging
import signal
import threading
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.tokens import parse_life
from source_exact_online.clock import SleepInterruptedError
from unit_tests.auth_fakes import BASE_URL, CLIENT_SECRET, FakeClock, FakeTokenServer, Fault, Login, configuration


def test_first_use_trades_the_configured_refresh_token() -> None:
    login = Login()
    assert login.auth.get_access_token() == "access-1"
    assert login.server.forms == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "refresh!0",
            "client_id": "0b8c3c1e-client",
            "client_secret": CLIENT_SECRET,
        }
    ]


def test_token_is_shared_until_its_last_seconds_and_then_renewed_once() -> None:
    login = Login()
    assert login.auth.get_access_token() == "access-1"
    login.clock.advance(579)
    assert login.auth.get_access_token() == "access-1"
    login.clock.advance(2)
    assert login.auth.get_access_token() == "access-2"
    assert login.server.answers == [200, 200]


@pytest.mark.parametrize("life", [1.0, 2.0, 10.0, 600.0, 3600.0])
def test_hundreds_of_refreshes_without_a_refused_call_whatever_the_life(life: float) -> None:
    clock = FakeClock()
    login = Login(server=FakeTokenServer(clock, life=life))
    login.server.latency = life / 50
    for _ in range(20_000):
        login.auth.get_access_token()
        clock.advance(life / 99)
    assert set(login.server.answers) == {200}
    assert login.server.calls > 200
    assert clock.slept == []


def test_slow_token_call_leads_to_a_wait_and_not_to_a_refused_call() -> None:
    clock = FakeClock()
    login = Login(server=FakeTokenServer(clock, life=10.0))
    login.server.latency = 3.0
    login.auth.get_access_token()
    clock.advance(7.1)  # ended, counted from the request; not 95 % old, counted from the answer
    login.server.latency = 0.0
    login.server.issued_at = clock.now() - timedelta(seconds=7.1)
    assert login.auth.get_access_token() == "access-2"
    assert login.server.answers == [200, 200]


@pytest.mark.parametrize("sent", ["600", 600, 600.0, " 600 ", "600.0"])
def test_expires_in_is_read_as_text_or_number(sent: object) -> None:
    assert parse_life(sent) == 600.0


@pytest.mark.parametrize("sent", [None, "", "soon", -5, 0, "nan", "inf", []])
def test_expires_in_that_says_nothing_counts_as_ten_minutes(sent: object) -> None:
    assert parse_life(sent) == 600.0


@pytest.mark.parametrize("expires_in", [600, "600", None])
def test_life_is_kept_with_every_form_of_expires_in(expires_in: object) -> None:
    login = Login()
    login.server.expires_in = lambda _: expires_in
    login.auth.get_access_token()
    login.clock.advance(575)
    assert login.auth.get_access_token() == "access-1"
    login.clock.advance(10)
    assert login.auth.get_access_token() == "access-2"


def test_next_run_goes_on_with_the_access_token_of_the_configuration() -> None:
    login = Login()
    login.auth.get_access_token()
    login.clock.advance(300)
    following = login.again()
    assert following.auth.get_access_token() == "access-1"
    assert login.server.calls == 1


def test_access_token_whose_end_is_unknown_is_replaced() -> None:
    login = Login(config=configuration(access_token="mystery"))
    assert login.auth.get_access_token() == "access-1"


@pytest.mark.parametrize("date", ["2025-03-03T09:05:00Z", "2025-03-03T10:05:00.123456789+01:00", "2025-03-03T09:05:00"])
def test_expiry_date_is_read_with_every_zone(date: str) -> None:
    login = Login(config=configuration(access_token="from-before", token_expiry_date=date))
    assert login.auth.get_access_token() == "from-before"
    login.clock.advance(301)
    assert login.auth.get_access_token() == "access-1"


def test_expiry_date_that_is_no_date_counts_as_unknown() -> None:
    login = Login(config=configuration(access_token="from-before", token_expiry_date="yesterday"))
    assert login.auth.get_access_token() == "access-1"


def test_configuration_message_precedes_the_first_use_of_the_token() -> None:
    login = Login()
    events: list[str] = []
    login.auth._credentials._on_control = lambda config: events.append(config["credentials"]["access_token"])
    request = requests.Request("GET", f"{BASE_URL}/api/v1/current/Me", auth=login.auth).prepare()
    events.append(request.headers["Authorization"])
    assert events == ["access-1", "Bearer access-1"]


def test_configuration_message_bears_the_whole_configuration_with_the_new_tokens() -> None:
    login = Login()
    login.auth.get_access_token()
    credentials = {
        **configuration()["credentials"],
        "refresh_token": "refresh!1",
        "access_token": "access-1",
        "token_expiry_date": "2025-03-03T09:10:00+00:00",
    }
    assert login.messages == [{"site": "nl", "divisions": [123], "credentials": credentials}]
    assert login.config == login.messages[0]
    assert datetime.fromisoformat(login.config["credentials"]["token_expiry_date"]).tzinfo is not None


def test_configuration_message_goes_to_stdout_as_one_flushed_line(capsys: pytest.CaptureFixture[str]) -> None:
    login = Login(capture=False)
    login.auth.get_access_token()
    lines = [line for line in capsys.readouterr().out.splitlines() if '"CONTROL"' in line]
    assert len(lines) == 1
    control = json.loads(lines[0])["control"]
    assert control["type"] == "CONNECTOR_CONFIG"
    assert control["connectorConfig"]["config"]["credentials"]["refresh_token"] == "refresh!1"


@pytest.mark.parametrize("keeper", ["nobody", "token file", "Airbyte's platform", "a program that takes the changes"])
def test_new_tokens_that_nobody_seems_to_keep_are_told_once_with_the_remedy(
    keeper: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    login = Login(
        tmp_path / "tokens.json" if keeper == "token file" else None,
        capture=keeper == "a program that takes the changes",
        environment={"WORKER_JOB_ID": "42"} if keeper == "Airbyte's platform" else {},
    )

    login.auth.get_access_token()
    login.clock.advance(600)
    login.auth.get_access_token()

    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert login.server.calls == 2
    assert len(told) == (keeper == "nobody"), told
    assert all("credentials.token_file" in text and "EXACT_ONLINE_TOKEN_FILE" in text for text in told)


def test_token_is_not_spent_when_nobody_reads_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedPipe:
        def write(self, _: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    login = Login(capture=False)
    monkeypatch.setattr("sys.stdout", ClosedPipe())
    with pytest.raises(BrokenPipeError):
        login.auth.get_access_token()
    assert login.server.calls == 0


def test_token_is_not_used_when_its_message_could_not_be_written() -> None:
    login = Login()

    def closed(_: object) -> None:
        raise BrokenPipeError

    login.auth._credentials._on_control = closed
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            login.auth.get_access_token()
    assert login.server.calls == 1


def test_eight_threads_make_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    login = Login()
    barrier = threading.Barrier(8)
    send, second_call = login.server.send, threading.Event()

    def slow_send(request: requests.PreparedRequest, **options: object) -> requests.Response:
        if login.server.calls:
            second_call.set()
        answer = send(request, **options)
        second_call.wait(0.2)  # whoever else wants to call has the time to do so
        return answer

    monkeypatch.setattr(login.server, "send", slow_send)
    got: list[str] = []

    def use() -> None:
        barrier.wait()
        got.append(login.auth.get_access_token())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["access-1"] * 8
    assert login.server.calls == 1
    assert len(login.messages) == 1


def test_eight_threads_with_the_same_refused_token_make_one_call() -> None:
    login = Login()
    token = login.auth.get_access_token()
    login.clock.advance(580)
    barrier = threading.Barrier(8)

    def refuse() -> None:
        barrier.wait()
        login.auth.reject(token)

    threads = [threading.Thread(target=refuse) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert login.auth.get_access_token() == "access-2"
    assert login.server.answers == [200, 200]


def test_two_authenticators_over_one_configuration_make_one_call() -> None:
    first = Login()
    second = Login(server=first.server, config=first.config)
    assert first.auth.get_access_token() == second.auth.get_access_token() == "access-1"
    assert first.server.calls == 1


def test_refused_token_that_was_replaced_meanwhile_costs_no_call() -> None:
    login = Login()
    old = login.auth.get_access_token()
    login.clock.advance(590)
    login.auth.get_access_token()
    login.auth.reject(old)
    assert login.auth.get_access_token() == "access-2"
    assert login.server.calls == 2


def test_refusal_before_its_time_asks_waits_and_asks_again(caplog: pytest.LogCaptureFixture) -> None:
    login = Login()
    token = login.auth.get_access_token()
    login.clock.advance(100)
    with caplog.at_level(logging.INFO):
        login.auth.reject(token)
    assert login.auth.get_access_token() == "access-2"
    assert login.server.answers == [200, 400, 200]
    assert max(login.clock.slept) <= 60
    assert sum("Waiting" in line for line in caplog.messages) >= 500 // 60


def test_refusal_is_waited_out_also_where_exact_refuses_until_the_very_end() -> None:
    login = Login()
    login.server.strict = True
    token = login.auth.get_access_token()
    login.auth.reject(token)
    assert login.auth.get_access_token() == "access-2"
    assert login.server.answers == [200, 400, 200]


def test_second_too_early_after_a_refusal_is_a_config_error() -> None:
    login = Login()
    token = login.auth.get_access_token()
    login.server.faults.extend([too_early(), too_early()])
    for _ in range(2):
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.reject(token) if login.server.calls == 1 else login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.config_error
    assert login.server.answers == [200, 400, 400]


def test_second_token_refused_in_a_row_is_a_config_error() -> None:
    login = Login()
    login.server.life = 600.0
    token = login.auth.get_access_token()
    login.auth.reject(token)
    calls = login.server.calls
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.reject(login.auth.get_access_token())
    assert caught.value.failure_type == FailureType.config_error
    assert "just issued" in str(caught.value)
    assert login.server.calls == calls


def test_refusals_at_the_end_of_each_life_are_ordinary() -> None:
    login = Login()
    for _ in range(5):
        token = login.auth.get_access_token()
        login.clock.advance(586)
        login.auth.reject(token)
    assert set(login.server.answers) == {200}


def too_early() -> Fault:
    return Fault(400, '{"error":"access_denied","error_description":"Rate limit exceeded: access_token not expired"}')


def test_too_early_keeps_the_token_at_hand() -> None:
    login = Login()
    login.server.strict = True
    token = login.auth.get_access_token()
    login.clock.advance(590)
    for _ in range(50):
        assert login.auth.get_access_token() == token
    assert login.server.answers == [200, 400]
    login.clock.advance(10)
    assert login.auth.get_access_token() == "access-2"
    assert login.server.answers == [200, 400, 200]


def test_wrong_clock_keeps_the_token_and_asks_rarely() -> None:
    login = Login(config=configuration(access_token="living", token_expiry_date="2025-03-03T08:00:00+00:00"))
    login.server.issued_at = login.clock.now()
    for _ in range(560):
        assert login.auth.get_access_token() == "living"
        login.clock.advance(1)
    assert login.server.answers.count(400) <= 4
    login.clock.advance(600)
    assert login.auth.get_access_token() == "access-1"


def test_too_early_without_a_token_at_hand_waits_with_few_calls() -> None:
    login = Login()
    login.server.issued_at = login.clock.now()
    assert login.auth.get_access_token() == "access-1"
    assert login.server.answers.count(400) <= 5
    assert 570 <= sum(login.clock.slept) <= 620


def test_clock_set_back_does_not_stop_the_sync() -> None:
    login = Login()
    login.auth.get_access_token()
    login.clock._start -= timedelta(hours=3)
    login.server.issued_at = login.clock.now() - timedelta(seconds=601)
    token = login.auth.get_access_token()
    login.auth.reject(token)
    assert login.auth.get_access_token() == "access-2"
    assert sum(login.clock.slept) == 0


def test_token_call_has_time_outs_and_a_connection_of_its_own() -> None:
    login = Login()
    login.auth.get_access_token()
    connect, read = login.server.timeouts[0]
    assert 0 < connect <= 30
    assert 0 < read <= 120
    assert login.server.requests[0].headers["Connection"] == "close"
    assert "Authorization" not in login.server.requests[0].headers


def test_answer_without_refresh_token_keeps_the_one_in_use() -> None:
    login = Login()
    login.server.faults.append(Fault(200, '{"access_token":"lone-access","token_type":"Bearer","expires_in":"600"}'))
    assert login.auth.get_access_token() == "lone-access"
    assert login.config["credentials"]["refresh_token"] == "refresh!0"


def test_pair_in_an_answer_with_an_error_status_is_kept() -> None:
    login = Login()
    login.server.faults.append(
        Fault(500, '{"access_token":"lone-access","expires_in":"600","refresh_token":"lone-refresh!"}')
    )
    assert login.auth.get_access_token() == "lone-access"
    assert login.messages[0]["credentials"]["refresh_token"] == "lone-refresh!"


def test_refresh_token_alone_is_kept_before_anything_else_happens() -> None:
    login = Login()
    login.server.faults.append(Fault(200, '{"refresh_token":"refresh!7"}'))
    login.server.live_refresh_token = "refresh!7"
    assert login.auth.get_access_token() == "access-1"
    assert [message["credentials"]["refresh_token"] for message in login.messages] == ["refresh!7", "refresh!1"]


def test_request_to_another_host_never_gets_the_token() -> None:
    login = Login()
    for url in ("https://evil.example/api", "http://start.exactonline.nl/api", "https://start.exactonline.nl:8443/"):
        with pytest.raises(AirbyteTracedException):
            requests.Request("GET", url, auth=login.auth).prepare()
    assert login.server.calls == 0


def test_request_to_exact_gets_the_header() -> None:
    login = Login()
    request = requests.Request("GET", f"{BASE_URL}:443/api/v1/current/Me", auth=login.auth).prepare()
    assert request.headers["Authorization"] == "Bearer access-1"


def test_old_refresh_token_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    login = Login(config=configuration(access_token="lone-access", token_expiry_date="2025-02-09T09:00:00+00:00"))
    login.auth.get_access_token()
    login.clock.advance(600)
    login.auth.get_access_token()
    warnings = [line for line in caplog.messages if "30 idle days" in line]
    assert len(warnings) == 1
    assert "22 days" in warnings[0]


def test_refresh_token_in_daily_use_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    login = Login(config=configuration(access_token="lone-access", token_expiry_date="2025-02-15T09:00:00+00:00"))
    login.auth.get_access_token()
    assert not [line for line in caplog.messages if "idle" in line]


def test_configuration_without_refresh_token_is_a_config_error() -> None:
    config: dict[str, Any] = deepcopy(configuration(""))
    with pytest.raises(AirbyteTracedException) as caught:
        Login(config=config).auth.get_access_token()
    assert caught.value.failure_type == FailureType.config_error


def test_a_signal_during_the_token_call_does_not_lose_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real signal: Python takes a thread whose `join` a signal has interrupted for ended, though it runs."""
    login = Login()
    interrupted = threading.Event()
    send = login.server.send

    def slow_send(request: requests.PreparedRequest, **options: object) -> requests.Response:
        answer = send(request, **options)
        threading.Event().wait(0.1)  # by now the main thread waits for this one
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert interrupted.wait(10)
        threading.Event().wait(0.1)  # the answer is on its way when the process begins to shut down
        return answer

    monkeypatch.setattr(login.server, "send", slow_send)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            login.auth.get_access_token()
    finally:
        signal.signal(signal.SIGINT, before)
    assert login.messages == []

    interrupted.set()
    login.auth.shutdown()

    assert [message["credentials"]["refresh_token"] for message in login.messages] == ["refresh!1"]


def test_no_refresh_begins_when_the_process_is_about_to_end() -> None:
    login = Login()
    login.auth.shutdown()
    with pytest.raises(SleepInterruptedError):
        login.auth.get_access_token()
    assert login.server.calls == 0
