"""The scheduler: no failure spreads further than it must."""

from __future__ import annotations

import logging

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.failures import TokenStoreUnavailableError
from source_exact_online.read.partition import PageResult
from source_exact_online.sync.scheduler import PartitionTask
from unit_tests.exact_fakes import FakeClock
from unit_tests.sync_fakes import (
    DAY_SPENT,
    EXPIRED,
    FAULT,
    FORBIDDEN,
    REDIRECTED,
    TOKEN_DEAD,
    FakePartition,
    pages,
    rows,
    sync,
)


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


class TestFailures:
    def test_one_failure_leaves_the_others_reading(self, clock: FakeClock, workers: int) -> None:
        broken = FakePartition("items", [rows("items", "first"), FAULT])
        one = sync(clock, broken, pages("items", 3, 2), pages("accounts", 3), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        assert sorted(run.keys("items")) == ["2-1", "2-2", "2-3", "first"]
        assert list(one.scheduler.failures) == ["items"]
        assert run.position("items", 2) == {"row_version": "3"}

    def test_what_was_read_before_a_failure_is_saved(self, clock: FakeClock, workers: int) -> None:
        broken = FakePartition("items", [rows("items", "a"), rows("items", "b"), FAULT])

        run = sync(clock, broken, workers=workers).read()

        assert run.position("items", 1) == {"row_version": "2"}
        kinds = [one["type"] for one in run.messages]
        assert kinds.index("STATE") < len(kinds) - 2, "the state goes before the error and the final status"

    def test_the_reason_is_told_with_the_stream(self, clock: FakeClock) -> None:
        run = sync(clock, FakePartition("items", [FAULT])).read()

        (error,) = [one["trace"]["error"] for one in run.of_type("TRACE") if one["trace"]["type"] == "ERROR"]
        assert error["stream_descriptor"]["name"] == "items"
        assert error["failure_type"] == "transient_error"
        assert "items" in error["message"]

    def test_a_forbidden_division_is_skipped_with_a_warning(
        self, clock: FakeClock, workers: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = sync(clock, FakePartition("items", [FORBIDDEN]), pages("items", 1, 2), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "COMPLETE"}
        assert one.scheduler.failures == {}
        assert [r for r in caplog.records if r.levelno == logging.WARNING and "Logistics items: Read" in r.message]

    def test_a_stream_forbidden_everywhere_is_a_config_error(self, clock: FakeClock, workers: int) -> None:
        skipped = [FakePartition("items", [FORBIDDEN], division) for division in (1, 2)]
        one = sync(clock, *skipped, pages("accounts", 1), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        (failure,) = one.scheduler.failures["items"]
        assert failure.failure_type is FailureType.config_error
        assert "Logistics items: Read" in str(failure.message)
        assert "any division" in str(failure.message)

    def test_a_log_that_can_be_read_does_not_make_a_stream_readable(self, clock: FakeClock) -> None:
        listing = PartitionTask(FakePartition("items", [FORBIDDEN]))
        log = PartitionTask(FakePartition("items", [PageResult(finished=True)], brings_rows=False), [listing])

        assert sync(clock, log, listing).read().statuses == {"items": "INCOMPLETE"}

    def test_a_division_whose_licence_has_expired_is_skipped_like_that(
        self, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = sync(clock, FakePartition("items", [EXPIRED]), pages("items", 1, 2)).read()

        assert run.statuses == {"items": "COMPLETE"}
        assert [line for line in caplog.messages if "division 1" in line and "expired" in line]

    def test_a_spent_day_ends_its_division_and_no_other(self, clock: FakeClock, workers: int) -> None:
        spent = FakePartition("items", [rows("items", "a"), DAY_SPENT])

        run = sync(clock, spent, pages("items", 5, 2), workers=workers).read()

        assert run.statuses == {"items": "INCOMPLETE"}
        assert run.position("items", 2) == {"row_version": "5"}

    @pytest.mark.parametrize(
        "fatal",
        [
            REDIRECTED,
            TOKEN_DEAD,
            AirbyteTracedException(message="Log in again.", failure_type=FailureType.config_error),
            TokenStoreUnavailableError(message="It is away.", failure_type=FailureType.transient_error),
        ],
        ids=["redirected", "token refused for good", "no token available", "token store away"],
    )
    def test_a_dead_login_ends_everything_at_once(self, clock: FakeClock, workers: int, fatal: Exception) -> None:
        log: list[tuple[str, int]] = []
        partitions = [FakePartition("items", [fatal], log=log)]
        partitions += [pages(stream, 50, division, log=log) for stream in ("a", "b") for division in (2, 3, 4)]
        one = sync(clock, *partitions, workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "a": "INCOMPLETE", "b": "INCOMPLETE"}
        assert all(failures for failures in one.scheduler.failures.values())
        assert len(log) < 40, "nobody goes on asking"

    def test_a_defect_in_one_partition_is_contained(self, clock: FakeClock, workers: int) -> None:
        one = sync(clock, FakePartition("items", [KeyError("Timestamp")]), pages("accounts", 1), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        assert one.scheduler.failures["items"][0].failure_type is FailureType.system_error
        assert "KeyError" in str(one.scheduler.failures["items"][0].message)
