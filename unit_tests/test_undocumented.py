"""Streams whose endpoints Exact does not document: read where they answer, skipped with one line where they do not."""

from __future__ import annotations

import json

import pytest

from source_exact_online.catalog.definitions import UNDOCUMENTED, catalog
from tools.reference import REFERENCE_FILE, UNDOCUMENTED_FILE, load_reference
from unit_tests.exact_fakes import FakeClock, ScriptedApi, configured, page, read, refusal, row

STREAMS = {name: one for name, one in catalog().items() if one.group == UNDOCUMENTED}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "not documented" in line]


def test_each_comes_from_exacts_metadata() -> None:
    found = load_reference(UNDOCUMENTED_FILE)
    documented = {raw["path"] for raw in json.loads(REFERENCE_FILE.read_text()) if raw["status"] != "removed"}

    assert {one.path for one in STREAMS.values()} == set(found)
    assert set(found) & documented == set()
    assert all(
        any("resources/edmx/" in source for source in raw["sources"])
        for raw in json.loads(UNDOCUMENTED_FILE.read_text())
    )


def test_one_that_answers_is_read_like_any_other(api: ScriptedApi, clock: FakeClock) -> None:
    api.divisions(123).always("users/Users", page([{**row("-"), "UserID": "u", "FullName": "Ada"}]))

    run = read(clock, configured("users", columns=("FullName",)))

    assert [(one["UserID"], one["FullName"], one["Division"]) for one in run.records("users")] == [("u", "Ada", 123)]


def test_one_that_does_not_is_skipped_with_one_line_and_the_rest_is_read(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    api.divisions(123, 456, 789).always("users/Users", refusal(404)).always("financial/Journals", page([row("j")]))

    run = read(clock, configured("users", "journals"))

    assert run.error is None
    assert run.statuses == {"users": "COMPLETE", "journals": "COMPLETE"}
    assert run.keys("journals") == ["j", "j", "j"]
    assert [line.partition(" (")[0] for line in said(caplog)] == ["Exact Online does not offer users"]
    assert len(api.asked("users/Users")) == 1, "what is not there in one division is not there in others"


def test_one_that_is_forbidden_is_told_of_as_usual(api: ScriptedApi, clock: FakeClock) -> None:
    api.divisions(123).always("users/Users", refusal(403, "Forbidden"))

    assert "could not be read in any division" in str(read(clock, configured("users")).error)


def test_a_documented_endpoint_that_is_missing_is_no_success(api: ScriptedApi, clock: FakeClock) -> None:
    api.divisions(123).always("financial/Journals", refusal(404))

    assert read(clock, configured("journals")).error is not None
