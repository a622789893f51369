"""The sandbox as a process of its own: command line, TCP, control API."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from exact_online_sandbox.arguments import parser
from exact_online_sandbox.cli import build, main

PACKAGES = Path(__file__).parents[2] / "sandbox"


class Running:
    """A running sandbox."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self.url: str = ready["base_url"]
        self.division: int = ready["divisions"][0]
        self.session = requests.Session()
        self.headers: dict[str, str] = {}

    def log_in(self) -> None:
        access = self.control("POST", "login", {"access": True})["access_token"]
        self.headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}/api/v1/{path}", headers=self.headers, timeout=10)

    def control(self, method: str, path: str, body: object = None) -> Any:
        reply = self.session.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=10)
        assert reply.status_code == 200, reply.text
        return reply.json()


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "exact_online_sandbox", "--size", "tiny", "--divisions", "1", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PACKAGES)


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def answer(running: Running) -> requests.Response | None:
    """An answer; None where no connection is taken."""
    with contextlib.suppress(requests.ConnectionError):
        return running.get("current/Me")
    return None


def until_answered(running: Running) -> requests.Response:
    """Ask again and again until connections are taken."""
    deadline = time.monotonic() + 10
    found = answer(running)
    while found is None:
        assert time.monotonic() < deadline
        found = answer(running)
    return found


@pytest.fixture(scope="module")
def process() -> Iterator[Running]:
    started = start("--minute-limit", "100000", "--daily-limit", "100000", "--real-payloads")
    try:
        yield Running(first_line(started))
    finally:
        started.terminate()
        started.communicate(timeout=10)


@pytest.fixture
def running(process: Running) -> Running:
    for path in ("calls", "token-calls", "faults", "rights"):
        process.control("DELETE", path)
    process.control("POST", "quota/reset")
    process.log_in()
    return process


def test_ready_line_is_all_a_client_needs(process: Running) -> None:
    assert set(process.ready) == {
        "base_url", "client_id", "client_secret", "refresh_token", "redirect_uri", "divisions"
    }  # fmt: skip
    assert process.ready["divisions"][1:] == [102, 499156]


def test_token_of_the_ready_line_reads_pages_over_one_connection(running: Running) -> None:
    rows: list[dict[str, Any]] = []
    path = f"{running.division}/sync/Financial/TransactionLines?$top=1&$filter=Timestamp gt 1"
    following: str | None = f"{running.url}/api/v1/{path}"
    running.control("POST", "settings", {"page_sizes": {"sync": 7}})
    while following:
        reply = running.session.get(following, headers=running.headers, timeout=10)
        body = reply.json()["d"]
        rows += body["results"]
        following = body.get("__next")
    truth = running.control("GET", f"truth/{running.division}?endpoint=sync/Financial/TransactionLines")["rows"]
    assert sorted(row["ID"] for row in rows) == sorted(row["ID"] for row in truth)
    assert {row["ID"]: int(row["Timestamp"]) for row in rows} == {row["ID"]: row["Timestamp"] for row in truth}


def test_next_address_of_an_expanded_collection_works_as_it_is(running: Running) -> None:
    lines = {"division": running.division, "entity": "salesorder/SalesOrderOrderChargeLines"}
    order = running.control("GET", f"truth/{running.division}/salesorder/SalesOrders")["rows"][0]["OrderID"]
    running.control("POST", "rows/insert", {**lines, "rows": [{"OrderID": order}] * 5})
    running.control("POST", "settings", {"page_sizes": {"expanded": 2}})
    try:
        query = "$select=SalesOrderOrderChargeLines/ID&$expand=SalesOrderOrderChargeLines"
        path = f"{running.division}/salesorder/SalesOrders(guid'{order}')?{query}"
        page = running.get(path).json()["d"]["SalesOrderOrderChargeLines"]
        pages = [page["results"]]
        while "__next" in page:
            page = running.session.get(page["__next"], headers=running.headers, timeout=10).json()["d"]
            pages.append(page["results"])
    finally:
        running.control("POST", "settings", {"page_sizes": {"expanded": 0}})
    truth = running.control("GET", f"truth/{running.division}/{lines['entity']}")["rows"]
    assert [line["ID"] for found in pages for line in found] == [row["ID"] for row in truth if row["OrderID"] == order]
    assert [len(found) for found in pages[:2]] == [2, 2]
    assert len(pages[-1]) in (1, 2)


