"""A model of a whole life: rows change and go at any moment, runs die at any message, and in the end all is right."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessage, Type
from hypothesis import example, given, settings
from hypothesis import strategies as st

from source_exact_online.api import exact_time
from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.catalog.schemas import DELETED_AT
from unit_tests.exact_fakes import Answer, FakeClock, ScriptedApi, Sent, configured, messages_of, page

JOURNALS = "financial/Journals"
INVOICES = "sync/SalesInvoice/SalesInvoices"
LOG = "sync/Deleted"
INVOICE = 13
"""Number of the entity in the log of deleted rows."""

STREAMS = ("journals", "sales_invoices", "sales_invoice_lines")
PAGE_SIZE = 2
NIGHTS = (
    datetime(2025, 3, 30, 0, 30, tzinfo=timezone.utc),
    datetime(2025, 10, 26, 0, 30, tzinfo=timezone.utc),
    datetime(2025, 6, 15, 0, 30, tzinfo=timezone.utc),
)


@dataclass
class Row:
    """A row of Exact's, in a list and in a feed that mixes headers and lines."""

    modified: int
    version: int
    content: str


@dataclass
class Books:
    """One division's rows as Exact keeps and lists them."""

    clock: FakeClock
    rows: dict[int, Row] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    _deleted: set[int] = field(default_factory=set)
    _version: int = 100

    def change(self, key: int) -> None:
        """Insert or change a row, or delete the one that a negative number stands for; keys never come back."""
        self._version += 3
        if key < 0:
            self._delete(-key - 1)
            return
        if key in self._deleted:
            return
        modified = AMSTERDAM.from_instant(self.clock.now_ms())
        self.rows[key] = Row(modified, self._version, f"{key} at {self._version}")

    def _delete(self, key: int) -> None:
        if self.rows.pop(key, None) is not None:
            self._deleted.add(key)
            at = f"/Date({AMSTERDAM.from_instant(self.clock.now_ms())})/"
            entry = {"ID": f"log {key}", "EntityType": INVOICE, "EntityKey": str(key), "DeletedDate": at}
            self.log.append({**entry, "Timestamp": str(self._version)})

    def deletions(self, sent: Sent) -> Answer:
        """The log of deleted rows, a feed like others."""
        after = int(sent.options.get("$skiptoken", re.findall(r"\d+", sent.filter or "")[0]))
        found = [(int(entry["Timestamp"]), entry) for entry in self.log if int(entry["Timestamp"]) > after]
        return self._page(found)

    def journals(self, sent: Sent) -> Answer:
        """A list in the order of keys."""
        asked = re.search(r"Modified ge datetime'([^']+)'", sent.filter or "")
        first = exact_time.from_text(asked[1]) if asked else 0
        after = int(sent.options.get("$skiptoken", "-1"))
        found = [(key, row) for key, row in sorted(self.rows.items()) if row.modified >= first and key > after]
        return self._page([(key, self._json(key, row)) for key, row in found])

    def invoices(self, sent: Sent) -> Answer:
        """A feed in the order of row versions; odd keys are lines."""
        after = int(sent.options.get("$skiptoken", re.findall(r"\d+", sent.filter or "")[0]))
        found = sorted((row.version, key, row) for key, row in self.rows.items() if row.version > after)
        return self._page([(version, self._json(key, row)) for version, key, row in found])

    def expected(self) -> dict[str, dict[str, str]]:
        """What each stream has to hold."""
        contents = {str(key): row.content for key, row in self.rows.items()}
        lines = {key: content for key, content in contents.items() if int(key) % 2}
        headers = {key: content for key, content in contents.items() if key not in lines}
        return {"journals": contents, "sales_invoices": headers, "sales_invoice_lines": lines}

    @staticmethod
    def _json(key: int, row: Row) -> dict[str, Any]:
        return {
            "ID": str(key),
            "Description": row.content,
            "Modified": f"/Date({row.modified})/",
            "Timestamp": str(row.version),
            "LineNumber": key % 2,
            "InvoiceID": "i",
        }

    @staticmethod
    def _page(found: list[tuple[int, dict[str, Any]]]) -> Answer:
        rows = [json for _, json in found[:PAGE_SIZE]]
        return page(rows, more=str(found[PAGE_SIZE - 1][0]) if len(found) > PAGE_SIZE else None)


