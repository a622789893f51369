"""The interactive login, with a scripted person and a scripted token endpoint."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import stat
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.divisions import Division
from source_exact_online.auth.token_endpoint import Answer, Granted, Lost, TokenEndpoint, Unsent
from source_exact_online.auth.token_errors import read_refusal
from source_exact_online.auth.tokens import Tokens
from source_exact_online.command_line import add_login_options
from source_exact_online.login import command as login
from source_exact_online.login import redirect
from source_exact_online.login.config_file import LoginRequest, parse_divisions
from source_exact_online.login.redirect import (
    LoginError,
    RedirectListener,
    WrongAddressError,
    check_redirect_uri,
    code_in,
    consent_url,
)
from source_exact_online.login.terminal import Console
from unit_tests.auth_fakes import CLIENT_ID, CLIENT_SECRET, FakeClock

NOW = datetime(2025, 3, 3, 9, 0, tzinfo=timezone.utc)
TOKENS = Tokens("refresh!new", "access-new", NOW + timedelta(seconds=600), NOW, 600.0)
CALLBACK = "https://app.example/callback"
DIVISIONS = [Division(101, "Bakkerij De Korenaar"), Division(202, "Harbour Tea Ltd")]

Reply = Callable[["Person"], str] | str


class Person:
    """Answers questions in order and remembers what was shown."""

    def __init__(self, *answers: Reply) -> None:
        self.answers: deque[Reply] = deque(answers)
        self.shown: list[str] = []
        self.listeners: list[RedirectListener | None] = []
        self.opened: list[str] = []
        self.browser = False

    @property
    def text(self) -> str:
        return "\n".join(self.shown)

    @property
    def state(self) -> str:
        urls = [text for text in self.text.split() if "/api/oauth2/auth?" in text]
        return parse_qs(urlsplit(urls[-1]).query)["state"][0]

    def say(self, text: str) -> None:
        self.shown.append(text)

    def ask(self, prompt: str) -> str:
        self.shown.append(prompt)
        if not self.answers:
            raise LoginError("nobody answers")
        answer = self.answers.popleft()
        return answer if isinstance(answer, str) else answer(self)

    def secret(self, prompt: str) -> str:
        return self.ask(prompt)

    def address(self, prompt: str, listener: RedirectListener | None) -> str:
        self.listeners.append(listener)
        return self.ask(prompt)

    def open_browser(self, url: str) -> bool:
        self.opened.append(url)
        return self.browser


class Endpoint(TokenEndpoint):
    """Gives scripted answers, or makes them when it is asked, and remembers the codes."""

    def __init__(self, *answers: Answer | Callable[[], Answer]) -> None:
        self.answers = deque(answers)
        self.codes: list[tuple[str, str]] = []

    def exchange(self, code: str, redirect_uri: str) -> Answer:
        self.codes.append((code, redirect_uri))
        answer = self.answers.popleft()
        return answer() if callable(answer) else answer


def redirected(code: str = "stampNL001.aB%21IAAA", state: str | None = None) -> Callable[[Person], str]:
    return lambda person: f"{CALLBACK}?code={code}&state={quote(state or person.state)}"


class Run:
    """One run of the command."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path / "config.json"
        self.options = options
        self.lister: Callable[[str, str], list[Division]] = lambda *_: DIVISIONS
        self.environment: dict[str, str] = {"EXACT_ONLINE_CLIENT_SECRET": CLIENT_SECRET}
        self.clock = FakeClock()
        self.checked: list[Path] = []
        self.check_code = 0

    def __call__(self, person: Person, endpoint: Endpoint) -> int:
        parser = argparse.ArgumentParser()
        add_login_options(parser)
        arguments = ["--site", "nl", "--client-id", CLIENT_ID, "--config", str(self.path)]
        if "--redirect-uri" not in self.options:
            arguments += ["--redirect-uri", CALLBACK]

        def check(path: Path) -> int:
            self.checked.append(path)
            return self.check_code

        return login.run(
            parser.parse_args([*arguments, *self.options]),
            check,
            terminal=person,
            clock=self.clock,
            endpoint=endpoint,
            list_divisions=self.lister,
            environment=self.environment,
        )

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text()))


def refusal(status: int, body: str) -> Answer:
    return read_refusal(status, "", body.encode())