def test_rows_change_while_it_runs(running: Running) -> None:
    place = {"division": running.division, "entity": "crm/Accounts"}
    (row,) = running.control("POST", "rows/insert", {**place, "row": {"Name": "new"}})["rows"]
    changed = {**place, "key": row["ID"], "changes": {"Name": "newer"}}
    running.control("POST", "rows/update", changed)
    silent = {**changed, "changes": {"Name": "newest"}, "touch_modified": False}
    after = running.control("POST", "rows/update", silent)["row"]
    assert after["Name"] == "newest"
    listed = running.get(f"{running.division}/crm/Accounts(guid'{row['ID']}')?$select=Name").json()["d"]
    assert listed["Name"] == "newest"
    running.control("POST", "rows/delete", {**place, "key": row["ID"]})
    log = running.control("GET", f"truth/{running.division}/sync/Deleted")["rows"]
    assert log[-1]["EntityKey"] == row["ID"]
    moved = running.control("POST", "divisions/move", {"division": running.division})
    assert moved["DivisionMoveDate"]


def test_business_goes_on_on_request(running: Running) -> None:
    before = running.control("GET", f"truth/{running.division}/salesinvoice/SalesInvoices")["rows"]
    done = running.control("POST", "activity", {"division": running.division, "steps": 5})
    after = running.control("GET", f"truth/{running.division}/salesinvoice/SalesInvoices")["rows"]
    assert len(after) - len(before) == done["summary"]["salesinvoice/SalesInvoices"]["inserted"] == 1
    assert ["crm/Addresses", "deleted"] in [change[:2] for change in done["changes"]]


def test_raw_rows_load_with_their_own_versions(running: Running) -> None:
    rows = [{"ID": "11111111-0000-4000-8000-000000000001", "Timestamp": 2**61, "Modified": None}]
    place = {"division": running.division, "entity": "sync/CRM/Contacts"}
    assert running.control("POST", "rows/load", {**place, "rows": rows}) == {"loaded": 1}
    query = f"$filter=Timestamp ge {2**61}L&$select=ID,Timestamp,Modified"
    found = running.get(f"{running.division}/sync/CRM/Contacts?{query}")
    (row,) = found.json()["d"]["results"]
    assert (row["Timestamp"], row["Modified"]) == (str(2**61), None)


def test_log_of_calls_can_be_read_filtered_and_cleared(running: Running) -> None:
    running.get("current/Me")
    running.get(f"{running.division}/crm/Contacts?$select=ID")
    calls = running.control("GET", "calls")["calls"]
    assert [call["endpoint"] for call in calls] == ["current/Me", "crm/Contacts"]
    assert running.control("GET", "calls?endpoint=crm/Contacts")["calls"] == calls[1:]
    assert running.control("GET", f"calls?after={calls[0]['number']}")["calls"] == calls[1:]
    running.control("DELETE", "calls")
    assert running.control("GET", "calls")["calls"] == []


def test_connection_can_be_reset_closed_or_cut(running: Running) -> None:
    path = f"{running.division}/crm/Accounts?$filter=Blocked ne null"
    for kind in ("reset", "lost_answer", "truncated"):
        running.control("POST", "faults", {"kind": kind, "count": 1, "path": "crm/Accounts"})
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            running.get(path)
        assert running.get(path).status_code == 200
    faults = running.control("GET", "faults")["faults"]
    assert [fault["hits"] for fault in faults] == [1, 1, 1]
    assert [call["status"] for call in running.control("GET", "calls")["calls"]] == [None, 200, None, 200, 200, 200]


def test_a_body_drips_byte_by_byte(running: Running) -> None:
    whole = running.get("current/Me").content
    running.control("POST", "faults", {"kind": "drip", "seconds": 0.001, "count": 1, "path": "current/Me"})
    reply = running.session.get(f"{running.url}/api/v1/current/Me", headers=running.headers, timeout=10, stream=True)
    began = time.monotonic()
    pieces = list(reply.raw.stream(100_000, decode_content=False))
    assert time.monotonic() - began > 0.0005 * len(whole)
    assert len(b"".join(pieces)) == int(reply.headers["Content-Length"]) == len(whole)
    (call,) = running.control("GET", "calls")["calls"][1:]
    assert call["fault"] == "drip"
    assert reply.elapsed.total_seconds() < 0.001 * len(whole), "the headers come at once"


def test_the_port_refuses_connections_for_a_while(running: Running) -> None:
    running.control("POST", "faults", {"kind": "refused", "seconds": 0.5, "count": 1, "path": "current/Me"})
    with pytest.raises(requests.ConnectionError):
        running.get("current/Me")
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(running.url, timeout=10)
    assert until_answered(running).status_code == 200


