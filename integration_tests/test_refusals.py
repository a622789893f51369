"""What Exact Online refuses or breaks is told in plain words, costs the least it can, and spoils nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from integration_tests.connector import Connector, Run, configured_catalog
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import ENDPOINTS, assert_same, by_key, parse_time

FEW = ["accounts", "journals", "cost_centers", "sales_invoices", "sales_invoice_lines"]


def assert_complete(run: Run, sandbox: Sandbox, *streams: str, divisions: list[int] | None = None) -> None:
    """Holds some streams of a run against the sandbox, and expects each to have ended well."""
    for stream in streams:
        assert_same(stream, by_key(stream, run.records(stream)), sandbox.expected(stream, divisions))
        assert run.statuses[stream] == "COMPLETE", run.explain()


SOME = ["accounts", "sales_invoices", "sales_invoice_lines", "transaction_lines"]
LONG_AGO = "2001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def read_before(sandbox: Sandbox) -> tuple[Connector, Run]:
    """A connection that has read some streams while it had all rights, and that run."""
    connector = sandbox.connection(divisions=sandbox.divisions, start_date=LONG_AGO)
    return connector, connector.read(configured_catalog(SOME))


# -- rights ------------------------------------------------------------------------------------------------------------


def test_a_missing_scope_names_the_scope_and_leaves_the_others_alone(clean: Sandbox) -> None:
    clean.deny("scope", scope="financial.costcenters")

    run = clean.connection().read(FEW, succeeds=False)

    assert run.exit_code == 1
    assert_complete(run, clean, *(stream for stream in FEW if stream != "cost_centers"))
    assert run.statuses["cost_centers"] == "INCOMPLETE"
    assert run.records("cost_centers") == []
    assert any("Financial costcenters: Read" in message for message in run.errors)
    assert any("Financial costcenters: Read" in line for line in run.warnings)
    assert set(run.failure_types) == {"config_error"}
    refused = [call for call in clean.calls("hrm/Costcenters") if call.status == 403]
    assert Counter(call.division for call in refused) == dict.fromkeys(clean.divisions, 1), "no refusal is repeated"


def test_a_stream_forbidden_in_one_division_is_read_in_the_other(clean: Sandbox) -> None:
    closed, open_ = clean.divisions
    clean.deny("module", path="hrm/Costcenters", division=closed)

    run = clean.connection().read(FEW)

    assert_complete(run, clean, "cost_centers", divisions=[open_])
    assert_complete(run, clean, *(stream for stream in FEW if stream != "cost_centers"))
    (warning,) = [line for line in run.warnings if "cost_centers" in line]
    assert str(closed) in warning
    assert "Financial costcenters" in warning
    assert run.errors == []


def test_a_stream_forbidden_everywhere_ends_incomplete(clean: Sandbox) -> None:
    clean.deny("module", path="hrm/Costcenters")

    run = clean.connection().read(FEW, succeeds=False)

    assert run.exit_code == 1
    assert_complete(run, clean, *(stream for stream in FEW if stream != "cost_centers"))
    assert run.statuses["cost_centers"] == "INCOMPLETE"
    assert any("cost_centers" in message for message in run.errors)


def test_a_refused_feed_of_two_streams_refuses_both(clean: Sandbox) -> None:
    clean.deny("scope", scope="sales.invoices")

    run = clean.connection().read(FEW, succeeds=False)

    assert {name for name, status in run.statuses.items() if status == "INCOMPLETE"} == {
        "sales_invoices",
        "sales_invoice_lines",
    }
    assert any("Sales invoices: Read" in message for message in run.errors)
    assert_complete(run, clean, "accounts", "journals", "cost_centers")


def test_a_division_that_was_not_ticked_is_not_read(clean: Sandbox) -> None:
    ticked, unticked = clean.divisions
    connector = clean.connection(login_divisions=[ticked])

    everything = connector.read(FEW)

    assert {record["Division"] for record in everything.records("accounts")} == {ticked}
    connector.config["divisions"] = [unticked]
    checked = connector.check()
    assert checked.exit_code != 0
    assert str(unticked) in checked.connection["message"]
    assert "consent" in checked.connection["message"]


@pytest.mark.parametrize(
    "denial",
    [
        pytest.param({"kind": "scope", "scope": "organization.administration"}, id="the scope of all three"),
        pytest.param({"kind": "module", "path": "sync/Deleted"}, id="the deletion log"),
        pytest.param({"kind": "module", "path": "system/Divisions"}, id="the list of divisions"),
        pytest.param({"kind": "module", "path": "read/sync/Sync/SyncTimestamp"}, id="the look-up of row versions"),
    ],
)
def test_rows_are_read_without_the_right_to_what_is_only_of_help(
    denial: dict[str, str], read_before: tuple[Connector, Run], clean: Sandbox
) -> None:
    connector, earlier = read_before
    clean.deny(**denial)
    for division in clean.divisions:
        row = clean.truth("crm/Accounts", division)[0]
        clean.update(division, "crm/Accounts", row["ID"], {"Remarks": str(denial)})
    catalog = configured_catalog(SOME)

    fresh = clean.connection(divisions=clean.divisions, start_date=LONG_AGO).read(catalog)
    later = connector.read(catalog, earlier.state)

    assert_complete(fresh, clean, *SOME)
    assert Counter(record.get("Remarks") for record in later.records("accounts")) == {str(denial): 2}
    concerned = fresh if "SyncTimestamp" in denial.get("path", "") else later
    assert concerned.warnings, concerned.explain()
    if denial["kind"] == "scope":
        assert any("Organization administration: Read" in line for line in later.warnings)


def test_a_user_who_is_blocked_hears_so_at_once(clean: Sandbox) -> None:
    connector = clean.connection()
    clean.deny("blocked", reason="BlockedUser")

    run = connector.read(FEW, succeeds=False)

    assert run.by_stream == {}
    assert any("blocked" in message for message in run.errors)
    assert len(clean.calls()) <= 2, "a refusal that concerns the login is not tried on every stream"


def test_an_empty_answer_for_lack_of_a_right_is_no_error(clean: Sandbox) -> None:
    clean.deny("empty", path="hrm/Costcenters")

    run = clean.connection().read(["cost_centers", "journals"])

    assert run.records("cost_centers") == []
    assert_complete(run, clean, "journals")


# -- queries -----------------------------------------------------------------------------------------------------------


REFUSED_COLUMNS = {
    "accounts": ("Name", None),
    "items": ("Notes", "Het veld 'Notes' kan niet worden geselecteerd."),
    "journals": ("Description", "Column Description cannot be selected"),
}
"""By stream, a column that is refused and the words: in English, in the user's language, without quotes."""


