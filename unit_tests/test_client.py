"""One request: what goes out, what the answer leads to, and when the connector stops asking."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
import requests
from airbyte_cdk.models import FailureType

from source_exact_online.api.backoff import MAX_ATTEMPTS, FaultBackoff
from source_exact_online.api.circuit_breaker import ALLOWED, CircuitBreaker
from source_exact_online.api.client import ExactClient
from source_exact_online.api.errors import Action, ApiError, RequestContext
from source_exact_online.api.odata import Page
from source_exact_online.api.rate_limits import HEADERLESS_ATTEMPTS
from source_exact_online.api.request import PageRequest, RetryAfter, fetch, fetch_all
from source_exact_online.clock import HEARTBEAT_SECONDS, sleep_with_heartbeat
from unit_tests.exact_fakes import (
    BASE_URL,
    SECRETS,
    Answer,
    FakeClock,
    FakeTokens,
    ScriptedApi,
    Sent,
    client_of,
    lost,
    page,
    quota_headers,
    refusal,
)

PATH = "hrm/Costcenters"
URL = f"{BASE_URL}/api/v1/123/{PATH}?$select=ID"
SUBJECT = RequestContext("cost_centers", "Financial costcenters", 123)
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


def during_the_next_call(api: ScriptedApi, call: PageRequest) -> list[RetryAfter | Page]:
    """Attempts a call while the next one is under way; what came of it is in the list afterwards."""
    outcome: list[RetryAfter | Page] = []

    def attempt(_: Sent) -> None:
        api.before = None
        outcome.append(call.attempt())

    api.before = attempt
    return outcome


class TestRequest:
    def test_it_asks_for_json_with_the_token(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, page(ROWS))

        assert PageRequest(client, URL, SUBJECT).attempt() == Page(ROWS, None)
        headers = api.sent[0].headers
        assert headers["Accept"] == "application/json"
        assert headers["Authorization"] == f"Bearer {SECRETS[3]}"

    def test_no_cookie_is_kept_as_it_carries_a_division(self, api: ScriptedApi, client: ExactClient) -> None:
        cookie = {"Set-Cookie": "ExactServer{1}=Division=123; path=/"}
        api.on(PATH, Answer(rows=ROWS, headers=cookie), page(ROWS))

        for _ in range(2):
            fetch(client, URL, SUBJECT)

        assert [one.headers.get("Cookie") for one in api.sent] == [None, None]

    def test_a_redirect_is_not_followed(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(PATH, Answer(302, headers={"Location": "https://evil.example/steal"}))

        _, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert isinstance(ended, ApiError)
        assert {one.url.partition("?")[0] for one in api.sent} == {URL.partition("?")[0]}

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example/api/v1/123/hrm/Costcenters",
            "http://start.exactonline.nl/api/v1/123/hrm/Costcenters",
            "https://evil.example\\@start.exactonline.nl/api/v1/123/hrm/Costcenters",
        ],
    )
    def test_the_token_goes_to_no_other_host(self, api: ScriptedApi, client: ExactClient, url: str) -> None:
        with pytest.raises(ApiError, match="another host") as raised:
            PageRequest(client, url, SUBJECT).attempt()

        assert api.sent == []
        assert raised.value.verdict.action is Action.FAIL, "rows behind the link are missing: no mere skip"

    def test_all_pages_of_a_listing_are_fetched_in_turn(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, page([{"ID": "a"}], more="1"), page([{"ID": "b"}], more="2"), page([{"ID": "c"}]))

        assert [row["ID"] for row in fetch_all(client, URL, SUBJECT)] == ["a", "b", "c"]
        assert [one.options.get("$skiptoken") for one in api.sent] == [None, "1", "2"]


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            refusal(500),
            refusal(503, "Down"),
            refusal(408),
            Answer(599),
            lost(),
            Answer(error=requests.ReadTimeout("slow")),
            Answer(error=requests.exceptions.ChunkedEncodingError("cut")),
            Answer(200, b""),
            Answer(200, b'{"d": null}'),
            Answer(200, b'{"error": {"message": {"value": "Forbidden"}}}'),
            Answer(200, b"<html>Maintenance</html>"),
            Answer(200, b'{"d": {"results": [{"ID"'),
            Answer(204),
        ],
    )
    def test_a_fault_is_tried_again_later(self, api: ScriptedApi, client: ExactClient, fault: Answer) -> None:
        api.on(PATH, fault, page(ROWS))

        waits, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert ended == Page(ROWS, None)
        assert [0.5 <= wait.seconds <= 1.0 for wait in waits] == [True]

    @pytest.mark.parametrize("fault", [refusal(500, "Oops"), lost(), Answer(200, b'{"d": null}')])
    def test_a_fault_that_stays_ends_as_transient(self, api: ScriptedApi, client: ExactClient, fault: Answer) -> None:
        api.always(PATH, fault)

        waits, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert isinstance(ended, ApiError)
        assert ended.failure_type is FailureType.transient_error
        assert "cost_centers" in str(ended.message)
        assert (len(api.sent), len(waits)) == (MAX_ATTEMPTS, MAX_ATTEMPTS - 1)

    def test_waits_double_and_stay_within_their_cap(self) -> None:
        backoff = FaultBackoff(rng=lambda: 1.0)

        assert [backoff.backoff_time(None, attempt) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_waits_are_spread_so_that_workers_do_not_return_together(self) -> None:
        drawn = {FaultBackoff().backoff_time(None, 4) for _ in range(20)}

        assert len(drawn) > 1
        assert all(4 <= seconds <= 8 for seconds in drawn)

    def test_a_refusal_is_never_repeated(self, api: ScriptedApi, client: ExactClient) -> None:
        for status in (400, 403, 404, 405, 414):
            api.on(f"hrm/Endpoint{status}", refusal(status, "no"))
            with pytest.raises(ApiError):
                PageRequest(
                    client, client.url(f"hrm/Endpoint{status}", 123), RequestContext("a stream", None, 123)
                ).attempt()

        assert len(api.sent) == 5


class TestTokens:
    def test_a_dead_token_is_renewed_and_the_page_asked_again(self, api: ScriptedApi) -> None:
        tokens = FakeTokens("old", "new")
        api.on(PATH, refusal(401), page(ROWS))

        assert fetch(client_of(api, tokens), URL, SUBJECT) == Page(ROWS, None)
        assert tokens.rejected == ["old"]
        assert [one.headers["Authorization"] for one in api.sent] == ["Bearer old", "Bearer new"]

    def test_a_second_refusal_is_a_config_error_that_says_what_to_do(self, api: ScriptedApi) -> None:
        api.always(PATH, refusal(401))

        with pytest.raises(ApiError, match="Log in again") as raised:
            fetch(client_of(api, FakeTokens("old", "new", "newer")), URL, SUBJECT)

        assert raised.value.failure_type is FailureType.config_error
        assert raised.value.verdict.action is Action.FAIL
        assert len(api.sent) == 2

    def test_a_401_that_is_not_about_the_token_renews_nothing(self, api: ScriptedApi) -> None:
        tokens = FakeTokens("old", "new")
        api.on(PATH, refusal(401, reason="BlockedUser"))

        with pytest.raises(ApiError, match="blocked"):
            fetch(client_of(api, tokens), URL, SUBJECT)

        assert tokens.rejected == []


class TestQuota:
    def test_a_refused_minute_is_waited_out(self, api: ScriptedApi, client: ExactClient) -> None:
        api.clock.advance(20)
        minutely = {name: value for name, value in quota_headers(api.clock, 0).items() if "Minutely" in name}
        api.on(PATH, Answer(429, headers=minutely), page(ROWS))

        waits, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert ended == Page(ROWS, None)
        assert [wait.seconds for wait in waits] == [pytest.approx(40, abs=0.1)]
        assert waits[0].quota is not None

    def test_a_spent_minute_is_waited_out_without_a_call(self, api: ScriptedApi, client: ExactClient) -> None:
        api.clock.advance(20)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, minute=0)), page(ROWS))
        PageRequest(client, URL, SUBJECT).attempt()

        waits, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert ended == Page(ROWS, None)
        assert [wait.seconds for wait in waits] == [pytest.approx(40, abs=1.1)]
        assert len(api.sent) == 2

    def test_a_spent_day_ends_the_call_and_says_when_it_resumes(self, api: ScriptedApi, client: ExactClient) -> None:
        daily = {name: value for name, value in quota_headers(api.clock, day=0).items() if "Minutely" not in name}
        api.on(PATH, Answer(429, headers=daily))

        with pytest.raises(
            ApiError, match="5,000 of 5,000 calls of division 123 used; resumes at 00:00 UTC; "
        ) as raised:
            PageRequest(client, URL, SUBJECT).attempt()

        assert raised.value.failure_type is FailureType.transient_error
        with pytest.raises(ApiError):
            PageRequest(client, URL, SUBJECT).attempt()
        assert len(api.sent) == 1, "the second call was not even sent"

    def test_a_reserve_is_named_when_the_rest_is_spent(self, api: ScriptedApi) -> None:
        client = client_of(api, daily_calls_reserve=200)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=200)))
        PageRequest(client, URL, SUBJECT).attempt()

        with pytest.raises(ApiError, match=r"^4,800 of 5,000 calls of division 123 used \(200 are left to other proc"):
            PageRequest(client, URL, SUBJECT).attempt()

    @pytest.mark.parametrize(("longest", "ends"), [(0, True), (299, True), (302, False)])
    def test_how_long_the_end_of_the_day_is_waited_for_can_be_set(
        self, api: ScriptedApi, longest: float, ends: bool
    ) -> None:
        client = client_of(api, longest_quota_wait=longest)
        api.clock.advance(15 * 3600 - 300)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=0)), page(ROWS))
        PageRequest(client, URL, SUBJECT).attempt()

        _, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert isinstance(ended, ApiError) is ends

    def test_the_end_of_a_minute_is_waited_for_whatever_is_set(self, api: ScriptedApi) -> None:
        client = client_of(api, longest_quota_wait=0)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, minute=0)), page(ROWS))
        PageRequest(client, URL, SUBJECT).attempt()

        assert isinstance(outcomes(PageRequest(client, URL, SUBJECT), api.clock)[1], Page)

    def test_a_minute_that_ends_in_hours_is_not_waited_for(self, api: ScriptedApi, client: ExactClient) -> None:
        """A header that makes no sense must not stop a sync for hours."""
        reset = str(api.clock.now_ms() + 7_200_000)
        api.on(PATH, page(ROWS, **{**quota_headers(api.clock, minute=0), "X-RateLimit-Minutely-Reset": reset}))
        PageRequest(client, URL, SUBJECT).attempt()

        with pytest.raises(ApiError, match="resumes at 11:00 UTC"):
            PageRequest(client, URL, SUBJECT).attempt()

    def test_partitions_of_a_division_that_may_be_blocked_end_together(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, Answer(429))
        outcomes(PageRequest(client, URL, SUBJECT), api.clock)
        assert len(api.sent) == HEADERLESS_ATTEMPTS

        with pytest.raises(ApiError, match="blocks a key") as raised:
            PageRequest(client, client.url("hrm/Costunits", 123), SUBJECT).attempt()

        assert raised.value.failure_type is FailureType.transient_error
        assert len(api.sent) == HEADERLESS_ATTEMPTS, "nobody else has to find out"

    def test_one_blocked_endpoint_does_not_hold_up_its_division_for_ever(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, Answer(429))
        api.always("hrm/Costunits", page(ROWS, **quota_headers(api.clock)))
        call = PageRequest(client, URL, SUBJECT)
        for _ in range(HEADERLESS_ATTEMPTS - 1):
            outcome = call.attempt()
            assert isinstance(outcome, RetryAfter)
            api.clock.advance(outcome.seconds)
            fetch(client, client.url("hrm/Costunits", 123), SUBJECT)

        with pytest.raises(ApiError, match="blocks a key"):
            call.attempt()

    def test_other_divisions_are_not_concerned(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=0)), division=123)
        api.on(PATH, page(ROWS), division=456)
        PageRequest(client, URL, SUBJECT).attempt()

        other = PageRequest(client, URL.replace("123", "456"), RequestContext("cost_centers", None, 456))

        assert isinstance(other.attempt(), Page)

    def test_the_end_of_the_day_is_waited_for_when_it_is_near(self, api: ScriptedApi, client: ExactClient) -> None:
        api.clock.advance(15 * 3600 - 300)
        api.on(PATH, page(ROWS, **quota_headers(api.clock, day=0)), page(ROWS))
        PageRequest(client, URL, SUBJECT).attempt()

        waits, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert isinstance(ended, Page)
        assert [wait.seconds for wait in waits] == [pytest.approx(300, abs=1.1)]

    def test_refusals_without_headers_wait_longer_each_time_and_end(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, Answer(429))

        waits, ended = outcomes(PageRequest(client, URL, SUBJECT), api.clock)

        assert isinstance(ended, ApiError)
        assert ended.failure_type is FailureType.transient_error
        assert len(api.sent) == HEADERLESS_ATTEMPTS
        assert waits[0].seconds == pytest.approx(60, abs=1.1), "a minute is the shortest window there is"
        assert all(earlier.seconds < later.seconds for earlier, later in pairwise(waits))

    def test_a_refused_call_without_division_is_waited_out_too(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on("current/Me", Answer(429), page([{"CurrentDivision": 1}]))

        fetch(client, f"{BASE_URL}/api/v1/current/Me", RequestContext("current/Me"))

        assert sum(api.clock.slept) >= 60

    def test_calls_of_a_lost_connection_are_given_back(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, lost(), page(ROWS, **quota_headers(api.clock, minute=1)), page(ROWS))
        fetch(client, URL, SUBJECT)

        assert isinstance(PageRequest(client, URL, SUBJECT).attempt(), Page)


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


class TestRefusals:
    """What Exact has closed to a login stays closed for the run: nobody asks a second time."""

    SYNC_TIMESTAMP = "read/sync/Sync/SyncTimestamp"

    @pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(404), refusal(405), Answer(403)])
    def test_a_closed_endpoint_is_not_asked_again(self, api: ScriptedApi, client: ExactClient, answer: Answer) -> None:
        api.on(PATH, answer)
        said = []
        for stream in ("cost_centers", "others"):
            with pytest.raises(ApiError) as raised:
                PageRequest(
                    client, URL + f"&x={stream}", RequestContext(stream, "Financial costcenters", 123)
                ).attempt()
            said.append(str(raised.value.message))

        assert len(api.sent) == 1
        assert "others" in said[1]
        assert said[0].replace("cost_centers", "others") == said[1]

    def test_other_endpoints_and_divisions_are_asked(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, refusal(403, "Forbidden")).on(PATH, page(ROWS), division=456).on("hrm/Costunits", page(ROWS))
        with pytest.raises(ApiError):
            PageRequest(client, URL, SUBJECT).attempt()

        fetch(client, client.url(PATH, 456), RequestContext("cost_centers", None, 456))
        fetch(client, client.url("hrm/Costunits", 123), SUBJECT)

        assert len(api.sent) == 3

    def test_a_closed_division_is_not_asked_for_anything_else(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, refusal(403, "Forbidden", "DivisionBlocked"))
        for path in (PATH, "hrm/Costunits", "crm/Contacts"):
            with pytest.raises(ApiError, match="exclude_divisions"):
                PageRequest(client, client.url(path, 123), SUBJECT).attempt()

        assert len(api.sent) == 1

    def test_an_endpoint_that_several_partitions_use_is_tried_by_one_of_them(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        """Four calls at the same moment would be four refusals."""
        api.on(PATH, page(ROWS, **quota_headers(api.clock)))
        fetch(client, URL, SUBJECT)
        url = client.url(self.SYNC_TIMESTAMP, 123)
        meanwhile = during_the_next_call(api, PageRequest(client, url, SUBJECT))
        api.on(self.SYNC_TIMESTAMP, refusal(403, "Forbidden"))

        with pytest.raises(ApiError):
            PageRequest(client, url, SUBJECT).attempt()

        assert [type(one) for one in meanwhile] == [RetryAfter]
        with pytest.raises(ApiError):
            PageRequest(client, url, SUBJECT).attempt()
        assert len(api.asked(self.SYNC_TIMESTAMP)) == 1

    def test_once_it_has_answered_they_all_ask(self, api: ScriptedApi, client: ExactClient) -> None:
        url = client.url(self.SYNC_TIMESTAMP, 123)
        api.always(self.SYNC_TIMESTAMP, page(ROWS, **quota_headers(api.clock)))
        fetch(client, url, SUBJECT)
        meanwhile = during_the_next_call(api, PageRequest(client, url, SUBJECT))

        fetch(client, url, SUBJECT)

        assert [type(one) for one in meanwhile] == [Page]


class TestCircuitBreaker:
    """Exact blocks a key at the eleventh refused call an hour per endpoint and division."""

    def test_it_opens_before_exact_blocks(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(PATH, refusal(400, "No property 'Foo' exists"))
        for _ in range(12):
            with pytest.raises(ApiError):
                PageRequest(client, URL, SUBJECT).attempt()

        assert len(api.sent) == ALLOWED
        assert 2 * ALLOWED <= 10, "so that the run after it may do the same within the hour"

    def test_it_counts_by_endpoint_whatever_asks_for_it(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(PATH, refusal(400, "No property 'Foo' exists"))
        for number in range(12):
            with pytest.raises(ApiError):
                PageRequest(client, URL, RequestContext(f"stream {number}", None, 123)).attempt()

        assert len(api.sent) == ALLOWED

    def test_other_endpoints_and_divisions_go_on(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock)
        for _ in range(ALLOWED):
            breaker.record("accounts", 1, 400)

        assert breaker.is_open("accounts", 1)
        assert not breaker.is_open("accounts", 2)
        assert not breaker.is_open("items", 1)

    def test_it_closes_when_the_hour_is_over(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock)
        for _ in range(ALLOWED):
            breaker.record("accounts", 1, 404)
            clock.advance(60)
        clock.advance(3600 - ALLOWED * 60 - 1)
        assert breaker.is_open("accounts", 1)

        clock.advance(2)

        assert not breaker.is_open("accounts", 1)

    def test_only_what_exact_counts_is_counted(self, clock: FakeClock) -> None:
        breaker = CircuitBreaker(clock)
        for status in (200, 408, 429, 500, 503) * 10:
            breaker.record("accounts", 1, status)

        assert not breaker.is_open("accounts", 1)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden"),
        refusal(400, "Bad Request"),
        refusal(401),
        refusal(500),
        Answer(error=requests.ConnectionError(f"Authorization: Bearer {SECRETS[3]} refused")),
        Answer(429),
    ],
)
def test_no_secret_is_in_any_message(
    api: ScriptedApi, client: ExactClient, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.always(PATH, answer)

    with pytest.raises(ApiError) as raised:
        fetch(client, URL, SUBJECT)

    said = [str(raised.value.message), str(raised.value.internal_message), *caplog.messages]
    assert not [text for text in said if SECRETS[3] in text or "Bearer" in text]


def test_the_cost_of_a_run_is_told_by_stream_and_division(api: ScriptedApi, client: ExactClient) -> None:
    api.on(PATH, *[refusal(500)] * 3, page(ROWS, more="1"), page([*ROWS, *ROWS]))
    fetch_all(client, URL, SUBJECT)

    table = client.usage.table()

    *facts, waited, unit = table[1].split()
    assert facts == ["cost_centers", "123", "5", "3", "0", "3"]
    assert (float(waited) >= 3, unit) == (True, "s")
