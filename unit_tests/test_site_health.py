"""A site that is down as a whole: one probe at a time, everybody else waits, and it is nobody's failed attempt."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.errors import ErrorKind, ErrorResolution, IncompleteError, RequestContext, resolution_of
from source_exact_online.api.page import Page, PageDecoder, RowShape
from source_exact_online.api.request import MAX_ATTEMPTS, PageRequest, RetryAfter
from source_exact_online.api.site_health import (
    LONGEST_WAIT_SECONDS,
    OUTAGE_KINDS,
    PROBE_SECONDS,
    WHILE_PROBING,
    SiteDown,
    SiteHealth,
)
from unit_tests.exact_fakes import (
    START,
    Answer,
    FakeClock,
    FakeTokens,
    ScriptedApi,
    client_of,
    lost,
    page,
    quota_headers,
    refusal,
)

ONE = RequestContext("accounts", None, 1)
OTHER = RequestContext("items", None, 1)
ROWS = [{"ID": "a"}]
FIREWALL = Answer(403, b"<html><head><title>Access Denied</title></head></html>")
FIRST_PROBE = PROBE_SECONDS[0]


def failure(retry_after: str = "", kind: ErrorKind = ErrorKind.SITE_DOWN) -> ErrorResolution:
    return replace(resolution_of(kind, "HTTP 503", ONE), retry_after=retry_after)


@pytest.fixture
def health(clock: FakeClock) -> SiteHealth:
    """Health of a site that has answered before."""
    made = SiteHealth(clock)
    made.release(answered=True)
    return made


def bring_down(health: SiteHealth) -> SiteDown:
    assert health.failed(ONE, failure()) is None
    down = health.failed(OTHER, failure())
    assert down is not None
    return down


class TestSigns:
    def test_two_listings_that_fail_mean_that_the_site_is_down(self, health: SiteHealth) -> None:
        assert health.failed(ONE, failure()) is None
        assert health.acquire() is None

        down = health.failed(OTHER, failure())

        assert down == SiteDown(FIRST_PROBE, START + timedelta(seconds=FIRST_PROBE), START)
        assert health.acquire() == down

    def test_one_listing_that_fails_again_and_again_is_the_listings_trouble(self, health: SiteHealth) -> None:
        assert [health.failed(ONE, failure()) for _ in range(10)] == [None] * 10
        assert health.acquire() is None

    def test_listings_that_fail_with_an_answer_in_between_do_not_add_up(self, health: SiteHealth) -> None:
        health.failed(ONE, failure())
        health.release(answered=True)

        assert health.failed(OTHER, failure()) is None

    def test_a_site_that_never_answered_is_down_at_the_first_failure(self, clock: FakeClock) -> None:
        assert SiteHealth(clock).failed(ONE, failure()) is not None

    def test_an_answer_that_asks_to_come_back_later_needs_no_second_one(self, health: SiteHealth) -> None:
        assert health.failed(ONE, failure("120")) is not None

    @pytest.mark.parametrize("kind", ErrorKind)
    def test_only_some_failures_are_signs_of_it(self, clock: FakeClock, kind: ErrorKind) -> None:
        assert (SiteHealth(clock).failed(ONE, failure("120", kind)) is not None) is (kind in OUTAGE_KINDS)

    def test_a_refusal_of_exact_is_no_sign(self) -> None:
        assert {
            ErrorKind.SITE_DOWN,
            ErrorKind.NO_CONNECTION,
            ErrorKind.REFUSED_ON_THE_WAY,
            ErrorKind.NO_TOKEN,
        } == OUTAGE_KINDS


class TestProbes:
    def test_they_come_at_growing_distances(self, clock: FakeClock, health: SiteHealth) -> None:
        down: SiteDown | None = bring_down(health)
        waits = []
        while down is not None and len(waits) < 5:
            waits.append(down.seconds)
            clock.advance(down.seconds)
            assert health.acquire() is None
            down = health.failed(ONE, failure())
            health.release(answered=False)

        assert waits == [15, 30, 60, 60, 60]

    def test_nobody_asks_before_the_probe_is_due(self, clock: FakeClock, health: SiteHealth) -> None:
        bring_down(health)
        clock.advance(FIRST_PROBE - 5)

        waiting = health.acquire()

        assert isinstance(waiting, SiteDown)
        assert waiting.seconds == 5
        assert waiting.reason == "Exact Online, which is down since 09:00 UTC; next try at 09:00:15 UTC"

    def test_while_one_is_under_way_the_others_wait(self, clock: FakeClock, health: SiteHealth) -> None:
        bring_down(health)
        clock.advance(FIRST_PROBE)
        assert health.acquire() is None

        waiting = health.acquire()

        assert isinstance(waiting, SiteDown)
        assert waiting.seconds == WHILE_PROBING

    def test_one_that_brought_nothing_frees_the_way_for_the_next(self, clock: FakeClock, health: SiteHealth) -> None:
        bring_down(health)
        clock.advance(FIRST_PROBE)
        assert health.acquire() is None
        health.release(answered=False)

        assert health.acquire() is None

    def test_a_success_ends_the_outage_for_all(self, clock: FakeClock, health: SiteHealth) -> None:
        bring_down(health)
        clock.advance(FIRST_PROBE)
        health.acquire()
        health.release(answered=True)
        health.release(answered=False)

        assert [health.acquire() for _ in range(3)] == [None] * 3
        assert bring_down(health).seconds == FIRST_PROBE, "the next outage begins afresh"

    def test_calls_that_were_under_way_do_not_put_the_probe_off(self, clock: FakeClock, health: SiteHealth) -> None:
        down = bring_down(health)
        clock.advance(10)

        late = health.failed(RequestContext("late", None, 1), failure())

        assert late == replace(down, seconds=5)

    def test_threads_never_probe_at_once(self, clock: FakeClock, health: SiteHealth) -> None:
        """Nor does one that is no prober free the way for a second one."""
        bring_down(health)
        crowd = 8
        for _ in range(50):
            clock.advance(60)
            gate = threading.Barrier(crowd)
            admitted: list[SiteDown | None] = []

            def ask(gate: threading.Barrier = gate, admitted: list[SiteDown | None] = admitted) -> None:
                gate.wait(10)
                found = health.acquire()
                if found is not None:
                    health.release(answered=False)
                    found = health.acquire()
                admitted.append(found)
                gate.wait(10)
                if found is None:
                    health.failed(ONE, failure())
                    health.release(answered=False)

            threads = [threading.Thread(target=ask) for _ in range(crowd)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert len(admitted) == crowd
            assert admitted.count(None) == 1


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("asked", "seconds"),
        [
            ("1800", 1800),
            ("Mon, 03 Mar 2025 09:30:00 GMT", 1800),
            ("Mon, 03 Mar 2025 10:30:00 +0100", 1800),
            ("Mon, 03 Mar 2025 09:30:00", 1800),
            ("15", 15),
            # Sooner than we would come by ourselves would be as fast as the site can refuse:
            ("0", 15),
            ("1", 15),
            ("Mon, 03 Mar 2025 08:00:00 GMT", 15),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 15),
            # Not beyond the longest wait:
            ("86400", LONGEST_WAIT_SECONDS),
            ("9" * 100, LONGEST_WAIT_SECONDS),
            ("9" * 5000, LONGEST_WAIT_SECONDS),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_SECONDS),
            # What is no time:
            ("Fri, 31 Dec 99999999 23:59:59 GMT", 15),
            ("Fri, 99 Dec 2025 23:59:59 GMT", 15),
            ("-5", 15),
            ("1800.5", 15),
            ("soon", 15),
            ("\u0661\u0662\u0660", 15),
            ("\u00b2", 15),
            ("", 15),
        ],
    )
    def test_it_is_heeded_in_reason(self, clock: FakeClock, asked: str, seconds: float) -> None:
        down = SiteHealth(clock).failed(ONE, failure(asked))

        assert down is not None
        assert down.seconds == seconds
        assert down.probe_at == START + timedelta(seconds=seconds)


class TestTheEnd:
    def test_after_the_longest_wait_a_failure_is_the_requests_own(self, clock: FakeClock) -> None:
        health = SiteHealth(clock, longest_wait=100)
        down = health.failed(ONE, failure())
        waits = []
        while down is not None:
            waits.append(down.seconds)
            clock.advance(down.seconds)
            assert health.acquire() is None
            down = health.failed(ONE, failure())
            health.release(answered=False)

        assert waits == [15, 30, 55]
        assert health.acquire() is None

    def test_without_any_wait_there_is_no_outage(self, clock: FakeClock) -> None:
        assert SiteHealth(clock, longest_wait=0).failed(ONE, failure("1800")) is None

    def test_a_site_that_comes_back_later_is_up_again(self, clock: FakeClock) -> None:
        health = SiteHealth(clock, longest_wait=100)
        health.failed(ONE, failure())
        clock.advance(1000)
        assert health.failed(ONE, failure()) is None
        health.release(answered=True)

        assert bring_down(health).seconds == FIRST_PROBE


# -- through the client --------------------------------------------------------------------------------------------


def request(client: ExactClient, name: str = "crm/Accounts", division: int = 1) -> PageRequest:
    decoder = PageDecoder(RowShape.of({"ID": str}, ["ID"]), division)
    return PageRequest(client, client.url(name, division), RequestContext(name, None, division), decoder)


def run(clock: FakeClock, waiting: dict[PageRequest, float]) -> tuple[list[PageRequest], list[IncompleteError]]:
    """Attempt requests, each when its time has come, until all have ended."""
    done: list[PageRequest] = []
    failed: list[IncompleteError] = []
    while waiting:
        next_up = min(waiting, key=waiting.__getitem__)
        clock.advance(max(0.0, waiting.pop(next_up) - clock.monotonic()))
        try:
            outcome = next_up.attempt()
        except IncompleteError as error:
            failed.append(error)
            continue
        if isinstance(outcome, RetryAfter):
            waiting[next_up] = clock.monotonic() + outcome.seconds
        else:
            done.append(next_up)
    return done, failed


@pytest.mark.parametrize(
    "down", [refusal(503, "Down"), refusal(502), Answer(504), Answer(503, b"<html></html>"), lost(), FIREWALL]
)
def test_an_outage_of_half_an_hour_costs_two_calls_a_minute_at_most(api: ScriptedApi, down: Answer) -> None:
    """However many listings wait, and whatever they are about. Then all go on, none of them having failed."""
    client = client_of(api)
    ends = 30 * 60.0
    names = [f"crm/Listing{number}" for number in range(21)]
    for name in names:
        api.serve(name, lambda sent: down if api.clock.monotonic() < ends else page(ROWS))

    done, failed = run(api.clock, {request(client, name): 0.0 for name in names})

    assert (len(done), failed) == (21, [])
    assert 20 <= len(api.sent) - len(done) <= 60
    assert api.clock.monotonic() < ends + PROBE_SECONDS[-1] + WHILE_PROBING


def test_retry_after_is_kept_by_all(api: ScriptedApi) -> None:
    client = client_of(api)
    api.on("crm/Accounts", Answer(503, headers={"Retry-After": "1800"})).always("crm/Accounts", page(ROWS))
    api.always("crm/Contacts", page(ROWS))

    first = request(client).attempt()
    second = request(client, "crm/Contacts").attempt()

    assert isinstance(first, RetryAfter)
    assert isinstance(second, RetryAfter)
    assert (first.seconds, second.seconds) == (1800, 1800)
    assert first.site is not None
    assert "down since 09:00 UTC; next try at 09:30:00 UTC" in first.reason
    assert len(api.sent) == 1


def test_failures_during_an_outage_are_no_attempts_of_the_request(api: ScriptedApi) -> None:
    client = client_of(api)
    api.on("crm/Accounts", *[refusal(503)] * (MAX_ATTEMPTS + 4), page(ROWS))

    done, failed = run(api.clock, {request(client): 0.0})

    assert (len(done), failed) == (1, [])


def test_a_listing_that_alone_fails_has_its_attempts_as_ever(api: ScriptedApi) -> None:
    client = client_of(api)
    api.always("crm/Contacts", page(ROWS)).always("crm/Accounts", refusal(503))
    assert isinstance(request(client, "crm/Contacts").attempt(), Page)

    done, failed = run(api.clock, {request(client): 0.0})

    assert (done, len(failed)) == ([], 1)
    assert len(api.asked("crm/Accounts")) == MAX_ATTEMPTS
    assert api.clock.monotonic() < 60


@pytest.mark.parametrize(("longest", "at_least", "at_most"), [(0, 0, 60), (600, 600, 700), (2700, 2700, 2800)])
def test_an_outage_that_lasts_for_too_long_ends_the_listing_as_incomplete(
    api: ScriptedApi, longest: float, at_least: float, at_most: float
) -> None:
    client = client_of(api, longest_outage=longest)
    api.always("crm/Accounts", Answer(503, b"<html>Being updated</html>"))

    done, failed = run(api.clock, {request(client): 0.0})

    assert done == []
    assert failed[0].failure_type is FailureType.transient_error
    assert "not available for crm/Accounts in division 1 (HTTP 503 - Being updated)" in str(failed[0].message)
    assert at_least <= api.clock.monotonic() < at_most


def test_a_probe_that_was_not_sent_for_lack_of_calls_leaves_the_way_to_others(api: ScriptedApi) -> None:
    client = client_of(api)
    api.on("crm/Accounts", page(ROWS, **quota_headers(api.clock, minute=0)), division=1)
    assert isinstance(request(client).attempt(), Page)
    for name in ("crm/Contacts", "crm/Addresses"):
        api.on(name, refusal(503), page(ROWS))
        request(client, name, division=2).attempt()
    api.clock.advance(FIRST_PROBE)

    spent = request(client).attempt()
    other = request(client, "crm/Contacts", division=2).attempt()

    assert isinstance(spent, RetryAfter)
    assert spent.quota is not None
    assert isinstance(other, Page)


class FailingTokens(FakeTokens):
    """A token endpoint that is down as well, or refuses."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    def get_access_token(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return super().get_access_token()


