"""One request: what goes out, what the answer leads to, and when the connector stops asking."""

from __future__ import annotations

import gzip
import json
import logging
from typing import Any

import pytest
import requests
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api import client as client_module
from source_exact_online.api.client import ANSWER_DEADLINE, ExactClient
from source_exact_online.api.errors import (
    Action,
    ApiError,
    ErrorKind,
    IncompleteError,
    LoginUnusableError,
    NotReadableError,
    QueryRefusedError,
    RequestContext,
)
from source_exact_online.api.page import Page, PageDecoder, RowShape
from source_exact_online.api.request import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    FollowedLinks,
    PageRequest,
    RetryAfter,
    fetch,
    fetch_all,
)
from source_exact_online.api.site_health import SiteDown
from source_exact_online.failures import TokenStoreUnavailableError
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
    refusal,
)

PATH = "hrm/Costcenters"
URL = f"{BASE_URL}/api/v1/123/{PATH}?$select=ID"
CONTEXT = RequestContext("cost_centers", "Financial costcenters", 123)
DECODER = PageDecoder(RowShape.of({"ID": str}, ["ID"]), 123)
ROWS = [{"ID": "a"}]
BODY = json.dumps({"d": {"results": ROWS}}).encode()
LOGIN_PAGE = b'<!DOCTYPE html><html><form action="/docs/Login.aspx" method="post"></form></html>'


@pytest.fixture
def client(api: ScriptedApi) -> ExactClient:
    return client_of(api)


def keys(page: Page) -> list[str]:
    return [row.ID for row in page.rows]


def outcomes(
    client: ExactClient, clock: FakeClock, url: str = URL, **settings: Any
) -> tuple[list[RetryAfter], Page | ApiError]:
    """Attempts until the request has ended: the waits, and how it ended."""
    request = PageRequest(client, url, CONTEXT, DECODER, **settings)
    waits: list[RetryAfter] = []
    while True:
        try:
            outcome = request.attempt()
        except ApiError as error:
            return waits, error
        if isinstance(outcome, Page):
            return waits, outcome
        waits.append(outcome)
        clock.advance(outcome.seconds)


def answered_before(api: ScriptedApi, client: ExactClient) -> None:
    """The site has answered, so that one failure is not taken for an outage."""
    api.on("hrm/Costunits", page(ROWS))
    fetch(client, client.url("hrm/Costunits", 123), CONTEXT, DECODER)
    api.sent.clear()