def test_a_column_that_exact_refuses_is_dropped_with_one_warning(clean: Sandbox) -> None:
    for stream, (column, text) in REFUSED_COLUMNS.items():
        clean.fault("refuse_column", path=ENDPOINTS[stream], column=column, text=text)

    run = clean.connection().read(configured_catalog(REFUSED_COLUMNS))

    for stream, (column, _) in REFUSED_COLUMNS.items():
        expected = clean.expected(stream)
        assert any(column in record for record in expected.values()), "the column has to matter"
        for record in expected.values():
            record.pop(column, None)
        assert_same(stream, by_key(stream, run.records(stream)), expected)
        path = ENDPOINTS[stream]
        assert len([line for line in run.warnings if column in line and path in line]) == 1, run.explain()
        refusals = Counter(call.division for call in clean.calls(path) if call.status == 400)
        assert refusals
        assert max(refusals.values()) == 1


# -- the quota of a minute -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short_minutes(start_sandbox: Any) -> Iterator[Sandbox]:
    """A sandbox whose minutes last three seconds and allow twenty calls."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "2", "--size", "300", "--minute-seconds", "3", "--minute-limit", "20", "--daily-limit", "100000"
    )
    sandbox.post("settings", page_sizes={"sync": 10, "standard": 10})
    yield sandbox
    sandbox.stop()


def refused(sandbox: Sandbox, status: int = 429) -> int:
    """Number of answers with a status."""
    return sum(call.status == status for call in sandbox.calls())


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


# -- the quota of a day --------------------------------------------------------------------------------------------------


def test_a_spent_day_stops_one_division_and_the_next_day_goes_on(start_sandbox: Any) -> None:
    sandbox: Sandbox = start_sandbox(
        "--divisions", "2", "--size", "600", "--minute-limit", "100000", "--daily-limit", "60"
    )
    spent, free = sandbox.divisions
    sandbox.post("settings", page_sizes={"sync": 20, "standard": 20})
    now = datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0)
    sandbox.post("clock", now=now.isoformat())
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


def test_calls_that_are_to_be_left_to_others_are_left(start_sandbox: Any) -> None:
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "600", "--minute-limit", "100000", "--daily-limit", "30"
    )
    sandbox.post("settings", page_sizes={"sync": 20, "standard": 20})

    run = sandbox.connection(daily_calls_reserve=10).read(["transaction_lines"], succeeds=False)

    assert run.statuses["transaction_lines"] == "INCOMPLETE"
    assert set(run.failure_types) == {"transient_error"}
    (used,) = sandbox.get("quota")["calls"]
    assert used["day"] == 20
    sandbox.stop()


# -- faults --------------------------------------------------------------------------------------------------------------


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


def test_an_access_token_that_dies_early_is_replaced(start_sandbox: Any) -> None:
    """With a life of eight seconds the next refresh is allowed soon."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "300", "--token-life", "8", "--minute-limit", "100000"
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


def test_a_long_read_outlives_its_access_tokens(start_sandbox: Any) -> None:
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "1500", "--token-life", "2", "--minute-limit", "100000", "--latency-ms", "100"
    )
    sandbox.post("settings", page_sizes={"sync": 30})

    run = sandbox.connection().read(["transaction_lines"])

    assert_complete(run, sandbox, "transaction_lines")
    assert len(run.controls) > 1
    assert refused(sandbox, 401) == 0
    assert all(call.status == 200 for call in sandbox.token_calls())
    sandbox.stop()


@pytest.mark.parametrize("options", [{"shuffled": True}, {"repeat_rows": 3}, {"empty_pages": 2}], ids=str)
def test_a_feed_may_behave_worse_than_expected(options: dict[str, Any], clean: Sandbox) -> None:
    """Order of rows, rows that come twice and pages without rows: none of it is ruled out by Exact's documentation."""
    clean.post("settings", feeds=options, page_sizes={"sync": 100})

    run = clean.connection().read(["transaction_lines", "sales_invoices", "sales_invoice_lines"])

    assert_complete(run, clean, "transaction_lines", "sales_invoices", "sales_invoice_lines")


def test_check_says_what_is_missing(clean: Sandbox) -> None:
    closed, _ = clean.divisions
    clean.deny("blocked", reason="DivisionBlocked", division=closed)

    run = Connector(clean.config(divisions=clean.divisions)).check()

    assert run.exit_code != 0
    assert run.connection["status"] == "FAILED"
    assert str(closed) in run.connection["message"]
    assert "exclude_divisions" in run.connection["message"]
