"""Single stories in which a change falls exactly where a reader could lose it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from integration_tests.destination import Destination
from integration_tests.direct import Between, DirectRun, DirectSandbox

DIVISION = 123
ACCOUNTS, LEDGER, GROUPS = "crm/Accounts", "financialtransaction/TransactionLines", "logistics/ItemGroups"
ORDERS, CHARGES = "salesorder/SalesOrders", "salesorder/SalesOrderOrderChargeLines"
INVOICES, INVOICE_LINES = "salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines"
COLUMNS = {
    "accounts": ("Name",),
    "transaction_lines": ("Notes",),
    "sales_invoices": ("Description",),
    "sales_invoice_lines": ("Notes",),
    "item_groups": ("Description",),
    "sales_order_order_charge_lines": ("OrderChargesLineDescription",),
}
PATHS = {
    "accounts": "sync/CRM/Accounts",
    "transaction_lines": "sync/Financial/TransactionLines",
    "item_groups": "logistics/ItemGroups",
}
SUMMER = datetime(2025, 6, 2, 9, 0, tzinfo=timezone.utc)
FIRST_0230 = datetime(2025, 10, 26, 0, 30, tzinfo=timezone.utc)
"""The clock shows 02:30 in Amsterdam for the first time that night, and an hour later once more."""


class Connection:
    """A connection to one sandbox: runs, and what has arrived."""

    def __init__(self, start: datetime, *streams: str, divisions: tuple[int, ...] = (DIVISION,)) -> None:
        self.sandbox = DirectSandbox(divisions, start)
        self.destination = Destination()
        self.streams = {stream: COLUMNS[stream] for stream in streams}

    def insert(self, entity: str, text: str, division: int = DIVISION, **row: Any) -> dict[str, Any]:
        """Add a row now, or at the `Modified` that it brings."""
        name = {
            ACCOUNTS: "Name",
            LEDGER: "Notes",
            INVOICE_LINES: "Notes",
            CHARGES: "OrderChargesLineDescription",
        }.get(entity, "Description")
        self.sandbox.advance(milliseconds=1)
        return self.sandbox.store.insert(division, entity, {name: text, **row}, at=self.sandbox.now())

    def update(
        self, entity: str, key: object, changes: dict[str, str], *, silent: bool = False, division: int = DIVISION
    ) -> None:
        """Change a row now."""
        self.sandbox.advance(milliseconds=1)
        self.sandbox.store.update(division, entity, key, changes, at=self.sandbox.now(), touch_modified=not silent)

    def delete(self, entity: str, key: object, division: int = DIVISION) -> None:
        """Delete a row now."""
        self.sandbox.advance(milliseconds=1)
        self.sandbox.store.delete(division, entity, key, at=self.sandbox.now())

    def move(self, division: int = DIVISION) -> None:
        """Move a division now."""
        self.sandbox.advance(milliseconds=1)
        self.sandbox.store.move_division(division, at=self.sandbox.now())

    def pages_of(self, rows: int) -> None:
        """Rows a page."""
        self.sandbox.box.settings.change({"page_sizes": {"standard": rows, "sync": rows}})

    def run(self, between: Between | None = None, **config: Any) -> DirectRun:
        """Run the connector; what it emits arrives."""
        run = self.sandbox.read(
            self.streams,
            self.destination.states_of(self.streams),
            between=between,
            **{"divisions": [DIVISION], **config},
        )
        for message in run.messages:
            self.destination.take(message)
        return run

    def texts(self, stream: str) -> list[str]:
        """Content of the live rows of a table, sorted."""
        (name,) = COLUMNS[stream]
        return sorted(record[name] for record in self.destination.table(stream).rows.values())


Connect = Callable[..., Connection]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes connections and closes their sandboxes in the end."""
    made: list[Connection] = []

    def connection(start: datetime, *streams: str, **options: Any) -> Connection:
        made.append(Connection(start, *streams, **options))
        return made[-1]

    yield connection
    for one in made:
        one.sandbox.store.close()


def first_call(endpoint: str, connection: Connection, act: Callable[[], object]) -> Between:
    """Do something once, between the first page of an endpoint and the second."""
    before = len(connection.sandbox.calls(endpoint))
    pending = [act]

    def between(_: int) -> bool:
        if pending and len(connection.sandbox.calls(endpoint)) > before:
            pending.pop()()
        return True

    return between


# -- deletions ---------------------------------------------------------------------------------------------------------


