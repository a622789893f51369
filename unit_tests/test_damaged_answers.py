"""A 200 proves nothing: what is no page of the listing is asked for again, and never taken for its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessage, FailureType

from source_exact_online.api.request import MAX_ATTEMPTS
from source_exact_online.read.list_partition import PAGES_WITHOUT_NEWS
from unit_tests.exact_fakes import (
    BASE_URL,
    Answer,
    FakeClock,
    Run,
    ScriptedApi,
    Sent,
    configured,
    date_json,
    page,
    read,
    refusal,
    row,
    state_of,
)

ACCOUNTS = "sync/CRM/Accounts"
JOURNALS = "financial/Journals"
UNITS = "logistics/Units"
LOG = "sync/Deleted"
DIVISIONS = "system/Divisions"
ORDERS = "salesorder/SalesOrders"
LINES = "SalesOrderOrderChargeLines"

Rows = Sequence[Mapping[str, Any]]


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always(LOG, page([]))


# -- what is wrong with a page -------------------------------------------------------------------------------------


def with_an_error_row(rows: Rows) -> Answer:
    return page([*rows, {"error": {"code": "", "message": {"lang": "", "value": "Deadlock victim"}}}])


def with_an_error_beside_the_rows(rows: Rows) -> Answer:
    error = {"code": "", "message": {"lang": "", "value": "Deadlock victim"}}
    return Answer(body=json.dumps({"d": {"results": list(rows)}, "error": error}).encode())


def broken_off_by_an_error(rows: Rows) -> Answer:
    """The status has been sent when the error comes, in the middle of a row."""
    begun = json.dumps({"d": {"results": list(rows)}}).removesuffix("]}}")
    return Answer(body=(begun + ', {"ID": "x", "error": {"message": {"value": "Deadlock victim"}}').encode())


def with_a_row_that_lacks_its_key(rows: Rows) -> Answer:
    return page([*rows, {"Modified": date_json("2025-03-01T10:00:00"), "Description": "whose is this?"}])


def with_a_row_of_another_division(rows: Rows) -> Answer:
    uri = {"uri": f"{BASE_URL}/api/v1/999/x/Rows(guid'1')"}
    return page([*rows, {**rows[-1], "ID": "foreign", "Code": "999", "__metadata": uri}])


DAMAGE: dict[Callable[[Rows], Answer], str] = {
    with_an_error_row: "Deadlock victim",
    with_an_error_beside_the_rows: "Deadlock victim",
    broken_off_by_an_error: "Deadlock victim",
    with_a_row_that_lacks_its_key: "lacks its key",
    with_a_row_of_another_division: "a row of division 999",
}
DAMAGES = pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)


# -- where it happens ----------------------------------------------------------------------------------------------


class Listing:
    """A listing of two pages of which the second can be damaged for a while."""

    stream = ""
    path = ""
    columns: tuple[str, ...] = ("ID",)
    pages: tuple[list[dict[str, Any]], list[dict[str, Any]]]
    keys: tuple[list[Any], list[Any]] = (["a"], ["b"])
    key = "ID"

    def state(self) -> list[AirbyteStateMessage]:
        return []

    def serve(self, api: ScriptedApi, clock: FakeClock, damage: Callable[[Rows], Answer], times: int) -> Run:
        left = times

        def answer_to(sent: Sent) -> Answer:
            nonlocal left
            if not self.is_its(sent):
                return page([{"Code": 123, "DivisionMoveDate": None}])
            if "$skiptoken" not in sent.options:
                return page(self.pages[0], more="1")
            left -= 1
            return page(self.pages[1]) if left < 0 else damage(self.pages[1])

        api.serve(self.path, answer_to)
        return read(clock, configured(self.stream, columns=self.columns), self.state())

    def is_its(self, sent: Sent) -> bool:
        return True


class Feed(Listing):
    stream, path = "accounts", ACCOUNTS
    pages = ([row("a", 5)], [row("b", 6)])


class List(Listing):
    stream, path = "journals", JOURNALS
    pages = ([row("a")], [row("b")])


class Snapshot(Listing):
    stream, path = "units", UNITS
    pages = ([{"ID": "a"}], [{"ID": "b"}])


class DeletionLog(Listing):
    """Read for the tombstones of another stream."""

    stream, path = "accounts", LOG
    pages = ([], [])

    def __init__(self) -> None:
        self.pages = (
            [{"ID": "1", "Timestamp": "5", "EntityKey": "a", "EntityType": 2, "DeletedDate": None}],
            [{"ID": "2", "Timestamp": "6", "EntityKey": "b", "EntityType": 2, "DeletedDate": None}],
        )

    def state(self) -> list[AirbyteStateMessage]:
        return state_of(
            accounts={"row_version": "4", "deletions_read_until": {"read_at": "2025-03-03T08:00:00.000+00:00"}}
        )

    def serve(self, api: ScriptedApi, clock: FakeClock, damage: Callable[[Rows], Answer], times: int) -> Run:
        api.always(ACCOUNTS, page([]))
        return super().serve(api, clock, damage, times)


class DivisionsStream(Listing):
    """The list that the run begins with is another request to the same path."""

    stream, path, key = "divisions", DIVISIONS, "Code"
    columns = ("Code", "Hid")
    pages = ([{"Code": 123, "Hid": "7"}], [{"Code": 123, "Hid": "8"}])
    keys = ([123], [123])

    def is_its(self, sent: Sent) -> bool:
        return "Hid" in sent.select


class Expanded(Listing):
    """Lines inside their headers; the damage is inside a header."""

    stream, path = "sales_order_order_charge_lines", ORDERS

    def __init__(self) -> None:
        self.pages = ([self.order({"ID": "a", "OrderID": "1"})], [{"ID": "b", "OrderID": "2"}])

    @staticmethod
    def order(*lines: Mapping[str, Any]) -> dict[str, Any]:
        modified = date_json("2025-03-03T09:30:00")
        return {"OrderID": lines[0]["OrderID"], "Modified": modified, LINES: {"results": list(lines)}}

    def state(self) -> list[AirbyteStateMessage]:
        return state_of(sales_order_order_charge_lines={"cursor": "2025-03-03T09:00:00.000"})

    def serve(self, api: ScriptedApi, clock: FakeClock, damage: Callable[[Rows], Answer], times: int) -> Run:
        lines = self.pages[1]

        def inside(rows: Rows) -> Answer:
            damaged = damage(lines)
            if damaged.rows is not None:
                return page([self.order(*damaged.rows)])
            return damage(rows)

        self.pages = (self.pages[0], [self.order(*lines)])
        return super().serve(api, clock, inside, times)


def applies(listing: type[Listing], damage: Callable[[Rows], Answer]) -> bool:
    """Rows of other divisions are what the stream of divisions is made of."""
    return listing is not DivisionsStream or damage is not with_a_row_of_another_division


CASES = [
    pytest.param(listing, damage, id=f"{listing.__name__}, {damage.__name__}")
    for listing in (Feed, List, Snapshot, DeletionLog, DivisionsStream, Expanded)
    for damage in DAMAGE
    if applies(listing, damage)
]


@pytest.mark.parametrize(("listing", "damage"), CASES)
def test_a_page_that_stays_damaged_leaves_the_stream_incomplete(
    api: ScriptedApi, clock: FakeClock, listing: type[Listing], damage: Callable[[Rows], Answer]
) -> None:
    one = listing()

    run = one.serve(api, clock, damage, times=MAX_ATTEMPTS)

    assert run.statuses == {one.stream: "INCOMPLETE"}
    assert run.error is not None
    assert run.error.failure_type is FailureType.transient_error
    assert DAMAGE[damage] in str(run.error.message)
    assert run.keys(one.stream, one.key) == one.keys[0], "nothing of the damaged page is taken"
    asked = [sent for sent in api.asked(one.path) if one.is_its(sent)]
    assert len(asked) == 1 + MAX_ATTEMPTS


@pytest.mark.parametrize(("listing", "damage"), CASES)
def test_a_page_that_was_damaged_once_loses_and_doubles_nothing(
    api: ScriptedApi, clock: FakeClock, listing: type[Listing], damage: Callable[[Rows], Answer]
) -> None:
    one = listing()

    run = one.serve(api, clock, damage, times=1)

    assert run.statuses == {one.stream: "COMPLETE"}
    assert run.keys(one.stream, one.key) == [*one.keys[0], *one.keys[1]]
    assert 0 < sum(clock.slept) < 5


@DAMAGES
def test_what_comes_after_a_damaged_page_is_read_by_the_next_run(
    api: ScriptedApi, clock: FakeClock, damage: Callable[[Rows], Answer]
) -> None:
    one = List()
    broken = one.serve(api, clock, damage, times=MAX_ATTEMPTS)
    api.serve(JOURNALS, lambda sent: page(one.pages[1] if "$skiptoken" in sent.options else []))

    run = read(clock, configured("journals"), broken.state)

    assert run.keys("journals") == ["b"]
    assert run.statuses == {"journals": "COMPLETE"}


def test_a_division_s_damaged_page_stops_no_other_division(api: ScriptedApi, clock: FakeClock) -> None:
    api.divisions(123, 456).on(JOURNALS, *[with_an_error_row([])] * MAX_ATTEMPTS, division=123)
    api.on(JOURNALS, page([row("b")]), division=456)

    run = read(clock, configured("journals"))

    assert run.keys("journals") == ["b"]
    assert run.statuses == {"journals": "INCOMPLETE"}


class TestCutShort:
    """What ends in the middle is never called complete."""

    @pytest.mark.parametrize(
        "end",
        [
            [refusal(403, "Forbidden")],
            [refusal(404)],
            [Answer(200, b'{"d": null}')] * 6,
            [refusal(500)] * 6,
        ],
        ids=["forbidden", "not found", "no listing", "server fault"],
    )
    def test_a_listing_that_ends_in_mid_list_is_incomplete(
        self, api: ScriptedApi, clock: FakeClock, end: list[Answer]
    ) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, page([row("a")], more="1"), *end, division=123).on(JOURNALS, page([row("b")]), division=456)

        run = read(clock, configured("journals"))

        assert run.keys("journals") == ["a", "b"]
        assert run.statuses == {"journals": "INCOMPLETE"}
        assert run.error is not None
        assert run.error.failure_type is FailureType.transient_error

    def test_what_a_person_must_correct_stays_that_in_mid_list(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Told as transient, it would be tried again for ever."""
        elsewhere = Answer(302, b"", {"Location": "https://proxy.example/login"})
        api.divisions(123).on(JOURNALS, page([row("a")], more="1"), elsewhere)

        run = read(clock, configured("journals"))

        assert run.keys("journals") == ["a"]
        assert run.error is not None
        assert run.error.failure_type is FailureType.config_error

    @pytest.mark.parametrize(
        "link",
        [
            "https://evil.example/x",
            "//evil.example/x",
            "\\\\evil.example\\x",
            "http://start.exactonline.nl/api/v1/123/financial/Journals",
            "https://start.exactonline.nl:444/api/v1/123/financial/Journals",
            "\0https://start.exactonline.nl/api/v1/123/financial/Journals",
            "javascript:alert(1)",
            "data:application/json,{}",
            "file:///etc/passwd",
            "ftp://start.exactonline.nl/x",
        ],
    )
    def test_a_link_to_elsewhere_cuts_the_stream_short(self, api: ScriptedApi, clock: FakeClock, link: str) -> None:
        body = json.dumps({"d": {"results": [row("a")], "__next": link}}).encode()
        api.on(JOURNALS, *[Answer(body=body)] * 6)

        run = read(clock, configured("journals"))

        assert {one.url.partition("/api")[0] for one in api.sent} == {BASE_URL}
        assert set(run.keys("journals")) <= {"a"}
        assert run.statuses == {"journals": "INCOMPLETE"}
        assert run.error is not None
        assert run.error.failure_type is not FailureType.config_error


