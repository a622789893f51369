"""A sandbox in memory with a stopped clock, and a client that calls it without a network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.store import Store
from unit_tests.sandbox.server_caller import DIVISION, NOW, OTHER_DIVISION, Caller


@pytest.fixture
def store() -> Iterator[Store]:
    """A store with two divisions and no rows."""
    made = Store()
    made.add_division(DIVISION, {"Description": "Dutch", "Hid": 1, "Customer": "00000000-0000-0000-0000-00000000000a"})
    made.add_division(
        OTHER_DIVISION, {"Description": "British", "Hid": 2, "Customer": "00000000-0000-0000-0000-00000000000b"}
    )
    yield made
    made.close()


@pytest.fixture
def box(store: Store) -> Sandbox:
    """A sandbox whose clock stands still at NOW, with one app and high limits."""
    clock = Clock(NOW)
    clock.freeze()
    clock.set(NOW)
    made = Sandbox(store, clock)
    made.settings.quota.minute_limit = 10_000
    made.settings.quota.daily_limit = 100_000
    made.register("app", "secret", ["https://app.example.com/callback"])
    return made


@pytest.fixture
def caller(box: Sandbox) -> Caller:
    """A caller who is logged in and may read both divisions."""
    chain = box.oauth.login("app", "sam", [DIVISION, OTHER_DIVISION])
    form = {
        "grant_type": "refresh_token",
        "refresh_token": chain.refresh_token,
        "client_id": "app",
        "client_secret": "secret",
    }
    return Caller(box, box.oauth.token(form)["access_token"])
