"""Listings of the login, which hold rows of all divisions: asked for once, whole, and never gone on with."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.exact_fakes import Answer, FakeClock, ScriptedApi, Sent, configured, page, read, refusal

DIVISIONS = "system/Divisions"
COLUMNS = ("Code", "Description", "Hid")
STREAM = configured("divisions", columns=COLUMNS)


class Company:
    """Divisions of a login; the list that the run begins with is another request to the same path."""

    def __init__(self, api: ScriptedApi, *codes: int) -> None:
        self.codes = codes
        self.answers: list[Answer] = []
        api.serve(DIVISIONS, self._answer).always("current/Me", page([{"CurrentDivision": codes[0]}]))
        self._api = api

    @property
    def asked(self) -> list[Sent]:
        return [one for one in self._api.asked(DIVISIONS) if "Hid" in one.select]

    def _answer(self, sent: Sent) -> Answer:
        if "Hid" in sent.select and self.answers:
            return self.answers.pop(0)
        return page([self.row(code) for code in self.codes])

    @staticmethod
    def row(code: int) -> dict[str, Any]:
        return {"Code": code, "Description": f"Company {code}", "Hid": str(code), "DivisionMoveDate": None}


@pytest.fixture
def company(api: ScriptedApi) -> Company:
    return Company(api, 123, 456, 789)


def test_divisions_are_asked_for_once(company: Company, clock: FakeClock) -> None:
    run = read(clock, STREAM)

    assert len(company.asked) == 1
    assert run.keys("divisions", "Division") == [123, 456, 789]
    assert run.records("divisions")[0] == {
        "Division": 123,
        "Code": 123,
        "Description": "Company 123",
        "Hid": 123,
    }


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"exclude_divisions": [456]}, [123, 789]),
        ({"divisions": [456, 789]}, [456, 789]),
        ({"divisions": [456, 789], "exclude_divisions": [789]}, [456]),
    ],
)
def test_they_follow_the_configuration(
    company: Company, clock: FakeClock, config: dict[str, list[int]], found: list[int]
) -> None:
    assert read(clock, STREAM, **config).keys("divisions", "Division") == found


def test_they_follow_a_configuration_that_has_changed(company: Company, clock: FakeClock) -> None:
    """They are read whole each time, so that rows of divisions added to the configuration arrive."""
    first = read(clock, STREAM, divisions=[123])

    second = read(clock, STREAM, first.state, divisions=[123, 456])

    assert first.keys("divisions", "Division") == [123]
    assert second.keys("divisions", "Division") == [123, 456]
    assert all(one.filter is None for one in company.asked)


@pytest.mark.parametrize("mode", ["incremental", "full_refresh"])
def test_what_broke_off_is_read_again_whole(company: Company, clock: FakeClock, mode: str) -> None:
    streams = configured(f"divisions:{mode}", columns=COLUMNS)
    company.answers = [page([company.row(123)], more="1"), *[refusal(500)] * 6]
    broken = read(clock, streams)

    run = read(clock, streams, broken.state)

    assert broken.statuses == {"divisions": "INCOMPLETE"}
    assert "$skiptoken" not in company.asked[-1].options
    assert run.keys("divisions", "Division") == [123, 456, 789]


def test_a_stream_per_division_beside_it_changes_nothing(company: Company, api: ScriptedApi, clock: FakeClock) -> None:
    api.always("financial/Journals", page([]))

    run = read(clock, configured("divisions", "journals", columns=("Code",)))

    assert run.keys("divisions", "Division") == [123, 456, 789]
    assert [one.division for one in api.asked("financial/Journals")] == [123, 456, 789]
