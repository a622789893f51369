"""Call quotas: alone on its quota the connector never makes a call too many, and never waits longer than it must."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_exact_online.api.rate_limits import (
    HEADERLESS_ATTEMPTS,
    Budget,
    LimitsUnknown,
    QuotaExceeded,
    Quotas,
    ServerClock,
    spent_message,
)
from unit_tests.exact_fakes import quota_headers
from unit_tests.fake_clock import FakeClock

ENDPOINT = "/api/v1/123/crm/Accounts"
MINUTE = 60_000
DAY = 86_400_000


@pytest.fixture
def budget(clock: FakeClock) -> Budget:
    """Budget of one division whose limits are known."""
    made = Budget(ServerClock(clock))
    call(made, quota_headers(clock, minute=60, day=5000))
    return made


def call(budget: Budget, headers: dict[str, str]) -> None:
    """A call that went through."""
    assert budget.reserve(ENDPOINT) is None
    release(budget, headers)


def release(budget: Budget, headers: dict[str, str], *, ok: bool = True, endpoint: str = ENDPOINT) -> None:
    """The answer to a call that had been reserved."""
    budget.release(endpoint, headers, ok=ok)


def minute(left: int, reset: float, limit: int = 60) -> dict[str, str]:
    prefix = "X-RateLimit-Minutely-"
    return {f"{prefix}Limit": str(limit), f"{prefix}Remaining": str(left), f"{prefix}Reset": str(round(reset))}


def day(left: int, reset: float, limit: int = 5000) -> dict[str, str]:
    prefix = "X-RateLimit-"
    return {f"{prefix}Limit": str(limit), f"{prefix}Remaining": str(left), f"{prefix}Reset": str(round(reset))}


def next_minute(clock: FakeClock) -> int:
    return (clock.now_ms() // MINUTE + 1) * MINUTE


def next_day(clock: FakeClock) -> int:
    return (clock.now_ms() // DAY + 1) * DAY


def exhausted(budget: Budget) -> QuotaExceeded:
    spent = budget.reserve(ENDPOINT)
    assert isinstance(spent, QuotaExceeded)
    return spent


class TestWindows:
    def test_a_spent_minute_is_waited_for_until_its_end(self, clock: FakeClock, budget: Budget) -> None:
        clock.advance(12.5)
        call(budget, quota_headers(clock, minute=0))

        spent = exhausted(budget)

        assert not spent.daily
        assert spent.wait_seconds == pytest.approx(47.5)
        clock.advance(spent.wait_seconds)
        assert budget.reserve(ENDPOINT) is None

    def test_a_spent_day_is_waited_for_until_midnight_utc(self, clock: FakeClock, budget: Budget) -> None:
        call(budget, quota_headers(clock, day=0))

        spent = exhausted(budget)

        assert spent.daily
        assert (spent.wait_seconds, spent.limit) == (15 * 3600, 5000)
        assert datetime.fromtimestamp(spent.reset_ms / 1000, tz=timezone.utc).isoformat() == "2025-03-04T00:00:00+00:00"

    def test_the_day_outlasts_the_minute_when_both_are_spent(self, clock: FakeClock, budget: Budget) -> None:
        call(budget, quota_headers(clock, minute=0, day=0))

        assert exhausted(budget).daily

    def test_without_headers_calls_are_counted_in_calendar_windows(self, clock: FakeClock) -> None:
        clock.advance(59)
        budget = Budget(ServerClock(clock))
        for _ in range(60):
            call(budget, {})

        assert exhausted(budget).wait_seconds == pytest.approx(1.0)
        clock.advance(1)
        assert budget.reserve(ENDPOINT) is None

    def test_a_limit_in_the_headers_replaces_the_first_guess(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock))
        call(budget, {**minute(299, next_minute(clock), limit=300), **day(49_999, next_day(clock), limit=50_000)})
        for left in range(298, -1, -1):
            call(budget, minute(left, next_minute(clock), limit=300))

        assert exhausted(budget).limit == 300

    def test_a_window_shorter_than_the_first_guess_is_believed(self, clock: FakeClock) -> None:
        """A sandbox may run with minutes of two seconds."""
        budget = Budget(ServerClock(clock))
        call(budget, minute(0, clock.now_ms() + 2000, limit=5))

        assert exhausted(budget).wait_seconds == pytest.approx(2.0)
        for _ in range(3):
            clock.advance(2.0)
            call(budget, minute(0, clock.now_ms() + 2000, limit=5))
            assert exhausted(budget).wait_seconds == pytest.approx(2.0)

    def test_calls_under_way_count_as_made(self, clock: FakeClock, budget: Budget) -> None:
        call(budget, quota_headers(clock, minute=3))

        assert [budget.reserve(ENDPOINT) for _ in range(4)] == [None, None, None, LimitsUnknown()]

    @pytest.mark.parametrize("left", [{"minute": 3}, {"day": 3}], ids=str)
    def test_their_answers_say_whether_there_are_more(
        self, clock: FakeClock, budget: Budget, left: dict[str, int]
    ) -> None:
        """Exact had counted them already when it told how many are left: nobody has to wait for the window's end."""
        assert [budget.reserve(ENDPOINT) for _ in range(4)] == [None] * 4
        release(budget, quota_headers(clock, **left))
        assert budget.reserve(ENDPOINT) == LimitsUnknown()

        for _ in range(3):
            release(budget, quota_headers(clock, **left))

        assert [budget.reserve(ENDPOINT) for _ in range(3)] == [None] * 3

    def test_what_is_left_is_told_without_calls_under_way_and_without_the_reserve(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock), reserve_per_day=1000)
        call(budget, quota_headers(clock, minute=20, day=4000))
        budget.reserve(ENDPOINT)

        assert budget.left() == (19, 2999)
        clock.advance(60)
        assert budget.left() == (59, 2999), "a new minute has begun"
        release(budget, quota_headers(clock, minute=0, day=900))
        assert budget.left() == (0, 0)

    def test_of_several_divisions_the_one_with_the_fewest_calls_of_the_minute_is_told(self, clock: FakeClock) -> None:
        quotas = Quotas(ServerClock(clock), reserve_per_day=1000)
        call(quotas.of(None), {"Date": "Mon, 03 Mar 2025 09:00:00 GMT"})
        quotas.of(1)
        assert quotas.fewest_left() is None, "no division has told of any"

        call(quotas.of(2), quota_headers(clock, minute=30, day=2000))
        assert quotas.fewest_left() == (30, 1000)

        call(quotas.of(3), quota_headers(clock, minute=20, day=4000))
        call(quotas.of(4), quota_headers(clock, minute=40, day=1500))
        assert quotas.fewest_left() == (20, 3000)

    def test_what_is_used_of_a_day_is_what_headers_say_other_processes_included(self, clock: FakeClock) -> None:
        quotas = Quotas(ServerClock(clock), reserve_per_day=1000)
        assert quotas.used() == {}
        call(quotas.of(None), {})
        call(quotas.of(1), quota_headers(clock, minute=20, day=4100))
        quotas.of(2).reserve(ENDPOINT)

        (one,) = quotas.used().values()
        assert (one.used, one.allowed) == (900, 5000)
        assert one.told_at == clock.now()
        clock.advance(DAY / 1000)
        assert quotas.used()[1].used == 0, "a new day has begun"
        assert quotas.used()[1].resets_at > one.resets_at > one.told_at

    def test_nobody_waits_for_calls_of_a_division_that_were_never_made(self, clock: FakeClock) -> None:
        quotas = Quotas(ServerClock(clock))
        first, second = quotas.of(1), quotas.of(2)
        call(first, quota_headers(clock, minute=0, day=0))

        assert exhausted(first).reserved == 0
        assert second.reserve(ENDPOINT) is None
        assert quotas.of(1) is first


