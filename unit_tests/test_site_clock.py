"""Whose clock a site shows: told from the time that Exact shows and the moment at which it did."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.api.site_clock import site_clock
from unit_tests.exact_fakes import FakeClock, ScriptedApi, configured, page, read, row

ZONES = ("Europe/Amsterdam", "Europe/London", "America/New_York")
CHANGES = (
    datetime(2025, 3, 9, 7, tzinfo=timezone.utc),  # summer time begins in New York
    datetime(2025, 3, 30, 1, tzinfo=timezone.utc),  # in Europe
    datetime(2025, 10, 26, 1, tzinfo=timezone.utc),  # and ends there
    datetime(2025, 11, 2, 6, tzinfo=timezone.utc),  # in New York
)
WINTER, SUMMER = datetime(2025, 1, 15, 12, tzinfo=timezone.utc), datetime(2025, 7, 15, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
STREAMS = configured("bank_accounts", columns=("ID", "Modified"))


def shown(instant: datetime, zone: str) -> str:
    """`ServerTime` at an instant: whole seconds, no zone."""
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0).isoformat()


def ms(instant: datetime) -> float:
    return instant.timestamp() * 1000


@pytest.mark.parametrize("zone", ZONES)
def test_the_clock_of_a_country_is_recognised_at_any_moment(zone: str) -> None:
    moments = [WINTER, SUMMER]
    moments += [change + step * SECOND for change in CHANGES for step in (-3600, -1, 0, 1, 3599, 3600)]
    for instant in moments:
        assert site_clock(shown(instant, zone), None, ms(instant)).zone == zone, instant


@pytest.mark.parametrize("zone", ZONES)
def test_an_answer_that_was_under_way_while_the_clock_changed_is_no_other_zones(zone: str) -> None:
    for change in CHANGES:
        for shown_at, read_at in ((change - SECOND, change + 20 * SECOND), (change, change - SECOND)):
            assert site_clock(shown(shown_at, zone), None, ms(read_at)).zone == zone, change


@pytest.mark.parametrize("zone", ZONES)
def test_an_offset_that_agrees_changes_nothing(zone: str) -> None:
    for instant in (WINTER, SUMMER):
        offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
        assert offset is not None
        for seconds in (offset.total_seconds(), int(offset.total_seconds())):
            assert site_clock(shown(instant, zone), seconds, ms(instant)).zone == zone


@pytest.mark.parametrize(
    ("server_time", "offset"),
    [
        ("2015-01-20T21:13:45", 0),  # an old answer: nobody's present
        ("2025-01-15T12:20:00", 0),  # twenty minutes off
        ("soon", 0),
        ("2025-01-15T12:00:00+00:00", 0),
        (None, None),
        (None, 0),
        (None, True),
        ("2025-01-15T12:00:00", 3600),  # the present in London, and an offset that is not London's
        ("2025-01-15T12:00:00", 1),
        ("2025-01-15T12:00:00", float("nan")),
        (12, None),
    ],
)
def test_what_makes_no_sense_leaves_the_clock_that_is_documented(server_time: object, offset: object) -> None:
    assert site_clock(server_time, offset, ms(WINTER)) == AMSTERDAM


def test_a_zone_without_a_site_is_an_offset_that_stays_the_same() -> None:
    clock = site_clock("2025-01-15T15:00:01", 10_800, ms(WINTER))

    assert clock.from_instant(int(ms(SUMMER))) - ms(SUMMER) == 3 * 3_600_000


class TestRead:
    @staticmethod
    def site_in(api: ScriptedApi, zone: str) -> None:
        api.divisions(123)
        api.always("current/Me", page([{"CurrentDivision": 123, "ServerTime": shown(api.clock.now(), zone)}]))

    def test_times_of_another_zone_are_converted_from_there(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.site_in(api, "America/New_York")
        api.always("crm/BankAccounts", page([row("a", modified="2025-01-15T10:00:00")]))

        run = read(clock, STREAMS)

        assert run.records("bank_accounts")[0]["Modified"] == "2025-01-15T15:00:00.000+00:00"
        assert len([line for line in caplog.messages if "America/New_York" in line]) == 1

    def test_a_start_date_is_asked_for_by_that_clock(self, api: ScriptedApi, clock: FakeClock) -> None:
        self.site_in(api, "America/New_York")
        api.always("crm/BankAccounts", page([]))

        read(clock, STREAMS, start_date="2025-01-15T15:00:00Z")

        assert api.asked("crm/BankAccounts")[0].filter == "Modified ge datetime'2025-01-15T10:00:00'"

    def test_amsterdams_clock_needs_no_word(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.site_in(api, "Europe/Amsterdam")
        api.always("crm/BankAccounts", page([row("a", modified="2025-01-15T10:00:00")]))

        run = read(clock, STREAMS)

        assert run.records("bank_accounts")[0]["Modified"] == "2025-01-15T09:00:00.000+00:00"
        assert not [line for line in caplog.messages if "clock" in line]

    def test_configured_divisions_need_the_clock_as_well(self, api: ScriptedApi, clock: FakeClock) -> None:
        self.site_in(api, "Europe/London")
        api.always("crm/BankAccounts", page([row("a", modified="2024-07-15T10:00:00")]))

        run = read(clock, STREAMS, divisions=[123])

        assert run.records("bank_accounts")[0]["Modified"] == "2024-07-15T09:00:00.000+00:00"

    def test_a_login_that_may_not_see_itself_is_read_by_the_documented_clock_with_a_warning(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.divisions(123).always("current/Me", page([]))
        api.always("crm/BankAccounts", page([row("a", modified="2025-01-15T10:00:00")]))

        run = read(clock, STREAMS, divisions=[123])

        assert run.records("bank_accounts")[0]["Modified"] == "2025-01-15T09:00:00.000+00:00"
        assert [line for line in caplog.messages if "did not tell its clock" in line]