def passing() -> AirbyteTracedException:
    return AirbyteTracedException(message="No token for now.", failure_type=FailureType.transient_error)


def test_a_token_that_is_not_to_be_had_for_now_is_a_sign_of_an_outage(api: ScriptedApi) -> None:
    tokens = FailingTokens(passing(), passing(), passing())
    client = client_of(api, tokens)
    api.always("crm/Accounts", page(ROWS))
    first = request(client)

    waiting = first.attempt()

    assert isinstance(waiting, RetryAfter)
    assert waiting.site is not None
    assert isinstance(request(client, "crm/Contacts").attempt(), RetryAfter)
    assert len(tokens.errors) == 2, "nobody else asks for a token meanwhile"
    assert len(run(api.clock, {first: waiting.seconds})[0]) == 1
    assert len(api.sent) == 1


def test_a_token_that_is_never_to_be_had_ends_the_listing_in_the_words_of_the_reason(api: ScriptedApi) -> None:
    client = client_of(api, FailingTokens(*[passing() for _ in range(100)]), longest_outage=0)

    done, failed = run(api.clock, {request(client): 0.0})

    assert done == []
    assert failed[0].message == "No token for now."
    assert failed[0].failure_type is FailureType.transient_error
    assert api.sent == []


@pytest.mark.parametrize("failure_type", [FailureType.config_error, FailureType.system_error])
def test_a_login_that_is_of_no_use_is_no_outage(api: ScriptedApi, failure_type: FailureType) -> None:
    refused = AirbyteTracedException(message="Log in again.", failure_type=failure_type)
    client = client_of(api, FailingTokens(refused))
    api.always("crm/Accounts", page(ROWS))

    with pytest.raises(AirbyteTracedException, match="Log in again") as raised:
        request(client).attempt()

    assert raised.value is refused
    assert isinstance(request(client).attempt(), Page)


def test_a_probe_that_ended_in_an_error_leaves_the_way_to_others(api: ScriptedApi) -> None:
    """Whatever error it is."""
    tokens = FailingTokens()
    client = client_of(api, tokens)
    api.on("crm/Accounts", refusal(503)).always("crm/Accounts", page(ROWS))
    request(client).attempt()
    api.clock.advance(FIRST_PROBE)
    tokens.errors.append(RuntimeError("a defect"))
    with pytest.raises(RuntimeError):
        request(client).attempt()

    assert isinstance(request(client).attempt(), Page)


def test_a_slow_answer_is_no_outage(api: ScriptedApi) -> None:
    client = client_of(api)
    slow = Answer(error=requests.ReadTimeout("slow"))
    for name in ("crm/Accounts", "crm/Contacts"):
        api.on(name, slow, page(ROWS))

    waits = [request(client, name).attempt() for name in ("crm/Accounts", "crm/Contacts")]

    assert [isinstance(wait, RetryAfter) and wait.site for wait in waits] == [None, None]