@dataclass
class Warehouse:
    """What a destination has: the records behind which a state of their stream has come, and that state."""

    tables: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    states: dict[str, AirbyteStateMessage] = field(default_factory=dict)

    def load(self, messages: list[AirbyteMessage]) -> None:
        pending: defaultdict[str, dict[str, str | None]] = defaultdict(dict)
        for message in messages:
            if message.type is Type.RECORD and message.record is not None:
                data = message.record.data
                content = None if DELETED_AT in data else data["Description"]
                pending[message.record.stream][data["ID"]] = content
            elif message.type is Type.STATE and message.state is not None and message.state.stream is not None:
                stream = message.state.stream.stream_descriptor.name
                for key, content in pending.pop(stream, {}).items():
                    self.tables[stream].pop(key, None)
                    if content is not None:
                        self.tables[stream][key] = content
                self.states[stream] = message.state


@dataclass
class Meanwhile:
    """Changes rows while a run reads: before its n-th request."""

    books: Books
    seconds: int
    changes: dict[int, int]
    _requests: int = 0

    def __call__(self, sent: Sent) -> None:
        self.books.clock.advance(self.seconds)
        if self._requests in self.changes:
            self.books.change(self.changes[self._requests])
        self._requests += 1


RUNS = st.lists(
    st.tuples(
        st.integers(1, 7200),  # seconds since the run before
        st.lists(st.integers(-10, 9), max_size=4),  # rows changed before the run
        st.dictionaries(st.integers(0, 12), st.integers(-10, 9), max_size=4),  # rows changed before its n-th request
        st.none() | st.integers(0, 60),  # message after which it dies
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    night=st.sampled_from(NIGHTS),
    seconds=st.sampled_from([1, 40, 900]),
    lookback=st.sampled_from([0, 0, 120]),
    runs=RUNS,
)
@example(night=NIGHTS[2], seconds=40, lookback=0, runs=[(1, [0, 1, 2, 3, 4, 5], {2: 0, 3: 5}, None)])
@example(night=NIGHTS[1], seconds=1, lookback=0, runs=[(1, [0], {}, None), (2400, [1], {}, None)])
@example(night=NIGHTS[2], seconds=1, lookback=0, runs=[(1, [4, 3, 2, 1, 0], {}, 7)])
@example(night=NIGHTS[2], seconds=40, lookback=0, runs=[(1, [0, 1, 2, 3, 4, 5], {6: -1, 7: -6}, None)])
@example(
    night=NIGHTS[2],
    seconds=1,
    lookback=0,
    runs=[(1, [0, 2, 4], {}, None), (60, [-1], {}, None), (60, [-3], {}, None), (60, [-5], {}, 9)],
)
def test_whatever_changes_and_whatever_dies_in_the_end_every_row_is_there(
    night: datetime, seconds: int, lookback: int, runs: list[tuple[int, list[int], dict[int, int], int | None]]
) -> None:
    """In the end: a run may go on with an old listing, and the next one then reads what has changed since."""
    clock = FakeClock(night)
    api = ScriptedApi(clock).divisions(123)
    books, warehouse = Books(clock), Warehouse()
    api.serve(JOURNALS, books.journals).serve(INVOICES, books.invoices).serve(LOG, books.deletions)
    streams = configured(*STREAMS, columns=("ID", "Description"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        api.take_the_place_of_the_network(monkeypatch)
        for pause, before, during, death in [*runs, *[(60, [], {}, None)] * 2]:
            clock.advance(pause)
            for key in before:
                books.change(key)
                clock.advance(1)
            api.before = Meanwhile(books, seconds, during)
            state = list(warehouse.states.values())
            messages = messages_of(clock, streams, state, lookback_window_minutes=lookback)
            warehouse.load(list(islice(messages, death)))

    assert api.unexpected == []
    tables, expected = warehouse.tables, books.expected()
    assert {stream: tables[stream] for stream in STREAMS[1:]} == {stream: expected[stream] for stream in STREAMS[1:]}
    assert tables["journals"].items() >= expected["journals"].items(), "nobody tells which journals were deleted"