def test_login_writes_a_configuration_that_is_ready_and_checks_it(tmp_path: Path) -> None:
    run, person, endpoint = Run(tmp_path), Person(redirected(), "202"), Endpoint(Granted(TOKENS))
    assert run(person, endpoint) == 0
    assert endpoint.codes == [("stampNL001.aB!IAAA", CALLBACK)]
    assert run.config == {
        "site": "nl",
        "credentials": {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": "refresh!new",
            "access_token": "access-new",
            "token_expiry_date": "2025-03-03T09:10:00+00:00",
            "token_file": str(tmp_path / "config.tokens.json"),
        },
        "divisions": [202],
    }
    assert str(tmp_path / "config.tokens.json") in person.text
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o600
    assert run.checked == [run.path]
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_consent_address_has_everything_exact_wants() -> None:
    url = urlsplit(consent_url("https://start.exactonline.be", "id+1", "https://a.example/c?x=1", "st", True))
    assert (url.scheme, url.netloc, url.path) == ("https", "start.exactonline.be", "/api/oauth2/auth")
    assert parse_qs(url.query) == {
        "client_id": ["id+1"],
        "redirect_uri": ["https://a.example/c?x=1"],
        "response_type": ["code"],
        "force_login": ["1"],
        "state": ["st"],
    }


def test_state_differs_from_login_to_login(tmp_path: Path) -> None:
    states = set()
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        person = Person(redirected(), "")
        Run(tmp_path / str(number))(person, Endpoint(Granted(TOKENS)))
        states.add(person.state)
    assert len(states) == 3
    assert all(len(state) >= 24 for state in states)


