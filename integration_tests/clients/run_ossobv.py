"""Exactonline of OSSO B.V., from its repository."""

import io
import os
from urllib.parse import parse_qs, urlsplit

from exactonline.api import ExactApi
from exactonline.resource import GET
from exactonline.storage.ini import IniStorage
from steps import consent, later, step

BASE = os.environ["BASE_URL"]
storage = IniStorage(
    io.StringIO(
        f"[server]\nauth_url = {BASE}/api/oauth2/auth\nrest_url = {BASE}/api\ntoken_url = {BASE}/api/oauth2/token\n"
        f"[application]\nbase_url = {os.environ['REDIRECT_URI']}\nclient_id = {os.environ['CLIENT_ID']}\n"
        f"client_secret = {os.environ['CLIENT_SECRET']}\n[transient]\n"
    ),
    interpolation=None,
)
api = ExactApi(storage=storage)


def login() -> str:
    answer = consent(api.create_auth_request_url())
    api.request_token(parse_qs(urlsplit(answer).query)["code"][0])
    choices, current = api.get_divisions()
    api.set_division(current)
    return f"division {current} of {len(choices)}"


def refresh() -> str:
    before = storage.get_access_token()
    later(580)
    api.refresh_token()
    assert storage.get_access_token() != before
    return "a new access token"


def first_page() -> str:
    return f"{len(api.ledgeraccounts.filter(top=60))} general ledger accounts"


def all_pages() -> str:
    rows = api.ledgeraccounts.all()
    assert len({row["ID"] for row in rows}) == len(rows) > 60
    return f"{len(rows)} of them on {-(-len(rows) // 60)} pages"


def one() -> str:
    row = api.ledgeraccounts.filter(top=3)[2]
    (found,) = api.restv1(GET(f"financial/GLAccounts?$select=Code&$filter=ID+eq+guid'{row['ID']}'"))
    assert found["Code"] == row["Code"]
    return f"account {row['Code'].strip()}"


for name, work in (("login", login), ("refresh", refresh), ("list", first_page), ("page", all_pages), ("key", one)):
    step(name, work)
