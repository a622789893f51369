"""Order charge lines, which have neither `Modified` nor a feed: found through their changed headers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import Run, configured_catalog
from integration_tests.sandbox_client import Sandbox, noon

STREAM = "sales_order_order_charge_lines"
LINES = "salesorder/SalesOrderOrderChargeLines"
HEADERS = "salesorder/SalesOrders"
PAGE = 60
"""Rows on a page of a standard endpoint."""


@pytest.fixture(scope="module")
def sandbox(start_sandbox: StartSandbox) -> Sandbox:
    """A sandbox at noon: in the hour that ends summer time what changed within the hour is rightly read again."""
    limits = ("--minute-limit", MANY_CALLS, "--daily-limit", MANY_CALLS)
    return start_sandbox("--divisions", "1", "--size", "small", *limits, "--now", noon())


def keys(run: Run) -> set[str]:
    return {record["ID"] for record in run.records(STREAM)}


def read(sandbox: Sandbox, before: Run | None = None) -> Run:
    """Read one division, without what other tests changed a moment ago."""
    connection = sandbox.connection(divisions=sandbox.divisions[:1], lookback_window_minutes=0)
    run = connection.read(configured_catalog([STREAM]), before and before.state)
    assert run.exit_code == 0
    return run


def change_lines(sandbox: Sandbox, lines: list[dict[str, Any]]) -> None:
    for number, line in enumerate(lines):
        sandbox.update(sandbox.divisions[0], LINES, line["ID"], {"OrderChargesLineDescription": f"changed {number}"})


def test_what_was_changed_added_and_left_alone(clean: Sandbox) -> None:
    division = clean.divisions[0]
    first = read(clean)
    lines = clean.truth(LINES, division)
    changed, untouched = lines[0], next(one for one in lines if one["OrderID"] != lines[0]["OrderID"])
    change_lines(clean, [changed])
    added = clean.insert(division, LINES, {"OrderID": changed["OrderID"], "AmountDC": 12.5})

    second = read(clean, first)
    third = read(clean, second)

    assert keys(first) == {line["ID"] for line in lines}
    siblings = {line["ID"] for line in lines if line["OrderID"] == changed["OrderID"]}
    assert keys(second) == {*siblings, added["ID"]}
    assert untouched["ID"] not in keys(second)
    (record,) = (one for one in second.records(STREAM) if one["ID"] == changed["ID"])
    assert record["OrderChargesLineDescription"] == "changed 0"
    assert keys(third) == keys(second), "what bears the cursor itself may come again, and nothing else does"


def test_they_cost_a_call_per_page_of_changed_headers(clean: Sandbox) -> None:
    """More calls, and less than one per header: pages of sixty headers with their lines."""
    first = read(clean)
    lines = clean.truth(LINES, clean.divisions[0])
    change_lines(clean, lines)
    clean.forget_calls()

    second = read(clean, first)

    headers = len({line["OrderID"] for line in lines})
    assert keys(second) == {line["ID"] for line in lines}
    assert len(clean.calls(HEADERS)) == math.ceil(headers / PAGE)
    assert clean.calls(LINES) == []


@pytest.mark.parametrize("kind", ["refuse_expand", "ignore_expand", "some lines only"])
def test_all_are_read_where_headers_do_not_show_them(kind: str, clean: Sandbox) -> None:
    first = read(clean)
    lines = clean.truth(LINES, clean.divisions[0])
    changed = lines[0]
    change_lines(clean, [changed])
    clean.forget_calls()
    if kind == "some lines only":
        clean.insert(clean.divisions[0], LINES, {"OrderID": changed["OrderID"], "AmountDC": 12.5})
        clean.post("settings", page_sizes={"expanded": 1})
    else:
        clean.fault(kind, path=HEADERS)

    second = read(clean, first)
    calls = clean.calls()
    clean.clear()
    third = read(clean, second)

    lines = clean.truth(LINES, clean.divisions[0])
    assert keys(second) == {line["ID"] for line in lines}
    (warning,) = second.warnings
    assert HEADERS in warning
    assert LINES in warning
    assert sum(call.endpoint == HEADERS for call in calls) == 1
    assert sum(call.endpoint == LINES for call in calls) == math.ceil(len(lines) / PAGE)
    again = {one["OrderID"] for one in third.records(STREAM)}
    assert again <= {changed["OrderID"]}, "the whole list counts as far as it was read: to the second"
