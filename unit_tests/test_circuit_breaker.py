"""What Exact has refused is not asked again, and never so often that it blocks the key."""

from __future__ import annotations

import pytest
from airbyte_cdk.models import FailureType

from source_exact_online.api.circuit_breaker import ALLOWED, CircuitBreaker, RefusalCache
from source_exact_online.api.client import ExactClient
from source_exact_online.api.errors import ApiError, ErrorResolution, RequestContext, resolution_for
from source_exact_online.api.page import Page, PageDecoder, RowShape
from source_exact_online.api.rate_limits import LimitsUnknown
from source_exact_online.api.request import MAX_ATTEMPTS, PageRequest, RetryAfter, fetch
from unit_tests.exact_fakes import (
    BASE_URL,
    Answer,
    FakeClock,
    ScriptedApi,
    Sent,
    client_of,
    page,
    quota_headers,
    refusal,
)

PATH = "hrm/Costcenters"
URL = f"{BASE_URL}/api/v1/123/{PATH}?$select=ID"
CONTEXT = RequestContext("cost_centers", "Financial costcenters", 123)
DECODER = PageDecoder(RowShape.of({"ID": str}, ["ID"]), None)
ROWS = [{"ID": "a"}]


@pytest.fixture
def client(api: ScriptedApi) -> ExactClient:
    return client_of(api)


def during_the_next_call(api: ScriptedApi, call: PageRequest) -> list[RetryAfter | Page]:
    """Attempts a call while the next one is under way; what came of it is in the list afterwards."""
    outcome: list[RetryAfter | Page] = []

    def attempt(_: Sent) -> None:
        api.before = None
        outcome.append(call.attempt())

    api.before = attempt
    return outcome