class TestFirstCall:
    def test_the_first_call_of_a_division_goes_alone(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock))
        assert budget.reserve(ENDPOINT) is None

        assert budget.reserve(ENDPOINT) == LimitsUnknown()
        release(budget, quota_headers(clock))
        assert [budget.reserve(ENDPOINT) for _ in range(4)] == [None] * 4

    def test_a_lost_first_call_teaches_nothing(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock))
        call(budget, {})

        assert budget.reserve(ENDPOINT) is None
        assert budget.reserve(ENDPOINT) is not None


class TestHeaders:
    def test_calls_of_other_processes_are_taken_over(self, clock: FakeClock, budget: Budget) -> None:
        """The count in the headers is that of the app, not of this process."""
        call(budget, quota_headers(clock, minute=49))
        call(budget, quota_headers(clock, minute=1))

        assert budget.reserve(ENDPOINT) is None
        assert budget.reserve(ENDPOINT) is not None

    def test_answers_out_of_order_do_not_give_calls_back(self, clock: FakeClock, budget: Budget) -> None:
        assert [budget.reserve(ENDPOINT) for _ in range(2)] == [None, None]
        release(budget, quota_headers(clock, minute=0))
        release(budget, quota_headers(clock, minute=1))

        assert budget.reserve(ENDPOINT) is not None

    def test_a_late_answer_of_the_last_minute_does_not_spend_the_new_one(
        self, clock: FakeClock, budget: Budget
    ) -> None:
        late = quota_headers(clock, minute=0)
        assert budget.reserve(ENDPOINT) is None
        clock.advance(60)
        assert budget.reserve(ENDPOINT) is None
        release(budget, late)

        assert budget.reserve(ENDPOINT) is None

    def test_a_late_answer_does_not_turn_the_window_back(self, clock: FakeClock) -> None:
        """Exact's clock is ahead of what we surely know of it: its next minute has begun, ours has not."""
        budget = Budget(ServerClock(clock))
        clock.advance(59.5)
        call(budget, quota_headers(clock, minute=40))
        assert [budget.reserve(ENDPOINT) for _ in range(2)] == [None, None]
        release(budget, {**minute(2, next_minute(clock) + MINUTE)})
        release(budget, {**minute(39, next_minute(clock))})
        clock.advance(0.6)

        assert [budget.reserve(ENDPOINT) is None for _ in range(3)] == [True, True, False]

    def test_nor_does_one_when_windows_are_shorter_than_a_minute(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock))
        call(budget, minute(40, clock.now_ms() + 2000))
        assert [budget.reserve(ENDPOINT) for _ in range(2)] == [None, None]
        release(budget, minute(2, clock.now_ms() + 4000))
        release(budget, minute(39, clock.now_ms() + 2000))
        clock.advance(2.1)

        assert [budget.reserve(ENDPOINT) is None for _ in range(3)] == [True, True, False]

    def test_an_answer_of_a_window_that_ends_this_moment_tells_nothing_of_the_next(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock))
        call(budget, {"Content-Length": "1"})
        call(budget, minute(10, clock.now_ms()))

        assert budget.left()[0] == 59

    def test_an_answer_with_only_the_day_still_counts_for_the_minute(self, clock: FakeClock, budget: Budget) -> None:
        for left in range(4999, 4939, -1):
            assert budget.reserve(ENDPOINT) is None
            release(budget, day(left, next_day(clock)))

        assert not exhausted(budget).daily

    def test_a_reset_that_is_not_told_is_guessed(self, clock: FakeClock, budget: Budget) -> None:
        clock.advance(45)
        call(budget, {"X-RateLimit-Minutely-Limit": "60", "X-RateLimit-Minutely-Remaining": "0"})

        assert exhausted(budget).wait_seconds == pytest.approx(15)

    @pytest.mark.parametrize("nonsense", ["", "many", "12.5", "None", f"{10**18}", "9" * 400, f"-{10**18}", "9" * 5000])
    def test_headers_that_are_no_possible_numbers_count_like_none(
        self, clock: FakeClock, budget: Budget, nonsense: str
    ) -> None:
        assert budget.reserve(ENDPOINT) is None
        release(budget, dict.fromkeys(quota_headers(clock), nonsense))

        assert budget.reserve(ENDPOINT) is None
        assert (budget.minute.remaining, budget.minute.limit, budget.day.limit) == (59, 60, 5000)

    @pytest.mark.parametrize("reset", [10**18, 10**400, -(10**18)])
    def test_a_429_whose_reset_is_impossible_ends_with_the_window(
        self, clock: FakeClock, budget: Budget, reset: int
    ) -> None:
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
        assert budget.reserve(ENDPOINT) is None
        release(budget, headers, ok=False)

        spent = budget.refused(ENDPOINT, headers)

        assert spent.wait_seconds == 15 * 3600
        assert "resumes at 00:00 UTC" in spent_message(spent, 123)

    def test_the_last_possible_reset_can_be_told(self, clock: FakeClock, budget: Budget) -> None:
        call(budget, day(0, 253_402_300_799_999))

        assert "resumes at 23:59 UTC" in spent_message(exhausted(budget), 123)


