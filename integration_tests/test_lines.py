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
    assert third.records(STREAM) == []


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


@pytest.mark.parametrize("size", [1, 2])
def test_lines_of_a_header_may_come_in_pages(size: int, clean: Sandbox) -> None:
    first = read(clean)
    order = clean.truth(LINES, clean.divisions[0])[0]["OrderID"]
    for number in range(5):
        clean.insert(clean.divisions[0], LINES, {"OrderID": order, "AmountDC": number})
    clean.post("settings", page_sizes={"standard": 2, "expanded": size})

    second = read(clean, first)

    assert keys(second) >= {line["ID"] for line in clean.truth(LINES, clean.divisions[0]) if line["OrderID"] == order}


@pytest.mark.parametrize("kind", ["refuse_expand", "ignore_expand"])
def test_they_are_asked_for_by_key_where_headers_do_not_show_them(kind: str, clean: Sandbox) -> None:
    first = read(clean)
    lines = clean.truth(LINES, clean.divisions[0])
    change_lines(clean, lines[:1])
    clean.forget_calls()
    clean.fault(kind, path=HEADERS)

    second = read(clean, first)

    assert keys(second) == {line["ID"] for line in lines if line["OrderID"] == lines[0]["OrderID"]}
    assert [warning for warning in second.warnings if HEADERS in warning and LINES in warning]
    assert len(second.warnings) == 1
    assert len(clean.calls(HEADERS)) == 2
    assert len(clean.calls(LINES)) == 1


def test_all_are_read_where_neither_is_taken(clean: Sandbox) -> None:
    first = read(clean)
    lines = clean.truth(LINES, clean.divisions[0])
    change_lines(clean, lines[:1])
    clean.fault("refuse_expand", path=HEADERS)
    clean.fault("status", path=LINES, status=400, count=1)

    second = read(clean, first)

    assert keys(second) == {line["ID"] for line in lines}