def test_deleted_and_created_again_between_two_runs(connect: Connect) -> None:
    connection = connect(SUMMER, "accounts")
    row = connection.insert(ACCOUNTS, "first")
    connection.run()
    connection.delete(ACCOUNTS, row["ID"])
    connection.insert(ACCOUNTS, "second", ID=row["ID"])

    run = connection.run()

    assert len(run.records("accounts")) == 2, "the tombstone and the row"
    assert connection.texts("accounts") == ["second"]


def test_deleted_and_created_again_after_the_log_was_read(connect: Connect) -> None:
    connection = connect(SUMMER, "accounts")
    row = connection.insert(ACCOUNTS, "first")
    connection.run()

    def again() -> None:
        connection.delete(ACCOUNTS, row["ID"])
        connection.insert(ACCOUNTS, "second", ID=row["ID"])

    connection.pages_of(1)
    connection.insert(ACCOUNTS, "other")
    connection.insert(ACCOUNTS, "another")
    connection.run(first_call("sync/CRM/Accounts", connection, again))
    connection.run()

    assert connection.texts("accounts") == ["another", "other", "second"]


def test_deleted_after_it_was_read_in_the_same_run(connect: Connect) -> None:
    connection = connect(SUMMER, "accounts")
    connection.insert(ACCOUNTS, "stays")
    connection.run()
    row = connection.insert(ACCOUNTS, "goes")

    connection.run(first_call("sync/CRM/Accounts", connection, lambda: connection.delete(ACCOUNTS, row["ID"])))

    assert connection.texts("accounts") == ["goes", "stays"]
    connection.run()
    assert connection.texts("accounts") == ["stays"]


@pytest.mark.parametrize("messages", range(2, 12))
def test_deleted_after_the_very_first_run_died(connect: Connect, messages: int) -> None:
    """Records count though no state came after them; their deletion has to be read nevertheless."""
    connection = connect(SUMMER, "accounts")
    rows = [connection.insert(ACCOUNTS, f"row {number}") for number in range(4)]
    connection.pages_of(2)
    connection.run(lambda count: count < messages)
    for row in rows:
        connection.delete(ACCOUNTS, row["ID"])

    connection.run()

    assert connection.texts("accounts") == []


# -- moved divisions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "entity", "text"), [("accounts", ACCOUNTS, "Name"), ("transaction_lines", LEDGER, "Notes")]
)
def test_what_changed_before_and_after_a_move_arrives(connect: Connect, stream: str, entity: str, text: str) -> None:
    connection = connect(SUMMER, stream)
    rows = [connection.insert(entity, f"row {number}") for number in range(6)]
    connection.run()
    connection.sandbox.advance(days=3)
    connection.delete(entity, rows[0]["ID"])
    connection.update(entity, rows[1]["ID"], {text: "changed before"})
    connection.move()
    connection.delete(entity, rows[2]["ID"])
    connection.update(entity, rows[3]["ID"], {text: "changed after"})

    connection.run()

    assert connection.texts(stream) == ["changed after", "changed before", "row 4", "row 5"]
    connection.sandbox.advance(hours=5)
    connection.delete(entity, rows[4]["ID"])
    connection.run()
    assert connection.texts(stream) == ["changed after", "changed before", "row 5"]


@pytest.mark.parametrize(("stream", "entity"), [("accounts", ACCOUNTS), ("transaction_lines", LEDGER)])
def test_a_move_while_the_division_is_read_loses_no_row(connect: Connect, stream: str, entity: str) -> None:
    """The pages that were left come from another database, whose row versions are lower: they seem to be empty."""
    connection = connect(SUMMER, stream)
    connection.pages_of(2)
    for number in range(8):
        connection.insert(entity, f"row {number}", Modified=SUMMER - timedelta(days=number))

    connection.run(first_call(PATHS[stream], connection, connection.move))
    connection.run()

    assert connection.texts(stream) == [f"row {number}" for number in range(8)]


@pytest.mark.parametrize(("stream", "entity"), [("accounts", ACCOUNTS), ("transaction_lines", LEDGER)])
def test_deletions_are_heard_of_though_the_division_moved_while_they_were_read(
    connect: Connect, stream: str, entity: str
) -> None:
    connection = connect(SUMMER, stream)
    rows = [connection.insert(entity, f"row {number}") for number in range(6)]
    connection.run()
    connection.sandbox.advance(days=2)
    for row in rows:
        connection.delete(entity, row["ID"])
    connection.sandbox.advance(days=2)
    connection.pages_of(2)
    connection.run(first_call("sync/Deleted", connection, connection.move))
    connection.run()

    assert connection.texts(stream) == []


