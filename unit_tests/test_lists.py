"""Lists: read by ``Modified``, with a window that is read again, and filters that Exact refuses or demands."""

from __future__ import annotations

import pytest

from unit_tests.exact_fakes import (
    Answer,
    FakeClock,
    ScriptedApi,
    Sent,
    configured,
    page,
    read,
    refusal,
    row,
    state_of,
)

JOURNALS = "financial/Journals"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


class TestList:
    def test_a_first_read_asks_for_everything(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a"), row("b", modified=None)]))

        run = read(clock, configured("journals"))

        assert api.asked(JOURNALS)[0].filter is None
        assert run.keys("journals") == ["a", "b"]
        assert run.position("journals")["cursor"] == "2025-03-01T10:00:00.000"

    def test_the_next_read_begins_a_window_before_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a")]), page([row("b", modified="2025-03-01T08:30:00")]))
        first = read(clock, configured("journals"))

        run = read(clock, configured("journals"), first.state, lookback_window_minutes=90)

        assert str(api.asked(JOURNALS)[1].filter).startswith("Modified ge datetime'2025-03-01T08:30:00'")
        assert run.keys("journals") == ["b"]
        assert run.position("journals")["cursor"] == "2025-03-01T10:00:00.000"

    def test_a_date_that_means_none_does_not_stop_a_list(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([{**row("a"), "Modified": "/Date(-62135596800000)/"}]), page([]))
        first = read(clock, configured("journals"))

        run = read(clock, configured("journals"), first.state)

        assert (first.keys("journals"), run.error) == (["a"], None)
        assert api.asked(JOURNALS)[1].filter == "Modified ge datetime'1753-01-01T00:00:00'"

    def test_a_cursor_is_not_later_than_the_start_of_its_listing(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a")], more="1"), page([row("b", modified="2025-03-03T23:00:00")]))

        assert read(clock, configured("journals")).position("journals")["cursor"] == "2025-03-03T10:00:00.000"

    def test_in_mid_list_the_state_has_the_old_cursor_and_the_next_page(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(JOURNALS, page([row("a", modified="2025-03-02T10:00:00")], more="guid'a'"), refusal(403, "Forbidden"))
        state = state_of(journals={"cursor": "2025-03-01T10:00:00.000"})

        position = read(clock, configured("journals"), state).position("journals")

        assert position["cursor"] == "2025-03-01T10:00:00.000"
        assert position["in_progress"]["next_url"].endswith("&$skiptoken=guid'a'")

    def test_an_incremental_filter_that_is_refused_is_replaced_by_our_own(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = "Filtering on these fields is not supported: Modified"
        rows = [row("old", modified="2025-03-01T07:59:59"), row("new", modified="2025-03-01T08:00:00")]
        api.on(JOURNALS, refusal(400, text), page(rows))

        run = read(clock, configured("journals"), state_of(journals={"cursor": "2025-03-01T10:00:00.000"}))

        assert api.asked(JOURNALS)[1].filter is None
        assert run.keys("journals") == ["new"]
        assert run.error is None
        assert [line for line in caplog.messages if text in line]

    def test_a_filter_that_is_demanded_is_one_that_every_row_meets(self, api: ScriptedApi, clock: FakeClock) -> None:
        text = "This endpoint has mandatory filtering applied. ... must have a $filter parameter"
        api.on(JOURNALS, refusal(400, text), page([row("a")]))

        run = read(clock, configured("journals"))

        assert str(api.asked(JOURNALS)[1].filter).startswith("Modified ge datetime'1753-01-01T00:00:00'")
        assert run.keys("journals") == ["a"]

    def test_rows_of_the_window_are_delivered_again_while_the_cursor_is_young(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        """At least once: what was committed late would be missed otherwise."""
        rows = {"a": "2025-03-03T09:30:00", "b": "2025-03-03T08:40:00", "late": "2025-03-03T08:50:00"}

        def answer_to(sent: Sent) -> Answer:
            first = (sent.filter or "datetime''").split("'")[1]
            known = [key for key in rows if key != "late" or len(api.asked(JOURNALS)) > 1]
            return page([row(key, modified=rows[key]) for key in known if rows[key] >= first])

        api.serve(JOURNALS, answer_to)
        runs = [read(clock, configured("journals"), lookback_window_minutes=60)]
        for _ in range(3):
            clock.advance(30 * 60)
            runs.append(read(clock, configured("journals"), runs[-1].state, lookback_window_minutes=60))

        assert [run.keys("journals") for run in runs] == [["a", "b"], ["a", "b", "late"], ["a"], ["a"]]

    @pytest.mark.parametrize("text", ["mandatory filtering applied", "Filtering on these fields is not supported"])
    def test_a_demand_that_cannot_be_met_is_not_tried_again_and_again(
        self, api: ScriptedApi, clock: FakeClock, text: str
    ) -> None:
        api.always(JOURNALS, refusal(400, text))

        run = read(clock, configured("journals"), state_of(journals={"cursor": "2025-03-01T10:00:00.000"}))

        assert run.error is not None
        assert len(api.asked(JOURNALS)) <= 2

    def test_a_filter_that_is_refused_and_demanded_costs_two_calls(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Whatever comes after would be one of them again."""
        api.on(JOURNALS, refusal(400, "Filtering on these fields is not supported: Modified"))
        api.always(JOURNALS, refusal(400, "This endpoint has mandatory filtering applied."))

        run = read(clock, configured("journals"), state_of(journals={"cursor": "2025-03-01T10:00:00.000"}))

        assert run.statuses == {"journals": "INCOMPLETE"}
        assert "mandatory filtering" in str(run.error)
        assert len(api.asked(JOURNALS)) == 2