class TestRefusals:
    """What Exact has closed to a login stays closed for the run: nobody asks a second time."""

    LOOK_UP = "read/sync/Sync/SyncTimestamp"

    @pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(404), refusal(405), Answer(403)])
    def test_a_closed_endpoint_is_not_asked_again(self, api: ScriptedApi, client: ExactClient, answer: Answer) -> None:
        api.on(PATH, answer)
        said = []
        for stream in ("cost_centers", "others"):
            with pytest.raises(ApiError) as raised:
                PageRequest(
                    client, URL + f"&x={stream}", RequestContext(stream, "Financial costcenters", 123), DECODER
                ).attempt()
            said.append(str(raised.value.message))

        assert len(api.sent) == 1
        assert "others" in said[1]
        assert said[0].replace("cost_centers", "others") == said[1]

    def test_other_endpoints_and_divisions_are_asked(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, refusal(403, "Forbidden")).on(PATH, page(ROWS), division=456).on("hrm/Costunits", page(ROWS))
        with pytest.raises(ApiError):
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

        fetch(client, client.url(PATH, 456), RequestContext("cost_centers", None, 456), DECODER)
        fetch(client, client.url("hrm/Costunits", 123), CONTEXT, DECODER)

        assert len(api.sent) == 3

    def test_a_closed_division_is_not_asked_for_anything_else(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, refusal(403, "Forbidden", "DivisionBlocked"))
        for path in (PATH, "hrm/Costunits", "crm/Contacts"):
            with pytest.raises(ApiError, match="exclude_divisions"):
                PageRequest(client, client.url(path, 123), CONTEXT, DECODER).attempt()

        assert len(api.sent) == 1

    def test_an_endpoint_that_several_partitions_use_is_tried_by_one_of_them(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        """Four calls at the same moment would be four refusals."""
        api.on(PATH, page(ROWS, **quota_headers(api.clock)))
        fetch(client, URL, CONTEXT, DECODER)
        url = client.url(self.LOOK_UP, 123)
        meanwhile = during_the_next_call(api, PageRequest(client, url, CONTEXT, DECODER))
        api.on(self.LOOK_UP, refusal(403, "Forbidden"))

        with pytest.raises(ApiError):
            PageRequest(client, url, CONTEXT, DECODER).attempt()

        assert [type(one) for one in meanwhile] == [RetryAfter]
        with pytest.raises(ApiError):
            PageRequest(client, url, CONTEXT, DECODER).attempt()
        assert len(api.asked(self.LOOK_UP)) == 1

    def test_until_a_division_has_answered_its_endpoints_are_tried_one_at_a_time(self, clock: FakeClock) -> None:
        """A closed division costs one refused call, however many endpoints are wanted of it at that moment."""
        cache, other = RefusalCache(clock), RequestContext("cost_units", None, 456)
        assert cache.acquire("a", CONTEXT) is None
        assert isinstance(cache.acquire("b", CONTEXT), LimitsUnknown)
        assert cache.acquire("b", other) is None
        closed = resolution_for(403, {"Reason": "LicenseExpired"}, b"", CONTEXT)

        cache.release("a", CONTEXT, 403, closed)
        cache.release("b", other, 200, None)

        refused = cache.acquire("b", CONTEXT)
        assert isinstance(refused, ErrorResolution)
        assert refused.kind is closed.kind
        assert [cache.acquire(endpoint, other) for endpoint in "cd"] == [None, None]

    def test_once_it_has_answered_they_all_ask(self, api: ScriptedApi, client: ExactClient) -> None:
        url = client.url(self.LOOK_UP, 123)
        api.always(self.LOOK_UP, page(ROWS, **quota_headers(api.clock)))
        fetch(client, url, CONTEXT, DECODER)
        meanwhile = during_the_next_call(api, PageRequest(client, url, CONTEXT, DECODER))

        fetch(client, url, CONTEXT, DECODER)

        assert [type(one) for one in meanwhile] == [Page]


class TestCircuitBreaker:
    """Exact blocks a key at the eleventh refused call an hour per endpoint and division."""

    def test_it_opens_before_exacts_own(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(PATH, refusal(400, "No property 'Foo' exists"))
        for _ in range(12):
            with pytest.raises(ApiError):
                PageRequest(client, URL, CONTEXT, DECODER).attempt()

        assert len(api.sent) == ALLOWED
        assert 2 * ALLOWED <= 10, "so that the run after it may do the same within the hour"

    def test_what_a_firewall_refuses_is_not_exacts_refusal(self, api: ScriptedApi, client: ExactClient) -> None:
        """It did not get as far as Exact; more attempts cost nothing, and the error says what happened."""
        api.on(PATH, page(ROWS), *[Answer(403, b"<html><title>Access Denied</title></html>")] * MAX_ATTEMPTS)
        PageRequest(client, URL, CONTEXT, DECODER).attempt()

        with pytest.raises(ApiError, match="Something between here and Exact Online") as raised:
            fetch(client, URL, CONTEXT, DECODER)

        assert raised.value.failure_type is FailureType.transient_error
        assert len(api.sent) == 1 + MAX_ATTEMPTS

    def test_it_counts_by_endpoint_whatever_asks_for_it(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(PATH, refusal(400, "No property 'Foo' exists"))
        for number in range(12):
            with pytest.raises(ApiError):
                PageRequest(client, URL, RequestContext(f"stream {number}", None, 123), DECODER).attempt()

        assert len(api.sent) == ALLOWED

    def test_other_endpoints_and_divisions_go_on(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock)
        for _ in range(ALLOWED):
            breaker.record(("accounts", 1), 400)

        assert breaker.is_open(("accounts", 1))
        assert not breaker.is_open(("accounts", 2))
        assert not breaker.is_open(("items", 1))

    def test_it_closes_when_the_hour_is_over(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock)
        for _ in range(ALLOWED):
            breaker.record(("accounts", 1), 404)
            clock.advance(60)
        clock.advance(3600 - ALLOWED * 60 - 1)
        assert breaker.is_open(("accounts", 1))

        clock.advance(2)

        assert not breaker.is_open(("accounts", 1))

    def test_only_what_exact_counts_is_counted(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock)
        for status in (200, 408, 429, 500, 503) * 10:
            breaker.record(("accounts", 1), status)

        assert not breaker.is_open(("accounts", 1))