class TestReserve:
    def test_a_daily_reserve_is_left_to_others(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock), reserve_per_day=100)
        call(budget, quota_headers(clock, day=102))
        for left in (101, 100):
            call(budget, quota_headers(clock, day=left))

        spent = exhausted(budget)

        assert (spent.daily, spent.limit, spent.reserved) == (True, 5000, 100)

    def test_the_reserve_is_none_of_the_minutes_business(self, clock: FakeClock) -> None:
        budget = Budget(ServerClock(clock), reserve_per_day=100)
        call(budget, quota_headers(clock, minute=2, day=4999))

        assert budget.reserve(ENDPOINT) is None


class TestRefused:
    def refuse(self, budget: Budget, headers: dict[str, str]) -> QuotaExceeded:
        assert budget.reserve(ENDPOINT) is None
        release(budget, headers, ok=False)
        return budget.refused(ENDPOINT, headers)

    def test_a_429_with_the_minutes_headers_ends_with_the_minute(self, clock: FakeClock, budget: Budget) -> None:
        clock.advance(20)
        spent = self.refuse(budget, minute(0, next_minute(clock)))

        assert (spent.daily, spent.from_headers, spent.refused) == (False, True, True)
        assert spent.wait_seconds == pytest.approx(40)
        assert exhausted(budget).wait_seconds == pytest.approx(40)

    def test_a_429_with_the_days_headers_ends_with_the_day(self, clock: FakeClock, budget: Budget) -> None:
        spent = self.refuse(budget, day(0, next_day(clock)))

        assert (spent.daily, spent.wait_seconds, spent.limit) == (True, 15 * 3600, 5000)
        assert exhausted(budget).daily

    def test_a_429_with_all_headers_is_about_the_window_that_is_spent(self, clock: FakeClock, budget: Budget) -> None:
        assert not self.refuse(budget, quota_headers(clock, minute=0, day=1)).daily
        clock.advance(60)
        assert self.refuse(budget, quota_headers(clock, minute=50, day=0)).daily

    def test_a_429_without_headers_is_taken_for_the_minute(self, clock: FakeClock, budget: Budget) -> None:
        clock.advance(15)
        spent = self.refuse(budget, {})

        assert (spent.daily, spent.from_headers, spent.refused) == (False, False, True)
        assert spent.wait_seconds == pytest.approx(45)
        assert (spent.reset_ms, spent.limit) == (next_minute(clock), 60)

    def test_a_late_answer_gives_no_calls_back_after_a_429(self, clock: FakeClock, budget: Budget) -> None:
        assert budget.reserve(ENDPOINT) is None
        self.refuse(budget, minute(0, clock.now_ms() + 30_000))
        release(budget, minute(1, clock.now_ms() + 30_000))

        assert exhausted(budget).wait_seconds == pytest.approx(30)

    def test_headerless_refusals_make_the_division_wait_longer_each_time(
        self, clock: FakeClock, budget: Budget
    ) -> None:
        """And one call at a time tries whether it is over, on behalf of all partitions."""
        waits = []
        for attempt in range(1, 5):
            spent = self.refuse(budget, {})
            assert (spent.attempts, spent.may_be_block) == (attempt, False)
            waits.append(spent.wait_seconds)
            assert exhausted(budget).wait_seconds == spent.wait_seconds
            clock.advance(spent.wait_seconds)
            assert budget.reserve(ENDPOINT) is None
            assert budget.reserve(ENDPOINT) == LimitsUnknown()
            release(budget, {}, ok=False)

        assert waits == pytest.approx([60, 120, 240, 480])

    def test_headerless_refusals_of_calls_under_way_together_are_one_attempt(
        self, clock: FakeClock, budget: Budget
    ) -> None:
        assert [budget.reserve(ENDPOINT) for _ in range(4)] == [None] * 4
        for _ in range(4):
            release(budget, {}, ok=False)

        assert [budget.refused(ENDPOINT, {}).attempts for _ in range(4)] == [1, 1, 1, 1]

    @pytest.mark.parametrize(
        ("headers", "ok"),
        [
            ({"X-RateLimit-Minutely-Remaining": "5", "X-RateLimit-Remaining": "9"}, True),
            ({"X-RateLimit-Minutely-Remaining": "5"}, False),
            ({"X-RateLimit-Remaining": "9"}, False),
            ({}, True),
        ],
    )
    def test_an_answer_with_headers_or_a_success_ends_the_count(
        self, clock: FakeClock, budget: Budget, headers: dict[str, str], ok: bool
    ) -> None:
        self.refuse(budget, {})
        clock.advance(60)
        assert budget.reserve(ENDPOINT) is None
        release(budget, headers, ok=ok)

        assert self.refuse(budget, {}).attempts == 1

    def test_a_fault_on_the_way_does_not_end_the_count(self, clock: FakeClock, budget: Budget) -> None:
        self.refuse(budget, {})
        clock.advance(60)
        assert budget.reserve(ENDPOINT) is None
        release(budget, {"Date": "x"}, ok=False)

        assert self.refuse(budget, {}).attempts == 2

    def test_too_many_attempts_may_be_a_block_for_the_whole_division(self, clock: FakeClock, budget: Budget) -> None:
        for _ in range(HEADERLESS_ATTEMPTS):
            spent = self.refuse(budget, {})
            assert spent.may_be_block is (spent.attempts == HEADERLESS_ATTEMPTS)
            clock.advance(0 if spent.may_be_block else spent.wait_seconds)

        other = budget.reserve("/api/v1/123/other")
        assert isinstance(other, QuotaExceeded)
        assert other.may_be_block, "others need not find out"

    def test_an_endpoint_that_alone_is_refused_may_be_blocked_while_others_are_answered(
        self, clock: FakeClock, budget: Budget
    ) -> None:
        blocked = "/api/v1/123/blocked"
        for attempt in range(1, HEADERLESS_ATTEMPTS + 1):
            clock.advance(60)
            assert budget.reserve(blocked) is None
            release(budget, {}, ok=False, endpoint=blocked)
            assert budget.refused(blocked, {}).attempts == attempt
            waiting = budget.reserve(blocked)
            assert isinstance(waiting, QuotaExceeded)
            assert waiting.attempts == attempt
            clock.advance(60)
            call(budget, quota_headers(clock))

        assert budget.reserve(ENDPOINT) is None, "nobody else is held up"

    def test_a_call_without_division_waits_after_a_refusal_like_all_others(self, clock: FakeClock) -> None:
        budget = Quotas(ServerClock(clock)).of(None)

        assert self.refuse(budget, {}).wait_seconds == pytest.approx(60)
        assert exhausted(budget).wait_seconds == pytest.approx(60)
        clock.advance(60)
        assert budget.reserve(ENDPOINT) is None

    def test_after_a_429_nobody_in_the_division_calls(self, clock: FakeClock, budget: Budget) -> None:
        call(budget, quota_headers(clock, minute=49))
        self.refuse(budget, {})

        assert budget.reserve(ENDPOINT) is not None

    @pytest.mark.parametrize("ago", [5000, 0])
    def test_a_429_whose_window_is_over_does_not_block_for_ever(
        self, clock: FakeClock, budget: Budget, ago: int
    ) -> None:
        spent = self.refuse(budget, minute(0, clock.now_ms() - ago))

        assert 0 < spent.wait_seconds <= 60
        clock.advance(60)
        assert budget.reserve(ENDPOINT) is None


