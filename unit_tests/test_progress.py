"""What a person sees of a run: never a minute of silence, what is left of the quota, and the bill."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from source_exact_online.api.errors import RequestContext
from source_exact_online.api.rate_limits import QuotaExceeded, Quotas, ServerClock
from source_exact_online.api.request import RetryAfter
from source_exact_online.api.site_health import SiteDown
from source_exact_online.api.usage import Cost, Usage
from source_exact_online.read.partition import PageResult
from source_exact_online.sync.progress import Progress
from unit_tests.exact_fakes import START, FakeClock, quota_headers
from unit_tests.sync_fakes import FakePartition, Outcome, later, rows, sync

ACCOUNTS, ITEMS = RequestContext("accounts", "Crm accounts", 123), RequestContext("items", "Logistics items", 123)


class Lines(logging.Handler):
    """Log lines with the moment of each."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.moments: list[float] = [clock.monotonic()]
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.moments.append(self.clock.monotonic())
        self.texts.append(record.getMessage())

    @property
    def longest_silence(self) -> float:
        moments = [*self.moments, self.clock.monotonic()]
        return max(after - before for before, after in pairwise(moments))


@pytest.fixture
def lines(clock: FakeClock) -> Iterator[Lines]:
    handler = Lines(clock)
    logger = logging.getLogger("airbyte.exact_online")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def quotas(clock: FakeClock) -> Quotas:
    """Quotas of which one division's are known."""
    made = Quotas(ServerClock(clock))
    budget = made.of(123)
    budget.reserve("items")
    budget.release("items", quota_headers(clock, minute=17, day=4310), ok=True)
    return made


@pytest.fixture
def progress(clock: FakeClock, quotas: Quotas) -> Progress:
    return Progress(clock, Usage(), quotas)


def taking(clock: FakeClock, seconds: float, step: PageResult) -> Callable[[], Outcome]:
    """A step that takes its time."""

    def act() -> PageResult:
        clock.advance(seconds)
        return step

    return act


class TestSilence:
    def test_reading_without_a_pause_is_heard_of(self, clock: FakeClock, lines: Lines) -> None:
        steps = [taking(clock, 9, rows("items", str(n), finished=n == 99)) for n in range(100)]

        sync(clock, FakePartition("items", steps)).read()

        assert clock.monotonic() >= 900
        assert lines.longest_silence <= 60

    @pytest.mark.parametrize("waits", [[49, 49, 49, 49], [7, 55, 0.5, 58, 1, 59, 3], [0.9] * 300, [3000, 30, 31, 29]])
    def test_waits_that_follow_each_other_are_heard_of(
        self, clock: FakeClock, lines: Lines, waits: list[float]
    ) -> None:
        acts = [step for n, wait in enumerate(waits) for step in (later(wait), rows("items", str(n)))]

        sync(clock, FakePartition("items", [*acts, PageResult(finished=True)])).read()

        assert clock.monotonic() >= sum(waits)
        assert lines.longest_silence <= 60

    def test_short_runs_are_not_talked_over(self, clock: FakeClock, lines: Lines) -> None:
        sync(clock, FakePartition("items", [rows("items", "a"), later(0.2), PageResult(finished=True)])).read()

        assert [text for text in lines.texts if "to go" in text or "aiting" in text] == []


class TestLine:
    def test_it_tells_what_was_read_what_is_left_and_how_long_it_takes(
        self, clock: FakeClock, lines: Lines, progress: Progress
    ) -> None:
        progress.page(ACCOUNTS, 1000)
        progress.page(ITEMS, 500)
        progress.page(ACCOUNTS, 234)
        clock.advance(51)
        progress.ended(20, 15)

        progress.tick(15, 3, None)

        (line,) = lines.texts
        assert "1,734 rows read, 15 partitions to go, 3 of them waiting, about 3 min at the pace so far." in line
        assert "Latest: items of division 123 (500 rows), accounts of division 123 (1,234 rows)." in line
        assert line.endswith("Calls left in division 123: 17 this minute, 4,310 today.")

    def test_the_calls_of_a_minute_that_has_ended_are_not_told(
        self, clock: FakeClock, lines: Lines, progress: Progress
    ) -> None:
        progress.page(ACCOUNTS, 1)
        clock.advance(61)

        progress.tick(1, 0, None)

        assert "60 this minute, 4,310 today" in lines.texts[0]

    def test_nobody_guesses_how_long_it_takes_from_next_to_nothing(
        self, clock: FakeClock, lines: Lines, progress: Progress
    ) -> None:
        clock.advance(51)

        progress.ended(100, 95)
        progress.tick(95, 0, None)

        assert progress.seconds_left() is None
        assert "at the pace" not in lines.texts[0]

    def test_a_guess_counts_down_and_is_given_up_once_it_has_proved_too_short(
        self, clock: FakeClock, progress: Progress
    ) -> None:
        clock.advance(100)
        progress.ended(10, 5)
        left = [progress.seconds_left()]
        for seconds in (60, 40):
            clock.advance(seconds)
            left.append(progress.seconds_left())
        clock.advance(100)
        progress.ended(10, 4)
        left.append(progress.seconds_left())

        assert left == [100, 40, None, 200]

    def test_when_all_wait_it_says_until_when(self, lines: Lines, progress: Progress) -> None:
        progress.tick(15, 15, 75.0)

        assert lines.texts[0].startswith("0 rows read, 15 partitions to go, 15 of them waiting until 09:01:15 UTC")

    def test_it_names_a_few_partitions_and_not_hundreds(
        self, clock: FakeClock, lines: Lines, progress: Progress
    ) -> None:
        for division in range(500):
            progress.page(RequestContext("items", None, division), 1)
        clock.advance(51)

        progress.tick(400, 0, None)

        assert lines.texts[0].count("items of division") == 4


