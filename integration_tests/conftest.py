"""Sandboxes and connections for the tests that run the connector's console script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration_tests.outputs import OUTPUTS
from integration_tests.sandbox_client import Sandbox

StartSandbox = Callable[..., Sandbox]

MANY_CALLS = "1000000"
"""A limit of calls that no test reaches: tests of one run share the app, and a minute's 60 calls are soon spent."""


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_any_output() -> Iterator[None]:
    """When all tests are done and the sandboxes have told their secrets, none of these is in anything a run wrote."""
    yield
    leaks = OUTPUTS.leaks()
    assert leaks == [], f"secrets in {len(leaks)} lines, the first: {leaks[:5]}"


@pytest.fixture(scope="session")
def start_sandbox(no_secret_in_any_output: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSandbox]:
    """Starts sandboxes with options of their own; ends them when all tests are done."""
    started: list[Sandbox] = []
    folder: Path = tmp_path_factory.mktemp("sandboxes")

    def start(*options: str) -> Sandbox:
        started.append(Sandbox.start(folder, *options))
        return started[-1]

    yield start
    for sandbox in started:
        sandbox.stop()


@pytest.fixture(scope="session")
def shared_sandbox(start_sandbox: StartSandbox) -> Sandbox:
    """One sandbox with a Dutch and a British administration for all tests that need no options."""
    return start_sandbox(
        "--divisions", "2", "--size", "small", "--minute-limit", MANY_CALLS, "--daily-limit", MANY_CALLS
    )


@pytest.fixture(scope="module")
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """The shared sandbox, left by earlier modules without faults and denials."""
    shared_sandbox.clear()
    return shared_sandbox


@pytest.fixture
def clean(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared sandbox for a test that makes it misbehave or counts its calls; put right again afterwards."""
    sandbox.clear()
    yield sandbox
    sandbox.clear()
