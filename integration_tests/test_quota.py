"""Calls are rationed by the minute and by the day: both are waited for, and neither costs a row."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import configured_catalog
from integration_tests.run_checks import assert_complete
from integration_tests.sandbox_client import Sandbox, noon
from integration_tests.truth import ENDPOINTS, assert_same, by_key


def refused(sandbox: Sandbox, status: int = 429) -> int:
    """Number of answers with a status."""
    return sum(call.status == status for call in sandbox.calls())


@pytest.fixture(scope="module")
def short_minutes(start_sandbox: StartSandbox) -> Iterator[Sandbox]:
    """A sandbox whose minutes last three seconds and allow twenty calls."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "2", "--size", "300", "--minute-seconds", "3", "--minute-limit", "20", "--daily-limit", "100000"
    )
    sandbox.post("settings", page_sizes={"sync": 10, "standard": 10})
    yield sandbox
    sandbox.stop()


def test_alone_on_its_quota_the_connector_is_never_refused(short_minutes: Sandbox) -> None:
    short_minutes.forget_calls()
    streams = ["transaction_lines", "accounts", "journals"]

    run = short_minutes.connection().read(configured_catalog(streams))

    calls = Counter(call.division for call in short_minutes.calls())
    assert max(calls.values()) > 30, "the quota of one minute must not be enough"
    assert refused(short_minutes) == 0
    assert_complete(run, short_minutes, *streams)


@pytest.mark.parametrize("kind", ["rate_limit_minute", "rate_limit_bare"])
def test_a_refusal_for_the_minute_is_waited_out(kind: str, short_minutes: Sandbox) -> None:
    """Another process of the same app may have spent the calls. Without headers the wait is a guess."""
    short_minutes.forget_calls()
    if kind == "rate_limit_bare":
        short_minutes.post("settings", quota={"minute_seconds": 1})
    short_minutes.fault(kind, path="sync/CRM/Accounts", count=1, after=2)
    began = time.monotonic()
    try:
        run = short_minutes.connection().read(["accounts"])
    finally:
        short_minutes.post("settings", quota={"minute_seconds": 3})
        short_minutes.post("quota/reset")

    assert refused(short_minutes) == 1
    assert_complete(run, short_minutes, "accounts")
    assert time.monotonic() - began < 90


def test_calls_spent_by_another_process_are_respected(short_minutes: Sandbox) -> None:
    short_minutes.forget_calls()
    connector = short_minutes.connection()
    connector.check()
    for division in short_minutes.divisions:
        short_minutes.post("quota/use", division=division, minute=19)

    run = connector.read(["transaction_lines"])

    assert refused(short_minutes) <= len(short_minutes.divisions)
    assert_complete(run, short_minutes, "transaction_lines")


def test_a_spent_day_stops_one_division_and_the_next_day_goes_on(start_sandbox: StartSandbox) -> None:
    sandbox: Sandbox = start_sandbox(
        *("--divisions", "2", "--size", "600", "--minute-limit", "100000", "--daily-limit", "60", "--now", noon())
    )
    spent, free = sandbox.divisions
    sandbox.post("settings", page_sizes={"sync": 20, "standard": 20})
    sandbox.post("quota/use", division=spent, day=40)
    streams = ["transaction_lines", "accounts"]
    connector = sandbox.connection()

    today = connector.read(configured_catalog(streams), succeeds=False)

    assert today.exit_code == 1
    assert today.statuses["transaction_lines"] == "INCOMPLETE"
    assert set(today.failure_types) == {"transient_error"}
    assert any(str(spent) in message and "00:00 UTC" in message for message in today.errors), today.errors
    read = [record for record in today.records("transaction_lines") if record["Division"] == free]
    assert_same("transaction_lines", by_key("transaction_lines", read), sandbox.expected("transaction_lines", [free]))
    assert refused(sandbox) == 0
    pages = Counter(call.division for call in sandbox.calls(ENDPOINTS["transaction_lines"]))
    assert 0 < pages[spent] < pages[free]

    sandbox.post("clock", advance=13 * 3600)
    connector.config["credentials"].update(sandbox.login())
    for name in ("access_token", "token_expiry_date"):
        connector.config["credentials"].pop(name)
    sandbox.forget_calls()
    tomorrow = connector.read(configured_catalog(streams), today.state)

    for stream in streams:
        found = by_key(stream, [*today.records(stream), *tomorrow.records(stream)])
        assert_same(stream, found, sandbox.expected(stream))
    resumed = Counter(call.division for call in sandbox.calls(ENDPOINTS["transaction_lines"]))
    assert resumed[spent] < pages[free], "it goes on rather than starting again"
    sandbox.stop()


def test_calls_that_are_to_be_left_to_others_are_left(start_sandbox: StartSandbox) -> None:
    sandbox: Sandbox = start_sandbox(
        *("--divisions", "1", "--size", "600", "--minute-limit", "100000", "--daily-limit", "30", "--now", noon())
    )
    sandbox.post("settings", page_sizes={"sync": 20, "standard": 20})

    run = sandbox.connection(daily_calls_reserve=10).read(["transaction_lines"], succeeds=False)

    assert run.statuses["transaction_lines"] == "INCOMPLETE"
    assert set(run.failure_types) == {"transient_error"}
    (used,) = sandbox.get("quota")["calls"]
    assert used["day"] == 20
    sandbox.stop()
