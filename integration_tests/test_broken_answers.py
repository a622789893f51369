"""Answers that break, tokens that die and feeds that behave badly cost no row."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import configured_catalog
from integration_tests.run_checks import assert_complete
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import ENDPOINTS, assert_same, by_key, parse_time

PASSING_FAULTS = {
    "accounts": "gateway_fault",
    "contacts": "maintenance",
    "addresses": "request_timeout",
    "items": "gateway_timeout",
    "sales_order_lines": "reset",
    "transaction_lines": "truncated",
    "gl_accounts": "half_body",
    "gl_classifications": "empty_body",
    "journals": "not_json",
    "financial_periods": "null_d",
    "cost_centers": "error_200",
    "purchase_invoices": "lost_answer",
}
"""By stream, the fault that its first page has once."""


def test_faults_that_pass_cost_no_row(clean: Sandbox) -> None:
    for stream, kind in PASSING_FAULTS.items():
        clean.fault(kind, path=ENDPOINTS[stream], count=1)

    run = clean.connection().read(configured_catalog(PASSING_FAULTS))

    assert Counter(call.fault for call in clean.calls() if call.fault) == dict.fromkeys(PASSING_FAULTS.values(), 1)
    assert_complete(run, clean, *PASSING_FAULTS)


def test_faults_that_stay_end_their_streams_and_leave_the_others_alone(clean: Sandbox) -> None:
    """Given up after some attempts, with a transient error; what had been read stays read, the next run goes on."""
    division = clean.divisions[0]
    clean.post("settings", page_sizes={"sync": 50})
    clean.fault("maintenance", path="sync/CRM/Addresses", after=2)
    clean.fault("null_d", path="financial/Journals")
    connector = clean.connection(divisions=[division])

    run = connector.read(["addresses", "journals", "accounts"], succeeds=False)

    assert run.exit_code == 1
    assert run.statuses == {"addresses": "INCOMPLETE", "journals": "INCOMPLETE", "accounts": "COMPLETE"}
    assert set(run.failure_types) == {"transient_error"}
    assert run.records("journals") == []
    for path in ("sync/CRM/Addresses", "financial/Journals"):
        assert 2 <= sum(call.fault is not None for call in clean.calls(path)) <= 10
    clean.delete_control("faults")
    rest = connector.read(["addresses", "journals"], run.state)
    found = by_key("addresses", [*run.records("addresses"), *rest.records("addresses")])
    assert_same("addresses", found, clean.expected("addresses", [division]))
    assert 0 < len(rest.records("addresses")) < len(found)
    assert_complete(rest, clean, "journals", divisions=[division])


def test_an_access_token_that_dies_early_is_replaced(start_sandbox: StartSandbox) -> None:
    """With a life of four seconds the next refresh is allowed soon."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "300", "--token-life", "4", "--minute-limit", "100000"
    )
    connector = sandbox.connection()
    connector.check()
    sandbox.post("tokens/expire")

    run = connector.read(["accounts", "journals"])

    assert_complete(run, sandbox, "accounts", "journals")
    assert len(run.controls) == 1
    expiry = parse_time(connector.config["credentials"]["token_expiry_date"])
    assert abs((expiry - datetime.now(timezone.utc)).total_seconds()) < 30
    sandbox.stop()


def test_a_long_read_outlives_its_access_tokens(start_sandbox: StartSandbox) -> None:
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "1500", "--token-life", "2", "--minute-limit", "100000", "--latency-ms", "100"
    )
    sandbox.post("settings", page_sizes={"sync": 30})

    run = sandbox.connection().read(["transaction_lines"])

    assert_complete(run, sandbox, "transaction_lines")
    assert len(run.controls) > 1
    assert [call for call in sandbox.calls() if call.status == 401] == []
    assert all(call.status == 200 for call in sandbox.token_calls())
    sandbox.stop()


@pytest.mark.parametrize("options", [{"shuffled": True}, {"repeat_rows": 3}, {"empty_pages": 2}], ids=str)
def test_a_feed_may_behave_worse_than_expected(options: dict[str, Any], clean: Sandbox) -> None:
    """Order of rows, rows that come twice and pages without rows: none of it is ruled out by Exact's documentation."""
    clean.post("settings", feeds=options, page_sizes={"sync": 100})

    run = clean.connection().read(["transaction_lines", "sales_invoices", "sales_invoice_lines"])

    assert_complete(run, clean, "transaction_lines", "sales_invoices", "sales_invoice_lines")
