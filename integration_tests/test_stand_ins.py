"""Sites that do not know the feeds of sales and purchase entries, which came after July 2025."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration_tests.connector import Run, configured_catalog
from integration_tests.sandbox_client import Sandbox

FEEDS = {
    "sync/Financial/SalesEntries": ("sales_entries", "salesentry/SalesEntries", "salesentry/SalesEntryLines"),
    "sync/Financial/PurchaseEntries": (
        "purchase_entries",
        "purchaseentry/PurchaseEntries",
        "purchaseentry/PurchaseEntryLines",
    ),
}


@pytest.fixture
def older(clean: Sandbox) -> Iterator[Sandbox]:
    """A site without the feeds."""
    for feed in FEEDS:
        clean.fault("status", path=feed, status=404)
    return clean


def ids(run: Run, stream: str) -> set[str]:
    return {record["ID"] for record in run.records(stream)}


@pytest.mark.parametrize("feed", FEEDS)
def test_entries_and_their_lines_come_from_the_standard_endpoints(feed: str, older: Sandbox) -> None:
    headers, entries, lines = FEEDS[feed]
    catalog = configured_catalog([headers, f"{headers.removesuffix('ies')}y_lines"])
    division = older.divisions[0]
    connection = older.connection(divisions=[division])

    first = connection.read(catalog)
    changed = older.truth(lines, division)[0]
    older.update(division, lines, changed["ID"], {"Description": "changed"})
    older.forget_calls()
    second = connection.read(catalog, first.state)

    line_stream = catalog["streams"][1]["stream"]["name"]
    assert first.exit_code == second.exit_code == 0
    assert ids(first, headers) == {row["EntryID"] for row in older.truth(entries, division)}
    assert ids(first, line_stream) == {row["ID"] for row in older.truth(lines, division)}
    assert ids(second, headers) == {changed["EntryID"]}
    siblings = {row["ID"] for row in older.truth(lines, division) if row["EntryID"] == changed["EntryID"]}
    assert ids(second, line_stream) == siblings
    assert len(older.calls(entries)) == 2, "once for the headers, once for their lines"
    assert older.calls(feed) == []