class TestWaits:
    def spent(self, reset_ms: float) -> RetryAfter:
        return RetryAfter(40.0, "the minute's call quota of division 123", QuotaExceeded(40.0, False, reset_ms, 60))

    def test_a_spent_quota_is_told_once_for_all_partitions_of_the_division(
        self, clock: FakeClock, lines: Lines, progress: Progress
    ) -> None:
        reset = clock.now_ms() + 40_000
        for context in (ACCOUNTS, ITEMS, ACCOUNTS):
            progress.wait(context, self.spent(reset))
        assert lines.texts == ["Waiting 40 s for the minute's call quota of division 123; resumes at 09:00:40 UTC."]

        progress.wait(ACCOUNTS, self.spent(reset + 60_000))
        progress.wait(RequestContext("accounts", None, 456), self.spent(reset))

        assert len(lines.texts) == 3, "the next minute and another division are told"

    def test_an_outage_is_told_once_for_all_partitions_and_again_with_each_probe(
        self, lines: Lines, progress: Progress
    ) -> None:
        def down(probe_at: datetime) -> RetryAfter:
            site = SiteDown(15.0, probe_at, START)
            return RetryAfter(15.0, site.reason, site=site)

        for context in (ACCOUNTS, ITEMS, RequestContext("items", None, 456)):
            progress.wait(context, down(START + timedelta(seconds=15)))
        progress.wait(ACCOUNTS, down(START + timedelta(seconds=45)))

        said = "Waiting for Exact Online, which is down since 09:00 UTC; next try at"
        assert lines.texts == [f"{said} 09:00:15 UTC.", f"{said} 09:00:45 UTC."]

    def test_a_back_off_is_told_with_its_reason(self, lines: Lines, progress: Progress) -> None:
        progress.wait(ACCOUNTS, RetryAfter(2.0, "server fault (HTTP 503)"))
        progress.wait(ACCOUNTS, RetryAfter(0.4, "server fault (HTTP 503)"))

        assert lines.texts == ["accounts: waiting 2 s for server fault (HTTP 503)."]


class TestBill:
    def test_it_has_a_line_per_stream_and_division_and_their_sum(
        self, clock: FakeClock, lines: Lines, quotas: Quotas
    ) -> None:
        usage = Usage()
        usage.add(ACCOUNTS, Cost(calls=12, rows=11_500, waited=60.2, refused=1))
        usage.add(ITEMS, Cost(calls=3, rows=200, faults=2))

        Progress(clock, usage, quotas).close([ACCOUNTS, ITEMS])

        table = [line.split() for line in lines.texts[0].split("\n")]
        assert ["accounts", "123", "12", "11,500", "1", "0", "60", "s"] in table
        assert ["items", "123", "3", "200", "0", "2", "0", "s"] in table
        assert ["total", "-", "15", "11,700", "1", "2", "60", "s"] in table

    def test_it_says_what_the_planned_frequency_costs(self, lines: Lines, progress: Progress) -> None:
        """Thirteen calls an hour are 312 a day, of 5,000."""
        busiest = [RequestContext(f"stream {number}", None, 123) for number in range(13)]

        progress.close([*busiest, RequestContext("accounts", None, 456)])

        assert "hourly = 312 calls a day and division, 6 % of the quota" in lines.texts[-1]
        assert "daily = 13 calls a day and division, less than 1 % of the quota" in lines.texts[-1]

    def test_a_run_that_reads_nothing_has_nothing_to_plan(self, lines: Lines, progress: Progress) -> None:
        progress.close([])

        assert len(lines.texts) == 1
