"""All streams of the catalogue, and the records that each of them has to have, made from the sandbox's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import yaml

from integration_tests.connector import ROOT, Catalog, Record, configured_catalog, discovered_streams
from integration_tests.truth import expected_record

Stream = dict[str, Any]
"""A stream's entry in the catalogue's file."""
Truth = Callable[[str, int], Sequence[Mapping[str, Any]]]
"""Gives the rows of an endpoint in a division as the sandbox keeps them."""

CATALOG: list[Stream] = yaml.safe_load(
    (ROOT / "source_exact_online" / "catalog" / "catalog.yaml").read_text(encoding="utf-8")
)["streams"]
DIVISIONS = "system/Divisions"


def everything() -> Catalog:
    """All streams: incrementally where they can be, else in full."""
    catalog = configured_catalog(stream["name"] for stream in CATALOG)
    for configured in catalog["streams"]:
        if "incremental" not in configured["stream"]["supported_sync_modes"]:
            configured.update(sync_mode="full_refresh", destination_sync_mode="overwrite")
    return catalog


def expected(truth: Truth, divisions: Sequence[int], stream: Stream, now: datetime | None = None) -> list[Record]:
    """The records of a stream, read at a moment, made from the sandbox's rows."""
    if stream.get("partition") == "login":
        rows = truth(DIVISIONS, divisions[0])
        if stream["path"] != DIVISIONS:
            # The other lists show the divisions of one licence: that of the division in the address.
            licence = next(row["Customer"] for row in rows if row["Code"] == divisions[0])
            rows = [row for row in rows if row["Customer"] == licence]
        return [expected_record(stream["name"], row[stream["division_from"]], row, now) for row in rows]
    return [
        expected_record(stream["name"], division, row, now)
        for division in divisions
        for row in truth(stream["path"].removeprefix("beta/"), division)
        if "rows" not in stream or bool(row["LineNumber"]) is (stream["rows"] == "lines")
    ]


def by_key(stream: Stream, records: Sequence[Record]) -> Mapping[Any, Record]:
    """Records by the primary key that `discover` shows."""
    key = keys()[stream["name"]]
    return {tuple(record[column] for column in key): record for record in records}


@cache
def keys() -> dict[str, list[str]]:
    """Primary keys by stream, as `discover` shows them."""
    return {
        name: [column for (column,) in stream["source_defined_primary_key"]]
        for name, stream in discovered_streams().items()
    }