def test_faults_and_denials_can_be_there_from_the_start(tmp_path: Path) -> None:
    faults = [{"kind": "firewall", "path": "crm/*"}, {"kind": "status", "status": 418, "path": "hrm/*"}]
    (tmp_path / "faults.json").write_text(json.dumps(faults))
    denial = {"kind": "blocked", "reason": "LicenseExpired", "path": "project/*"}
    options = ["--fault", f"@{tmp_path}/faults.json", "--fault", '{"kind": "login_page", "path": "vat/*"}']
    started = start(*options, "--deny", json.dumps(denial))
    try:
        running = Running(first_line(started))
        running.log_in()
        replies = [
            running.get(f"{running.division}/{path}") for path in ("crm/Contacts", "hrm/Costunits", "vat/VATCodes")
        ]
        expired = running.get(f"{running.division}/project/Projects")
    finally:
        started.terminate()
        started.communicate(timeout=10)
    assert [reply.status_code for reply in replies] == [403, 418, 200]
    assert "Login" in replies[2].text
    assert (expired.status_code, expired.headers["Reason"]) == (403, "LicenseExpired")


def test_clock_rules_dates_and_tokens(running: Running) -> None:
    try:
        running.control("POST", "clock", {"now": "2030-01-01T00:00:00Z", "freeze": True})
        running.log_in()
        reply = running.get("current/Me")
        assert reply.headers["Date"] == "Tue, 01 Jan 2030 00:00:00 GMT"
        running.control("POST", "clock", {"advance": 600})
        assert running.get("current/Me").status_code == 401
    finally:
        running.control("POST", "clock", {"freeze": False})


def test_mistakes_in_control_calls_are_explained(running: Running) -> None:
    for path, body, status in (
        ("rows/insert", {"division": running.division, "entity": "crm/Accounts", "row": {"Nome": "x"}}, 400),
        ("rows/insert", {"division": 1, "entity": "crm/Accounts", "row": {}}, 404),
        ("rows/insert", {"division": running.division, "entity": "crm/Nothing", "row": {}}, 404),
        ("rows/delete", {"division": running.division, "entity": "crm/Accounts"}, 404),
        ("faults", {"kind": "magic"}, 400),
        ("activity", {"division": running.division, "steps": 1_000_000_000}, 400),
        ("activity", {"division": running.division, "steps": -1}, 400),
        ("activity", {"division": running.division, "steps": "5"}, 400),
        ("clock", {"advance": 1e300}, 400),
        ("clock", {"advance": -1e11}, 400),
        ("row-version", {"division": running.division, "above": 10**30}, 400),
        ("settings", {"latency": 5}, 400),
        ("settings", {"quota": {"minute_limit": "many"}}, 400),
        ("rights", {"kind": "magic"}, 400),
        ("login", {"client_id": "nobody"}, 404),
    ):
        reply = requests.post(f"{running.url}/sandbox/{path}", json=body, timeout=10)
        assert reply.status_code == status, (path, reply.text)
        assert reply.json()["error"]
    assert requests.get(f"{running.url}/sandbox/truth/{running.division}/crm/Nothing", timeout=10).status_code == 404


def test_parallel_calls_are_counted_exactly(running: Running) -> None:
    running.control("POST", "settings", {"quota": {"minute_seconds": 86_400, "minute_limit": 25}})
    try:
        running.control("POST", "quota/reset")
        with ThreadPoolExecutor(8) as pool:
            path = f"{running.url}/api/v1/{running.division}/crm/Contacts"
            replies = list(
                pool.map(lambda _: requests.get(path, headers=running.headers, timeout=10).status_code, range(40))
            )
    finally:
        running.control("POST", "settings", {"quota": {"minute_seconds": 60, "minute_limit": 100_000}})
    assert (replies.count(200), replies.count(429)) == (25, 15)


def test_parallel_refreshes_have_one_winner(running: Running) -> None:
    login = running.control("POST", "login", {"user": "kim"})
    form = {**{k: login[k] for k in ("client_id", "client_secret", "refresh_token")}, "grant_type": "refresh_token"}
    barrier = threading.Barrier(6)

    def refresh(_: int) -> int:
        barrier.wait()
        return requests.post(f"{running.url}/api/oauth2/token", data=form, timeout=10).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(refresh, range(6)))
    assert statuses == [200] + [401] * 5
    assert len(running.control("GET", "token-calls")["calls"]) == 6


def test_control_can_be_switched_off_and_the_ready_file_holds_the_line(tmp_path: Path) -> None:
    started = start("--no-control", "--ready-file", str(tmp_path / "ready.json"))
    try:
        ready = first_line(started)
        assert json.loads((tmp_path / "ready.json").read_text()) == ready
        assert requests.get(f"{ready['base_url']}/sandbox", timeout=10).status_code == 404
    finally:
        started.terminate()
        _, stderr = started.communicate(timeout=10)
    assert stderr == ""


