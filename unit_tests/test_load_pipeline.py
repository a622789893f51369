"""A load, and a dlt pipeline with the source, into a DuckDB file; what is read comes from the test."""

from __future__ import annotations

import errno
import io
import json
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from airbyte_cdk.models import AirbyteStreamStatus, FailureType, StreamDescriptor
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online import dlt_source
from source_exact_online.api.rate_limits import CallsUsed
from source_exact_online.load import destination, loading
from source_exact_online.load.destination import target
from source_exact_online.load.errors import LoadError
from source_exact_online.load.reading import Limits
from source_exact_online.load.screen import Screen
from source_exact_online.load.spool import Spool
from source_exact_online.load.summary import Tally
from source_exact_online.read.records import RecordBatch
from unit_tests.test_load_packages import COMPLETE, page, state, status
from unit_tests.test_load_screen import CONFIG

pytestmark = pytest.mark.slow

FORBIDDEN = AirbyteTracedException(message="No right to units.", failure_type=FailureType.config_error)


def incomplete(stream: str) -> list[Any]:
    error = FORBIDDEN.as_sanitized_airbyte_message(stream_descriptor=StreamDescriptor(name=stream))
    return [error, status(stream, AirbyteStreamStatus.INCOMPLETE)]


class Reader:
    """Stands in for the connector: each run emits the next of some lists of messages."""

    def __init__(self) -> None:
        self.runs: list[list[Any]] = []
        self.given: list[dict[str, Any]] = []
        self.divisions = frozenset({1})
        self.calls = 0

    def divisions_read(self, stream: str) -> frozenset[int]:
        return self.divisions

    def divisions_skipped(self, stream: str) -> frozenset[int]:
        return frozenset()

    def __call__(self, **options: Any) -> Reader:
        return self

    def read_batches(self, config: Any, configured: Any, states: Any, known: Any) -> Iterator[Any]:
        self.given.append({one.stream.stream_descriptor.name: vars(one.stream.stream_state) for one in states})
        for message in self.runs.pop(0):
            if isinstance(message, Exception):
                raise message
            yield message

    def calls_left(self) -> tuple[int, int]:
        return 40, 4000

    def calls_used(self) -> dict[int, CallsUsed]:
        self.calls += 1
        midnight = datetime(2026, 7, 1, tzinfo=timezone.utc)
        return {1: CallsUsed(self.calls, 5000, midnight, midnight - timedelta(hours=12))}

    def shutdown(self) -> None:
        """Nothing to end."""


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Reader]:
    made = Reader()
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "CRITICAL")
    for module in (loading, dlt_source):
        monkeypatch.setattr(module, "SourceExactOnline", made)
    monkeypatch.setattr(loading, "Limits", lambda: Limits(rows=1))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    loggers = [logging.getLogger(), logging.getLogger("airbyte")]
    handlers = [list(one.handlers) for one in loggers]
    yield made
    for one, kept in zip(loggers, handlers, strict=True):
        one.handlers[:] = kept


def load(folder: Path, streams: str = "accounts", *, full: bool = False) -> Tally:
    tally, _ = loading.load(folder / "config.json", None, streams, Screen(io.StringIO()), full=full)
    return tally


def held(folder: Path, table: str = "accounts") -> list[Any]:
    with duckdb.connect(str(folder / "exact.duckdb"), read_only=True) as connection:
        return connection.execute(f"select id from exact_online.{table} order by all").fetchall()


def test_a_load_goes_on_from_the_state_that_the_destination_holds(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        [page("accounts", "a", "b"), state("accounts", 1), status("accounts", COMPLETE)],
        [page("accounts", "b", "c"), state("accounts", 2), status("accounts", COMPLETE)],
    ]
    assert load(tmp_path).rows == {"accounts": 2}
    assert load(tmp_path).rows == {"accounts": 2}
    assert held(tmp_path) == [("a",), ("b",), ("c",)]
    assert reader.given == [{}, {"accounts": {"row_version": 1}}]


def test_a_tombstone_removes_the_row_and_the_last_version_of_a_row_counts(reader: Reader, tmp_path: Path) -> None:
    deleted = {"ID": "a", "Division": 1, "_ab_cdc_deleted_at": "2025-01-01T00:00:00+00:00"}
    again = {"ID": "c", "Division": 1, "Name": "again"}
    reader.runs = [
        [page("accounts", "a", "b"), state("accounts", 1)],
        [RecordBatch.of("accounts", [deleted, {**deleted, "ID": "c"}, again], 0), state("accounts", 2)],
    ]
    load(tmp_path)
    assert load(tmp_path).deleted == {"accounts": 2}
    assert held(tmp_path) == [("b",), ("c",)]