class TestServerClock:
    def observe(self, learner: ServerClock, clock: FakeClock, skew: float, there: float, back: float) -> None:
        """One call to a server whose clock is `skew` seconds ahead."""
        sent = learner.local_ms()
        clock.advance(there)
        server = datetime.fromtimestamp(clock.now().timestamp() + skew, tz=timezone.utc)
        clock.advance(back)
        learner.observe(format_datetime(server, usegmt=True), sent, learner.local_ms())

    @pytest.mark.parametrize("skew", [-3600.0, -7.3, 0.0, 0.4, 95.0])
    def test_exacts_clock_lies_between_its_bounds(self, clock: FakeClock, skew: float) -> None:
        learner = ServerClock(clock)
        rng = random.Random(5)
        for _ in range(200):
            self.observe(learner, clock, skew, rng.random() / 4, rng.random() / 4)
            server_ms = (clock.now().timestamp() + skew) * 1000
            assert learner.now_ms() <= server_ms + 1
            assert server_ms <= learner.latest_ms() + 1
            clock.advance(rng.random())

        assert learner.latest_ms() - learner.now_ms() <= 600, "many answers narrow it down"

    @pytest.mark.parametrize("skew", [-3600.0, -7.3, 0.0, 0.4, 95.0])
    def test_the_latest_time_is_never_earlier_than_exacts_clock(self, clock: FakeClock, skew: float) -> None:
        learner = ServerClock(clock)
        rng = random.Random(5)
        for _ in range(200):
            self.observe(learner, clock, skew, rng.random() / 4, rng.random() / 4)
            assert learner.latest_ms() >= (clock.now().timestamp() + skew) * 1000 - 1
            clock.advance(rng.random())

        assert learner.latest_ms() <= (clock.now().timestamp() + skew) * 1000 + 600, "many answers narrow it down"

    def test_a_whole_second_may_have_lasted_for_all_but_a_second(self, clock: FakeClock) -> None:
        learner = ServerClock(clock)
        self.observe(learner, clock, 0.0, 0.0, 0.0)

        assert (learner.now_ms(), learner.latest_ms()) == (clock.now_ms(), clock.now_ms() + 1000)

    @pytest.mark.parametrize(("later", "offset"), [(1, 1000), (-1, 0)])
    def test_bounds_that_meet_are_the_offset(self, clock: FakeClock, later: int, offset: int) -> None:
        """Dates of two answers at one moment differ by a second: Exact's clock was between them."""
        learner = ServerClock(clock)
        now_ms = clock.now_ms()
        for seconds in (0, later):
            date = format_datetime(datetime.fromtimestamp(now_ms / 1000 + seconds, timezone.utc), usegmt=True)
            learner.observe(date, now_ms, now_ms)

        assert learner.now_ms() == learner.latest_ms() == now_ms + offset

    def test_without_a_date_the_local_clock_counts(self, clock: FakeClock) -> None:
        learner = ServerClock(clock)
        learner.observe(None, 0, 0)
        for date in ("yesterday", "", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "Mon, 03 Mar 2025 99:00:00 GMT"):
            learner.observe(date, 0, 0)

        assert learner.now_ms() == learner.latest_ms() == clock.now_ms()

    @pytest.mark.parametrize(
        "date",
        [
            "Mon, 02 Mar 0201 00:00:00 +2359",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ],
    )
    def test_a_date_that_cannot_be_meant_is_none(self, clock: FakeClock, date: str) -> None:
        """One before 1970 would keep every call waiting for the beginning of the epoch."""
        learner = ServerClock(clock)
        learner.observe(date, clock.now_ms(), clock.now_ms())

        assert learner.now_ms() == learner.latest_ms() == clock.now_ms()
        assert Budget(learner).reserve(ENDPOINT) is None

    def test_a_clock_that_was_set_is_learnt_anew(self, clock: FakeClock) -> None:
        learner = ServerClock(clock)
        self.observe(learner, clock, 30.0, 0.1, 0.1)
        self.observe(learner, clock, -30.0, 0.1, 0.1)

        assert abs(learner.now_ms() - (clock.now_ms() - 30_000)) <= 1200

    def test_the_window_ends_by_exacts_clock(self, clock: FakeClock) -> None:
        """Exact's clock is 20 seconds behind: its minute ends 20 seconds later than ours."""
        learner = ServerClock(clock)
        self.observe(learner, clock, -20.0, 0.0, 0.0)
        budget = Budget(learner)
        call(budget, minute(0, (clock.now_ms() - 20_000) // MINUTE * MINUTE + MINUTE))

        assert exhausted(budget).wait_seconds == pytest.approx(20.0)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs POSIX")
def test_the_end_of_a_wait_is_told_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = QuotaExceeded(60, True, datetime(2025, 3, 4, tzinfo=timezone.utc).timestamp() * 1000, 5000)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "Asia/Tokyo")
            time.tzset()
            message = spent_message(spent, 123)
    finally:
        time.tzset()

    assert message == "5,000 of 5,000 calls of division 123 used; resumes at 00:00 UTC; progress saved."


class SimulatedServer:
    """Exact's counting as documented: fixed windows, a 429 for every call too many, any limits and lengths."""

    def __init__(self, clock: FakeClock, lengths: tuple[int, int], limits: tuple[int, int], skew: float) -> None:
        self.clock = clock
        self.lengths = lengths
        self.limits = limits
        self.skew = skew
        self.counts: Counter[tuple[str, int]] = Counter()
        self.refused = 0

    def answer(self) -> dict[str, str]:
        now = self.clock.now_ms() + self.skew * 1000
        windows = [(kind, int(now // length)) for kind, length in zip(("m", "d"), self.lengths, strict=True)]
        left = [limit - self.counts[window] for limit, window in zip(self.limits, windows, strict=True)]
        resets = [(number + 1) * length for (_, number), length in zip(windows, self.lengths, strict=True)]
        date = format_datetime(datetime.fromtimestamp(now / 1000, tz=timezone.utc), usegmt=True)
        if min(left) <= 0:
            self.refused += 1
            return {"Date": date}
        self.counts.update(windows)
        return {
            "Date": date,
            **minute(left[0] - 1, resets[0], self.limits[0]),
            **day(left[1] - 1, resets[1], self.limits[1]),
        }


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    minute_length=st.sampled_from([1000, 2000, 7000, 60_000]),
    limit=st.integers(1, 12),
    day_limit=st.integers(20, 60),
    skew=st.floats(-90, 90),
    workers=st.integers(1, 4),
    latency=st.floats(0.01, 3.0),
    started=st.floats(0, 60),
)
def test_alone_on_its_quota_no_call_is_refused_whatever_windows_clocks_and_latency(
    seed: int, minute_length: int, limit: int, day_limit: int, skew: float, workers: int, latency: float, started: float
) -> None:
    """Four workers share a budget; requests and answers travel for random times and overtake each other."""
    rng = random.Random(seed)
    clock = FakeClock()
    clock.advance(started)
    server = SimulatedServer(clock, (minute_length, 86_400_000), (limit, day_limit), skew)
    learner = ServerClock(clock)
    budget = Budget(learner)
    arriving: deque[tuple[float, float]] = deque()
    returning: list[tuple[float, float, dict[str, str]]] = []
    served = 0
    for _ in range(4000):
        while len(arriving) + len(returning) < workers and budget.reserve(ENDPOINT) is None:
            arriving.append((clock.monotonic() + rng.random() * latency, learner.local_ms()))
        events = [at for at, _ in arriving] + [at for at, *_ in returning]
        clock.advance(max(0.0, min(events) - clock.monotonic()) if events else minute_length / 7000)
        now = clock.monotonic()
        for arrival in [one for one in arriving if one[0] <= now]:
            arriving.remove(arrival)
            returning.append((now + rng.random() * latency, arrival[1], server.answer()))
            served += 1
        for back in [one for one in returning if one[0] <= now]:
            returning.remove(back)
            learner.observe(back[2].pop("Date"), back[1], learner.local_ms())
            release(budget, back[2])
        if served >= day_limit and not returning:
            break

    assert server.refused == 0
    assert served == day_limit, "and every call that is available was made"


def test_a_division_uses_the_whole_minute_when_pages_are_quick(clock: FakeClock) -> None:
    server = SimulatedServer(clock, (MINUTE, DAY), (60, 5000), 0.0)
    budget = Budget(ServerClock(clock))
    made = 0
    for _ in range(600):
        if budget.reserve(ENDPOINT) is None:
            clock.advance(0.05)
            headers = server.answer()
            headers.pop("Date")
            release(budget, headers)
            made += 1
        else:
            clock.advance(1.0)

    assert server.refused == 0
    assert made >= 60 * (clock.monotonic() // 60)
