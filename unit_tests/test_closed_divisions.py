"""Divisions that this login cannot read: left out by name, whether for one run or for good."""

from __future__ import annotations

import logging

import pytest
from airbyte_cdk.models import FailureType

from unit_tests.exact_fakes import Answer, FakeClock, ScriptedApi, configured, page, read, refusal, row

ACCOUNTS = "sync/CRM/Accounts"
JOURNALS = "financial/Journals"
UNITS = "logistics/Units"
STREAMS = ("journals", "accounts", "units")
OUTSIDE = "Forbidden - User division is not within division scope"


@pytest.fixture
def two(api: ScriptedApi) -> ScriptedApi:
    """Two divisions of which the second has a row in each stream."""
    api.divisions(123, 456).always("sync/Deleted", page([]))
    for path in (JOURNALS, ACCOUNTS, UNITS):
        api.always(path, page([row("b", 5)]), division=456)
    return api


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(403, reason="LicenseExpired"), "has expired"),
        (refusal(401, reason="BlockedCustomer"), "is blocked"),
        (refusal(403, reason="BlockedUser"), "user of this login is blocked"),
        (refusal(403, reason="NoDivisionAccess"), "no access"),
        (refusal(403, OUTSIDE), "was not ticked"),
    ],
)
@pytest.mark.parametrize("workers", [1, 4])
def test_a_division_that_is_closed_is_left_out_by_name(
    two: ScriptedApi, clock: FakeClock, answer: Answer, words: str, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (JOURNALS, ACCOUNTS, UNITS):
        two.always(path, answer, division=123)

    run = read(clock, configured(*STREAMS), num_workers=workers)

    assert run.error is None
    assert run.statuses == dict.fromkeys(STREAMS, "COMPLETE")
    assert {(one["Division"], one["ID"]) for stream in STREAMS for one in run.records(stream)} == {(456, "b")}
    warned = [one.message for one in caplog.records if one.levelno == logging.WARNING and words in one.message]
    assert len(warned) == len(STREAMS)
    assert all("123" in line for line in warned)
    assert len(two.asked(division=123)) <= workers, "whatever is asked there next is not even sent"


def test_with_one_worker_that_is_one_refused_call(two: ScriptedApi, clock: FakeClock) -> None:
    two.always(JOURNALS, refusal(403, reason="LicenseExpired"), division=123)

    read(clock, configured(*STREAMS))

    assert [one.path for one in two.asked(division=123)] == [JOURNALS]


def test_a_division_that_closes_in_mid_list_cuts_the_stream_short(two: ScriptedApi, clock: FakeClock) -> None:
    two.on(JOURNALS, page([row("a")], more="1"), refusal(403, reason="LicenseExpired"), division=123)

    run = read(clock, configured("journals"))

    assert sorted(run.keys("journals")) == ["a", "b"]
    assert run.statuses == {"journals": "INCOMPLETE"}


def test_when_all_are_closed_it_is_a_config_error(api: ScriptedApi, clock: FakeClock) -> None:
    api.divisions(123, 456).always(JOURNALS, refusal(403, reason="LicenseExpired"))

    run = read(clock, configured("journals", "accounts"))

    assert run.statuses == {"journals": "INCOMPLETE", "accounts": "INCOMPLETE"}
    assert run.error is not None
    assert run.error.failure_type is FailureType.config_error
    assert "licence" in str(run.error.message)
    assert len(api.asked()) == 2


class TestGone:
    """A division that was read before and is no longer among those that the login may read."""

    @staticmethod
    def gone(caplog: pytest.LogCaptureFixture) -> list[str]:
        found = [one for one in caplog.records if "no longer among the administrations" in one.message]
        assert all(one.levelno == logging.WARNING for one in found)
        return [one.message for one in found]

    def test_each_run_warns_and_keeps_its_place(
        self, two: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        two.always(JOURNALS, page([row("a")]))
        run = read(clock, configured("journals"))
        before = run.position("journals", 456)
        two.divisions(123)

        for _ in range(2):
            caplog.clear()
            run = read(clock, configured("journals"), run.state)

            (line,) = self.gone(caplog)
            assert "Division 456" in line
            assert "exclude_divisions" in line
            assert run.error is None
            assert run.position("journals", 456) == before

    def test_once_it_is_back_it_goes_on_where_it_was(
        self, two: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        two.always(ACCOUNTS, page([row("a", 5)]))
        first = read(clock, configured("accounts"))
        two.divisions(123)
        second = read(clock, configured("accounts"), first.state)
        two.divisions(123, 456)
        caplog.clear()

        read(clock, configured("accounts"), second.state)

        assert self.gone(caplog) == []
        assert two.asked(ACCOUNTS, division=456)[-1].filter == "Timestamp gt 5L"

    @pytest.mark.parametrize("config", [{"exclude_divisions": [456]}, {"divisions": [123]}])
    def test_nobody_is_warned_of_one_that_is_not_wanted(
        self, two: ScriptedApi, clock: FakeClock, config: dict[str, list[int]], caplog: pytest.LogCaptureFixture
    ) -> None:
        two.always(JOURNALS, page([row("a")]))
        first = read(clock, configured("journals"))
        two.divisions(123)

        read(clock, configured("journals"), first.state, **config)

        assert self.gone(caplog) == []

    def test_nobody_is_warned_while_the_list_of_divisions_is_not_known(
        self, two: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        two.always(JOURNALS, page([row("a")]))
        first = read(clock, configured("journals"))
        two.always("system/Divisions", refusal(403, "Application Scope Violated"))
        two.always("hrm/Divisions", refusal(403, "Forbidden"))

        run = read(clock, configured("journals"), first.state)

        assert self.gone(caplog) == []
        assert {one["Division"] for one in run.records("journals")} == {123, 456}

    def test_nobody_is_warned_while_exact_lists_one_licence_only_and_all_are_read(
        self, two: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        two.always(JOURNALS, page([row("a")]))
        first = read(clock, configured("journals"))
        two.always("system/Divisions", refusal(403, "Application Scope Violated"))
        two.always("hrm/Divisions", page([{"Code": 123, "Description": "Company 123"}]))

        run = read(clock, configured("journals"), first.state)

        assert self.gone(caplog) == []
        assert {one["Division"] for one in run.records("journals")} == {123, 456}


def test_where_the_current_division_is_closed_another_one_lists_them(two: ScriptedApi, clock: FakeClock) -> None:
    two.always(JOURNALS, page([row("a")]))
    first = read(clock, configured("journals"))
    two.always("system/Divisions", refusal(403, reason="LicenseExpired"), division=123)
    two.always("hrm/Divisions", refusal(403, reason="LicenseExpired"), division=123)

    run = read(clock, configured("journals"), first.state)

    assert run.error is None
    assert {one["Division"] for one in run.records("journals")} == {456}


def test_where_the_only_known_division_is_closed_and_excluded_the_others_are_to_be_named(
    two: ScriptedApi, clock: FakeClock
) -> None:
    two.always("system/Divisions", refusal(403, reason="LicenseExpired"), division=123)
    two.always("hrm/Divisions", refusal(403, reason="LicenseExpired"), division=123)

    run = read(clock, configured("journals"), exclude_divisions=[123])

    assert run.error is not None
    assert run.error.failure_type is FailureType.config_error
    assert "name those to read in divisions" in str(run.error.message)


def test_an_excluded_division_that_nobody_knows_is_warned_of(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    api.divisions(123, 456)
    api.always("financial/Journals", page([]))
    read(clock, configured("journals"), exclude_divisions=[456, 999])

    assert [line for line in caplog.messages if "exclude_divisions" in line] == [
        "exclude_divisions names division 999, which is not among the administrations this login may read: see whether "
        "the number is right."
    ]
