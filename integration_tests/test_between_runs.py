"""What happens between two runs: settings change, divisions go, and the clock shows an hour twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import Record, Run, configured_catalog
from integration_tests.entity_rows import rows_of
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import ENDPOINTS, assert_same, by_key

DATED = ("transaction_lines", "accounts", "purchase_invoices", "purchase_invoice_lines")
"""A feed that SyncTimestamp knows, one that it does not, and two lists."""


def starts(sandbox: Sandbox, stream: str) -> tuple[dict[Any, Record], str, str]:
    """Records of a stream, and two moments between them: a third and two thirds of all moments are earlier."""
    everything = sandbox.expected(stream)
    moments = sorted({record["Modified"] for record in everything.values()})  # many may be of one moment
    early, late = moments[len(moments) // 3], moments[2 * len(moments) // 3]
    return everything, early.replace("+00:00", "Z"), late.replace("+00:00", "Z")


def since(records: dict[Any, Record], start: str) -> dict[Any, Record]:
    """Those modified at a start date or later."""
    return {key: one for key, one in records.items() if one["Modified"] >= start.replace("Z", "+00:00")}


@pytest.mark.parametrize("taken_away", [False, True], ids=["earlier", "taken away"])
@pytest.mark.parametrize("stream", DATED)
def test_an_earlier_start_date_loads_the_older_rows_and_says_so(stream: str, taken_away: bool, clean: Sandbox) -> None:
    everything, early, late = starts(clean, stream)
    connector = clean.connection(start_date=late)
    first = connector.read([stream])
    assert by_key(stream, first.records(stream)) == since(everything, late)
    if taken_away:
        del connector.config["start_date"]
    else:
        connector.config["start_date"] = early

    second = connector.read([stream], first.state)
    third = connector.read([stream], second.state)

    wanted = everything if taken_away else since(everything, early)
    assert len(wanted) > len(first.records(stream))
    assert_same(stream, by_key(stream, second.records(stream)), wanted)
    said = f"start_date is earlier than it was: reading {stream} again"
    assert sum(said in line for line in second.logs()) == 1
    assert not [line for line in third.logs() if said in line]
    assert len(third.records(stream)) < len(wanted), "once is enough"


def test_a_later_start_date_changes_nothing_that_was_loaded(clean: Sandbox) -> None:
    _, early, late = starts(clean, "purchase_invoices")
    connector = clean.connection(start_date=early, lookback_window_minutes=0)
    first = connector.read(["purchase_invoices"])
    connector.config["start_date"] = late

    second = connector.read(["purchase_invoices"], first.state)
    connector.config["start_date"] = early
    third = connector.read(["purchase_invoices"], second.state)

    for run in (second, third):
        assert len(run.records("purchase_invoices")) < len(first.records("purchase_invoices"))
        assert not [line for line in run.logs() if "start_date" in line]


def test_columns_that_are_ticked_later_are_told_once(clean: Sandbox) -> None:
    few = {"items": ["Code"], "journals": ["Description"], "cost_centers": ["Code"]}
    more = {"items": ["Code", "Description", "Notes"], "journals": ["Description", "Code"], "cost_centers": ["Code"]}
    connector = clean.connection()
    first = connector.read(configured_catalog(few, columns=few))

    second = connector.read(configured_catalog(more, columns=more), first.state)
    third = connector.read(configured_catalog(more, columns=more), second.state)

    assert first.warnings == third.warnings == []
    assert len(second.warnings) == 2
    (items,) = (line for line in second.warnings if " of items is new" in line)
    (journals,) = (line for line in second.warnings if " of journals is new" in line)
    assert {"Description", "Notes"} <= set(items.replace(",", "").split())
    assert journals.startswith("Code of journals")
    assert all("refreshed" in line for line in second.warnings)


def test_a_division_that_is_gone_is_named_at_each_run(clean: Sandbox) -> None:
    """The login consents to one division less; what was read of the other stays where it is."""
    stays, gone = clean.divisions
    connector = clean.connection()
    run = connector.read(["accounts", "journals"])
    connector.config["credentials"] = clean.login([stays])

    for _ in range(2):
        run = connector.read(["accounts", "journals"], run.state)
        (warning,) = run.warnings
        assert f"Division {gone} was read before" in warning
        assert "exclude_divisions" in warning
        assert run.statuses == {"accounts": "COMPLETE", "journals": "COMPLETE"}
    connector.config["exclude_divisions"] = [gone]
    assert connector.read(["accounts", "journals"], run.state).warnings == []


@pytest.mark.parametrize("stream", ["accounts", "transaction_lines"])
def test_a_row_deleted_after_a_full_refresh_becomes_a_tombstone_in_the_next_incremental_sync(
    stream: str, clean: Sandbox
) -> None:
    division = clean.divisions[0]
    connector = clean.connection()
    full = connector.read(configured_catalog([stream], "full_refresh"))
    entity = {"accounts": "crm/Accounts", "transaction_lines": "financialtransaction/TransactionLines"}[stream]
    row = rows_of(clean, stream, division)[0]
    clean.delete(division, entity, row["ID"])

    run = connector.read(configured_catalog([stream]), full.state)

    assert row["ID"] in {record["ID"] for record in full.records(stream)}
    assert row["ID"] in {record["ID"] for record in run.tombstones(stream)}
    found = by_key(stream, run.records(stream))
    assert_same(stream, found, clean.expected(stream))


# -- the hour that is shown twice --------------------------------------------------------------------------------------

FIRST_0220 = "2025-10-26T00:20:00+00:00"
"""The clock shows 02:20 in Amsterdam for the first time that night, and an hour later once more."""


@pytest.fixture
def october(start_sandbox: StartSandbox) -> Iterator[Sandbox]:
    """A sandbox in that hour."""
    sandbox = start_sandbox(
        "--divisions",
        "1",
        "--size",
        "tiny",
        "--now",
        FIRST_0220,
        "--minute-limit",
        MANY_CALLS,
        "--token-life",
        "100000",
    )
    yield sandbox
    sandbox.stop()


@pytest.mark.parametrize("stream", ["accounts", "journals"], ids=["feed", "list"])
def test_an_instant_of_the_repeated_hour_never_goes_back(stream: str, october: Sandbox) -> None:
    """A sync dies in that hour; the row comes again, changed or not, in the second hour and after it."""
    (division,) = october.divisions
    entity, name = {"accounts": ("crm/Accounts", "Name"), "journals": ("financial/Journals", "Description")}[stream]
    october.post("settings", page_sizes={"sync": 1, "standard": 1})
    connector = october.connection(divisions=[division], num_workers=1)
    keys = [row["ID"] for row in rows_of(october, stream, division)][:3]
    told: dict[str, list[str]] = {key: [] for key in keys}
    texts: dict[str, str] = {}
    state = None

    def change(*changed: str) -> None:
        for key in changed:
            october.update(division, entity, key, {name: october.now().isoformat()})

    def read(dies_after: int | None = None) -> Run:
        nonlocal state
        if dies_after is not None:
            october.fault("login_page", path=ENDPOINTS[stream], after=dies_after)
        run = connector.read([stream], state, succeeds=dies_after is None)
        october.delete_control("faults")
        for record in run.records(stream):
            if record["ID"] in told:
                told[record["ID"]].append(record["Modified"])
                if record["Modified"] == max(told[record["ID"]]):
                    texts[record["ID"]] = record[name]
        state = run.state or state
        return run

    change(*keys)  # 02:20, in summer time
    read(dies_after=len(rows_of(october, stream, division)) - 1)
    assert any(told.values())
    october.post("clock", advance=timedelta(minutes=50).total_seconds())
    change(keys[0])  # 02:10, in winter time
    read(dies_after=1 if stream == "accounts" else 0)
    october.post("clock", advance=timedelta(minutes=5).total_seconds())
    read()
    october.post("clock", advance=timedelta(hours=2).total_seconds())
    change(keys[1])  # 04:15
    state = None
    read()

    for moments in told.values():
        assert moments == sorted(moments)
    truth = {row["ID"]: row for row in rows_of(october, stream, division)}
    assert {key: truth[key][name] for key in keys} == texts
    assert datetime.fromisoformat(told[keys[0]][-1]) == datetime.fromisoformat(truth[keys[0]]["Modified"])