def test_what_is_used_of_the_quota_is_kept_once_a_division_and_day(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [[page("accounts", "a"), page("accounts", "b"), state("accounts", 1)], [state("accounts", 2)]]
    load(tmp_path)
    load(tmp_path, full=True)
    assert reader.calls > 2
    with duckdb.connect(str(tmp_path / "exact.duckdb"), read_only=True) as connection:
        rows = connection.execute("select division, used, allowed from exact_online._exact_calls").fetchall()
    assert rows == [(1, reader.calls, 5000)]


def test_a_run_that_dies_has_kept_the_packages_before(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [[page("accounts", "a"), state("accounts", 1), page("accounts", "b"), RuntimeError("killed")], []]
    with pytest.raises(RuntimeError):
        load(tmp_path)
    load(tmp_path)
    assert held(tmp_path) == [("a",), ("b",)]
    assert reader.given[1] == {"accounts": {"row_version": 1}}


def test_rows_of_a_run_that_ends_incomplete_are_loaded(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [[page("accounts", "a"), page("units", "x"), *incomplete("units"), FORBIDDEN]]
    tally = load(tmp_path, "accounts,units")
    assert held(tmp_path) == [("a",)]
    assert tally.failures == {"units": "No right to units."}
    assert tally.error == "No right to units."


def test_full_replaces_the_rows(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        [page("accounts", "a", "b"), state("accounts", 1)],
        [page("accounts", "b"), state("accounts", 2), status("accounts", COMPLETE)],
    ]
    load(tmp_path)
    load(tmp_path, full=True)
    assert held(tmp_path) == [("b",)]
    assert reader.given[1] == {}


def test_a_second_load_into_a_file_is_refused_while_one_runs(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [[page("accounts", "a")], [page("accounts", "b")]]
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "exact.duckdb")
    with target(str(tmp_path / "link.duckdb"), tmp_path / "config.json").lock(), pytest.raises(LoadError) as refused:
        load(tmp_path)
    assert str(refused.value) == f"Another load is writing to {tmp_path / 'exact.duckdb'}: wait until it has ended."
    assert reader.given == []
    load(tmp_path)
    assert held(tmp_path) == [("a",)]


def test_a_load_ends_where_its_lock_is_lost(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise LoadError("The lock is lost.")

    reader.runs = [[page("accounts", "a"), state("accounts", 1)], []]
    with monkeypatch.context() as patched:
        patched.setattr(destination, "file_lock", lambda file: nullcontext(lost))
        with pytest.raises(LoadError, match=r"The lock is lost\."):
            load(tmp_path)
    load(tmp_path)
    assert reader.given == [{}, {}], "nothing was loaded"


def test_a_full_disk_under_the_rows_that_wait_is_told_in_a_sentence(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    reader.runs = [[page("accounts", "a"), state("accounts", 1)]]
    monkeypatch.setattr(Spool, "close", full)
    with pytest.raises(LoadError, match=r"Rows cannot be kept in .* until they are loaded: No space left on device\."):
        load(tmp_path)


def test_a_destination_that_fails_is_told_in_a_sentence(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "exact.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(LoadError, match=r"exact\.duckdb cannot be loaded: .*not a valid DuckDB database"):
        load(tmp_path)
    assert reader.given == []


def test_a_pipeline_of_dlt_goes_on_from_its_state_and_tells_what_is_incomplete(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        [page("accounts", "a"), state("accounts", 1), page("units", "x"), status("units", COMPLETE)],
        [page("accounts", "b"), state("accounts", 2), page("units", "y"), *incomplete("units"), FORBIDDEN],
        [FORBIDDEN],
    ]
    pipeline = dlt.pipeline(
        "books",
        destination=dlt.destinations.duckdb(str(tmp_path / "exact.duckdb")),
        dataset_name="exact_online",
        pipelines_dir=str(tmp_path / "dlt"),
    )
    source = dlt_source.exact_online(tmp_path / "config.json", streams=["accounts", "units"])
    pipeline.run(source)
    assert source.failures == {}
    pipeline.run(source)
    assert source.failures == {"units": "No right to units."}
    assert held(tmp_path) == [("a",), ("b",)]
    assert held(tmp_path, "units") == [("x",)], "what is not complete replaces nothing"
    assert reader.given == [{}, {"accounts": {"row_version": 1}}]
    with pytest.raises(Exception, match=r"No right to units\."):
        pipeline.run(source)


@pytest.mark.parametrize("full", [True, False])
def test_what_replaces_keeps_the_rows_of_divisions_that_were_not_read_to_their_end(
    reader: Reader, tmp_path: Path, full: bool
) -> None:
    """Division 2 may be blocked or out of licence, 3 has become empty."""
    stream = "accounts" if full else "units"
    every = [page(stream, key, division=number) for number, key in ((1, "a"), (1, "b"), (2, "c"), (3, "d"))]
    reader.runs = [
        [*every, status(stream, COMPLETE)],
        [page(stream, "b"), page(stream, "half", division=2), status(stream, COMPLETE)],
        [page(stream, "e"), status(stream, COMPLETE)],
        [status(stream, COMPLETE)],
    ]
    wanted = [
        ({1, 2, 3}, [("a",), ("b",), ("c",), ("d",)]),
        ({1, 3}, [("b",), ("c",)]),
        ({1}, [("c",), ("e",)]),
        ({1, 2}, []),
    ]
    for divisions, rows in wanted:
        reader.divisions = frozenset(divisions)
        load(tmp_path, stream, full=full)
        assert held(tmp_path, stream) == rows


def test_after_full_rows_are_merged_again(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        [page("accounts", "a", "b"), state("accounts", 1), status("accounts", COMPLETE)],
        [page("accounts", "c"), state("accounts", 2), status("accounts", COMPLETE)],
        [state("accounts", 3), status("accounts", COMPLETE)],
    ]
    load(tmp_path, full=True)
    load(tmp_path)
    load(tmp_path)
    assert held(tmp_path) == [("a",), ("b",), ("c",)]
