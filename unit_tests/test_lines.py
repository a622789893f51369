"""Lines without a date of their own: found through the headers that have changed, whatever those answer."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tools.generate_schemas import load_catalog
from unit_tests.exact_fakes import FakeClock, Run, ScriptedApi, configured, date_json, page, read, refusal

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
    assert before.records(STREAM) == [{"Division": 123, **line("a", "1")}, {"Division": 123, **line("b", "2")}]
    assert before.position(STREAM)["Modified"] == "2025-03-03T10:00:00.000", "changes up to its begin were read"


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


def test_headers_without_lines_move_the_cursor_too(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(HEADERS, page([order()]), page([]))

    second = sync(clock, before, lookback_window_minutes=0)
    sync(clock, second, lookback_window_minutes=0)

    assert second.records(STREAM) == []
    assert api.asked(HEADERS)[1].filter == f"Modified ge datetime'{LATER}'"


def test_a_run_without_changes_is_one_call_and_no_record(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.always(HEADERS, page([order(line("a", "1"), modified="2025-03-03T09:50:00")]))
    second = sync(clock, before)

    third = sync(clock, second)

    assert (len(second.records(STREAM)), len(third.records(STREAM))) == (1, 0)
    assert len(api.asked(HEADERS)) == 2


def test_headers_without_a_date_are_asked_for_as_well_once_seen(
    api: ScriptedApi, clock: FakeClock, before: Run
) -> None:
    api.on(HEADERS, page([order(line("a", "1"), modified=None)]), page([order(line("a", "1"), modified=None)]))

    second = sync(clock, before)
    third = sync(clock, second)

    assert api.asked(HEADERS)[1].filter == "Modified ge datetime'2025-03-03T09:00:00' or Modified eq null"
    assert second.records(STREAM) == third.records(STREAM) == [{"Division": 123, **line("a", "1")}]


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


def test_a_pass_over_headers_is_resumed(api: ScriptedApi, clock: FakeClock, before: Run) -> None:
    api.on(HEADERS, page([order(line("a", "1"))], more="7"), *[refusal(500)] * 6, page([order(line("b", "2"))]))
    broken = sync(clock, before)

    run = sync(clock, broken)

    assert broken.statuses == {STREAM: "INCOMPLETE"}
    assert api.asked(HEADERS)[-1].options["$skiptoken"] == "7"
    assert (broken.keys(STREAM), run.keys(STREAM)) == (["a"], ["b"])


class TestLinesBehindALink:
    """OData lets a server page the lines of one header. Whether Exact does is not known."""

    REST = f"{HEADERS}(guid'1')/{SHOWN}"

    def test_they_are_followed_before_the_next_page(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(HEADERS, page([order(line("a", "1"), more="x")], more="7"), page([order(line("d", "4"))]))
        api.on(self.REST, page([line("b", "1")], more="y"), page([line("c", "1")]))

        run = sync(clock, before)

        assert run.keys(STREAM) == ["a", "b", "c", "d"]
        assert {record["Modified"] for record in run.records(STREAM)} == {"2025-03-03T09:30:00.000+00:00"}
        assert [one.path for one in api.asked()[1:]] == [HEADERS, self.REST, self.REST, HEADERS]

    def test_the_link_may_be_relative(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        relative = order(line("a", "1"), more="x")
        relative[SHOWN]["__next"] = f"SalesOrders(guid'1')/{SHOWN}?$skiptoken=x"
        api.on(HEADERS, page([relative]))
        api.on(self.REST, page([line("b", "1")]))

        assert sync(clock, before).keys(STREAM) == ["a", "b"]

    def test_lines_are_asked_for_by_key_if_it_is_refused(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        shown = [order(line("a", "1"), more="x"), order(line("b", "2"), more="y")]
        api.on(HEADERS, page(shown), page([header("1"), header("2")]))
        api.on(self.REST, refusal(400, "Bad Request - Error in query syntax."))
        api.on(LINES, page([line("a", "1")], more="7"), page([line("b", "2"), line("c", "1")]))

        run = sync(clock, before)

        assert run.keys(STREAM) == ["a", "b", "a", "b", "c"]
        assert len(api.asked(self.REST)) == 1
        assert run.statuses == {STREAM: "COMPLETE"}

    def test_without_them_the_page_does_not_count(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.always(HEADERS, page([order(line("a", "1"), more="x")]))
        api.on(self.REST, *[refusal(500)] * 6, page([line("b", "1")]))
        broken = sync(clock, before)

        run = sync(clock, broken)

        assert broken.position(STREAM) == before.position(STREAM)
        assert run.keys(STREAM)[-1] == "b"
        assert run.statuses == {STREAM: "COMPLETE"}

    def test_they_end_where_the_header_was_deleted_meanwhile(
        self, api: ScriptedApi, clock: FakeClock, before: Run
    ) -> None:
        api.on(HEADERS, page([order(line("a", "1"), more="x"), order(line("b", "2"))], more="7"), page([]))
        api.on(self.REST, refusal(404, "Resource not found for the segment 'SalesOrders'."))

        run = sync(clock, before)

        assert run.keys(STREAM) == ["a", "b"]
        assert run.statuses == {STREAM: "COMPLETE"}
        assert len(api.asked(self.REST)) == 1

    def test_a_link_to_elsewhere_is_not_followed(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        foreign = order(line("a", "1"))
        foreign[SHOWN]["__next"] = "https://elsewhere.example/lines"
        api.on(HEADERS, page([foreign]))

        run = sync(clock, before)

        assert run.statuses == {STREAM: "INCOMPLETE"}
        assert "another host" in str(run.error)


class TestWithoutExpansion:
    """Where headers do not show their lines these are asked for by key; where that fails all are read, not none."""

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(refusal(400, "Bad Request - Error in query syntax."), id="refused"),
            pytest.param(page([{"Modified": date_json(LATER), SHOWN: {"__deferred": {"uri": "x"}}}]), id="a link"),
            pytest.param(page([{"Modified": date_json(LATER)}]), id="nothing"),
            pytest.param(page([{"Modified": date_json(LATER), SHOWN: None}]), id="null"),
        ],
    )
    def test_lines_are_asked_for_by_key(
        self, api: ScriptedApi, clock: FakeClock, before: Run, answer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(HEADERS, answer, page([header("1")], more="7"), page([header("2", "2025-03-03T10:45:00")]))
        api.on(LINES, page([line("a", "1")], more="8"), page([line("c", "1")]), page([line("b", "2")]))

        run = sync(clock, before)

        assert run.error is None
        assert [(one["ID"], one["Modified"][:16]) for one in run.records(STREAM)] == [
            ("a", "2025-03-03T09:30"),
            ("c", "2025-03-03T09:30"),
            ("b", "2025-03-03T09:45"),
        ]
        assert [set(one.select) for one in api.asked(HEADERS)[1:]] == [{"OrderID", "Modified"}] * 2
        asked = api.asked(LINES)[1:]
        assert [one.filter for one in asked] == ["OrderID eq guid'1'", "OrderID eq guid'1'", "OrderID eq guid'2'"]
        assert set(asked[0].select) == {"ID", "OrderID"}
        warned = [one.message for one in caplog.records if one.levelno == logging.WARNING]
        assert len(warned) == 1
        assert HEADERS in warned[0]
        assert run.position(STREAM)["Modified"] == "2025-03-03T10:45:00.000"

    def test_that_is_remembered_and_resumed(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(HEADERS, refusal(400), page([header("1")], more="7"), *[refusal(500)] * 6, page([header("2")]), page([]))
        api.on(LINES, page([line("a", "1")]), page([line("b", "2")]))
        broken = sync(clock, before)

        run = sync(clock, broken)
        sync(clock, run)

        assert (broken.keys(STREAM), run.keys(STREAM)) == (["a"], ["b"])
        assert ["$expand" in one.options for one in api.asked(HEADERS)] == [True, *[False] * 9]
        assert api.asked(HEADERS)[-2].options["$skiptoken"] == "7"

    def test_twenty_keys_a_call(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(HEADERS, refusal(400), page([header(str(number)) for number in range(45)]))
        api.serve(LINES, lambda sent: page([line("a", "7")] if "guid'7'" in str(sent.filter) else []))

        run = sync(clock, before)

        assert [str(one.filter).count("guid") for one in api.asked(LINES)[1:]] == [20, 20, 5]
        assert run.keys(STREAM) == ["a"]

    def test_no_changed_header_no_call(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(HEADERS, refusal(400), page([]))

        run = sync(clock, before)

        assert run.records(STREAM) == []
        assert len(api.asked(LINES)) == 1

    @pytest.mark.parametrize(
        "answer", [refusal(400, "Bad Request"), refusal(400, "Filtering on these fields is not supported: OrderID")]
    )
    def test_where_keys_are_refused_all_lines_are_read(
        self, api: ScriptedApi, clock: FakeClock, before: Run, answer: Any
    ) -> None:
        api.on(HEADERS, refusal(400), page([header("1")]))
        api.on(LINES, answer, page([line("a", "1"), line("c", "1")]))

        run = sync(clock, before)

        assert run.error is None
        assert run.keys(STREAM) == ["a", "c"]
        assert {one["Modified"] for one in run.records(STREAM)} == {"2025-03-03T10:00:00.000+00:00"}, "the run's own"
        assert run.position(STREAM)["Modified"] == "2025-03-03T11:00:00.000"

    def test_a_list_of_lines_that_is_not_known_is_no_empty_one(
        self, api: ScriptedApi, clock: FakeClock, before: Run
    ) -> None:
        api.on(HEADERS, refusal(400), page([header("1")]))
        api.on(LINES, refusal(404))

        assert sync(clock, before).statuses == {STREAM: "INCOMPLETE"}

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
