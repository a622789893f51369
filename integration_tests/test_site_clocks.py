"""Sites whose clock is not Amsterdam's: every instant and every filter is right, whatever the season or the night."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import Run
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import parse_time

SITES = {"co.uk": "Europe/London", "com": "America/New_York"}
NIGHTS = {
    "co.uk": ("2024-03-31T01:00:00+00:00", "2024-10-27T01:00:00+00:00"),
    "com": ("2024-03-10T07:00:00+00:00", "2024-11-03T06:00:00+00:00"),
}
"""When the clock of each site goes forward and back."""

SEASONS = {"winter": "2025-01-15T12:00:00Z", "summer": "2025-07-15T12:00:00Z"}
STREAMS = ["gl_accounts", "journals"]
"""A feed and a list."""


@pytest.fixture(scope="module", params=[(site, season) for site in SITES for season in SEASONS], ids="-".join)
def abroad(request: pytest.FixtureRequest, start_sandbox: StartSandbox) -> tuple[Sandbox, str]:
    """A sandbox on the clock of another site, in winter or summer, and the name of the site."""
    site, season = request.param
    limits = ("--minute-limit", MANY_CALLS, "--daily-limit", MANY_CALLS)
    sandbox = start_sandbox("--divisions", "1", "--zone", SITES[site], "--now", SEASONS[season], *limits)
    return sandbox, site


def utc(moment: datetime, zone: str) -> str:
    """An instant as a record shows it long after: the second of the two where the clock showed its time twice."""
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    told = wall.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(timezone.utc)
    back = told.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert back == wall, "a moment that was never shown"
    return f"{told:%Y-%m-%dT%H:%M:%S}.{told.microsecond // 1000:03}+00:00"


def insert(sandbox: Sandbox, moments: list[datetime]) -> dict[str, str]:
    """Rows of both streams that were changed at some moments: the moment by ID."""
    found = {}
    for number, moment in enumerate(moments):
        stamps = {"Created": moment.isoformat(), "Modified": moment.isoformat()}
        for entity, code in (("financial/GLAccounts", f"NIGHT{number}"), ("financial/Journals", f"M{number}")):
            row = sandbox.insert(sandbox.divisions[0], entity, {"Code": code, "Description": code, **stamps})
            found[row["ID"]] = moment.isoformat()
    return found


def modified(run: Run, ids: set[str]) -> dict[str, str]:
    return {one["ID"]: one["Modified"] for name in STREAMS for one in run.records(name) if one["ID"] in ids}


def test_instants_are_right_in_both_nights_and_all_year(abroad: tuple[Sandbox, str]) -> None:
    sandbox, site = abroad
    steps = [timedelta(minutes=minutes) for minutes in (-181, -61, -31, -1, 0, 1, 31, 61, 181)]
    moments = [parse_time(night) + step for night in NIGHTS[site] for step in steps]
    moments += [parse_time(f"2024-{month:02}-15T23:30:00.123+00:00") for month in range(1, 13)]
    inserted = insert(sandbox, moments)

    run = sandbox.connection(site=site).read(STREAMS)

    assert modified(run, set(inserted)) == {
        key: utc(parse_time(moment), SITES[site]) for key, moment in inserted.items()
    }
    everything = {row["ID"]: row["Modified"] for row in sandbox.truth("financial/GLAccounts")}
    found = {record["ID"]: record["Modified"] for record in run.records("gl_accounts")}
    assert found == {key: utc(parse_time(moment), SITES[site]) for key, moment in everything.items()}
    assert len([line for line in run.warnings if SITES[site] in line]) == 1


def test_a_start_date_means_the_same_instant_there(abroad: tuple[Sandbox, str]) -> None:
    sandbox, site = abroad
    start = parse_time("2024-06-15T12:00:00+00:00")
    before, after = (insert(sandbox, [start + timedelta(minutes=minutes)]) for minutes in (-1, 1))

    run = sandbox.connection(site=site, start_date=start.strftime("%Y-%m-%dT%H:%M:%SZ")).read(STREAMS)

    assert set(modified(run, {*before, *after})) == set(after)


@pytest.mark.soak
def test_each_change_comes_once_through_every_change_of_the_clock(start_sandbox: StartSandbox) -> None:
    """Syncs through both nights of both sites without an overlap: nothing is missing, nothing is late."""
    for site, zone in SITES.items():
        sandbox = start_sandbox(
            *("--divisions", "1", "--size", "tiny", "--zone", zone, "--now", "2024-01-01T00:00:00Z"),
            *("--minute-limit", MANY_CALLS, "--daily-limit", MANY_CALLS),
        )
        state = None
        for night in map(parse_time, NIGHTS[site]):
            for half_hours in (-3, -1, 0, 1, 2, 3):
                moment = night + timedelta(minutes=30 * half_hours, seconds=7)
                sandbox.post("clock", now=moment.isoformat())
                row = sandbox.insert(
                    sandbox.divisions[0],
                    "financial/Journals",
                    {"Code": f"{half_hours}{night.month}", "Description": "x"},
                )
                sandbox.post("clock", now=(moment + timedelta(seconds=5)).isoformat())
                run = sandbox.connection(site=site, lookback_window_minutes=0).read(["journals"], state)
                state = run.state
                found = {one["ID"]: one["Modified"] for one in run.records("journals")}
                assert row["ID"] in found, f"{site} {moment}"
                assert parse_time(found[row["ID"]]).replace(microsecond=0) == moment, f"{site} {moment}"
