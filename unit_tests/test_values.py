"""Values on their way from Exact's JSON into a record, and those that do not fit: no row is lost to one of them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from source_exact_online.api.exact_time import AMSTERDAM
from unit_tests.exact_fakes import Answer, FakeClock, ScriptedApi, configured, date_json, page, read, row, state_of

ACCOUNTS = "sync/CRM/Accounts"
JOURNALS = "financial/Journals"
COLUMNS = ("ID", "Code", "GLAccountType", "IsBlocked", "Created")


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


def journal(key: str, **columns: Any) -> dict[str, Any]:
    return row(key, **columns)


class TestWhatDoesNotFit:
    def test_it_is_null_and_one_warning_names_column_row_and_value(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(JOURNALS, page([journal("a", GLAccountType=20), journal("b", GLAccountType="twenty", Code="B")]))

        run = read(clock, configured("journals", columns=COLUMNS))

        assert [one.get("GLAccountType") for one in run.records("journals")] == [20, None]
        assert run.records("journals")[1]["Code"] == "B"
        (line,) = warnings(caplog)
        assert line.startswith("GLAccountType of journals in division 123, row b, has the value 'twenty'")
        assert run.statuses == {"journals": "COMPLETE"}

    def test_one_warning_per_stream_and_column_in_a_run(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """However many rows, pages and divisions have it."""
        api.divisions(123, 456)
        bad = {"GLAccountType": "x", "Created": "yesterday"}
        pages = [page([journal(str(n), **bad), journal(f"{n}b", **bad)], more=str(n)) for n in range(3)]
        api.on(JOURNALS, *pages, page([journal("z", **bad)]), division=123)
        api.on(JOURNALS, page([journal("other", **bad)]), division=456)
        api.always(ACCOUNTS, page([row("a", 5, Created="yesterday")]))

        run = read(clock, configured("journals", "accounts", columns=COLUMNS), num_workers=1)

        assert len(run.records("journals")) == 8
        assert all("GLAccountType" not in one or one["GLAccountType"] is None for one in run.records("journals"))
        assert sorted(line.split(" in division")[0] for line in warnings(caplog)) == [
            "Created of accounts",
            "Created of journals",
            "GLAccountType of journals",
        ]

    def test_the_next_run_warns_again(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.always(JOURNALS, page([journal("a", GLAccountType="x")]))

        for _ in range(2):
            caplog.clear()
            read(clock, configured("journals", columns=COLUMNS))
            assert len(warnings(caplog)) == 1

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("Created", "/Date(99999999999999999)/"),
            ("Created", "2025-03-01T10:00:00"),
            ("Created", 7),
            ("Modified", "/Date(x)/"),
            ("Code", 7),
            ("IsBlocked", "perhaps"),
            ("GLAccountType", 1.5),
        ],
    )
    def test_whatever_it_is_the_row_arrives(
        self, api: ScriptedApi, clock: FakeClock, column: str, value: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(JOURNALS, page([{**journal("a"), column: value}, journal("b")]))

        run = read(clock, configured("journals", columns=COLUMNS))

        assert run.keys("journals") == ["a", "b"]
        assert run.records("journals")[0].get(column) is None
        (line,) = warnings(caplog)
        assert line.startswith(f"{column} of journals in division 123, row a, ")

    def test_a_row_whose_date_does_not_fit_does_not_move_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([{**journal("a"), "Modified": "soon"}, journal("b", modified="2025-03-01T09:00:00")]))

        run = read(clock, configured("journals"))

        assert run.position("journals")["cursor"] == "2025-03-01T09:00:00.000"

    def test_damaged_text_is_mended_and_warned_of(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        body = json.dumps({"d": {"results": [journal("a", Code="Caf@"), journal("b", Code="B")]}}).encode()
        api.on(JOURNALS, Answer(body=body.replace(b"@", b"\xe9")))

        run = read(clock, configured("journals", columns=COLUMNS))

        assert [one["Code"] for one in run.records("journals")] == ["Caf\ufffd", "B"]
        (line,) = warnings(caplog)
        assert line.startswith("Code of journals in division 123, row a, has characters that are none")

    def test_a_value_that_nobody_reads_is_nobody_s_warning(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(JOURNALS, page([journal("a", GLAccountType="x")]))

        assert read(clock, configured("journals")).keys("journals") == ["a"]
        assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("value", "found"), [("7", 7), ("-9223372036854775808", -(2**63)), (7, 7), (None, None), ("many", None), ("", None)]
)
def test_integers_that_come_as_text_are_integers(
    api: ScriptedApi, clock: FakeClock, value: object, found: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    api.always("system/Divisions", page([{"Code": 123, "Hid": value, "DivisionMoveDate": None}]))

    run = read(clock, configured("divisions", columns=("Code", "Hid")))

    assert [one.get("Hid") for one in run.records("divisions")] == [found]
    assert len(warnings(caplog)) == (value is not None and found is None)


@pytest.mark.parametrize("sent", ["9223372036854775808", "99999999999999999999", "\u0661\u0662", "1_000"])
def test_a_text_that_spells_no_integer_of_64_bits_is_null(sent: str, api: ScriptedApi, clock: FakeClock) -> None:
    api.on(ACCOUNTS, page([row("a", 5), row("b", sent), row("c", 7)]))

    run = read(clock, configured("accounts", columns=("ID", "Timestamp")))

    assert [one.get("Timestamp") for one in run.records("accounts")] == [5, None, 7]


def test_a_bad_date_among_good_ones_leaves_those_as_they_are(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    good = date_json("2024-01-31T12:00:00")
    api.on(
        JOURNALS, page([journal(key, Created=sent) for key, sent in zip("abcd", [good, "x", None, good], strict=True)])
    )

    run = read(clock, configured("journals", columns=COLUMNS))

    text = "2024-01-31T11:00:00.000+00:00"
    assert [one.get("Created") for one in run.records("journals")] == [text, None, None, text]
    assert ["row b" in line for line in warnings(caplog)] == [True]


class TestRepeatedHour:
    """02:00 to 03:00 comes twice on 26 October 2025. Nobody can see which of the two Exact means."""

    FIRST, SECOND = (datetime(2025, 10, 26, hour, tzinfo=timezone.utc) for hour in (0, 1))

    @pytest.fixture(autouse=True)
    def _the_night_is_still_to_come(self) -> None:
        """The clock remembers instants that have passed; in the next test they have not."""
        AMSTERDAM._texts.clear()

    def read_at(self, api: ScriptedApi, clock: FakeClock, now: datetime, wall: str, state: Any = None) -> Any:
        clock.advance((now - clock.now()).total_seconds())
        api.on(JOURNALS, page([row("a", modified=f"2025-10-26T{wall}")]))
        return read(clock, configured("journals"), state)

    @pytest.mark.parametrize(
        ("minutes", "wall", "modified"),
        [
            (40, "02:30:00", "2025-10-26T00:30:00.000+00:00"),
            (89, "02:30:00", "2025-10-26T00:30:00.000+00:00"),
            (95, "02:30:00", "2025-10-26T01:30:00.000+00:00"),
            (600, "02:30:00", "2025-10-26T01:30:00.000+00:00"),
            (600, "01:59:59", "2025-10-25T23:59:59.000+00:00"),
            (600, "03:00:00", "2025-10-26T02:00:00.000+00:00"),
        ],
        ids=[
            "within the first hour -> the first",
            "the second 02:30 is still to come -> the first",
            "the second 02:30 has passed -> the second",
            "long after -> the second",
            "before the hour -> no question",
            "after it -> no question",
        ],
    )
    def test_it_is_the_second_instant_once_that_has_passed(
        self, api: ScriptedApi, clock: FakeClock, minutes: int, wall: str, modified: str
    ) -> None:
        run = self.read_at(api, clock, self.FIRST + timedelta(minutes=minutes), wall)

        assert [one["Modified"] for one in run.records("journals")] == [modified]

    def test_a_row_never_goes_back(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Whenever it is changed and read that night: a destination keeps the row with the highest Modified."""
        state, last = None, ""
        changed = [self.FIRST + timedelta(minutes=5 * n, seconds=17) for n in range(36)]
        for number, at in enumerate(changed):
            wall = (at + timedelta(hours=2 if at < self.SECOND else 1)).strftime("%H:%M:%S")
            now = at + timedelta(minutes=number * 7 % 5)

            run = self.read_at(api, clock, now, wall, state)

            (record,) = run.records("journals")
            assert record["Modified"] >= last
            assert at <= datetime.fromisoformat(record["Modified"]) <= now
            state, last = run.state, record["Modified"]

    def test_the_window_holds_all_of_the_hour(self, api: ScriptedApi, clock: FakeClock) -> None:
        clock.advance((self.SECOND + timedelta(minutes=30) - clock.now()).total_seconds())
        api.on(JOURNALS, page([]))

        read(
            clock,
            configured("journals"),
            state_of(journals={"cursor": "2025-10-26T02:50:00.000"}),
            lookback_window_minutes=0,
        )

        assert api.asked(JOURNALS)[0].filter == "Modified ge datetime'2025-10-26T02:00:00'"


def test_business_dates_are_not_shifted_and_instants_are_utc(api: ScriptedApi, clock: FakeClock) -> None:
    api.on(
        "financial/FinancialPeriods",
        page([row("a", StartDate=date_json("2025-03-01T00:00:00"), Created=date_json("2025-03-01T00:30:00"))]),
    )

    run = read(clock, configured("financial_periods", columns=("ID", "StartDate", "Created")))

    (record,) = run.records("financial_periods")
    assert record["StartDate"] == "2025-03-01T00:00:00"
    assert record["Created"] == "2025-02-28T23:30:00.000+00:00"
