"""What a run costs: calls are the scarce good, 60 a minute and 5,000 a day for each division."""

from __future__ import annotations

import math
import os
from collections import Counter

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import configured_catalog
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import CORE, ENDPOINTS, MIXED

PAGE = 1000
"""Rows on a page of a sync feed."""


def cost(sandbox: Sandbox) -> int:
    """Calls since the logs were last cleared, those for tokens included."""
    return len(sandbox.calls()) + len(sandbox.token_calls())


def test_a_run_without_changes_costs_a_call_per_stream_and_division(clean: Sandbox) -> None:
    """At most S x D + D + 3: the listings, the deletion log of each division, and token, user and divisions."""
    streams, divisions = len(CORE), len(clean.divisions)
    connector = clean.connection()
    first = connector.read(configured_catalog(CORE))
    # An hour later the access token has died, so that the refresh counts as well.
    connector.config["credentials"].update(clean.login())
    for name in ("access_token", "token_expiry_date"):
        connector.config["credentials"].pop(name)
    clean.forget_calls()

    run = connector.read(configured_catalog(CORE), first.state)

    assert run.exit_code == 0
    assert cost(clean) <= streams * divisions + divisions + 3, Counter(call.endpoint for call in clean.calls())
    assert len(clean.token_calls()) == 1


def test_a_first_read_costs_a_call_per_page_and_three_more(start_sandbox: StartSandbox) -> None:
    count = int(os.environ.get("TRANSACTION_LINES", "20000"))
    sandbox: Sandbox = start_sandbox("--divisions", "1", "--size", str(count), "--minute-limit", "1000000")
    lines = sandbox.get(f"counts/{sandbox.divisions[0]}")["rows"]["financialtransaction/TransactionLines"]
    connector = sandbox.connection()

    run = connector.read(["transaction_lines"])

    assert lines >= 0.9 * count
    assert run.counts["transaction_lines"] == lines
    assert cost(sandbox) <= math.ceil(lines / PAGE) + 3
    sandbox.stop()


@pytest.mark.parametrize("endpoint", MIXED)
@pytest.mark.parametrize("sync_mode", ["incremental", "full_refresh"])
def test_a_feed_that_holds_two_streams_is_asked_for_once(endpoint: str, sync_mode: str, clean: Sandbox) -> None:
    run = clean.connection().read(configured_catalog(MIXED[endpoint], sync_mode))

    pages = Counter((call.division, call.options.get("$skiptoken")) for call in clean.calls(endpoint))
    assert set(pages.values()) == {1}
    assert {division for division, _ in pages} == set(clean.divisions)
    assert all(run.counts[stream] for stream in MIXED[endpoint])


@pytest.mark.parametrize("shown", [False, True], ids=["for tombstones", "as a stream too"])
def test_the_deletion_log_is_read_once_however_many_streams_use_it(shown: bool, clean: Sandbox) -> None:
    streams = ["accounts", "contacts", "items", "transaction_lines", "sales_invoices", "sales_invoice_lines"]
    streams += ["deleted"] * shown
    connector = clean.connection()
    first = connector.read(configured_catalog(streams))
    assert len(clean.calls("sync/Deleted")) == shown * len(clean.divisions), "a first read needs no tombstones"
    clean.forget_calls()

    run = connector.read(configured_catalog(streams), first.state)

    assert run.exit_code == 0
    assert Counter(call.division for call in clean.calls("sync/Deleted")) == dict.fromkeys(clean.divisions, 1)


def test_commands_in_a_row_share_one_access_token(clean: Sandbox) -> None:
    connector = clean.connection()

    checked = connector.check()
    discovered = connector.discover()
    read = connector.read(["journals"])

    assert [len(run.controls) for run in (checked, discovered, read)] == [1, 0, 0]
    assert len(clean.token_calls()) == 1


def test_discover_calls_nobody(clean: Sandbox) -> None:
    assert clean.connection().discover().exit_code == 0

    assert cost(clean) == 0


def test_check_costs_a_handful_of_calls(clean: Sandbox) -> None:
    assert clean.connection().check().exit_code == 0

    assert cost(clean) <= 3 + len(clean.divisions)


@pytest.mark.parametrize("workers", [1, 10])
def test_pages_of_one_listing_are_asked_for_one_after_the_other(workers: int, clean: Sandbox) -> None:
    """Exact warns of duplicates and gaps otherwise. The listing's log is in order, and so are its tokens."""
    clean.post("settings", page_sizes={"sync": 100}, latency_ms=20)

    run = clean.connection(num_workers=workers).read(["transaction_lines", "accounts", "items"])

    for division in clean.divisions:
        versions = [
            int(call.options.get("$skiptoken", "0L").rstrip("L"))
            for call in clean.calls(ENDPOINTS["transaction_lines"])
            if call.division == division
        ]
        assert len(versions) > 10
        assert versions == sorted(set(versions))
    assert run.counts["transaction_lines"] == len(clean.expected("transaction_lines"))


def test_only_configured_divisions_are_called(clean: Sandbox) -> None:
    wanted = clean.divisions[1]

    clean.connection(divisions=[wanted]).read(["accounts", "divisions"])

    assert {call.division for call in clean.calls()} <= {wanted, None}
