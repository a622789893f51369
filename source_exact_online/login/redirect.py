"""The way to Exact Online's consent page and back: the address to open, and the one the browser ends at."""

from __future__ import annotations

import socket
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from source_exact_online.sites import is_loopback

_AUTHORIZE_PATH = "/api/oauth2/auth"

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
    parts = urlsplit(redirect_uri)
    if not parts.hostname or parts.fragment or (parts.scheme != "https" and not _listens(redirect_uri)):
        raise LoginError(
            "The redirect URI must be the https address that is registered for the app in the App Centre, to the "
            "letter (or a loopback address such as http://localhost:8080/callback, if Exact accepted it)."
        )


def _listens(redirect_uri: str) -> bool:
    """Return whether this program can receive the redirect itself: plain http to this machine."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and is_loopback(parts.hostname)


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
    query = urlsplit(text).query or text.partition("?")[2] or text
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    if "error" in fields:
        words = fields.get("error_description", fields["error"])
        raise LoginError(_REFUSALS.get(fields["error"], f"Exact Online refused the login: {words}."))
    if "code" not in fields:
        raise WrongAddressError(_no_code(text))
    if fields.get("state") != state:
        raise WrongAddressError(
            "This address is not from this login: its state is missing or another one. Open the address above in the "
            "browser once more, and paste the whole address it ends at, all of it from https:// on."
        )
    code = fields["code"].replace(" ", "+")
    return unquote(code) if "%" in code else code


def _no_code(text: str) -> str:
    host = urlsplit(text).hostname or ""
    if host.startswith("start.exactonline."):
        return (
            "This is an address of Exact Online itself. Log in there and grant access; the browser then goes to the "
            "redirect URI (a page that may well show an error). That page's address is the one to paste."
        )
    return "There is no code in it. Paste the whole address that the browser ended at, with everything after the ?."


class RedirectListener(HTTPServer):
    """Receives the browser at a loopback redirect URI. To be polled: `receive` when `fileno` can be read.

    Args:
        redirect_uri: ``http`` and loopback.

    Raises:
        OSError: the port is taken or not allowed.
    """

    def __init__(self, redirect_uri: str) -> None:
        parts = urlsplit(redirect_uri)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "127.0.0.1"
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.path = parts.path or "/"
        self.received: str | None = None
        super().__init__((host, parts.port or 80), _RedirectHandler)

    def receive(self) -> str | None:
        """Answer one request; return its address if it was the redirect, None if it was something else."""
        self.received = None
        self.handle_request()
        return self.received

    @classmethod
    def open(cls, redirect_uri: str) -> RedirectListener | None:
        """Return a listener; None where the redirect does not lead to this program or the port is taken."""
        if not _listens(redirect_uri):
            return None
        try:
            return cls(redirect_uri)
        except OSError:
            return None


class _RedirectHandler(BaseHTTPRequestHandler):
    server: RedirectListener
    timeout = 2.0  # browsers open connections ahead that never send anything

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        mine = parts.path == self.server.path and bool(parts.query)
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
