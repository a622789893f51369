"""Fixtures: a clock that waits for nobody and a scripted server in place of the network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets
from hypothesis import HealthCheck, settings

from unit_tests.exact_fakes import ScriptedApi
from unit_tests.fake_clock import FakeClock

# A slow or busy machine is no failure.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> None:
    """What one test has masked, such as a code that is called "two", is a word like others in the next."""
    update_secrets([])


@pytest.fixture
def clock() -> FakeClock:
    """Monday 3 March 2025, 09:00 UTC, 10:00 in Amsterdam."""
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    """The server at the other end of every session the client opens; unexpected requests fail the test."""
    server = ScriptedApi(clock)
    server.take_the_place_of_the_network(monkeypatch)
    yield server
    assert server.unexpected == []
