"""Columns: only those that are wanted are asked for, and those that Exact refuses are left out."""

from __future__ import annotations

import logging
import threading

import pytest

from unit_tests.exact_fakes import (
    FakeClock,
    ScriptedApi,
    Sent,
    configured,
    page,
    read,
    refusal,
    row,
)

JOURNALS = "financial/Journals"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


class TestColumns:
    TEXT = "De kolom 'Description' bestaat niet."

    def test_a_refused_column_is_dropped_once_with_a_warning(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, refusal(400, self.TEXT), page([row("a", Code="10")]), division=123)
        api.on(JOURNALS, page([row("b", Code="20")]), division=456)

        run = read(clock, configured("journals", columns=("ID", "Code", "Description")))

        assert [("Description" in one.select) for one in api.asked(JOURNALS)] == [True, False, False]
        assert sorted(record["Code"] for record in run.records("journals")) == ["10", "20"]
        assert run.error is None
        warned = [one for one in caplog.records if one.levelno == logging.WARNING and "Description" in one.message]
        assert len(warned) == 1

    def test_two_divisions_that_refuse_at_once_cost_a_refusal_each(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456)
        for division, key in ((123, "a"), (456, "b")):
            api.on(JOURNALS, refusal(400, self.TEXT), page([row(key)]), division=division)
        together = threading.Barrier(2, timeout=10)

        def wait_for_each_other(sent: Sent) -> None:
            if sent.path == JOURNALS and "Description" in sent.select:
                together.wait()

        api.before = wait_for_each_other

        run = read(clock, configured("journals", columns=("ID", "Description")), num_workers=2)

        assert sorted(run.keys("journals")) == ["a", "b"]
        assert run.error is None

    @pytest.mark.parametrize("text", ["The column 'ID' cannot be selected.", "Bad Request - Error in query syntax."])
    def test_a_refusal_that_names_no_column_to_spare_is_an_error(
        self, api: ScriptedApi, clock: FakeClock, text: str
    ) -> None:
        api.on(JOURNALS, refusal(400, text))

        run = read(clock, configured("journals", columns=("ID", "Code")))

        assert run.error is not None
        assert text in str(run.error.message)
        assert run.statuses == {"journals": "INCOMPLETE"}

    def test_unticked_columns_are_off_the_wire(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([]))

        read(clock, configured("journals", columns=("Code",)))

        assert set(api.asked(JOURNALS)[0].select) == {"ID", "Modified", "Code"}


class TestNewColumns:
    """Columns that an earlier run did not read: old rows stay empty there, and somebody has to know."""

    @staticmethod
    def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
        return [one.message for one in caplog.records if "is new" in one.message and one.levelno == logging.WARNING]

    @pytest.fixture(autouse=True)
    def quiet(self, api: ScriptedApi) -> None:
        api.divisions(123, 456).always(JOURNALS, page([row("a")]))

    def test_they_are_warned_of_once(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        first = read(clock, configured("journals"))
        more = configured("journals", columns=("ID", "Code", "Description"))

        second = read(clock, more, first.state)
        (line,) = self.warned(caplog)
        caplog.clear()
        read(clock, more, second.state)

        assert line.startswith("Code, Description of journals is new")
        assert "refreshed" in line
        assert self.warned(caplog) == []

    @pytest.mark.parametrize("columns", [("ID",), ("ID", "Code")])
    def test_fewer_or_the_same_ones_are_nothing_to_tell(
        self, clock: FakeClock, columns: tuple[str, ...], caplog: pytest.LogCaptureFixture
    ) -> None:
        first = read(clock, configured("journals", columns=("ID", "Code")))

        read(clock, configured("journals", columns=columns), first.state)

        assert self.warned(caplog) == []

    def test_a_first_run_has_no_new_ones(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        read(clock, configured("journals", columns=("ID", "Code")))

        assert self.warned(caplog) == []
