"""The browser's way through login and consent."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from exact_online_sandbox.authorize import Authorization
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.sandbox import Sandbox

FIELDS = {
    "client_id": "app",
    "redirect_uri": "https://app.example.com/callback",
    "response_type": "code",
    "state": "s t/ate",
}


class Browser:
    """Keeps the session cookie, as a browser does."""

    def __init__(self, box: Sandbox) -> None:
        self._authorization = Authorization(box)
        self._cookie = ""

    def get(self, **fields: str) -> Answer:
        return self._send(Request("GET", "/api/oauth2/auth", urlencode({**FIELDS, **fields}), self._headers()), [])

    def post(self, path: str, form: list[tuple[str, str]]) -> Answer:
        return self._send(Request("POST", path, headers=self._headers()), [*FIELDS.items(), *form])

    def log_in(self) -> Answer:
        return self.post("/api/oauth2/login", [("sandbox_user", "kim"), ("sandbox_password", "x")])

    def consent(self, decision: str, *divisions: int) -> Answer:
        form = [("decision", decision), *(("division", str(code)) for code in divisions)]
        return self.post("/api/oauth2/consent", form)

    def _headers(self) -> dict[str, str]:
        return {"cookie": self._cookie}

    def _send(self, request: Request, form: list[tuple[str, str]]) -> Answer:
        answer = self._authorization.handle(request, form)
        for name, value in answer.headers:
            if name == "Set-Cookie":
                self._cookie = value.partition(";")[0]
        return answer


@pytest.fixture
def browser(box: Sandbox) -> Browser:
    return Browser(box)


def location(answer: Answer) -> tuple[str, dict[str, str]]:
    parts = urlsplit(dict(answer.headers)["Location"])
    query = {name: values[0] for name, values in parse_qs(parts.query or parts.fragment).items()}
    return f"{parts.scheme}://{parts.netloc}{parts.path}", query


def test_login_then_consent_leads_back_with_code_and_state(browser: Browser, box: Sandbox) -> None:
    assert b'name="sandbox_password"' in browser.get().body
    page = browser.log_in()
    assert b'value="123"' in page.body
    assert b'value="456"' in page.body
    answer = browser.consent("allow", 456)
    assert answer.status == 302
    target, query = location(answer)
    assert target == FIELDS["redirect_uri"]
    assert query["state"] == FIELDS["state"]
    form = {
        "grant_type": "authorization_code",
        "code": query["code"],
        "redirect_uri": FIELDS["redirect_uri"],
        "client_id": "app",
        "client_secret": "secret",
    }
    access = box.oauth.token(form)["access_token"]
    identity = box.oauth.identify(f"Bearer {access}")
    assert (identity.user.name, identity.divisions) == ("kim", frozenset({456}))


def test_denied_consent_leads_back_with_an_error(browser: Browser) -> None:
    browser.log_in()
    assert location(browser.consent("deny"))[1] == {"error": "access_denied", "state": FIELDS["state"]}


def test_session_skips_the_login_unless_forced(browser: Browser) -> None:
    browser.log_in()
    assert b"Grant access" in browser.get().body
    assert b"Log in" in browser.get(force_login="1").body


def test_implicit_grant_gives_a_token_in_the_fragment(browser: Browser) -> None:
    browser.log_in()
    answer = browser.post(
        "/api/oauth2/consent", [("response_type", "token"), ("decision", "allow"), ("division", "123")]
    )
    assert "#access_token=" in dict(answer.headers)["Location"]


def test_an_app_may_name_itself_by_basic_authentication(box: Sandbox) -> None:
    refresh_token = box.oauth.login("app", "sam", [123]).refresh_token
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}

    def ask(credentials: str) -> int:
        headers = {"authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
        return Authorization(box).handle(Request("POST", "/api/oauth2/token", headers=headers, form=form)).status

    assert ask("app:wrong") == 400
    assert ask("app:secret") == 200


@pytest.mark.parametrize("uri", ["http://localhost:8123/callback", "http://127.0.0.1:9/", "https://localhost:8080/cb"])
def test_loopback_redirects_work_at_any_port(browser: Browser, uri: str) -> None:
    assert browser.get(redirect_uri=uri).status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"client_id": "unknown"}, 400),
        ({"redirect_uri": "https://evil.example.com/"}, 400),
        ({"redirect_uri": "http://localhost.evil.example.com/"}, 400),
        ({"response_type": "magic"}, 400),
    ],
)
def test_bad_request_shows_a_page_and_never_redirects(browser: Browser, fields: dict[str, str], status: int) -> None:
    answer = browser.get(**fields)
    assert answer.status == status
    assert "Location" not in dict(answer.headers)


def test_app_that_is_not_approved_is_refused(browser: Browser, box: Sandbox) -> None:
    box.oauth.apps["app"].approved = False
    assert browser.get().status == 403


def test_wrong_form_is_shown_again(browser: Browser) -> None:
    answer = browser.post("/api/oauth2/login", [("sandbox_user", "<kim>"), ("sandbox_password", "")])
    assert b"&lt;kim&gt;" in answer.body
    assert b"<kim>" not in answer.body


def test_consent_without_login_asks_for_the_login(browser: Browser) -> None:
    assert b"Log in" in browser.consent("allow", 123).body