def test_what_changed_before_a_move_arrives_of_lines_that_have_no_date_of_their_own(connect: Connect) -> None:
    """A destination takes a record with a date for newer than one without."""
    connection = connect(SUMMER, "sales_order_order_charge_lines")
    order = connection.insert(ORDERS, "order")
    line = connection.insert(CHARGES, "first", OrderID=order["OrderID"])
    connection.run()
    connection.sandbox.advance(hours=1)
    connection.update(CHARGES, line["ID"], {"OrderChargesLineDescription": "second"})
    connection.run()
    connection.sandbox.advance(hours=1)
    connection.update(CHARGES, line["ID"], {"OrderChargesLineDescription": "third"})
    connection.move()
    connection.sandbox.advance(days=1)

    connection.run()
    connection.sandbox.advance(hours=1)
    connection.run()

    assert connection.texts("sales_order_order_charge_lines") == ["third"]


# -- long passes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lookback", [0, 120])
@pytest.mark.parametrize(
    ("stream", "entity", "text"), [("item_groups", GROUPS, "Description"), ("accounts", ACCOUNTS, "Name")]
)
def test_what_changes_behind_the_reader_of_a_long_pass_arrives_with_the_next(
    connect: Connect, stream: str, entity: str, text: str, lookback: int
) -> None:
    connection = connect(SUMMER, stream)
    rows = sorted((connection.insert(entity, f"row {number}") for number in range(8)), key=lambda row: row["ID"])
    connection.pages_of(2)

    def meanwhile() -> None:
        connection.sandbox.advance(hours=7)
        connection.update(entity, rows[0]["ID"], {text: "behind"})
        connection.sandbox.advance(hours=7)
        connection.update(entity, rows[7]["ID"], {text: "ahead"})
        connection.sandbox.advance(hours=7)

    connection.run(first_call(PATHS[stream], connection, meanwhile), lookback_window_minutes=lookback)
    connection.run(lookback_window_minutes=lookback)

    kept = sorted(row[text] for row in rows[1:7])
    assert connection.texts(stream) == ["ahead", "behind", *kept]


def test_a_list_that_dies_and_goes_on_days_later_catches_what_changed_behind_it(connect: Connect) -> None:
    connection = connect(SUMMER, "item_groups")
    rows = sorted((connection.insert(GROUPS, f"row {number}") for number in range(8)), key=lambda row: row["ID"])
    connection.sandbox.advance(seconds=2)
    connection.pages_of(2)
    connection.run(lambda _: len(connection.sandbox.calls(GROUPS)) < 3)
    connection.sandbox.advance(days=3)
    connection.update(GROUPS, rows[0]["ID"], {"Description": "behind"})
    connection.sandbox.advance(days=1)
    resumed = connection.run()
    assert len(resumed.records("item_groups")) < 8, "it goes on where it stopped"
    assert "behind" in connection.texts("item_groups"), "and asks for what has changed since it began"

    connection.run()

    assert connection.texts("item_groups") == ["behind", *sorted(row["Description"] for row in rows[1:])]


# -- boundaries --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "entity"), [("transaction_lines", LEDGER), ("accounts", ACCOUNTS), ("item_groups", GROUPS)]
)
def test_the_start_date_itself_is_included_to_the_millisecond(connect: Connect, stream: str, entity: str) -> None:
    connection = connect(SUMMER, stream)
    start = SUMMER - timedelta(days=5)
    for milliseconds in (-1, 0, 1):
        connection.insert(entity, f"{milliseconds:+}", Modified=start + timedelta(milliseconds=milliseconds))

    connection.run(start_date=start.isoformat())

    assert connection.texts(stream) == ["+0", "+1"]


@pytest.mark.parametrize(("stream", "entity"), [("transaction_lines", LEDGER), ("item_groups", GROUPS)])
def test_many_rows_with_one_and_the_same_modified(connect: Connect, stream: str, entity: str) -> None:
    connection = connect(SUMMER, stream)
    connection.pages_of(3)
    at = SUMMER - timedelta(minutes=1)
    for number in range(10):
        connection.insert(entity, f"row {number}", Modified=at)
    connection.run(lookback_window_minutes=0)
    for number in range(10, 20):
        connection.insert(entity, f"row {number}", Modified=at)

    connection.run(lookback_window_minutes=0)

    assert connection.texts(stream) == sorted(f"row {number}" for number in range(20))