# -- listings that do not end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize(("stream", "path"), [("accounts", ACCOUNTS), ("journals", JOURNALS), ("units", UNITS)])
def test_links_in_a_circle_end_as_incomplete(
    api: ScriptedApi, clock: FakeClock, stream: str, path: str, length: int
) -> None:
    """With as many pages as there are in the circle, and one before it."""

    def answer_to(sent: Sent) -> Answer:
        number = int(sent.options.get("$skiptoken", "0"))
        return page([row(str(number), 100 + number)], more=str(number % length + 1))

    api.serve(path, answer_to)

    run = read(clock, configured(stream))

    assert run.statuses == {stream: "INCOMPLETE"}
    assert "does not end" in str(run.error)
    assert len(api.asked(path)) == length + 1
    assert run.error is not None
    assert run.error.failure_type is FailureType.transient_error


class TestPagesWithoutNews:
    """Links that always differ and lead nowhere: many pages in a row without a row that the last one did not have."""

    @staticmethod
    def serve(api: ScriptedApi, path: str, rows_of: Callable[[int], Rows], last: int = 10_000) -> None:
        def answer_to(sent: Sent) -> Answer:
            number = int(sent.options.get("$skiptoken", "0"))
            return page(rows_of(number), more=None if number == last else str(number + 1))

        api.serve(path, answer_to)

    @pytest.mark.parametrize("rows_of", [lambda _: [], lambda _: [row("a", 5)]], ids=["empty", "always the same row"])
    @pytest.mark.parametrize(("stream", "path"), [("accounts", ACCOUNTS), ("journals", JOURNALS)])
    def test_they_end_as_incomplete(
        self, api: ScriptedApi, clock: FakeClock, stream: str, path: str, rows_of: Callable[[int], Rows]
    ) -> None:
        self.serve(api, path, rows_of)

        run = read(clock, configured(stream))

        assert run.statuses == {stream: "INCOMPLETE"}
        assert "brought no new row" in str(run.error)
        first_rows = len(rows_of(0))
        assert len(api.asked(path)) == PAGES_WITHOUT_NEWS + first_rows

    def test_a_few_of_them_are_borne(self, api: ScriptedApi, clock: FakeClock) -> None:
        last = 3 * PAGES_WITHOUT_NEWS
        self.serve(api, JOURNALS, lambda n: [row(str(n))] if n % PAGES_WITHOUT_NEWS == 0 else [], last)

        run = read(clock, configured("journals"))

        assert run.statuses == {"journals": "COMPLETE"}
        assert len(run.keys("journals")) == 4

    def test_rows_without_a_key_are_all_news(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Settings, of which a division has one row."""
        last = 3 * PAGES_WITHOUT_NEWS
        self.serve(api, "manufacturing/ManufacturingSettings", lambda _: [{"Division": 123}], last)

        run = read(clock, configured("manufacturing_settings"))

        assert run.statuses == {"manufacturing_settings": "COMPLETE"}
        assert len(run.records("manufacturing_settings")) == last + 1

    def test_rows_of_another_stream_are_news(self, api: ScriptedApi, clock: FakeClock) -> None:
        """A feed of lines in which hundreds of pages have none of the headers that are read."""
        last = 3 * PAGES_WITHOUT_NEWS
        path = "sync/SalesInvoice/SalesInvoices"
        self.serve(api, path, lambda n: [row(str(n), 100 + n, LineNumber=1, InvoiceID="i")], last)

        run = read(clock, configured("sales_invoices"))

        assert run.statuses == {"sales_invoices": "COMPLETE"}

    def test_the_same_pages_again_and_again_are_no_news(self, api: ScriptedApi, clock: FakeClock) -> None:
        self.serve(api, JOURNALS, lambda n: [row("a"), row("b")] if n < 5 else [row("b")])

        run = read(clock, configured("journals"))

        assert run.statuses == {"journals": "INCOMPLETE"}


def test_a_warning_of_the_platform_s_log_has_no_row_of_a_customer(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.on(JOURNALS, *[with_a_row_that_lacks_its_key([row("a", Description="secret name")])] * MAX_ATTEMPTS)

    run = read(clock, configured("journals", columns=("ID", "Description")))

    assert "secret name" not in caplog.text + str(run.error)
