"""Exactpy, from PyPI."""

import os

from exactpy.client import Client
from steps import consent, later, step

client = Client(
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    redirect_url=os.environ["REDIRECT_URI"],
    base_url=os.environ["BASE_URL"] + "/api",
    caching_enabled=False,
    verbose=False,
)
auth = client.auth_client


def login() -> str:
    auth.acquire_token(consent(auth.get_authorization_url()))
    client.set_initial_division()
    return f"division {client.division}"


def refresh() -> str:
    before = auth.token_info["access_token"]
    later(580)
    auth.refresh_token()
    assert auth.token_info["access_token"] != before
    return "a new access token"


def first_page() -> str:
    return f"{len(next(client.financial.gl_accounts.all_paged()))} general ledger accounts"


def all_pages() -> str:
    rows = client.financial.gl_accounts.all()
    assert len({row.id for row in rows}) == len(rows) > 60
    return f"{len(rows)} of them on {-(-len(rows) // 60)} pages"


def one() -> str:
    row = next(client.financial.gl_accounts.all_paged())[3]
    assert client.financial.gl_accounts.show(row.id).code == row.code
    return f"account {row.code.strip()}"


for name, work in (("login", login), ("refresh", refresh), ("list", first_page), ("page", all_pages), ("key", one)):
    step(name, work)