def test_it_serves_over_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    started = start("--tls", "--connector-config", str(tmp_path / "config.json"))
    try:
        ready = first_line(started)
        running = Running(ready)
        running.session.trust_env = False  # a bundle named there would go first
        running.session.verify = ready["certificate"]
        running.log_in()
        rows = running.get(f"{running.division}/crm/Contacts?$select=ID").json()["d"]["results"]
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(running.url, timeout=10)
        running.control("POST", "faults", {"kind": "refused", "seconds": 0.1, "count": 1})
        with pytest.raises(requests.ConnectionError):
            running.get("current/Me")
        until_answered(running)
        config = json.loads((tmp_path / "config.json").read_text())
    finally:
        started.terminate()
        started.communicate(timeout=10)
    assert running.url.startswith("https://127.0.0.1:")
    assert rows[0]["__metadata"]["uri"].startswith(running.url)
    assert not Path(ready["certificate"]).exists(), "it is thrown away at the end"
    credentials = {name: ready[name] for name in ("client_id", "client_secret", "refresh_token")}
    assert config == {"site": "nl", "base_url": running.url, "credentials": credentials}
    assert (tmp_path / "config.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--size", "gigantic"], "size must be one of"),
        (["--port", "99999999"], "is no port"),
        (["--host", "203.0.113.1"], "exact-online-sandbox:"),
        (["--now", "yesterday"], "no ISO 8601"),
        (["--zone", "Mars/Olympus"], "is no time zone"),
        (["--fault", '{"kind": "magic"}'], "a fault has a kind out of"),
        (["--fault", "[1]"], "takes an object or a list"),
        (["--fault", "@/no/such/file"], "No such file"),
        (["--deny", '{"kind": "blocked", "reason": "Mood"}'], "a denial's reason is one of"),
    ],
)
def test_mistakes_on_the_command_line_end_with_one_sentence(
    options: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--divisions", "1", *options])
    message = str(caught.value) + capsys.readouterr().err
    assert text in message
    assert "Traceback" not in message


def test_help_explains_every_option() -> None:
    actions = [a for a in parser()._actions if a.option_strings]
    assert all(action.help for action in actions)
    assert "examples:" in parser().format_help()


def test_login_works_in_a_browser_like_session(running: Running) -> None:
    browser = requests.Session()
    fields = {
        "client_id": running.ready["client_id"],
        "redirect_uri": "http://127.0.0.1:9/callback",
        "response_type": "code",
        "state": "xyz",
        "force_login": "1",
    }
    assert "Log in" in browser.get(f"{running.url}/api/oauth2/auth", params=fields, timeout=10).text
    credentials = {"sandbox_user": "lee", "sandbox_password": "x"}
    page = browser.post(f"{running.url}/api/oauth2/login", data={**fields, **credentials}, timeout=10)
    assert f'value="{running.division}"' in page.text
    decision = {"decision": "allow", "division": running.division}
    reply = browser.post(
        f"{running.url}/api/oauth2/consent", data={**fields, **decision}, timeout=10, allow_redirects=False
    )
    location = reply.headers["Location"]
    assert location.startswith("http://127.0.0.1:9/callback?code=")
    assert "%21" in location
    code = parse_qs(urlsplit(location).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": fields["redirect_uri"],
        "client_id": running.ready["client_id"],
        "client_secret": running.ready["client_secret"],
    }
    token = requests.post(f"{running.url}/api/oauth2/token", data=form, timeout=10).json()
    me = requests.get(
        f"{running.url}/api/v1/current/Me",
        headers={"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json"},
        timeout=10,
    )
    assert me.json()["d"]["results"][0]["UserName"] == "lee"
    secrets = running.control("GET", "secrets")
    assert token["refresh_token"] in secrets["refresh_tokens"]
    assert token["access_token"] in secrets["access_tokens"]
    assert secrets["client_secrets"] == [running.ready["client_secret"]]


def test_a_database_file_is_served_again_as_it_was(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        started = start("--db", str(tmp_path / "books.sqlite"))
        try:
            running = Running(first_line(started))
            running.log_in()
            seen.append(running.control("GET", f"truth/{running.division}/crm/Accounts")["rows"])
        finally:
            started.terminate()
            started.communicate(timeout=10)
    assert seen[0] == seen[1] != []


def test_the_same_moment_gives_the_same_books() -> None:
    arguments = ["--divisions", "1", "--size", "tiny", "--now", "2026-09-30T15:00:00Z"]
    one, other = (build(parser().parse_args(arguments)) for _ in range(2))
    (division,) = one.store.division_codes()

    for entity in ("financialtransaction/TransactionLines", "crm/Accounts", "sync/Cashflow/PaymentTerms"):
        assert list(one.store.rows(division, entity)) == list(other.store.rows(division, entity))


def test_settings_may_be_given_at_the_start() -> None:
    box = build(parser().parse_args(["--divisions", "0", "--set", "figures.age_from_due_date=true"]))

    assert box.settings.figures.age_from_due_date
    with pytest.raises(ValueError, match="unknown setting"):
        build(parser().parse_args(["--divisions", "0", "--set", "figures.nothing=true"]))
