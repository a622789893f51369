"""A load that replaces tables, or makes them anew, and dies at the worst moment: the next one makes all right."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.pipeline.exceptions import PipelineStepFailed

from source_exact_online import dlt_source
from source_exact_online.load import loading
from source_exact_online.load.destination import target
from source_exact_online.load.errors import LoadError
from source_exact_online.load.screen import Screen
from source_exact_online.read.records import RecordBatch
from unit_tests.test_load_packages import COMPLETE, page, state, status
from unit_tests.test_load_pipeline import Reader, held, load, reader
from unit_tests.test_load_screen import CONFIG

__all__ = ["reader"]

pytestmark = pytest.mark.slow


def configure(folder: Path, *full_columns: str) -> None:
    text = json.dumps({**CONFIG, "full_columns": list(full_columns)})
    (folder / "config.json").write_text(text, encoding="utf-8")


def invoices(version: int, *rows: dict[str, Any]) -> list[Any]:
    batch = RecordBatch.of("sales_invoices", [{**row, "Division": 1} for row in rows], 0)
    return [batch, state("sales_invoices", version), status("sales_invoices", COMPLETE)]


def ids(folder: Path) -> list[Any]:
    with duckdb.connect(str(folder / "exact.duckdb"), read_only=True) as connection:
        return connection.execute("select id, invoice_id from exact_online.sales_invoices order by all").fetchall()


def test_a_table_whose_primary_key_changes_is_made_anew(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        [page("accounts", "a"), state("accounts", 1), *invoices(1, {"ID": "h", "InvoiceID": "i"})],
        [state("accounts", 2), *invoices(2, {"InvoiceID": "i"}, {"InvoiceID": "k"})],
        invoices(3, {"InvoiceID": "k"}),
        invoices(4, {"ID": "h", "InvoiceID": "i"}, {"ID": "j", "InvoiceID": "k"}),
    ]
    load(tmp_path, "accounts,sales_invoices")
    configure(tmp_path, "sales_invoices")
    load(tmp_path, "accounts,sales_invoices")
    assert ids(tmp_path) == [(None, "i"), (None, "k")]
    load(tmp_path, "sales_invoices")
    assert ids(tmp_path) == [(None, "i"), (None, "k")]
    configure(tmp_path)
    load(tmp_path, "sales_invoices")
    assert ids(tmp_path) == [("h", "i"), ("j", "k")]
    versions = {"accounts": {"row_version": 1}, "sales_invoices": {"row_version": 2, "divisions": {}}}
    assert reader.given == [{}, {"accounts": versions["accounts"]}, {"sales_invoices": versions["sales_invoices"]}, {}]


def test_a_pipeline_of_dlt_is_told_how_a_table_of_another_key_is_made_anew(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        invoices(1, {"ID": "h", "InvoiceID": "i"}),
        invoices(2, {"InvoiceID": "i"}),
        invoices(3, {"InvoiceID": "k"}),
    ]
    pipeline = dlt.pipeline(
        "books",
        destination=dlt.destinations.duckdb(str(tmp_path / "exact.duckdb")),
        dataset_name="exact_online",
        pipelines_dir=str(tmp_path / "dlt"),
    )

    def run(*, full: bool = False, **options: Any) -> None:
        pipeline.run(
            dlt_source.exact_online(tmp_path / "config.json", streams=["sales_invoices"], full=full), **options
        )

    run()
    configure(tmp_path, "sales_invoices")
    with pytest.raises(PipelineStepFailed, match=r"The tables sales_invoices have another primary key"):
        run()
    assert ids(tmp_path) == [("h", "i")]
    run(full=True, refresh="drop_resources")
    assert ids(tmp_path) == [(None, "i")]
    run()
    assert ids(tmp_path) == [(None, "i"), (None, "k")]


def test_a_table_stays_until_the_stream_of_another_key_is_complete(reader: Reader, tmp_path: Path) -> None:
    reader.runs = [
        invoices(1, {"ID": "h", "InvoiceID": "i"}),
        invoices(2, {"InvoiceID": "i"})[:-1],
        invoices(2, {"ID": "j", "InvoiceID": "k"}),
    ]
    load(tmp_path, "sales_invoices")
    configure(tmp_path, "sales_invoices")
    load(tmp_path, "sales_invoices")
    configure(tmp_path)
    load(tmp_path, "sales_invoices")
    assert ids(tmp_path) == [("h", "i"), ("j", "k")]
    assert reader.given == [{}, {}, {"sales_invoices": {"row_version": 1}}]


def test_a_table_that_was_dropped_by_hand_is_made_anew_by_a_full_load(reader: Reader, tmp_path: Path) -> None:
    accounts = [page("accounts", "a"), state("accounts", 1), status("accounts", COMPLETE)]
    units = [page("units", "u"), status("units", COMPLETE)]
    reader.runs = [accounts + units, accounts, accounts, units, units]
    load(tmp_path, "accounts,units")
    for name in ("accounts", "units"):
        with duckdb.connect(str(tmp_path / "exact.duckdb")) as connection:
            connection.execute(f"drop table exact_online.{name}")
        with pytest.raises(LoadError, match=r"does not exist.* dropped by hand, --full makes it anew\.$"):
            load(tmp_path, name)
        load(tmp_path, name, full=True)
        assert held(tmp_path, name) == [(name[0],)]


@pytest.mark.parametrize("moment", ["initialize_storage", "update_stored_schema", "complete_load"])
def test_a_death_while_a_table_is_made_anew_loses_nothing(
    moment: str, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the table is dropped or just after, or when the rows are in and the load does not count yet."""
    all_rows = invoices(2, {"InvoiceID": "i"}, {"InvoiceID": "k"})
    reader.runs = [invoices(1, {"ID": "h", "InvoiceID": "i"}), all_rows, all_rows]
    load(tmp_path, "sales_invoices")
    configure(tmp_path, "sales_invoices")
    dropped: list[str] = []
    drop, reached = SqlJobClientBase.drop_tables, getattr(SqlJobClientBase, moment)

    def drop_tables(client: Any, *tables: str, **options: Any) -> None:
        dropped.extend(tables)
        drop(client, *tables, **options)

    def die(client: Any, *given: Any, **options: Any) -> Any:
        if dropped:
            raise KeyboardInterrupt
        return reached(client, *given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(SqlJobClientBase, "drop_tables", drop_tables)
        patched.setattr(SqlJobClientBase, moment, die)
        with pytest.raises(LoadError):
            load(tmp_path, "sales_invoices")
    assert set(dropped) == {"sales_invoices"}
    load(tmp_path, "sales_invoices")
    assert reader.given[2] == {}, "read from the start"
    assert ids(tmp_path) == [(None, "i"), (None, "k")]


def test_a_full_load_that_dies_where_dlt_empties_tables_first_is_taken_up_from_the_start(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", (tmp_path / "lake").as_uri())
    rows = [page("accounts", "a"), state("accounts", 1), status("accounts", COMPLETE)]
    reader.runs = [rows, rows, rows]

    def load_files(*, full: bool = False) -> None:
        loading.load(tmp_path / "config.json", "dlt:filesystem", "accounts", Screen(io.StringIO()), full=full)

    def empty_and_die(client: Any, truncate_tables: Any = None) -> None:
        initialize(client, truncate_tables)
        if truncate_tables:
            raise KeyboardInterrupt

    load_files()
    initialize = FilesystemClient.initialize_storage
    with monkeypatch.context() as patched:
        patched.setattr(FilesystemClient, "initialize_storage", empty_and_die)
        with pytest.raises(LoadError):
            load_files(full=True)
    assert list((tmp_path / "lake/exact_online/accounts").glob("*.parquet")) == []
    load_files()
    assert reader.given == [{}, {}, {}]
    assert len(list((tmp_path / "lake/exact_online/accounts").glob("*.parquet"))) == 1


@pytest.mark.parametrize(
    ("name", "at_once"), [("bigquery", True), ("snowflake", True), ("filesystem", False), ("athena", False)]
)
def test_rows_are_replaced_from_a_staging_table_where_dlt_has_that(name: str, *, at_once: bool) -> None:
    goal = target(f"dlt:{name}", Path("config.json"))
    assert goal.replaces_at_once is at_once
    assert goal.destination.config_params.get("replace_strategy") == ("insert-from-staging" if at_once else None)
