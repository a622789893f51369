"""Changes in the sandbox's books, and what a destination may hold of them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exact_online_sandbox.rows import RowError
from integration_tests.destination import Destination, Key, Record
from integration_tests.direct import DirectSandbox
from integration_tests.truth import ENDPOINTS, belongs, parse_time, utc_text

Row = dict[str, Any]

ORDINARY = ("insert", "insert late", "update", "update", "silent", "delete", "create again")
"""What happens to rows."""


@dataclass(frozen=True, slots=True, repr=False)
class Kind:
    """One kind of row that is changed.

    Attributes:
        entity: its name in the sandbox.
        stream: the stream it is read as.
        text: a property that holds its content.
        key: its key in the sandbox.
        parent: property that names its header, and the header's entity.
        logged: whether its deletions are logged.
        feed: whether it is read by row version.
        dated: whether it has a ``Modified`` of its own; else it is found, and dated, by its header.
    """

    entity: str
    stream: str
    text: str
    key: str = "ID"
    parent: tuple[str, str] | None = None
    logged: bool = True
    feed: bool = True
    dated: bool = True

    def __repr__(self) -> str:
        return self.stream


KINDS = (
    Kind("crm/Accounts", "accounts", "Name"),
    Kind("financialtransaction/TransactionLines", "transaction_lines", "Notes"),
    Kind("salesinvoice/SalesInvoices", "sales_invoices", "Description", key="InvoiceID"),
    Kind(
        "salesinvoice/SalesInvoiceLines",
        "sales_invoice_lines",
        "Notes",
        parent=("InvoiceID", "salesinvoice/SalesInvoices"),
    ),
    Kind("logistics/ItemGroups", "item_groups", "Description", logged=False, feed=False),
    Kind("salesorder/SalesOrders", "sales_orders", "Description", key="OrderID"),
    Kind(
        "salesorder/SalesOrderOrderChargeLines",
        "sales_order_order_charge_lines",
        "OrderChargesLineDescription",
        parent=("OrderID", "salesorder/SalesOrders"),
        logged=False,
        feed=False,
        dated=False,
    ),
)
BY_STREAM: Mapping[str, Kind] = {kind.stream: kind for kind in KINDS}
STREAMS: Mapping[str, tuple[str, ...]] = {
    **{kind.stream: (kind.text,) for kind in KINDS},
    "divisions": ("Description",),
    "deleted": ("EntityKey",),
}
SNAPSHOT = Kind("crm/LeadSources", "lead_sources", "Description", dated=False)
"""A kind without any date: its stream is read in full each time, so that a destination knows all."""

COLUMNS: Mapping[str, tuple[str, ...]] = {**STREAMS, SNAPSHOT.stream: (SNAPSHOT.text,)}
SERVED_BY: Mapping[str, str] = {
    **{kind.stream: kind.entity for kind in (*KINDS, SNAPSHOT)},
    **ENDPOINTS,
    "deleted": "sync/Deleted",
}


def alike(found: Record, expected: Record) -> bool:
    """Whether two records are the same; ``Modified`` may be either of the two instants of a repeated hour."""
    if {**found, "Modified": None} != {**expected, "Modified": None}:
        return False
    if found["Modified"] == expected["Modified"] or None in (found["Modified"], expected["Modified"]):
        return bool(found["Modified"] == expected["Modified"])
    return utc_text(parse_time(found["Modified"])) == utc_text(parse_time(expected["Modified"]))


class Business:
    """Makes changes and knows the truth.

    Two things a destination cannot know, whoever reads: in a list without row versions, a change that left ``Modified``
    alone (or absent), and a deletion that nothing logs. There the old row is as good as the new one until the row
    changes visibly.
    """

    def __init__(self, sandbox: DirectSandbox) -> None:
        self.sandbox = sandbox
        self.diary: deque[str] = deque(maxlen=2000)
        """What was changed of late, when."""
        self._number = 0
        self._gone: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
        self._old: defaultdict[tuple[str, Key], list[Record]] = defaultdict(list)
        self._forgotten: set[tuple[str, Key]] = set()

    # -- changes ---------------------------------------------------------------------------------------------------

    def insert(self, kind: Kind, division: int, modified: datetime | None, *, dated: bool = True) -> None:
        """Add a row.

        Args:
            kind: what.
            division: where.
            modified: its ``Modified``; now, if None.
            dated: whether it has a ``Modified`` at all.
        """
        self._tick("insert", kind, division, modified)
        row: Row = {kind.text: self._text()}
        if kind.parent is not None:
            headers = list(self.sandbox.store.rows(division, kind.parent[1]))
            if not headers:
                return
            row |= {kind.parent[0]: headers[self._number % len(headers)][kind.parent[0]], "LineNumber": self._number}
        at = modified or self.sandbox.now()
        created = self.sandbox.store.insert(division, kind.entity, row, at=at)
        if not dated:
            body = {**created, "Modified": None}
            self.sandbox.store.update(division, kind.entity, created[kind.key], body, at=at, touch_modified=False)

    def update(self, kind: Kind, division: int, pick: int, *, silent: bool = False) -> None:
        """Change the content of a row; a silent change leaves ``Modified`` as it was."""
        self._tick("silent update" if silent else "update", kind, division)
        row = self._pick(kind, division, pick)
        if row is None:
            return
        self.diary[-1] += f" {row[kind.key]}"
        before = self.expected(kind.stream, division)
        self.sandbox.store.update(
            division,
            kind.entity,
            row[kind.key],
            {kind.text: self._text()},
            at=self.sandbox.now(),
            touch_modified=not silent,
        )
        self._note(kind, division, before)

    def delete(self, kind: Kind, division: int, pick: int) -> None:
        """Delete a row, with its lines."""
        self._tick("delete", kind, division)
        row = self._pick(kind, division, pick)
        if row is None:
            return
        self.diary[-1] += f" {row[kind.key]}"
        family = [one for one in KINDS if one is kind or (one.parent is not None and one.parent[1] == kind.entity)]
        before = {one.stream: self.expected(one.stream, division) for one in family if not one.logged}
        self.sandbox.store.delete(division, kind.entity, row[kind.key], at=self.sandbox.now())
        for stream, records in before.items():
            gone = records.keys() - self.expected(stream, division).keys()
            self._forgotten.update((stream, key) for key in gone)
        self._gone[kind.entity, division].append(row)

    def create_again(self, kind: Kind, division: int) -> None:
        """Add a row with the key of one that was deleted."""
        self._tick("create again", kind, division)
        if not self._gone[kind.entity, division]:
            return
        row = self._gone[kind.entity, division].pop()
        row = {**row, kind.text: self._text(), **{name: None for name in ("Created", "Modified") if name in row}}
        if kind.parent is not None and row[kind.parent[0]] not in {
            header[kind.parent[0]] for header in self.sandbox.store.rows(division, kind.parent[1])
        }:
            return
        try:
            self.sandbox.store.insert(division, kind.entity, row, at=self.sandbox.now())
        except RowError:
            return  # a row of that key was created again before
        for key in self.expected(kind.stream, division):
            if key[-1] == row[kind.key]:
                self._forget(kind.stream, key)

    def batch(self, kind: Kind, division: int, count: int) -> None:
        """Change several rows at one and the same moment."""
        self._tick("batch", kind, division)
        at = self.sandbox.now()
        before = self.expected(kind.stream, division)
        for row in list(self.sandbox.store.rows(division, kind.entity))[:count]:
            self.sandbox.store.update(division, kind.entity, row[kind.key], {kind.text: self._text()}, at=at)
        self._note(kind, division, before)

    def move(self, division: int) -> None:
        """Move a division to another database."""
        self._tick("move", division)
        self.sandbox.store.move_division(division, at=self.sandbox.now())

    def rename(self, division: int) -> None:
        """Change the row of a division."""
        self._tick("rename", division)
        changes = {"Description": self._text(), "Modified": self.sandbox.now()}
        self.sandbox.store.update_division(division, changes)

    def happen(self, what: str, kind: Kind, division: int, number: int, late: timedelta = timedelta()) -> None:
        """Make a change by its name.

        Args:
            what: one of `ORDINARY`, "batch" or "rename".
            kind: of the row.
            division: where.
            number: of the row, counted round; for a batch, how many rows.
            late: how long before now a row that is inserted late was changed.
        """
        if what == "insert":
            self.insert(kind, division, None)
        elif what == "insert late":
            # A line would take its header's Modified back in time, which no change does.
            self.insert(kind, division, self.sandbox.now() - (timedelta() if kind.parent else late))
        elif what in ("update", "silent"):
            self.update(kind, division, number, silent=what == "silent")
        elif what == "delete":
            self.delete(kind, division, number)
        elif what == "create again":
            self.create_again(kind, division)
        elif what == "batch":
            self.batch(kind, division, number)
        else:
            self.rename(division)

    # -- the truth -------------------------------------------------------------------------------------------------

    def expected(self, stream: str, division: int) -> dict[Key, Record]:
        """Records of a stream in a division, as far as they are compared."""
        found: dict[Key, Record] = {}
        (text,) = COLUMNS[stream]
        kind = BY_STREAM.get(stream)
        dates = {} if kind is None or kind.dated else self._dates_of_headers(kind, division)
        for row in self.sandbox.rows(SERVED_BY[stream], division):
            if (stream in ENDPOINTS and not belongs(stream, row)) or (
                stream == "divisions" and row["Code"] != division
            ):
                continue
            modified = dates[row[kind.parent[0]]] if dates and kind and kind.parent else row.get("Modified")
            record = {text: row[text], "Modified": modified and utc_text(parse_time(modified))}
            found[(division,) if stream == "divisions" else (row["ID"], division)] = record
        return found

    def problems(
        self, destination: Destination, stream: str, division: int, *, start: datetime | None = None
    ) -> Iterator[tuple[Key, str, bool]]:
        """Where a destination differs from the books.

        Args:
            destination: what has arrived.
            stream: of which stream.
            division: in which division.
            start: rows with an earlier ``Modified`` were not asked for.

        Yields:
            The key of a row, what is wrong with it, and whether it is gone from the books.
        """
        found = _found(destination, stream, division)
        expected = books = self.expected(stream, division)
        if start is not None and stream != "divisions":
            text = start.isoformat(timespec="milliseconds")
            expected = {key: one for key, one in expected.items() if not one["Modified"] or one["Modified"] >= text}
        for key, record in expected.items():
            held = found.pop(key, None)
            if held is None:
                yield key, f"{stream} {key} is missing: {record}", False
                continue
            held = _with_date(stream, held, record)
            if not alike(held, record) and not self.may_be(stream, key, held, record):
                yield key, f"{stream} {key} is {held} and should be {record}", False
        unasked = set[Key]()
        if stream in BY_STREAM and not BY_STREAM[stream].dated:  # where all lines are read, the date of none is known
            unasked = books.keys() - expected.keys()
        for key, record in found.items():
            if key not in unasked and not self.may_remain(stream, key):
                yield key, f"{stream} {key} is gone and should not be {record}", True

    def may_be(self, stream: str, key: Key, found: Record, now: Record) -> bool:
        """Whether a destination may hold that for a row, as it cannot know better."""
        return any(alike(found, old) and old["Modified"] == now["Modified"] for old in self._old[stream, key])

    def may_remain(self, stream: str, key: Key) -> bool:
        """Whether a destination may still hold a row that is gone, such as what the log forgets after two months."""
        return stream == "deleted" or (stream, key) in self._forgotten

    def _dates_of_headers(self, kind: Kind, division: int) -> dict[str, str]:
        key, entity = kind.parent or ("", "")
        return {row[key]: row["Modified"] for row in self.sandbox.rows(entity, division)}

    # -- inside ----------------------------------------------------------------------------------------------------

    def _note(self, kind: Kind, division: int, before: Mapping[Key, Record]) -> None:
        after = self.expected(kind.stream, division)
        for key, old in before.items():
            new = after.get(key)
            if new is None or new == old:
                continue
            if new["Modified"] != old["Modified"]:
                self._forget(kind.stream, key)
            elif not kind.feed:
                self._old[kind.stream, key].append(old)

    def _forget(self, stream: str, key: Key) -> None:
        self._old.pop((stream, key), None)
        self._forgotten.discard((stream, key))

    def _pick(self, kind: Kind, division: int, pick: int) -> Row | None:
        rows = list(self.sandbox.store.rows(division, kind.entity))
        return rows[pick % len(rows)] if rows else None

    def _text(self) -> str:
        self._number += 1
        return f"text {self._number}"

    def _tick(self, *what: object) -> None:
        self.sandbox.box.clock.advance(timedelta(milliseconds=1).total_seconds())
        self.diary.append(f"{self.sandbox.now():%d %H:%M:%S.%f} {' '.join(map(str, what))}")


def _with_date(stream: str, held: Record, expected: Record) -> Record:
    """Lines that take their date from a header have none, or the run's, where all were read: as good as any."""
    borrows = stream in BY_STREAM and not BY_STREAM[stream].dated
    return {**held, "Modified": expected["Modified"]} if borrows else held


def _found(destination: Destination, stream: str, division: int) -> dict[Key, Record]:
    (text,) = COLUMNS[stream]
    return {
        key: {text: record.get(text), "Modified": record.get("Modified")}
        for key, record in destination.table(stream).rows.items()
        if key[-1] == division
    }
