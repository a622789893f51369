"""What Exact Online forbids is told in plain words, costs one call, and spoils nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from integration_tests.connector import Connector, Run, configured_catalog
from integration_tests.run_checks import assert_complete
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import ENDPOINTS, assert_same, by_key

FEW = ["accounts", "journals", "cost_centers", "sales_invoices", "sales_invoice_lines"]

SOME = ["accounts", "sales_invoices", "sales_invoice_lines", "transaction_lines"]
LONG_AGO = "2001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def read_before(sandbox: Sandbox) -> tuple[Connector, Run]:
    """A connection that has read some streams while it had all rights, and that run."""
    connector = sandbox.connection(divisions=sandbox.divisions, start_date=LONG_AGO)
    return connector, connector.read(configured_catalog(SOME))


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


def test_check_says_what_is_missing(clean: Sandbox) -> None:
    closed, _ = clean.divisions
    clean.deny("blocked", reason="DivisionBlocked", division=closed)

    run = Connector(clean.config(divisions=clean.divisions)).check()

    assert run.exit_code != 0
    assert run.connection["status"] == "FAILED"
    assert str(closed) in run.connection["message"]
    assert "exclude_divisions" in run.connection["message"]
