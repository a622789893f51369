"""Fixtures: a clock that waits for nobody and a scripted server in place of the network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from source_exact_online.api import client
from unit_tests.exact_fakes import FakeClock, ScriptedApi


@pytest.fixture
def clock() -> FakeClock:
    """Monday 3 March 2025, 09:00 UTC, 10:00 in Amsterdam."""
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    """The server at the other end of every session the client opens; unexpected requests fail the test."""
    server = ScriptedApi(clock)
    new_session = client.new_session

    def scripted_session(connections: int) -> requests.Session:
        session = new_session(connections)
        session.mount("https://", server)
        session.mount("http://", server)
        return session

    monkeypatch.setattr(client, "new_session", scripted_session)
    yield server
    assert server.unexpected == []
