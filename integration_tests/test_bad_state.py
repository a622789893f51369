"""A state that is not ours is told apart, and never makes a run skip rows."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from integration_tests.bad_input import assert_refused
from integration_tests.connector import configured_catalog
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import assert_same, by_key


def stream_state(stream: str, blob: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": blob}}]


UNFIT_STATES = {
    "journals": {"Modified": "2026-01-01T00:00:00Z"},
    "cost_centers": {"version": 1, "divisions": []},
    "cost_units": {"version": 1, "divisions": {"{division}": {"cursor": 4711}}},
    "gl_accounts": {"version": 1, "divisions": {"{division}": "done"}},
    "accounts": {"version": 1, "divisions": {"{division}": {"row_version": "many"}}},
    "items": {"version": 1, "divisions": {"{division}": {"in_progress": {}}}},
    "item_groups": {"version": "one", "divisions": {}},
}
"""By stream: a state of another connector, of a wrong type, with a number for a time, and so on."""


def test_states_that_do_not_fit_are_ignored_with_a_warning_each(clean: Sandbox) -> None:
    division = clean.divisions[0]
    filled = json.loads(json.dumps(UNFIT_STATES).replace("{division}", str(division)))
    state = [entry for stream, blob in filled.items() for entry in stream_state(stream, blob)]

    run = clean.connection(divisions=[division]).read(configured_catalog(UNFIT_STATES), state)

    for stream in UNFIT_STATES:
        assert [line for line in run.warnings if f" {stream} " in line and "state" in line], run.explain()
        assert_same(stream, by_key(stream, run.records(stream)), clean.expected(stream, [division]))


def test_a_state_from_the_future_skips_no_rows(clean: Sandbox) -> None:
    division = clean.divisions[0]
    blob = {"version": 1, "divisions": {str(division): {"cursor": "2199-01-01T00:00:00.000"}}}

    run = clean.connection(divisions=[division]).read(["journals"], stream_state("journals", blob), succeeds=None)

    if run.exit_code == 0:
        assert run.warnings
        assert_same("journals", by_key("journals", run.records("journals")), clean.expected("journals", [division]))
    else:
        assert_refused(run, "journals", "state")


def test_a_row_version_from_the_future_skips_no_rows(clean: Sandbox) -> None:
    division = clean.divisions[0]
    first = clean.connection(divisions=[division]).read(["accounts"])
    state = deepcopy(first.state)
    position = state[0]["stream"]["stream_state"]["divisions"][str(division)]
    position["cursor"] = "2199-01-01T00:00:00.000"
    position["row_version"] = str(10**17)

    run = clean.connection(divisions=[division]).read(["accounts"], state, succeeds=None)

    if run.exit_code == 0:
        assert run.warnings
        assert_same("accounts", by_key("accounts", run.records("accounts")), clean.expected("accounts", [division]))
    else:
        assert_refused(run, "accounts", "state")


def test_a_state_of_a_newer_version_is_refused(clean: Sandbox) -> None:
    run = clean.connection().read(
        ["journals"], stream_state("journals", {"version": 99, "divisions": {}}), succeeds=False
    )

    assert_refused(run, "journals", "newer")