def test_every_division_is_the_default(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run(Person(redirected(), ""), Endpoint(Granted(TOKENS))) == 0
    assert "divisions" not in run.config


def test_divisions_are_shown_with_their_names_and_a_wrong_one_is_asked_again(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(redirected(), "303", "tea", "202, 101 202")
    assert run(person, Endpoint(Granted(TOKENS))) == 0
    assert "101  Bakkerij De Korenaar" in person.text
    assert "303 is not among" in person.text
    assert run.config["divisions"] == [202, 101]


def test_a_single_division_is_no_question(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.lister = lambda *_: DIVISIONS[:1]
    assert run(Person(redirected()), Endpoint(Granted(TOKENS))) == 0


def test_divisions_that_cannot_be_listed_do_not_lose_the_login(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(redirected())

    def forbidden(*_: object) -> list[Division]:
        raise AirbyteTracedException(message="Forbidden.", failure_type=FailureType.config_error)

    run.lister = forbidden
    assert run(person, Endpoint(Granted(TOKENS))) == 0
    assert run.config["credentials"]["refresh_token"] == "refresh!new"


def test_tokens_are_written_before_the_divisions_are_asked_for(tmp_path: Path) -> None:
    run = Run(tmp_path)
    seen: list[str] = []

    def look(*_: object) -> list[Division]:
        seen.append(run.config["credentials"]["refresh_token"])
        raise KeyboardInterrupt

    run.lister = look
    assert run(Person(redirected()), Endpoint(Granted(TOKENS))) == 130
    assert seen == ["refresh!new"]


def test_division_option_asks_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, "--divisions", "101")
    assert run(Person(redirected()), Endpoint(Granted(TOKENS))) == 0
    assert run.config["divisions"] == [101]


def test_unknown_division_in_the_option_ends_with_the_tokens_kept(tmp_path: Path) -> None:
    run, person = Run(tmp_path, "--divisions", "999"), Person(redirected())
    assert run(person, Endpoint(Granted(TOKENS))) == 1
    assert "999 is not among" in person.text
    assert run.config["credentials"]["access_token"] == "access-new"


def test_token_file_option_is_written_down(tmp_path: Path) -> None:
    run = Run(tmp_path, "--token-file", "/data/tokens.json")
    assert run(Person(redirected(), ""), Endpoint(Granted(TOKENS))) == 0
    assert run.config["credentials"]["token_file"] == "/data/tokens.json"


def test_existing_file_is_replaced_only_after_a_yes(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.path.write_text("mine")
    for no in ("", "n", "what?"):
        assert run(Person(no), Endpoint()) == 1
        assert run.path.read_text() == "mine"
    assert run(Person("y", redirected(), ""), Endpoint(Granted(TOKENS))) == 0
    assert run.config["site"] == "nl"
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o600


def test_existing_file_is_replaced_when_told_so(tmp_path: Path) -> None:
    run = Run(tmp_path, "--overwrite")
    run.path.write_text("mine")
    assert run(Person(redirected(), ""), Endpoint(Granted(TOKENS))) == 0


def test_missing_directory_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    run, person = Run(tmp_path / "nowhere"), Person()
    assert run(person, Endpoint()) == 1
    assert "does not exist" in person.text


def test_secret_is_asked_for_where_the_environment_has_it_not(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.environment = {}
    assert run(Person(CLIENT_SECRET, redirected(), ""), Endpoint(Granted(TOKENS))) == 0
    assert run.config["credentials"]["client_secret"] == CLIENT_SECRET


@pytest.mark.parametrize("secret", ["two words", "tab\tbed"])
def test_secret_with_white_space_is_refused(tmp_path: Path, secret: str) -> None:
    run, person = Run(tmp_path), Person()
    run.environment = {"EXACT_ONLINE_CLIENT_SECRET": secret}
    assert run(person, Endpoint()) == 1
    assert "white space" in person.text
    assert secret not in person.text


def test_no_secret_is_shown(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(redirected(), "")
    run(
        person,
        Endpoint(lambda: refusal(400, '{"error":"odd","error_description":"s3cret/of+the=app"}'), Granted(TOKENS)),
    )
    assert "odd ****" in person.text
    for secret in (CLIENT_SECRET, "refresh!new", "access-new", "stampNL001"):
        assert secret not in person.text


def test_address_of_another_login_is_refused_and_may_be_pasted_again(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(redirected(state="forged"), redirected(), "")
    endpoint = Endpoint(Granted(TOKENS))
    assert run(person, endpoint) == 0
    assert "state" in person.text
    assert len(endpoint.codes) == 1


def test_five_wrong_addresses_end_the_login_without_a_call(tmp_path: Path) -> None:
    endpoint = Endpoint()
    assert Run(tmp_path)(Person(*[redirected(state="forged")] * 9), endpoint) == 1
    assert endpoint.codes == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://app.example/callback?code=abc", "state is missing"),
        ("https://start.exactonline.nl/docs/Login.aspx", "address of Exact Online itself"),
        ("https://app.example/callback", "no code in it"),
        ("", "no code in it"),
        ("stampNL001.aB!IAAA", "no code in it"),
    ],
)
def test_wrong_paste_is_explained(address: str, words: str) -> None:
    with pytest.raises(WrongAddressError, match=words):
        code_in(address, "st")


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example/callback?code=aB%21c%2Bd%2F%3D&state=st",
        "https://app.example/callback?code=aB!c+d/=&state=st",
        "https://app.example/callback?state=st&code=aB%2521c%252Bd%252F%253D",
        ' "https://app.example/callback?code=aB%21c%2Bd%2F%3D&state=st" ',
        "https://app.example/callback?code=aB%21c%2B\n   d%2F%3D&state=st\n",
        "?code=aB%21c%2Bd%2F%3D&state=st",
        "code=aB%21c%2Bd%2F%3D&state=st",
        "/callback?code=aB%21c%2Bd%2F%3D&state=st#",
    ],
)
def test_code_is_decoded_however_the_address_was_copied(address: str) -> None:
    assert code_in(address, "st") == "aB!c+d/="


def test_refused_consent_names_the_approval_by_exact(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(lambda p: f"{CALLBACK}?error=access_denied&state={p.state}")
    assert run(person, Endpoint()) == 1
    assert "not approved yet" in person.text


def test_unknown_refusal_of_the_consent_is_passed_on() -> None:
    with pytest.raises(LoginError, match="Come back later"):
        code_in("https://a.example/?error=server_error&error_description=Come+back+later&state=st", "st")


def test_consent_is_asked_for_with_hints_about_site_and_permission(tmp_path: Path) -> None:
    person = Person(redirected(), "")
    Run(tmp_path)(person, Endpoint(Granted(TOKENS)))
    assert "another country site than nl" in person.text
    assert "permission" in person.text


def test_code_older_than_three_minutes_leads_to_a_new_consent(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(redirected("old"), redirected("new"), "")
    endpoint = Endpoint(refusal(400, '{"error":"invalid_grant","error_description":"Code expired"}'), Granted(TOKENS))
    assert run(person, endpoint) == 0
    assert [code for code, _ in endpoint.codes] == ["old", "new"]
    assert "three minutes" in person.text


def test_third_refused_code_ends_the_login(tmp_path: Path) -> None:
    endpoint = Endpoint(*[refusal(400, '{"error":"invalid_grant"}')] * 3)
    assert Run(tmp_path)(Person(*[redirected()] * 9), endpoint) == 1
    assert len(endpoint.codes) == 3
    assert list(tmp_path.iterdir()) == []


def test_wrong_client_names_secret_and_site(tmp_path: Path) -> None:
    person = Person(redirected())
    assert Run(tmp_path)(person, Endpoint(refusal(401, '{"error":"invalid_client"}'))) == 1
    assert "client secret" in person.text
    assert "country" in person.text


def test_a_redirect_of_the_token_call_asks_for_no_other_consent(tmp_path: Path) -> None:
    person, endpoint = Person(redirected()), Endpoint(refusal(302, ""))
    assert Run(tmp_path)(person, endpoint) == 1
    assert "Check site, and proxies" in person.text
    assert len(endpoint.codes) == 1


def test_lost_answer_leads_to_a_new_consent(tmp_path: Path) -> None:
    endpoint = Endpoint(Lost("ReadTimeout"), Granted(TOKENS))
    assert Run(tmp_path)(Person(redirected("one"), redirected("two"), ""), endpoint) == 0
    assert [code for code, _ in endpoint.codes] == ["one", "two"]


def test_same_code_is_sent_again_when_it_never_left(tmp_path: Path) -> None:
    run, endpoint = Run(tmp_path), Endpoint(Unsent("ConnectTimeout"), refusal(503, ""), Granted(TOKENS))
    assert run(Person(redirected("one"), ""), endpoint) == 0
    assert [code for code, _ in endpoint.codes] == ["one"] * 3
    assert 0 < sum(run.clock.slept) < 180


def test_failed_check_is_said_and_is_the_exit_code(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(redirected(), "")
    run.check_code = 1
    assert run(person, Endpoint(Granted(TOKENS))) == 1
    assert "check failed" in person.text


@pytest.mark.parametrize("uri", ["http://app.example/cb", "ftp://a.example", "callback", "https://a.example/#x", ""])
def test_redirect_uri_that_exact_cannot_have_is_refused(uri: str) -> None:
    with pytest.raises(LoginError, match="redirect URI"):
        check_redirect_uri(uri)


@pytest.mark.parametrize("uri", [CALLBACK, "http://localhost:8080/cb", "http://127.0.0.1:1/", "https://localhost:8/c"])
def test_redirect_uri_that_exact_may_have_is_taken(uri: str) -> None:
    check_redirect_uri(uri)


UNTRUSTED = [
    "https://evil.example",
    "https://start.exactonline.be",
    "http://start.exactonline.nl",
    "http://10.0.0.1",
    "http://127.0.0.1:port",
    "http://[::1",
    "http://127.0.0.1@evil.example",
    "http://evil.example\\\\@127.0.0.1",
    "http://127.0.0.1/path",
    "127.0.0.1",
]


@pytest.mark.parametrize("base_url", UNTRUSTED)
def test_login_sends_secrets_only_to_exact_or_this_machine(tmp_path: Path, base_url: str) -> None:
    person = Person()
    assert Run(tmp_path, "--base-url", base_url)(person, Endpoint()) == 1
    assert "never goes anywhere else" in person.text


def test_sandbox_address_is_written_down(tmp_path: Path) -> None:
    run = Run(tmp_path, "--base-url", "http://127.0.0.1:9999/")
    assert run(Person(redirected(), ""), Endpoint(Granted(TOKENS))) == 0
    assert run.config["base_url"] == "http://127.0.0.1:9999"


def test_request_shows_no_secret_when_it_is_printed() -> None:
    request = LoginRequest("nl", "https://start.exactonline.nl", CLIENT_ID, CLIENT_SECRET, CALLBACK, Path("c.json"))
    assert CLIENT_SECRET not in repr(request)
    assert CLIENT_ID not in repr(request)


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), "config.tokens.json"), (("--token-file", "mine.json"), "mine.json"), (("--no-token-file",), None)],
)
def test_the_token_file_stands_in_the_configuration_by_its_whole_path(
    options: tuple[str, ...], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(Path(), *options)

    assert run(Person(redirected(), "all"), Endpoint(Granted(TOKENS))) == 0

    path = None if expected is None else str(tmp_path / expected)
    assert run.config["credentials"].get("token_file") == path


def test_two_logins_in_one_directory_have_two_token_files(tmp_path: Path) -> None:
    files = set()
    for name in ("nl.json", "be.json"):
        run = Run(tmp_path, "--config", str(tmp_path / name))
        run.path = tmp_path / name
        run(Person(redirected(), "all"), Endpoint(Granted(TOKENS)))
        files.add(run.config["credentials"]["token_file"])
    assert len(files) == 2


def test_help_shows_how_to_rehearse_on_a_sandbox() -> None:
    parser = argparse.ArgumentParser()
    add_login_options(parser)
    assert "--base-url" in parser.format_help()


@pytest.mark.parametrize(("text", "codes"), [("", []), ("ALL", []), ("1,2 2", [1, 2]), (" 3 ", [3])])
def test_divisions_are_read_from_text(text: str, codes: list[int]) -> None:
    assert parse_divisions(text, set()) == codes


@contextmanager
def typing_person(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Console, Callable[[str], None]]]:
    """A console whose standard input is a pipe, and the means to type into it; typing None closes it."""
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as stdin, open(writer, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)

        def type_in(text: str) -> None:
            pipe.write(text.encode()) if text else pipe.close()

        yield Console({}), type_in


def test_console_gives_one_line_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with typing_person(monkeypatch) as (console, type_in):
        type_in("first\nsecond \r\nthi")
        assert (console.ask("?"), console.ask("?")) == ("first", "second")
        type_in("rd")
        type_in("")
        assert console.ask("?") == "third"
        with pytest.raises(LoginError, match="docker run -it"):
            console.ask("?")


def test_pasted_address_is_taken_while_the_listener_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = RedirectListener.open("http://localhost:0/callback", "s")
    with typing_person(monkeypatch) as (console, type_in):
        type_in("https://pasted/?code=1\n")
        assert console.address("paste:", listener) == "https://pasted/?code=1"
    assert listener is not None
    listener.server_close()


@pytest.mark.parametrize(
    ("environment", "opens"),
    [({}, False), ({"DISPLAY": ":0"}, True), ({"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, False)],
)
@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="always has a window system")
def test_browser_is_opened_only_where_the_person_sits(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], opens: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert Console(environment).open_browser("https://x.example") is opens
    assert bool(opened) is opens


def browse(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_loopback_redirect_is_received_without_pasting(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = RedirectListener.open("http://localhost:0/callback", "s")
    assert listener is not None
    port = listener.server_address[1]
    statuses: list[int] = []

    def browser() -> None:
        statuses.extend(
            browse(f"http://127.0.0.1:{port}{path}")
            for path in ("/favicon.ico", "/callback", "/callback?code=a%21&state=s")
        )

    thread = threading.Thread(target=browser)
    thread.start()
    with typing_person(monkeypatch) as (console, _):
        assert console.address("paste:", listener) == "/callback?code=a%21&state=s"
    thread.join()
    listener.server_close()
    assert statuses == [404, 404, 200]


def test_localhost_is_taken_where_another_program_listens_at_its_other_address() -> None:
    with socket.socket(socket.AF_INET6) as other:
        try:
            other.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no ::1")
        other.listen()
        port = other.getsockname()[1]
        assert RedirectListener.open(f"http://localhost:{port}/callback", "s") is None
    listener = RedirectListener.open(f"http://localhost:{port}/callback", "s")
    assert listener is not None
    listener.server_close()


def test_taken_port_falls_back_to_pasting() -> None:
    first = RedirectListener.open("http://127.0.0.1:0/", "s")
    assert first is not None
    assert RedirectListener.open(f"http://127.0.0.1:{first.server_address[1]}/", "s") is None
    first.server_close()


def test_https_redirect_is_never_listened_for() -> None:
    assert RedirectListener.open("https://localhost:0/callback", "s") is None


@contextmanager
def listening(state: str = "s") -> Iterator[tuple[RedirectListener, str]]:
    """A listener and its address."""
    listener = RedirectListener.open("http://127.0.0.1:0/callback", state)
    assert listener is not None
    try:
        yield listener, f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.server_close()


def received(monkeypatch: pytest.MonkeyPatch, listener: RedirectListener, browser: Callable[[], object]) -> str:
    """What the console makes of a browser's requests."""
    thread = threading.Thread(target=browser, daemon=True)
    thread.start()
    with typing_person(monkeypatch) as (console, _):
        address = console.address("paste:", listener)
    thread.join(10)
    return address


@pytest.mark.parametrize("forged", ["?error=x&error_description=%1b]0;PWN%07", "?code=evil", "?code=evil&state=x"])
def test_request_of_another_page_is_ignored_however_often_it_comes(
    monkeypatch: pytest.MonkeyPatch, forged: str
) -> None:
    statuses: list[int] = []
    with listening() as (listener, url):

        def browser() -> None:
            statuses.extend(browse(f"{url}/callback{forged}") for _ in range(7))
            statuses.append(browse(f"{url}/callback?code=good&state=s"))

        assert received(monkeypatch, listener, browser) == "/callback?code=good&state=s"
    assert statuses == [404] * 7 + [200]


def test_refusal_by_exact_is_received(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (listener, url):
        refusal_path = "/callback?error=access_denied&state=s"
        assert received(monkeypatch, listener, lambda: browse(f"{url}{refusal_path}")) == refusal_path


def test_slow_connection_does_not_keep_the_browser_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(redirect, "REQUEST_SECONDS", 0.3)
    stop = threading.Event()
    with listening() as (listener, url):

        def drip() -> None:
            with socket.create_connection(listener.server_address[:2]) as slow, contextlib.suppress(OSError):
                slow.sendall(b"GET /callback")
                started.set()
                while not stop.wait(0.05):
                    slow.sendall(b"x")

        started = threading.Event()
        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        assert started.wait(5)
        address = received(monkeypatch, listener, lambda: browse(f"{url}/callback?code=good&state=s"))
        stop.set()
        dripping.join(5)
    assert address == "/callback?code=good&state=s"
    assert "Traceback" not in capsys.readouterr().err


def test_pasted_refusal_of_another_login_does_not_end_this_one(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person(f"{CALLBACK}?error=access_denied&state=x", redirected(), "")
    assert run(person, Endpoint(Granted(TOKENS))) == 0
    assert "not from this login" in person.text


def test_taken_port_is_told(tmp_path: Path) -> None:
    with listening() as (listener, _):
        uri = f"http://127.0.0.1:{listener.server_address[1]}/callback"
        run = Run(tmp_path, "--redirect-uri", uri)
        person = Person(lambda p: f"{uri}?code=stampNL001.aB&state={p.state}", "")
        assert run(person, Endpoint(Granted(TOKENS))) == 0
    assert "another program" in person.text


@pytest.mark.parametrize("address", ["https://[bad?code=x&state=st", "https://[bad", "http://a]b/?code=c"])
def test_address_that_is_none_may_be_pasted_again(address: str) -> None:
    with pytest.raises(WrongAddressError):
        code_in(address, "other")


@pytest.mark.parametrize("uri", ["https://[bad", "http://localhost:port/x", "http://localhost:99999/x"])
def test_redirect_uri_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(LoginError, match="redirect URI"):
        check_redirect_uri(uri)


def test_terminal_gets_no_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with typing_person(monkeypatch) as (console, type_in):
        console.say("Bakkerij \x1b]0;PWN\x07\x1b[2J\u009b1mDe Korenaar\n\tline\r")
        type_in("x\n")
        console.ask("Which \x1b[2J?")
    assert capsys.readouterr().out == "Bakkerij ]0;PWN[2J1mDe Korenaar\n\tline\nWhich [2J? "


def test_a_ctrl_c_just_before_the_wait_for_keys_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a signal ends no wait: Python raises its exception when the wait is over."""
    waits: list[float] = []

    def wait(_sources: object, _writable: object, _exceptional: object, seconds: float) -> tuple[list[int], ...]:
        waits.append(seconds)
        if len(waits) > 1:
            raise KeyboardInterrupt
        return [], [], []

    with typing_person(monkeypatch) as (console, _):
        monkeypatch.setattr(select, "select", wait)
        with pytest.raises(KeyboardInterrupt):
            console.ask("Which ones?")
    assert max(waits) <= 1


def test_a_ca_bundle_that_cannot_be_used_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    run, person = Run(tmp_path), Person()
    run.environment["REQUESTS_CA_BUNDLE"] = str(tmp_path / "company.pem")
    assert run(person, Endpoint()) == 1
    assert "company.pem" in person.text


def test_client_secret_is_no_option_as_others_see_a_command_line() -> None:
    parser = argparse.ArgumentParser()
    add_login_options(parser)
    assert "--client-secret" not in parser.format_help()
