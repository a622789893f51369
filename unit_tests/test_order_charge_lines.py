"""Lines without a date of their own: found inside the headers that have changed; read whole where these show none."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from source_exact_online.read.list_partition import PAGES_WITHOUT_NEWS
from tools.generate_schemas import load_catalog
from unit_tests.exact_fakes import Answer, FakeClock, Run, ScriptedApi, configured, date_json, page, read, refusal

STREAM = "sales_order_order_charge_lines"
LINES = "salesorder/SalesOrderOrderChargeLines"
HEADERS = "salesorder/SalesOrders"
SHOWN = "SalesOrderOrderChargeLines"
LATER = "2025-03-03T10:30:00"
"""On Exact's wall clock: half an hour after the first sync began."""


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123)


@pytest.fixture
def before(api: ScriptedApi, clock: FakeClock) -> Run:
    """A first sync at ten o'clock Dutch time, and an hour after it."""
    api.on(LINES, page([line("a", "1"), line("b", "2")]))
    run = sync(clock)
    clock.advance(3600)
    return run


def sync(clock: FakeClock, before: Run | None = None, **config: Any) -> Run:
    return read(clock, configured(STREAM), None if before is None else before.state, **config)


def line(key: str, order: str) -> dict[str, Any]:
    return {"ID": key, "OrderID": order}