@pytest.mark.parametrize("lookback", [0, 120])
@pytest.mark.parametrize(
    ("stream", "entity", "text"), [("item_groups", GROUPS, "Description"), ("accounts", ACCOUNTS, "Name")]
)
def test_a_row_that_changes_in_both_hours_of_the_october_night(
    connect: Connect, stream: str, entity: str, text: str, lookback: int
) -> None:
    """The second change bears an earlier time on Exact's clock than the first, and still has to win."""
    connection = connect(FIRST_0230, stream)
    row = connection.insert(entity, "in summer time")
    connection.sandbox.advance(minutes=5)
    connection.run(lookback_window_minutes=lookback)
    connection.sandbox.advance(minutes=40)
    connection.update(entity, row["ID"], {text: "in winter time"})
    connection.sandbox.advance(minutes=1)

    connection.run(lookback_window_minutes=lookback)

    assert connection.texts(stream) == ["in winter time"]
    connection.sandbox.advance(hours=3)
    connection.update(entity, row["ID"], {text: "in the morning"})
    connection.run(lookback_window_minutes=lookback)
    assert connection.texts(stream) == ["in the morning"]


def test_a_row_that_is_deleted_in_the_second_hour_of_the_october_night(connect: Connect) -> None:
    connection = connect(FIRST_0230, "accounts")
    row = connection.insert(ACCOUNTS, "in summer time")
    connection.sandbox.advance(minutes=5)
    connection.run()
    connection.sandbox.advance(minutes=40)
    connection.delete(ACCOUNTS, row["ID"])
    connection.sandbox.advance(minutes=1)

    connection.run()

    assert connection.texts("accounts") == []


def test_a_row_that_is_deleted_and_created_again_in_the_october_night(connect: Connect) -> None:
    connection = connect(FIRST_0230, "accounts")
    row = connection.insert(ACCOUNTS, "first")
    connection.run()
    connection.sandbox.advance(minutes=10)
    connection.delete(ACCOUNTS, row["ID"])
    connection.sandbox.advance(minutes=40)
    connection.insert(ACCOUNTS, "second", ID=row["ID"])

    connection.run()

    assert connection.texts("accounts") == ["second"]


@pytest.mark.parametrize("lookback", [0, 120])
def test_changes_around_the_hour_that_march_leaves_out(connect: Connect, lookback: int) -> None:
    connection = connect(datetime(2026, 3, 29, 0, 50, tzinfo=timezone.utc), "item_groups")  # 01:50
    row = connection.insert(GROUPS, "before")
    connection.run(lookback_window_minutes=lookback)
    connection.sandbox.advance(minutes=15)  # 03:05
    connection.update(GROUPS, row["ID"], {"Description": "after"})

    connection.run(lookback_window_minutes=lookback)

    assert connection.texts("item_groups") == ["after"]


def test_row_versions_beyond_what_a_double_holds(connect: Connect) -> None:
    connection = connect(SUMMER, "accounts")
    connection.sandbox.store.raise_version(DIVISION, 2**53)
    rows = [connection.insert(ACCOUNTS, f"row {number}", Timestamp=2**53 + 1 + number) for number in range(3)]
    connection.run()
    connection.update(ACCOUNTS, rows[2]["ID"], {"Name": "changed"}, silent=True)
    connection.delete(ACCOUNTS, rows[0]["ID"])

    run = connection.run()

    assert len(run.records("accounts")) == 2
    assert connection.texts("accounts") == ["changed", "row 1"]


def test_a_division_dropped_for_a_while_hears_of_its_deletions_and_its_move(connect: Connect) -> None:
    connection = connect(SUMMER, "accounts", "transaction_lines", divisions=(DIVISION, 456))
    rows = [connection.insert(ACCOUNTS, f"row {number}", division=456) for number in range(4)]
    lines = [connection.insert(LEDGER, f"row {number}", division=456) for number in range(4)]
    connection.run(divisions=[DIVISION, 456])
    connection.delete(ACCOUNTS, rows[0]["ID"], division=456)
    connection.move(456)
    connection.update(LEDGER, lines[0]["ID"], {"Notes": "changed"}, division=456)
    for _ in range(3):
        connection.sandbox.advance(days=9)
        connection.run(divisions=[DIVISION])
    assert connection.texts("accounts") == ["row 0", "row 1", "row 2", "row 3"]

    connection.run(divisions=[DIVISION, 456])

    assert connection.texts("accounts") == ["row 1", "row 2", "row 3"]
    assert connection.texts("transaction_lines") == ["changed", "row 1", "row 2", "row 3"]


def test_a_stream_switched_off_for_longer_than_the_log_is_kept_says_so(connect: Connect) -> None:
    connection = connect(SUMMER, "accounts")
    row = connection.insert(ACCOUNTS, "goes")
    connection.run()
    connection.delete(ACCOUNTS, row["ID"])
    connection.sandbox.advance(days=70)

    run = connection.run()

    (warning,) = [text for text in run.warnings if "deletions" in text]
    assert "accounts" in warning
    assert "Refresh the stream in full" in warning
