"""The control API is for programs on this machine, not for web pages that look for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.server import Server

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(box: Sandbox) -> Iterator[Server]:
    """A sandbox that listens on a port of the loopback address."""
    with Server(box) as serving:
        yield serving


def status(server: Server, method: str = "POST", body: str = "{}", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{server.port}/sandbox/{'secrets' if method == 'GET' else 'faults'}"
    data = '{"kind": "slow"}' if method == "POST" and body == "{}" else body
    return requests.request(method, url, data=data or None, headers=named, timeout=10).status_code


@pytest.mark.parametrize("name", ["127.0.0.1:{}", "localhost:{}", "[::1]:{}", "LOCALHOST:{}"])
def test_loopback_names_with_the_port_are_let_through(server: Server, name: str) -> None:
    assert status(server, Host=name.format(server.port), **JSON) == 200
    assert status(server, "GET", "", Host=name.format(server.port)) == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example:{}",
        "127.0.0.1.evil.example:{}",
        "localhost",
        "127.0.0.1:1",
        "localhost:{}x",
        "0.0.0.0:{}",
        "a@localhost:{}/",
        "",
    ],
)
def test_other_names_are_refused(box: Sandbox, server: Server, name: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert status(server, method, Host=name.format(server.port), **JSON) == 403
    assert box.faults.describe() == []


def test_the_api_itself_takes_any_name(server: Server) -> None:
    reply = requests.get(f"{server.base_url}/api/v1/current/Me", headers={"Host": "start.exactonline.nl"}, timeout=10)
    assert reply.status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "https://127.0.0.1:{}"])
def test_web_pages_are_refused(box: Sandbox, server: Server, origin: str) -> None:
    for method in ("POST", "DELETE", "GET"):
        assert status(server, method, Origin=origin.format(server.port), **JSON) == 403
    assert box.faults.describe() == []


def test_a_page_of_the_sandbox_itself_is_let_through(server: Server) -> None:
    assert status(server, Origin=f"http://127.0.0.1:{server.port}", **JSON) == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_bodies_of_other_types_are_refused(box: Sandbox, server: Server, kind: str) -> None:
    assert status(server, Content_Type=kind) == 415
    assert box.faults.describe() == []


def test_a_type_may_name_its_charset_and_no_body_needs_none(server: Server) -> None:
    assert status(server, Content_Type="Application/JSON; charset=utf-8") == 200
    assert requests.post(f"{server.base_url}/sandbox/quota/reset", timeout=10).status_code == 200