def order(*lines: dict[str, Any], modified: str | None = LATER, more: str | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {"results": list(lines)}
    if more is not None:
        shown["__next"] = f"https://start.exactonline.nl/api/v1/123/{HEADERS}(guid'1')/{SHOWN}?$skiptoken={more}"
    key = lines[0]["OrderID"] if lines else "0"
    return {"OrderID": key, "Modified": modified and date_json(modified), SHOWN: shown}


def header(key: str, modified: str = LATER) -> dict[str, Any]:
    return {"OrderID": key, "Modified": date_json(modified)}


def test_these_lines_are_read_through_their_headers() -> None:
    through = {stream["name"]: stream["header"]["path"] for stream in load_catalog() if "header" in stream}
    assert through == {
        "quotation_order_charge_lines": "crm/Quotations",
        "sales_order_order_charge_lines": "salesorder/SalesOrders",
        "sales_invoice_order_charge_lines": "salesinvoice/SalesInvoices",
    }


def test_at_first_they_are_listed_by_themselves(api: ScriptedApi, before: Run) -> None:
    (asked,) = api.asked()

    assert asked.path == LINES
    assert set(asked.select) == {"ID", "OrderID"}
    assert asked.filter is None
    began = "2025-03-03T09:00:00.000+00:00"
    assert before.records(STREAM) == [
        {"Division": 123, **line("a", "1"), "Modified": began},
        {"Division": 123, **line("b", "2"), "Modified": began},
    ]
    assert before.position(STREAM)["cursor"] == "2025-03-03T10:00:00.000", "changes up to its start were read"


def test_then_those_of_changed_headers_are_asked_for(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(HEADERS, page([order(), order(line("a", "1"), line("c", "1"))]))

    run = sync(clock, before)

    asked = api.asked(HEADERS)[0]
    assert set(asked.select) == {"OrderID", "Modified", f"{SHOWN}/ID", f"{SHOWN}/OrderID"}
    assert asked.options["$expand"] == SHOWN
    assert asked.filter == "Modified ge datetime'2025-03-03T08:00:00'"
    modified = "2025-03-03T09:30:00.000+00:00"
    assert run.records(STREAM) == [
        {"Division": 123, **line("a", "1"), "Modified": modified},
        {"Division": 123, **line("c", "1"), "Modified": modified},
    ]
    assert len(api.asked()) == 2


def test_lines_that_are_read_again_after_a_move_are_newer_than_what_was_delivered(
    api: ScriptedApi, clock: FakeClock, before: Run
) -> None:
    api.on(HEADERS, page([order(line("a", "1"))]))
    second = sync(clock, before)
    clock.advance(3600)
    api.divisions(123, DivisionMoveDate=date_json("2025-03-03T11:30:00"))
    api.on(LINES, page([line("a", "1")]))

    third = sync(clock, second)

    assert [record["Modified"] for run in (before, second, third) for record in run.records(STREAM)][-2:] == [
        "2025-03-03T09:30:00.000+00:00",
        "2025-03-03T11:00:00.000+00:00",
    ]


def test_after_a_listing_without_any_line_those_of_changed_headers_are_asked_for(
    api: ScriptedApi, clock: FakeClock
) -> None:
    api.on(LINES, page([]))
    before = sync(clock)
    clock.advance(3600)
    api.on(HEADERS, page([order(line("a", "1"))]))

    run = sync(clock, before)

    assert api.asked(HEADERS)[0].filter == "Modified ge datetime'2025-03-03T08:00:00'"
    assert run.keys(STREAM) == ["a"]


def test_many_pages_of_changed_headers_are_read_to_their_end(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    numbers = range(2 * PAGES_WITHOUT_NEWS)
    api.on(HEADERS, *(page([order(line(f"l{n}", f"h{n}"))], more=str(n) if n < numbers[-1] else None) for n in numbers))

    run = sync(clock, before)

    assert [record["ID"] for record in run.records(STREAM)] == [f"l{n}" for n in numbers]


def test_headers_without_lines_move_the_cursor_too(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(HEADERS, page([order()]), page([]))

    second = sync(clock, before, lookback_window_minutes=0)
    sync(clock, second, lookback_window_minutes=0)

    assert second.records(STREAM) == []
    assert api.asked(HEADERS)[1].filter == f"Modified ge datetime'{LATER}'"


def test_lines_of_the_window_are_delivered_again_in_one_call(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.always(HEADERS, page([order(line("a", "1"), modified="2025-03-03T09:50:00")]))
    second = sync(clock, before)

    third = sync(clock, second)

    assert second.records(STREAM) == third.records(STREAM)
    assert len(api.asked(HEADERS)) == 2


def test_an_error_among_the_lines_of_a_header_is_told_in_exacts_words(
    api: ScriptedApi, clock: FakeClock, before: Run
) -> None:
    error = {"error": {"code": "", "message": {"lang": "", "value": "Out of memory."}}}
    api.on(HEADERS, *[page([order(line("a", "1"), error)])] * 6)

    run = sync(clock, before)

    assert run.statuses == {STREAM: "INCOMPLETE"}
    assert run.keys(STREAM) == []
    assert run.error is not None
    assert "Out of memory." in str(run.error.message)


def test_a_header_without_a_date_has_lines_without_one(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(HEADERS, page([order(line("a", "1"), modified=None)]))

    assert sync(clock, before).records(STREAM) == [{"Division": 123, **line("a", "1")}]


def test_from_a_start_date_on_only_headers_tell(api: ScriptedApi, clock: FakeClock) -> None:
    api.on(HEADERS, page([order(line("a", "1"))]))

    run = sync(clock, start_date="2025-03-01T00:00:00Z")

    assert [one.path for one in api.asked()] == [HEADERS]
    assert api.asked(HEADERS)[0].filter == "Modified ge datetime'2025-03-01T01:00:00'"
    assert run.keys(STREAM) == ["a"]


def test_a_full_refresh_lists_them_by_themselves(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(LINES, page([line("a", "1")]))

    run = read(clock, configured(f"{STREAM}:full_refresh"), before.state)

    assert run.keys(STREAM) == ["a"]
    assert api.asked(HEADERS) == []


def test_a_listing_of_headers_is_resumed(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(HEADERS, page([order(line("a", "1"))], more="7"), *[refusal(500)] * 6, page([order(line("b", "2"))]))
    broken = sync(clock, before)
    api.on(HEADERS, page([order(line("c", "3"))]))

    run = sync(clock, broken)

    assert broken.statuses == {STREAM: "INCOMPLETE"}
    assert api.asked(HEADERS)[-2].options["$skiptoken"] == "7"
    assert (broken.keys(STREAM), run.keys(STREAM)) == (["a"], ["b", "c"])


class TestWithoutExpansion:
    """Where headers do not show all of their lines, the stream is read whole, with a warning."""

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(refusal(400, "Bad Request - Error in query syntax."), id="refused"),
            pytest.param(page([{**header("1"), SHOWN: {"__deferred": {"uri": "x"}}}]), id="ignored: a link"),
            pytest.param(page([header("1")]), id="ignored: nothing"),
            pytest.param(page([{**header("1"), SHOWN: None}]), id="ignored: null"),
            pytest.param(page([order(line("a", "1")), order(line("b", "2"), more="x")]), id="partial: a link behind"),
        ],
    )
    def test_all_lines_are_read(
        self, api: ScriptedApi, clock: FakeClock, before: Run, answer: Answer, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(HEADERS, answer)
        api.on(LINES, page([line("a", "1")], more="8"), page([line("b", "2"), line("c", "1")]))

        run = sync(clock, before)

        assert run.statuses == {STREAM: "COMPLETE"}
        assert run.keys(STREAM) == ["a", "b", "c"]
        assert {one["Modified"] for one in run.records(STREAM)} == {"2025-03-03T10:00:00.000+00:00"}, "the run's own"
        assert run.position(STREAM)["cursor"] == "2025-03-03T11:00:00.000"
        assert len(api.asked(HEADERS)) == 1
        assert [one.filter for one in api.asked(LINES)[1:]] == [None, None]
        warned = [one.message for one in caplog.records if one.levelno == logging.WARNING]
        assert len(warned) == 1
        assert HEADERS in warned[0]
        assert LINES in warned[0]
        assert "(None)" not in warned[0], "it says why"

    def test_a_partial_page_counts_for_nothing(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        """Lines of earlier pages have been delivered, and are once more."""
        api.on(HEADERS, page([order(line("a", "1"))], more="7"), page([order(line("b", "2"), more="x")]))
        api.on(LINES, page([line("a", "1"), line("b", "2"), line("c", "2")]))

        run = sync(clock, before)

        assert run.keys(STREAM) == ["a", "a", "b", "c"]
        assert run.statuses == {STREAM: "COMPLETE"}

    def test_the_next_run_tries_the_headers_again(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(HEADERS, refusal(400), page([order(line("a", "1"))]))
        api.on(LINES, page([line("a", "1")]))
        second = sync(clock, before)

        third = sync(clock, second)

        assert third.keys(STREAM) == ["a"]
        assert len(api.asked(LINES)) == 2

    def test_a_listing_of_all_lines_that_breaks_off_is_begun_anew(
        self, api: ScriptedApi, clock: FakeClock, before: Run
    ) -> None:
        api.on(HEADERS, refusal(400), refusal(400))
        api.on(LINES, page([line("a", "1")], more="8"), *[refusal(500)] * 6)
        api.on(LINES, page([line("a", "1"), line("b", "2")]))
        broken = sync(clock, before)

        run = sync(clock, broken)

        assert broken.statuses == {STREAM: "INCOMPLETE"}
        assert run.statuses == {STREAM: "COMPLETE"}
        assert run.keys(STREAM) == ["a", "b"]

    def test_where_lines_alone_are_not_available_either_it_is_incomplete(
        self, api: ScriptedApi, clock: FakeClock, before: Run
    ) -> None:
        text = "This endpoint has mandatory filtering applied."
        api.on(HEADERS, page([header("1")])).always(LINES, refusal(400, text))

        run = sync(clock, before)

        assert run.statuses == {STREAM: "INCOMPLETE"}
        assert text in str(run.error)
        assert len(api.asked(HEADERS)) == 1
        assert len(api.asked(LINES)) == 2, "the first run's and one more"

    def test_a_column_that_is_refused_is_left_out(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        text = "Could not find a property named 'VATCode' on type 'Exact.Web.Api.Models.SalesOrderOrderChargeLine'."
        api.on(HEADERS, refusal(400, text), page([order(line("a", "1"))]))

        run = read(clock, configured(STREAM, columns=["ID", "VATCode", "AmountDC"]), before.state)

        assert set(api.asked(HEADERS)[-1].select) == {
            "OrderID",
            "Modified",
            f"{SHOWN}/ID",
            f"{SHOWN}/OrderID",
            f"{SHOWN}/AmountDC",
        }
        assert run.keys(STREAM) == ["a"]

    def test_without_the_right_the_stream_is_skipped(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(HEADERS, refusal(403, "Forbidden"))

        run = sync(clock, before)

        assert run.statuses == {STREAM: "INCOMPLETE"}
        assert len(api.asked()) == 2

    def test_where_a_filter_is_wanted_the_headers_have_one(self, api: ScriptedApi, clock: FakeClock) -> None:
        text = (
            "This endpoint has mandatory filtering applied. A GET request must have a $filter with one of: ID,Modified"
        )
        api.on(LINES, refusal(400, text))
        api.on(HEADERS, page([order(line("a", "1"))]))

        run = sync(clock)

        assert api.asked(HEADERS)[0].filter == "Modified ge datetime'1753-01-01T00:00:00'"
        assert run.keys(STREAM) == ["a"]
