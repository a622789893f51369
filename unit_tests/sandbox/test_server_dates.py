"""Instants appear as Amsterdam wall clock posing as UTC, business dates as they are."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone

import pytest

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.store import Store
from exact_online_sandbox.truth import truth_rows
from exact_online_sandbox.wallclock import WallClock, to_ms
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

BIRTH = datetime(1980, 7, 1)


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        ("2024-01-15T12:00:00", "2024-01-15T13:00:00"),
        ("2024-07-15T12:00:00", "2024-07-15T14:00:00"),
        ("2024-03-31T00:59:59", "2024-03-31T01:59:59"),
        ("2024-03-31T01:00:00", "2024-03-31T03:00:00"),
        ("2024-10-27T00:30:00", "2024-10-27T02:30:00"),
        ("2024-10-27T01:30:00", "2024-10-27T02:30:00"),
    ],
)
def test_instant_is_shown_in_local_time(box: Sandbox, caller: Caller, instant: str, shown: str) -> None:
    at = datetime.fromisoformat(instant).replace(tzinfo=timezone.utc)
    box.store.insert(DIVISION, "crm/Contacts", {}, at=at)
    (row,) = caller.get(f"{DIVISION}/crm/Contacts?$select=Modified").rows
    assert row["Modified"] == f"/Date({to_ms(datetime.fromisoformat(shown))})/"


def test_business_date_is_not_shifted(box: Sandbox, caller: Caller) -> None:
    at = datetime(2024, 7, 1, tzinfo=timezone.utc)
    box.store.insert(DIVISION, "crm/Contacts", {"BirthDate": BIRTH}, at=at)
    (row,) = caller.get(f"{DIVISION}/crm/Contacts?$select=BirthDate").rows
    assert row["BirthDate"] == f"/Date({to_ms(BIRTH)})/"


def test_truth_has_instants_in_utc_and_business_dates_without_a_zone(box: Sandbox) -> None:
    at = datetime(2024, 3, 31, 1, 30, 0, 123000, tzinfo=timezone.utc)
    box.store.insert(DIVISION, "crm/Contacts", {"BirthDate": BIRTH}, at=at)
    text = b"".join(truth_rows(box, DIVISION, "crm/Contacts")).decode()
    assert '"Modified":"2024-03-31T01:30:00.123+00:00"' in text
    assert '"BirthDate":"1980-07-01T00:00:00"' in text


def test_another_time_zone_has_its_own_offset() -> None:
    july = to_ms(datetime(2024, 7, 1, tzinfo=timezone.utc))
    assert WallClock("Europe/London").offset_ms(july) == 3_600_000
    assert WallClock("Europe/Amsterdam").offset_ms(july) == 7_200_000


def test_me_tells_local_time_and_offset(caller: Caller) -> None:
    (me,) = caller.get("current/Me").rows
    assert (me["ServerTime"], me["ServerUtcOffset"]) == ("2024-07-01T14:00:00", 7200)


def test_a_server_in_another_zone_has_its_wall_clock_and_a_date_header_in_utc() -> None:
    with closing(Store(zone="Europe/London")) as store:
        store.add_division(DIVISION, {})
        clock = Clock(NOW)
        clock.freeze()
        box = Sandbox(store, clock)
        box.register("app", "secret")
        login = {"client_id": "app", "client_secret": "secret", "grant_type": "refresh_token"}
        chain = box.oauth.login("app", "sam", [DIVISION])
        caller = Caller(box, box.oauth.token({**login, "refresh_token": chain.refresh_token})["access_token"])
        store.insert(DIVISION, "crm/Contacts", {}, at=NOW)
        reply = caller.get("current/Me")
        path = f"{DIVISION}/crm/Contacts?$filter=Modified ge datetime'2024-07-01T13:00:00'"
        (row,) = caller.get(path).rows
        assert (reply.rows[0]["ServerTime"], reply.rows[0]["ServerUtcOffset"]) == ("2024-07-01T13:00:00", 3600)
        assert reply.headers["Date"] == "Mon, 01 Jul 2024 12:00:00 GMT"
        assert row["Modified"] == f"/Date({to_ms(NOW) + 3_600_000})/"
        assert caller.get(path.replace("13:00", "14:00")).rows == []