class TestRequest:
    def test_it_asks_for_json_with_the_token(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, page(ROWS))

        assert keys(fetch(client, URL, CONTEXT, DECODER)) == ["a"]
        headers = api.sent[0].headers
        assert headers["Accept"] == "application/json"
        assert headers["Authorization"] == f"Bearer {SECRETS[3]}"

    def test_no_cookie_is_kept_as_it_carries_a_division(self, api: ScriptedApi, client: ExactClient) -> None:
        cookie = {"Set-Cookie": "ExactServer{1}=Division=123; path=/"}
        api.on(PATH, Answer(rows=ROWS, headers=cookie), page(ROWS))

        for _ in range(2):
            fetch(client, URL, CONTEXT, DECODER)

        assert [one.headers.get("Cookie") for one in api.sent] == [None, None]

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example/api/v1/123/hrm/Costcenters",
            "http://start.exactonline.nl/api/v1/123/hrm/Costcenters",
            "https://evil.example\\@start.exactonline.nl/api/v1/123/hrm/Costcenters",
        ],
    )
    def test_the_token_goes_to_no_other_host(self, api: ScriptedApi, client: ExactClient, url: str) -> None:
        with pytest.raises(IncompleteError, match="another host"):
            PageRequest(client, url, CONTEXT, DECODER).attempt()

        assert api.sent == [], "rows behind the link are missing: no mere skip"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 307])
    @pytest.mark.parametrize(
        ("location", "words"),
        [
            ("https://start.exactonline.be/api/v1/123/x?secret=1", "https://start.exactonline.be/api/v1/123/x)"),
            ("/docs/Login.aspx?ReturnUrl=secret", "https://start.exactonline.nl/docs/Login.aspx)"),
            ("https://start.exactonline.nl/docs/Login.aspx?secret", "https://start.exactonline.nl/docs/Login.aspx)"),
            ("https://evil.example/steal?secret=1", "https://evil.example/steal)"),
        ],
    )
    def test_it_is_not_followed_and_ends_the_run_in_an_error_that_names_the_target(
        self, api: ScriptedApi, client: ExactClient, status: int, location: str, words: str
    ) -> None:
        api.on(PATH, Answer(status, headers={"Location": location}))

        with pytest.raises(LoginUnusableError) as raised:
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

        assert raised.value.failure_type is FailureType.config_error
        assert words in str(raised.value.message)
        assert "secret" not in f"{raised.value.message}{raised.value.internal_message}"
        assert [one.url for one in api.sent] == [URL]

    def test_a_login_page_in_place_of_data_does_the_same(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, Answer(200, LOGIN_PAGE))

        with pytest.raises(LoginUnusableError, match="Log in again") as raised:
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

        assert raised.value.failure_type is FailureType.config_error

    def test_the_path_of_the_login_page_among_data_does_not(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, Answer(200, b'{"d": {"results": [{"ID": "/docs/Login.aspx"}, {}]}}'), page(ROWS))

        waits, ended = outcomes(client, api.clock)

        assert len(waits) == 1
        assert isinstance(ended, Page)


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
            Answer(error=urllib3.exceptions.ProtocolError("cut")),
            Answer(error=OSError("reset")),
            Answer(403, b"<html><title>Access Denied</title></html>"),
            Answer(404, b'{"fault":{"faultstring":"Unable to identify proxy"}}'),
            Answer(204),
            Answer(200, b""),
            Answer(200, b'{"d": null}'),
            Answer(200, b'{"error": {"message": {"value": "Forbidden"}}}'),
            Answer(200, b"<html>Maintenance</html>"),
            Answer(200, b'{"d": {"results": [{"ID"'),
            Answer(200, b'{"d": {"results": [{}]}}'),
            Answer(200, b'{"d": {"results": [{"ID": "a", "Division": 456}]}}'),
            Answer(200, b'{"d": {"results": [], "__next": 7}}'),
        ],
    )
    def test_a_fault_is_tried_again_later(self, api: ScriptedApi, client: ExactClient, fault: Answer) -> None:
        answered_before(api, client)
        api.on(PATH, fault, page(ROWS))

        waits, ended = outcomes(client, api.clock)

        assert isinstance(ended, Page)
        assert [0.5 <= wait.seconds <= 1.0 for wait in waits] == [True]

    @pytest.mark.parametrize(
        ("fault", "kind", "words"),
        [
            (refusal(500, "Oops"), ErrorKind.SERVER_FAULT, "Oops"),
            (refusal(503, "Oops"), ErrorKind.SITE_DOWN, "Oops"),
            (lost(), ErrorKind.NO_CONNECTION, "ConnectionError"),
            (Answer(error=requests.ReadTimeout("slow")), ErrorKind.NO_ANSWER, "ReadTimeout"),
            (Answer(200, b'{"d": null}'), ErrorKind.DAMAGED_PAGE, "member 'd' holds no rows"),
            (Answer(200, b"<html></html>"), ErrorKind.DAMAGED_PAGE, "the body is not JSON (13 bytes)"),
            (
                Answer(200, b'{"d":{"results":[{"ID":"a","N{"error":{"message":{"value":"Time-out expired."}}}'),
                ErrorKind.DAMAGED_PAGE,
                "Time-out expired.",
            ),
        ],
    )
    def test_a_fault_that_stays_ends_as_transient_in_exacts_words(
        self, api: ScriptedApi, client: ExactClient, fault: Answer, kind: ErrorKind, words: str
    ) -> None:
        answered_before(api, client)
        api.always(PATH, fault)

        waits, ended = outcomes(client, api.clock)

        assert isinstance(ended, IncompleteError)
        assert ended.resolution.kind is kind
        assert ended.failure_type is FailureType.transient_error
        assert "cost_centers" in str(ended.message)
        assert words in str(ended.message)
        assert (len(api.sent), len(waits)) == (MAX_ATTEMPTS, MAX_ATTEMPTS - 1)

    def test_waits_double_up_to_the_longest(
        self, api: ScriptedApi, client: ExactClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("source_exact_online.api.request.MAX_ATTEMPTS", 10)
        api.always(PATH, refusal(500))

        waits, _ = outcomes(client, api.clock, rng=lambda: 1.0)

        assert [wait.seconds for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert (FIRST_PAUSE, LONGEST_PAUSE) == (1, 60)

    def test_waits_are_spread_so_that_workers_do_not_return_together(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.always(PATH, refusal(500))

        drawn = [[wait.seconds for wait in outcomes(client, api.clock)[0]] for _ in range(20)]

        assert len({waits[0] for waits in drawn}) > 1
        assert all(2**number / 2 <= seconds <= 2**number for waits in drawn for number, seconds in enumerate(waits))

    @pytest.mark.parametrize(
        ("status", "leads_to"),
        [
            (400, QueryRefusedError),
            (403, NotReadableError),
            (404, NotReadableError),
            (405, NotReadableError),
            (414, NotReadableError),
        ],
    )
    def test_a_refusal_is_never_repeated(
        self, api: ScriptedApi, client: ExactClient, status: int, leads_to: type[ApiError]
    ) -> None:
        api.on(PATH, refusal(status, "no"))

        with pytest.raises(leads_to):
            PageRequest(client, URL, CONTEXT, DECODER).attempt()

        assert len(api.sent) == 1


class TestBodies:
    """What a whole answer may take."""

    @pytest.mark.parametrize("answer", [Answer(200, BODY), Answer(200, BODY, drop=1), Answer(200, BODY, drips=10)])
    def test_it_arrives_in_as_many_pieces_as_it_likes(
        self, api: ScriptedApi, client: ExactClient, answer: Answer
    ) -> None:
        api.on(PATH, answer)

        assert keys(fetch(client, URL, CONTEXT, DECODER)) == ["a"]

    @pytest.mark.parametrize("encode", [gzip.compress, lambda body: body], ids=["gzip", "plain"])
    @pytest.mark.parametrize("status", [200, 403, 500])
    def test_one_that_drips_is_given_up_and_asked_for_again(
        self, api: ScriptedApi, client: ExactClient, encode: Any, status: int
    ) -> None:
        headers = {"Content-Encoding": "gzip"} if encode is gzip.compress else {}
        body = encode(BODY + b" " * 1_000_000)
        api.on(PATH, Answer(status, body, headers, drips=9.0, drop=10), page(ROWS))

        waits, ended = outcomes(client, api.clock)

        assert isinstance(ended, Page)
        assert [wait.reason for wait in waits] == ["no answer (the answer takes longer than 600 s)"]
        assert api.clock.monotonic() <= ANSWER_DEADLINE + 9 + LONGEST_PAUSE

    def test_one_that_drips_again_and_again_ends_as_transient(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(PATH, Answer(200, BODY + b" " * 1000, drips=9.0, drop=10))

        _, ended = outcomes(client, api.clock)

        assert isinstance(ended, IncompleteError)
        assert ended.failure_type is FailureType.transient_error
        assert "takes longer than 600 s" in str(ended.message)

    def test_one_that_ends_in_time_is_waited_for(self, api: ScriptedApi, client: ExactClient) -> None:
        pieces = -(-len(BODY) // 10) + 1
        api.on(PATH, Answer(200, BODY, drips=ANSWER_DEADLINE / pieces, drop=10))

        waits, ended = outcomes(client, api.clock)

        assert (waits, isinstance(ended, Page)) == ([], True)

    @pytest.mark.parametrize("encode", [gzip.compress, lambda body: body], ids=["gzip", "plain"])
    @pytest.mark.parametrize("status", [200, 403, 500])
    def test_one_that_is_longer_than_any_page_is_not_taken(
        self, api: ScriptedApi, client: ExactClient, monkeypatch: pytest.MonkeyPatch, encode: Any, status: int
    ) -> None:
        monkeypatch.setattr(client_module, "LONGEST_BODY", 3 * 1024**2)
        headers = {"Content-Encoding": "gzip"} if encode is gzip.compress else {}
        longest = BODY + b" " * (3 * 1024**2 - len(BODY))
        api.on(PATH, Answer(status, encode(longest + b" "), headers), Answer(200, encode(longest), headers))

        waits, ended = outcomes(client, api.clock)

        assert isinstance(ended, Page)
        assert [wait.reason for wait in waits] == ["no answer (the answer is longer than 3 MB)"]

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(200, BODY[:-5], {"Content-Length": str(len(BODY))}),
            Answer(200, b"", {"Content-Length": str(len(BODY))}),
            Answer(200, gzip.compress(BODY)[:20], {"Content-Encoding": "gzip", "Content-Length": "100"}),
            Answer(200, b"no gzip", {"Content-Encoding": "gzip"}),
            Answer(403, b"", {"Content-Length": "100"}),
        ],
    )
    def test_one_that_is_cut_off_is_asked_for_again(
        self, api: ScriptedApi, client: ExactClient, answer: Answer
    ) -> None:
        api.on(PATH, answer, page(ROWS))

        waits, ended = outcomes(client, api.clock)

        assert isinstance(ended, Page)
        assert [wait.reason.partition(" (")[0] for wait in waits] == ["no answer"]

    @pytest.mark.parametrize("encoding", ["gzip", "identity", "", None])
    def test_the_site_may_compress_it_or_not(self, api: ScriptedApi, client: ExactClient, encoding: str | None) -> None:
        body = gzip.compress(BODY) if encoding == "gzip" else BODY
        api.on(PATH, Answer(200, body, {} if encoding is None else {"Content-Encoding": encoding}))

        assert keys(fetch(client, URL, CONTEXT, DECODER)) == ["a"]


class TestTokens:
    def test_a_dead_token_is_renewed_and_the_page_asked_again(self, api: ScriptedApi) -> None:
        tokens = FakeTokens("old", "new")
        api.on(PATH, refusal(401), page(ROWS))

        assert keys(fetch(client_of(api, tokens), URL, CONTEXT, DECODER)) == ["a"]
        assert tokens.rejected == ["old"]
        assert [one.headers["Authorization"] for one in api.sent] == ["Bearer old", "Bearer new"]

    def test_a_second_refusal_is_a_config_error_that_says_what_to_do(self, api: ScriptedApi) -> None:
        api.always(PATH, refusal(401))

        with pytest.raises(LoginUnusableError, match="Log in again") as raised:
            fetch(client_of(api, FakeTokens("old", "new", "newer")), URL, CONTEXT, DECODER)

        assert raised.value.failure_type is FailureType.config_error
        assert raised.value.resolution.action is Action.REFRESH
        assert len(api.sent) == 2

    def test_a_401_that_is_not_about_the_token_renews_nothing(self, api: ScriptedApi) -> None:
        tokens = FakeTokens("old", "new")
        api.on(PATH, refusal(401, reason="BlockedUser"))

        with pytest.raises(NotReadableError, match="blocked"):
            fetch(client_of(api, tokens), URL, CONTEXT, DECODER)

        assert tokens.rejected == []


class TestListings:
    def test_all_pages_are_fetched_in_turn(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(PATH, page([{"ID": "a"}], more="1"), page([{"ID": "b"}], more="2"), page([{"ID": "c"}]))

        assert [row.ID for row in fetch_all(client, URL, CONTEXT, DECODER)] == ["a", "b", "c"]
        assert [one.options.get("$skiptoken") for one in api.sent] == [None, "1", "2"]

    @pytest.mark.parametrize("length", [1, 2, 3])
    @pytest.mark.parametrize("before", [0, 2])
    def test_links_in_a_circle_are_noticed_within_one_round(
        self, api: ScriptedApi, client: ExactClient, before: int, length: int
    ) -> None:
        last = before + length - 1

        def answer(sent: Sent) -> Answer:
            number = int(sent.options["$skiptoken"])
            return page(ROWS, more=str(before if number == last else number + 1))

        api.serve(PATH, answer)

        with pytest.raises(IncompleteError, match=rf"after {last + 1} pages? a link leads back") as raised:
            fetch_all(client, f"{URL}&$skiptoken=0", CONTEXT, DECODER)

        assert raised.value.resolution.kind is ErrorKind.ENDLESS
        assert raised.value.failure_type is FailureType.transient_error
        assert "cost_centers in division 123" in str(raised.value.message)
        assert len(api.sent) == last + 1

    def test_a_first_page_without_the_token_of_its_link_is_the_same_page(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        """A link that names the listing itself leads back to where it began, however it is written."""
        link = URL.removeprefix(BASE_URL)
        api.always(PATH, Answer(200, json.dumps({"d": {"results": ROWS, "__next": f"..{link}"}}).encode()))

        with pytest.raises(IncompleteError, match="after 1 page "):
            fetch_all(client, URL, CONTEXT, DECODER)

    def test_pages_that_come_once_are_no_circle(self) -> None:
        links = FollowedLinks(CONTEXT)
        for number in range(10_000):
            links.add(f"{URL}&$skiptoken=guid'{number}'")

        with pytest.raises(IncompleteError):
            links.add(f"{URL}&$skiptoken=guid'0'")

    def test_a_link_to_another_host_is_not_followed(self, api: ScriptedApi, client: ExactClient) -> None:
        body = {"d": {"results": ROWS, "__next": "https://evil.example/api/v1/123/hrm/Costcenters"}}
        api.on(PATH, Answer(200, json.dumps(body).encode()))

        with pytest.raises(IncompleteError, match="another host"):
            fetch_all(client, URL, CONTEXT, DECODER)

        assert len(api.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden"),
        refusal(400, "Bad Request"),
        refusal(401),
        refusal(500),
        Answer(error=requests.ConnectionError(f"Authorization: Bearer {SECRETS[3]} refused")),
        Answer(error=OSError(f"Bearer {SECRETS[3]}")),
        Answer(429),
    ],
)
def test_no_secret_is_in_any_message(
    api: ScriptedApi, client: ExactClient, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answered_before(api, client)
    api.always(PATH, answer)

    with pytest.raises(ApiError) as raised:
        fetch(client, URL, CONTEXT, DECODER)

    said = [str(raised.value.message), str(raised.value.internal_message), *caplog.messages]
    assert not [text for text in said if SECRETS[3] in text or "Bearer" in text]


def test_the_cost_of_a_run_is_told_by_stream_and_division(api: ScriptedApi, client: ExactClient) -> None:
    api.on(PATH, refusal(500), page(ROWS, more="1"), page([*ROWS, *ROWS]))
    fetch_all(client, URL, CONTEXT, DECODER)

    head, own, total = client.usage.table()

    assert head.split() == ["stream", "division", "calls", "rows", "429s", "faults", "waited"]
    assert own.split()[:6] == ["cost_centers", "123", "3", "3", "0", "1"]
    assert total.split()[2:4] == ["3", "3"]


@pytest.mark.parametrize("kind", [TokenStoreUnavailableError, AirbyteTracedException])
def test_a_token_store_that_is_away_is_no_outage_of_exact(
    api: ScriptedApi, kind: type[AirbyteTracedException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_token(_: FakeTokens) -> str:
        raise kind(message="It is away.", failure_type=FailureType.transient_error)

    monkeypatch.setattr(FakeTokens, "get_access_token", no_token)
    client = client_of(api)

    if kind is TokenStoreUnavailableError:
        with pytest.raises(TokenStoreUnavailableError, match="It is away"):
            client.send(URL, CONTEXT)
    else:
        assert isinstance(client.send(URL, CONTEXT), SiteDown)
    assert api.sent == []
