"""The browser's part of OAuth2: log in, consent, redirect. And the token endpoint over HTTP."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode

import orjson

from exact_online_sandbox.clock import http_date
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.faults import Asked, Fault
from exact_online_sandbox.faulty import instead, spoil
from exact_online_sandbox.http import HTML, JSON_TYPE, Answer, Request
from exact_online_sandbox.oauth import App, OAuthError
from exact_online_sandbox.pages import consent_page, login_page, message_page
from exact_online_sandbox.sandbox import DEFAULT_USER, Sandbox

AUTHORIZE, LOGIN, CONSENT, TOKEN = ("/api/oauth2/auth", "/api/oauth2/login", "/api/oauth2/consent", "/api/oauth2/token")
_FIELDS = ("client_id", "redirect_uri", "response_type", "state")
_COOKIE = "ExactOnlineSession"


class Authorization:
    """The OAuth endpoints of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._box = sandbox
        self._sessions: dict[str, str] = {}

    def handle(self, request: Request, form: Sequence[tuple[str, str]] = ()) -> Answer:
        """Answer a request to /api/oauth2/….

        Args:
            request: the request.
            form: posted fields, repeated ones included.
        """
        box = self._box
        now = box.clock.now_ms()
        asked = Asked(
            path=request.path.removeprefix("/api/"),
            uri=request.origin + request.path,
            now_ms=now,
            wall_ms=box.store.wall.to_wall_ms(now),
        )
        faults = box.faults.take(asked)
        answer = self._instead(faults, asked)
        if answer is None:
            answer = (
                self._limited(request, self._grant(request)) if request.path == TOKEN else self._page(request, form)
            )
        for fault in faults:
            answer = spoil(fault, answer, asked)
        if request.path == TOKEN:
            self._log(request, answer, faults)
        answer.headers.append(("Date", http_date(now)))
        return answer

    @staticmethod
    def _instead(faults: Sequence[Fault], asked: Asked) -> Answer | None:
        for fault in faults:
            found = instead(fault, asked)
            if found is not None:
                return (
                    Answer(found.status, headers=list(found.headers.items())) if isinstance(found, ApiError) else found
                )
        return None

    def _log(self, request: Request, answer: Answer, faults: Sequence[Fault]) -> None:
        now = self._box.clock.now().isoformat(timespec="milliseconds")
        call = self._box.token_calls.open(now, request.method, request.path, request.query)
        call.endpoint, call.client_id = "oauth2/token", request.form.get("client_id")
        call.status, call.error = answer.sent_status, answer.error
        for fault in faults:
            call.fault = fault.kind

    def _page(self, request: Request, form: Sequence[tuple[str, str]]) -> Answer:
        if request.path == AUTHORIZE and request.method == "GET":
            return self._begin(dict(parse_qsl(request.query, keep_blank_values=True)), request)
        if request.path == LOGIN and request.method == "POST":
            return self._login(dict(form))
        if request.path == CONSENT and request.method == "POST":
            return self._consent(form, request)
        return Answer(404, message_page("Not found", "There is nothing here."), HTML)

    def _begin(self, fields: dict[str, str], request: Request) -> Answer:
        refusal = self._refusal(fields)
        if refusal is not None:
            return refusal
        user = self._sessions.get(_cookie(request))
        if user is None or fields.get("force_login", "0") == "1":
            return Answer(200, login_page(_kept(fields), DEFAULT_USER), HTML)
        return self._ask(fields, user)

    def _login(self, fields: dict[str, str]) -> Answer:
        refusal = self._refusal(fields)
        if refusal is not None:
            return refusal
        user = fields.get("sandbox_user", "").strip()
        if not user or not fields.get("sandbox_password"):
            return Answer(200, login_page(_kept(fields), user, "Give a user name and a password."), HTML)
        session = secrets.token_urlsafe(16)
        self._sessions[session] = user
        answer = self._ask(fields, user)
        answer.headers.append(("Set-Cookie", f"{_COOKIE}={session}; path=/; HttpOnly; SameSite=Lax"))
        return answer

    def _ask(self, fields: dict[str, str], user: str) -> Answer:
        store, allowed = self._box.store, self._box.oauth.user(user).divisions
        divisions = [
            (code, str(store.division(code)["Description"] or ""))
            for code in store.division_codes()
            if allowed is None or code in allowed
        ]
        return Answer(200, consent_page(_kept(fields), self._app(fields).name, user, divisions), HTML)

    def _consent(self, form: Sequence[tuple[str, str]], request: Request) -> Answer:
        fields = dict(form)
        refusal = self._refusal(fields)
        if refusal is not None:
            return refusal
        user = self._sessions.get(_cookie(request))
        if user is None:
            return Answer(200, login_page(_kept(fields), DEFAULT_USER), HTML)
        divisions = [int(value) for name, value in form if name == "division" and value.isdigit()]
        if fields.get("decision") != "allow":
            return _redirect(fields, {"error": "access_denied"})
        oauth, client_id = self._box.oauth, fields["client_id"]
        if fields.get("response_type") == "token":
            answer = {
                "access_token": oauth.implicit(client_id, user, divisions),
                "token_type": "Bearer",
                "expires_in": f"{self._box.settings.tokens.life_seconds:g}",
            }
            return _redirect(fields, answer, mark="#")
        return _redirect(fields, {"code": oauth.authorize(client_id, user, divisions, fields["redirect_uri"])})

    def _refusal(self, fields: dict[str, str]) -> Answer | None:
        """Refuse an authorization request that must not lead to a redirect. The wording is the sandbox's own."""
        app = self._box.oauth.apps.get(fields.get("client_id", ""))
        if app is None:
            return Answer(400, message_page("Unknown app", "The client_id is not registered."), HTML)
        if not app.accepts(fields.get("redirect_uri", "")):
            text = "The redirect_uri does not match the one registered for this app."
            return Answer(400, message_page("Wrong redirect", text), HTML)
        if fields.get("response_type") not in ("code", "token"):
            return Answer(400, message_page("Wrong request", "The response_type must be code or token."), HTML)
        if not app.approved:
            text = "This app is not approved yet. Its maker has to ask Exact for permission first."
            return Answer(403, message_page("Permission needed", text), HTML)
        return None

    def _app(self, fields: dict[str, str]) -> App:
        return self._box.oauth.apps[fields["client_id"]]

    def _grant(self, request: Request) -> Answer:
        if request.method != "POST":
            return Answer(405, headers=[("Allow", "POST")])
        try:
            return Answer(200, orjson.dumps(self._box.oauth.token(_credentials(request))), JSON_TYPE)
        except OAuthError as error:
            body = orjson.dumps({"error": error.error, "error_description": error.description})
            headers = [("Reason", error.reason)] if error.reason else []
            return Answer(error.status, body, JSON_TYPE, headers, error=error.description)

    def _limited(self, request: Request, answer: Answer) -> Answer:
        """Errors of the token endpoint count for the hourly error limit too (picqer #475)."""
        limit, client = self._box.error_limit, _credentials(request).get("client_id", "")
        try:
            limit.check(client, "oauth2/token")
            limit.record(answer.status, client, "oauth2/token", None, "oauth2/token")
        except ApiError as error:
            return Answer(error.status)
        return answer


def _kept(fields: dict[str, str]) -> dict[str, str]:
    return {name: fields[name] for name in _FIELDS if name in fields}


def _credentials(request: Request) -> dict[str, str]:
    """The form of a token call, with the client's id and secret from HTTP's basic authentication where it lacks them.

    That is the other way of RFC 6749 to send them. Exact's documentation does not name it; clients in use take it.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return dict(request.form)
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return dict(request.form)
    return {"client_id": unquote(client_id), "client_secret": unquote(secret), **request.form}


def _cookie(request: Request) -> str:
    for part in request.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == _COOKIE:
            return value
    return ""


def _redirect(fields: dict[str, str], answer: dict[str, str], mark: str = "?") -> Answer:
    if "state" in fields:
        answer["state"] = fields["state"]
    uri = fields["redirect_uri"]
    if mark == "?" and "?" in uri:
        mark = "&"
    return Answer(302, b"", HTML, [("Location", f"{uri}{mark}{urlencode(answer, quote_via=quote)}")])
