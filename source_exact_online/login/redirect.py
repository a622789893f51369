"""The way to Exact Online's consent page and back: the address to open, and the one the browser ends at."""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

from source_exact_online.sites import is_loopback

_AUTHORIZE_PATH = "/api/oauth2/auth"

REQUEST_SECONDS = 2.0
"""Seconds in all that a request of the browser may take."""

_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>source-exact-online</title>'
    "<body style='font:16px sans-serif;margin:3em'><p>{}</p></body></html>"
)

_REFUSALS = {
    "access_denied": "Access was not granted on Exact Online's consent page. If the page never offered to grant it, "
    "the app is not approved yet: its owner has to request permission from Exact in the App Centre first.",
    "unauthorized_client": "Exact Online does not let this app log in. An app that is not approved yet needs "
    "permission first: its owner requests it in the App Centre. An app of another country site is not known here.",
}


class LoginError(Exception):
    """The login cannot go on; the text tells a person why and what to do."""


class WrongAddressError(LoginError):
    """What was pasted is not the address the browser ended at; it may be pasted again."""


def consent_url(base_url: str, client_id: str, redirect_uri: str, state: str, force_login: bool) -> str:
    """Return the address to open in a browser.

    Args:
        base_url: of the site.
        client_id: of the app.
        redirect_uri: exactly as registered.
        state: random text that comes back with the code.
        force_login: whether Exact asks for user and password even if the browser is logged in.
    """
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "force_login": "1" if force_login else "0",
        "state": state,
    }
    return f"{base_url}{_AUTHORIZE_PATH}?{urlencode(query)}"


def check_redirect_uri(redirect_uri: str) -> None:
    """Refuse what Exact cannot have registered.

    Raises:
        LoginError: it is neither an https address nor a loopback one.
    """
    parts = _split(redirect_uri)
    if parts is None or not parts.hostname or parts.fragment or (parts.scheme != "https" and not listens(redirect_uri)):
        raise LoginError(
            "The redirect URI must be the https address that is registered for the app in the App Centre, to the "
            "letter (or a loopback address such as http://localhost:8080/callback, if Exact accepted it)."
        )


def listens(redirect_uri: str) -> bool:
    """Return whether this program can receive the redirect itself: plain http to this machine."""
    parts = _split(redirect_uri)
    return parts is not None and parts.scheme == "http" and is_loopback(parts.hostname)


def _is_taken(redirect_uri: str) -> bool:
    """Return whether another program listens where a browser looks for localhost first, and this one does not."""
    parts = urlsplit(redirect_uri)
    if parts.hostname != "localhost":
        return False
    try:
        with socket.create_connection(("::1", parts.port or 80), REQUEST_SECONDS):
            return True
    except OSError:
        return False


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where it is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it makes no sense
    except ValueError:
        return None
    return parts


def code_in(address: str, state: str) -> str:
    """Return the code in the address that the browser ended at.

    Args:
        address: as pasted or as received; with or without what precedes its query.
        state: what was sent with the consent address.

    Returns:
        The code, URL-decoded: Exact's codes have a ``!`` in them that travels as ``%21``.

    Raises:
        WrongAddressError: it is not that address, or not of this login.
        LoginError: Exact sent back a refusal.
    """
    text = "".join(address.split()).strip("\"'<>")
    fields = _fields(text)
    if not fields.keys() & {"code", "error"}:
        raise WrongAddressError(_no_code(text))
    if not _is_state(fields, state):
        raise WrongAddressError(
            "This address is not from this login: its state is missing or another one. Open the address above in the "
            "browser once more, and paste the whole address it ends at, all of it from https:// on."
        )
    if "error" in fields:
        words = fields.get("error_description", fields["error"])
        raise LoginError(_REFUSALS.get(fields["error"], f"Exact Online refused the login: {words}."))
    code = fields["code"].replace(" ", "+")
    return unquote(code) if "%" in code else code


def _fields(address: str) -> dict[str, str]:
    """Return the fields in the query of an address, with or without what precedes it."""
    parts = _split(address)
    query = (parts.query if parts is not None else "") or address.partition("?")[2] or address
    return {name: values[0] for name, values in parse_qs(query).items()}


def _is_state(fields: Mapping[str, str], state: str) -> bool:
    """Return whether the state came back as it was sent; how long that takes does not tell how much of it is right."""
    return hmac.compare_digest(fields.get("state", "").encode(errors="replace"), state.encode())


def _no_code(text: str) -> str:
    parts = _split(text)
    host = (parts.hostname if parts is not None else None) or ""
    if host.startswith("start.exactonline."):
        return (
            "This is an address of Exact Online itself. Log in there and grant access; the browser then goes to the "
            "redirect URI (a page that may well show an error). That page's address is the one to paste."
        )
    return "There is no code in it. Paste the whole address that the browser ended at, with everything after the ?."


class RedirectListener(HTTPServer):
    """Receives the browser at a loopback redirect URI. To be polled: `receive` when `fileno` can be read.

    Requests that do not bring the state of this login are answered with 404 and otherwise ignored: any page in the
    browser, and any program on this machine, can send them.

    Args:
        redirect_uri: ``http`` and loopback.
        state: what was sent with the consent address.

    Raises:
        OSError: the port is taken or not allowed.
    """

    timeout = 1.0  # of accepting a connection that is gone by then

    def __init__(self, redirect_uri: str, state: str) -> None:
        parts = urlsplit(redirect_uri)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "127.0.0.1"
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.path = parts.path or "/"
        self.state = state
        self.received: str | None = None
        super().__init__((host, parts.port or 80), _RedirectHandler)

    def receive(self) -> str | None:
        """Answer one request; return its address if it was the redirect, None if it was something else."""
        self.received = None
        self.handle_request()
        return self.received

    @classmethod
    def open(cls, redirect_uri: str, state: str) -> RedirectListener | None:
        """Return a listener; None where the redirect does not lead to this program or the port is taken."""
        if not listens(redirect_uri) or _is_taken(redirect_uri):
            return None
        try:
            return cls(redirect_uri, state)
        except OSError:
            return None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that broke."""


class _RedirectHandler(BaseHTTPRequestHandler):
    server: RedirectListener

    def setup(self) -> None:
        """Give the request some seconds in all: browsers open connections ahead that never send anything."""
        self._deadline = threading.Timer(REQUEST_SECONDS, self._hang_up)
        self._deadline.daemon = True
        self._deadline.start()
        super().setup()

    def finish(self) -> None:
        """End the request."""
        self._deadline.cancel()
        super().finish()

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        fields = _fields(f"?{query}")
        mine = path == self.server.path and bool(fields.keys() & {"code", "error"})
        mine = mine and _is_state(fields, self.server.state)
        if mine:
            self.server.received = self.path
        text = "Received. Go back to the terminal." if mine else "Nothing is here."
        body = _PAGE.format(escape(text)).encode()
        self.send_response(200 if mine else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the request line holds the code."""
