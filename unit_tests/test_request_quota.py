"""Waits for a quota: what a request does when its division has no calls left."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
from airbyte_cdk.models import FailureType

from source_exact_online.api.client import ExactClient
from source_exact_online.api.errors import ApiError, RequestContext
from source_exact_online.api.page import Page, PageDecoder, RowShape
from source_exact_online.api.rate_limits import HEADERLESS_ATTEMPTS
from source_exact_online.api.request import PageRequest, RetryAfter, fetch
from source_exact_online.clock import HEARTBEAT_SECONDS, sleep_with_heartbeat
from unit_tests.exact_fakes import (
    BASE_URL,
    Answer,
    FakeClock,
    ScriptedApi,
    client_of,
    lost,
    page,
    quota_headers,
)

PATH = "hrm/Costcenters"
URL = f"{BASE_URL}/api/v1/123/{PATH}?$select=ID"
CONTEXT = RequestContext("cost_centers", "Financial costcenters", 123)
DECODER = PageDecoder(RowShape.of({"ID": str}, ["ID"]), None)
ROWS = [{"ID": "a"}]


@pytest.fixture
def client(api: ScriptedApi) -> ExactClient:
    return client_of(api)


def outcomes(call: PageRequest, clock: FakeClock) -> tuple[list[RetryAfter], Page | ApiError]:
    """Attempts until the call has ended: the waits, and how it ended."""
    waits: list[RetryAfter] = []
    while True:
        try:
            outcome = call.attempt()
        except ApiError as error:
            return waits, error
        if isinstance(outcome, Page):
            return waits, outcome
        waits.append(outcome)
        clock.advance(outcome.seconds)


class TestQuota:
    def test_a_refused_minute_is_waited_out(self, api: ScriptedApi, client: ExactClient) -> None:
        api.clock.advance(20)
        minutely = {name: value for name, value in quota_headers(api.clock, 0).items() if "Minutely" in name}
        api.on(PATH, Answer(429, headers=minutely), page(ROWS))

        waits, ended = outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)

        assert isinstance(ended, Page)
        assert [wait.seconds for wait in waits] == [pytest.approx(40, abs=0.1)]
        assert waits[0].quota is not None

    def test_a_spent_minute_is_waited_out_without_a_call(self, api: ScriptedApi, client: ExactClient) -> None:
        api.clock.advance(20)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, minute=0)), page(ROWS))
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        waits, ended = outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)

        assert isinstance(ended, Page)
        assert [wait.seconds for wait in waits] == [pytest.approx(40, abs=1.1)]
        assert len(api.sent) == 2

    def test_a_spent_day_ends_the_call_and_says_when_it_resumes(self, api: ScriptedApi, client: ExactClient) -> None:
        daily = {name: value for name, value in quota_headers(api.clock, day=0).items() if "Minutely" not in name}
        api.on(PATH, Answer(429, headers=daily))

        with pytest.raises(
            ApiError, match="5,000 of 5,000 calls of division 123 used; resumes at 00:00 UTC; "
        ) as raised:
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

        assert raised.value.failure_type is FailureType.transient_error
        with pytest.raises(ApiError):
            PageRequest(client, URL, CONTEXT, DECODER).attempt()
        assert len(api.sent) == 1, "the second call was not even sent"

    def test_a_reserve_is_named_when_the_rest_is_spent(self, api: ScriptedApi) -> None:
        client = client_of(api, daily_calls_reserve=200)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=200)))
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        with pytest.raises(ApiError, match=r"^4,800 of 5,000 calls of division 123 used \(200 are left to other proc"):
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

    @pytest.mark.parametrize(("longest", "ends"), [(0, True), (299, True), (302, False)])
    def test_how_long_the_end_of_the_day_is_waited_for_can_be_set(
        self, api: ScriptedApi, longest: float, ends: bool
    ) -> None:
        client = client_of(api, longest_quota_wait=longest)
        api.clock.advance(15 * 3600 - 300)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=0)), page(ROWS))
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        _, ended = outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)

        assert isinstance(ended, ApiError) is ends

    def test_the_end_of_a_minute_is_waited_for_whatever_is_set(self, api: ScriptedApi) -> None:
        client = client_of(api, longest_quota_wait=0)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, minute=0)), page(ROWS))
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        assert isinstance(outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)[1], Page)

    def test_a_minute_that_ends_in_hours_is_not_waited_for(self, api: ScriptedApi, client: ExactClient) -> None:
        """A header that makes no sense must not stop a sync for hours."""
        reset = str(api.clock.now_ms() + 7_200_000)
        api.on(PATH, page(ROWS, **{**quota_headers(api.clock, minute=0), "X-RateLimit-Minutely-Reset": reset}))
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        with pytest.raises(ApiError, match="resumes at 11:00 UTC"):
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

    def test_partitions_of_a_division_that_may_be_blocked_end_together(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, Answer(429))
        outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)
        assert len(api.sent) == HEADERLESS_ATTEMPTS

        with pytest.raises(ApiError, match="blocks a key") as raised:
            PageRequest(client, client.url("hrm/Costunits", 123), CONTEXT, DECODER).attempt()

        assert raised.value.failure_type is FailureType.transient_error
        assert len(api.sent) == HEADERLESS_ATTEMPTS, "nobody else has to find out"

    def test_one_blocked_endpoint_does_not_hold_up_its_division_for_ever(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, Answer(429))
        api.always("hrm/Costunits", page(ROWS, **quota_headers(api.clock)))
        call = PageRequest(client, URL, CONTEXT, DECODER)
        for _ in range(HEADERLESS_ATTEMPTS - 1):
            outcome = call.attempt()
            assert isinstance(outcome, RetryAfter)
            api.clock.advance(outcome.seconds)
            fetch(client, client.url("hrm/Costunits", 123), CONTEXT, DECODER)

        with pytest.raises(ApiError, match="blocks a key"):
            call.attempt()

    def test_other_divisions_are_not_concerned(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=0)), division=123)
        api.on(PATH, page(ROWS), division=456)
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        other = PageRequest(client, URL.replace("123", "456"), RequestContext("cost_centers", None, 456), DECODER)

        assert isinstance(other.attempt(), Page)

    def test_the_end_of_the_day_is_waited_for_when_it_is_near(self, api: ScriptedApi, client: ExactClient) -> None:
        api.clock.advance(15 * 3600 - 300)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=0)), page(ROWS))
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        waits, ended = outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)

        assert isinstance(ended, Page)
        assert [wait.seconds for wait in waits] == [pytest.approx(300, abs=1.1)]

    def test_refusals_without_headers_wait_longer_each_time_and_end(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, Answer(429))

        waits, ended = outcomes(PageRequest(client, URL, CONTEXT, DECODER), api.clock)

        assert isinstance(ended, ApiError)
        assert ended.failure_type is FailureType.transient_error
        assert len(api.sent) == HEADERLESS_ATTEMPTS
        assert waits[0].seconds == pytest.approx(60, abs=1.1), "a minute is the shortest window there is"
        assert all(earlier.seconds < later.seconds for earlier, later in pairwise(waits))

    def test_a_refused_call_without_division_is_waited_out_too(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on("current/Me", Answer(429), page(ROWS))

        fetch(client, f"{BASE_URL}/api/v1/current/Me", RequestContext("current/Me"), DECODER)

        assert sum(api.clock.slept) >= 60

    def test_calls_of_a_lost_connection_are_given_back(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, lost(), page(ROWS, **quota_headers(api.clock, minute=1)), page(ROWS))
        fetch(client, URL, CONTEXT, DECODER)

        assert isinstance(PageRequest(client, URL, CONTEXT, DECODER).attempt(), Page)


class TestWaiting:
    def test_a_long_wait_is_heard_of_at_least_once_a_minute(
        self, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")

        sleep_with_heartbeat(clock, 600, "the minute's call quota of division 123")

        assert sum(clock.slept) == pytest.approx(600)
        assert max(clock.slept) <= HEARTBEAT_SECONDS < 60
        assert len(caplog.messages) >= 10
        assert all("the minute's call quota of division 123" in line for line in caplog.messages)

    def test_no_wait_is_no_sleep(self, clock: FakeClock) -> None:
        sleep_with_heartbeat(clock, 0, "nothing")
        sleep_with_heartbeat(clock, -1, "nothing")

        assert clock.slept == []
