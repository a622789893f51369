"""Pages of the login: who are you, and which divisions may the app read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#222}"
    "input[type=text],input[type=password]{display:block;width:100%;padding:.5rem;margin:.25rem 0 1rem}"
    "button{font:inherit;padding:.5rem 1.5rem;margin-right:.5rem}label{display:block}"
    ".note{color:#666;font-size:.9rem}.error{color:#b00020}"
)


def _page(title: str, body: str) -> bytes:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}"
        '<p class="note">This is a sandbox. It is not Exact Online.</p></body></html>'
    ).encode()


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )


def login_page(fields: Mapping[str, str], user: str, error: str | None = None) -> bytes:
    """The form for user name and password; any password will do.

    Args:
        fields: the parameters of the authorization request, carried along.
        user: user name to begin with.
        error: a message to show.
    """
    note = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return _page(
        "Log in",
        f'{note}<form method="post" action="/api/oauth2/login">{_hidden(fields)}'
        f'<label>User name<input type="text" name="sandbox_user" value="{escape(user)}" autocomplete="username">'
        '</label><label>Password<input type="password" name="sandbox_password" autocomplete="current-password">'
        '</label><button type="submit" id="login">Log in</button></form>',
    )


def consent_page(fields: Mapping[str, str], app: str, user: str, divisions: Iterable[tuple[int, str]]) -> bytes:
    """The form that asks whether the app may have access, and to which divisions."""
    boxes = "".join(
        f'<label><input type="checkbox" name="division" value="{code}" checked> {code} {escape(name)}</label>'
        for code, name in divisions
    )
    return _page(
        "Grant access",
        f"<p><strong>{escape(app)}</strong> asks for access to the data of <strong>{escape(user)}</strong>.</p>"
        f'<form method="post" action="/api/oauth2/consent">{_hidden(fields)}<fieldset><legend>Divisions</legend>'
        f'{boxes}</fieldset><p><button type="submit" name="decision" value="allow" id="allow">Allow</button>'
        '<button type="submit" name="decision" value="deny" id="deny">Deny</button></p></form>',
    )


def html(title: str, body: str) -> bytes:
    """A bare page, as machines in front of the site send them."""
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>".encode()


def message_page(title: str, text: str) -> bytes:
    """A page with one message."""
    return _page(title, f"<p>{escape(text)}</p>")
