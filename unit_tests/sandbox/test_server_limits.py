"""Calls per minute and day, errors per hour."""

from __future__ import annotations

import pytest

from exact_online_sandbox.sandbox import Sandbox
from unit_tests.sandbox.server_caller import DIVISION, OTHER_DIVISION, Caller

PATH = f"{DIVISION}/crm/Contacts"
MINUTE = {"X-RateLimit-Minutely-Limit", "X-RateLimit-Minutely-Remaining", "X-RateLimit-Minutely-Reset"}
DAY = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}


def limits(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("X-RateLimit")}


@pytest.fixture(autouse=True)
def low_limits(box: Sandbox) -> None:
    box.settings.change({"quota": {"minute_limit": 3, "daily_limit": 5}})


def test_headers_count_down_and_name_the_end_of_both_windows(box: Sandbox, caller: Caller) -> None:
    box.clock.advance(25)
    # NOW is 2024-07-01T12:00:00Z.
    assert limits(caller.get(PATH).headers) == {
        "X-RateLimit-Minutely-Limit": "3",
        "X-RateLimit-Minutely-Remaining": "2",
        "X-RateLimit-Minutely-Reset": "1719835260000",
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "4",
        "X-RateLimit-Reset": "1719878400000",
    }
    assert caller.get(PATH).headers["Date"] == "Mon, 01 Jul 2024 12:00:25 GMT"


def test_fourth_call_of_the_minute_is_refused_with_the_minutes_headers_only(caller: Caller) -> None:
    for _ in range(3):
        assert caller.get(PATH).status == 200
    reply = caller.get(PATH)
    assert (reply.status, reply.text) == (429, "")
    assert set(limits(reply.headers)) == MINUTE
    assert reply.headers["X-RateLimit-Minutely-Remaining"] == "0"
    assert "Retry-After" not in reply.headers


def test_next_calendar_minute_is_free_again(box: Sandbox, caller: Caller) -> None:
    box.clock.advance(59)
    for _ in range(3):
        caller.get(PATH)
    assert caller.get(PATH).status == 429
    box.clock.advance(1)
    assert caller.get(PATH).status == 200


def test_day_is_refused_with_the_days_headers_only_until_midnight_utc(box: Sandbox, caller: Caller) -> None:
    box.settings.tokens.life_seconds = 100_000
    for _ in range(5):
        assert caller.get(PATH).status == 200
        box.clock.advance(30)
    box.clock.advance(60)
    reply = caller.get(PATH)
    assert (reply.status, reply.text, set(limits(reply.headers))) == (429, "", DAY)
    box.clock.advance(12 * 3600)
    assert caller.get(PATH).status == 200


def test_divisions_and_apps_have_budgets_of_their_own(box: Sandbox, caller: Caller) -> None:
    for _ in range(3):
        caller.get(PATH)
    assert caller.get(PATH).status == 429
    assert caller.get(f"{OTHER_DIVISION}/crm/Contacts").status == 200
    box.register("other", "secret")
    chain = box.oauth.login("other", "sam", [DIVISION])
    form = {
        "grant_type": "refresh_token",
        "refresh_token": chain.refresh_token,
        "client_id": "other",
        "client_secret": "secret",
    }
    assert Caller(box, box.oauth.token(form)["access_token"]).get(PATH).status == 200


def test_address_without_a_division_is_free_and_has_no_headers(caller: Caller) -> None:
    for _ in range(9):
        reply = caller.get("current/Me")
        assert reply.status == 200
        assert limits(reply.headers) == {}


def test_refused_queries_are_counted(caller: Caller) -> None:
    for _ in range(3):
        assert caller.get(f"{PATH}?$filter=5").status == 400
    assert caller.get(PATH).status == 429


def test_another_process_can_spend_the_same_budget(box: Sandbox, caller: Caller) -> None:
    box.quota.use("app", DIVISION, minute=2, day=2)
    assert caller.get(PATH).headers["X-RateLimit-Minutely-Remaining"] == "0"
    assert caller.get(PATH).status == 429


def test_windows_can_be_short(box: Sandbox, caller: Caller) -> None:
    box.settings.change({"quota": {"minute_seconds": 3, "daily_limit": 100}})
    assert caller.get(PATH).headers["X-RateLimit-Minutely-Reset"] == "1719835203000"
    caller.get(PATH)
    caller.get(PATH)
    box.clock.advance(3)
    assert caller.get(PATH).status == 200


class TestErrors:
    @pytest.fixture(autouse=True)
    def high_limits(self, box: Sandbox) -> None:
        box.settings.change({"quota": {"minute_limit": 1000, "daily_limit": 1000}})

    def test_eleventh_error_of_an_endpoint_blocks_the_app(self, caller: Caller) -> None:
        statuses = [caller.get(f"{PATH}?$filter=5").status for _ in range(11)]
        assert statuses == [400] * 10 + [429]
        reply = caller.get(f"{DIVISION}/crm/Addresses")
        assert (reply.status, reply.text, limits(reply.headers)) == (429, "", {})

    def test_errors_are_counted_per_endpoint_division_and_hour(self, box: Sandbox, caller: Caller) -> None:
        for path in (PATH, f"{OTHER_DIVISION}/crm/Contacts", f"{DIVISION}/crm/Addresses"):
            assert [caller.get(f"{path}?$filter=5").status for _ in range(9)] == [400] * 9
        box.settings.tokens.life_seconds = 100_000
        box.clock.advance(3600)
        assert [caller.get(f"{PATH}?$filter=5").status for _ in range(9)] == [400] * 9

    def test_block_lifts_after_an_hour_and_doubles_the_next_time(self, box: Sandbox, caller: Caller) -> None:
        box.settings.tokens.life_seconds = 100_000
        for seconds in (3600, 7200):
            for _ in range(11):
                caller.get(f"{PATH}?$filter=5")
            box.clock.advance(seconds - 1)
            assert caller.get(PATH).status == 429
            box.clock.advance(1)
            assert caller.get(PATH).status == 200

    def test_status_of_the_block_can_be_chosen_and_the_limit_switched_off(self, box: Sandbox, caller: Caller) -> None:
        box.settings.change({"errors": {"status": 403, "limit": 1}})
        assert [caller.get(f"{PATH}?$filter=5").status for _ in range(3)] == [400, 403, 403]
        box.error_limit.reset()
        box.settings.change({"errors": {"limit": 0}})
        assert {caller.get(f"{PATH}?$filter=5").status for _ in range(20)} == {400}
