"""`make marts`: the sandbox's books through `load` and dbt into DuckDB, and into PostgreSQL where one is named.

    python -m integration_tests.marts --dbt .venv-marts/bin/dbt --postgres postgresql://user:password@localhost/database

Loads three administrations and builds the models with all their tests; both databases must give the same tables. Then
business goes on, twice, and the same must hold after each load. The tables renamed as PyAirbyte would have them, with
old versions and tombstones, must give the same models. So must headers without ID, as full_columns reads them. The
tests hold with other settings of the models too, and with a sandbox that answers the open questions about Exact the
other way. Rows are spoilt one after the other, and the check that watches over each must fail. A database without the
tables that the models need must be an error that names them, and the models' unit tests must run there.

Drops the schemas exact_online and exact_models of the PostgreSQL database. Exit code 0 when all is as it should be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration_tests.loads import Loader
from integration_tests.marts_breaks import BREAKS
from integration_tests.marts_models import TABLES, Models, Warehouse, rename_as_pyairbyte, streams
from integration_tests.marts_truth import differences
from integration_tests.sandbox_client import Sandbox

NOW = "2026-06-30T12:00:00+00:00"
"""Begin of the sandbox's time: past, so that nothing is modified after it was loaded."""
TODAY = "2026-06-30"
NEEDED = ("divisions", "gl_accounts", "transaction_lines")
"""Tables without which there are no statements."""
STEPS = 12
"""Events of business in each administration before a further load."""
OTHER_ANSWERS = (
    "receivables_negative=false", "matched_terms_zero=true", "opening_in_period_0=true", "opening_ledger_signs=true",
    "age_from_due_date=true", "payables_list_negative=true", "lists_in_invoice_currency=true",
)  # fmt: skip
"""What the sandbox assumes of Exact, the other way round."""
OTHER_SETTINGS = {
    "include_open_entries": False, "ageing_basis": "invoice_date", "ageing_edges": [10, 20, 30],
    "group_currency": "GBP", "exchange_rate_division": 1154979,
}  # fmt: skip
"""Settings of the models that no other step has."""


def main() -> int:
    """Run all of it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dbt", type=Path, required=True, help="the dbt command")
    parser.add_argument("--postgres", help="address of a PostgreSQL database to load and build as well")
    parser.add_argument("--size", default="small", help="bookkeeping per administration (default: %(default)s)")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="exact-marts-") as folder:
        run = Run(Path(folder), options.dbt.absolute(), options.postgres, options.size)
        problems = list(run.problems())
    for problem in problems:
        print(f"WRONG  {problem}")
    outcome = f"{len(problems)} problems" if problems else "All is as it should be"
    print(f"{outcome}, {time.monotonic() - begun:.0f} s")
    return 1 if problems else 0


class Run:
    """The steps, each of which yields what is wrong."""

    def __init__(self, folder: Path, dbt: Path, postgres: str | None, size: str) -> None:
        self._folder, self._dbt, self._size = folder, dbt, size
        self._duckdb = Warehouse(folder / "exact.duckdb")
        self._warehouses = [self._duckdb]
        if postgres:
            self._warehouses.append(Warehouse(postgres))
            self._warehouses[-1].drop_schemas()

    def problems(self) -> Iterator[str]:
        """Do everything and yield what is wrong."""
        yield from self._nothing_loaded()
        with self._sandbox() as sandbox:
            loaders = [self._loader(sandbox, warehouse) for warehouse in self._warehouses]
            yield from self._loaded("first load", sandbox, loaders)
            for number in (1, 2):
                for division in sandbox.divisions:
                    sandbox.post("activity", division=division, steps=STEPS, seed=number)
                yield from self._loaded(f"load after changes {number}", sandbox, loaders)
            yield from self._renamed()
            yield from self._headers_without_id()
            yield from self._other_settings()
            yield from self._broken()
        with self._sandbox(*(f"--set=figures.{answer}" for answer in OTHER_ANSWERS)) as sandbox:
            other = Warehouse(self._folder / "other.duckdb")
            yield from self._load(self._loader(sandbox, other))
            yield from self._build("open questions answered the other way", other)

    def _nothing_loaded(self) -> Iterator[str]:
        models = self._models(Warehouse(self._folder / "nothing.duckdb"))
        if models.build():
            yield "nothing loaded: the models were built"
        for table in NEEDED:
            if f"There is no table {table} in the schema {TABLES} of the database nothing" not in models.errors:
                yield f"nothing loaded: no error names {table}: {models.errors}"
        if not models.test_units():
            yield f"nothing loaded, unit tests: {models.errors}"
        print(f"tested nothing loaded, unit tests: {models.summary}", flush=True)

    def _loaded(self, what: str, sandbox: Sandbox, loaders: list[Loader]) -> Iterator[str]:
        digests = []
        for loader, warehouse in zip(loaders, self._warehouses, strict=True):
            yield from self._load(loader)
            problems = list(self._build(f"{what}, {warehouse.name}", warehouse))
            if problems:
                yield from problems
                return
            digests.append(warehouse.digests())
            for problem in differences(sandbox, warehouse):
                yield f"{what}, {warehouse.name}: {problem}"
        for table in digests[0]:
            if any(other[table] != digests[0][table] for other in digests[1:]):
                yield f"{what}: {table} is not the same in both databases"
        print(f"       {len(digests[0])} marts, {len(digests)} databases", flush=True)

    def _renamed(self) -> Iterator[str]:
        renamed = Warehouse(self._folder / "renamed.duckdb")
        shutil.copy(self._folder / "exact.duckdb", self._folder / "renamed.duckdb")
        rename_as_pyairbyte(self._folder / "renamed.duckdb")
        yield from self._build("tables as PyAirbyte names them", renamed)
        before = self._duckdb.digests()
        for table, digest in renamed.digests().items():
            if digest != before[table]:
                yield f"{table} is another for tables as PyAirbyte names them"

    def _headers_without_id(self) -> Iterator[str]:
        headers = Warehouse(self._folder / "headers.duckdb")
        shutil.copy(self._folder / "exact.duckdb", self._folder / "headers.duckdb")
        for stream in ("sales_invoices", "sales_orders"):
            table = f"{TABLES}.{stream}"
            headers.execute(f"create or replace table {table} as select * replace (null::text as id) from {table}")
        if not self._models(headers).run():
            yield "headers without ID: the models could not be built"
            return
        before = self._duckdb.digests()
        same = sum(digest == before[table] for table, digest in headers.digests().items())
        print(f"built  headers without ID: {same} of {len(before)} marts the same", flush=True)
        if same != len(before):
            yield "marts are others for headers without ID"

    def _other_settings(self) -> Iterator[str]:
        shutil.copy(self._folder / "exact.duckdb", self._folder / "settings.duckdb")
        models = Models(
            self._dbt, Warehouse(self._folder / "settings.duckdb"), self._folder / "dbt", TODAY, OTHER_SETTINGS
        )
        if not models.build():
            yield f"other settings: {models.errors}"
        print(f"built  other settings: {models.summary}", flush=True)

    def _broken(self) -> Iterator[str]:
        spoilt = Warehouse(self._folder / "spoilt.duckdb")
        for one in BREAKS:
            shutil.copy(self._folder / "exact.duckdb", self._folder / "spoilt.duckdb")
            spoilt.execute(one.sql)
            if not self._models(spoilt).run():
                yield f"{one.name}: the models could not be built"
                continue
            failed = spoilt.failed_checks()
            print(f"broken {one.name}: {', '.join(sorted(failed)) or 'nothing failed'}", flush=True)
            if one.check not in failed:
                yield f"{one.name}: {one.check} should have failed"

    def _build(self, what: str, warehouse: Warehouse) -> Iterator[str]:
        begun = time.monotonic()
        models = self._models(warehouse)
        built = models.build()
        print(f"built  {what}: {models.summary}, {time.monotonic() - begun:.0f} s", flush=True)
        if not built:
            yield f"{what}: {models.errors}"

    def _models(self, warehouse: Warehouse) -> Models:
        return Models(self._dbt, warehouse, self._folder / "dbt", TODAY)

    def _load(self, loader: Loader) -> Iterator[str]:
        run = loader.run("--streams", ",".join(streams()))
        if run.exit_code:
            yield str(run)

    def _loader(self, sandbox: Sandbox, warehouse: Warehouse) -> Loader:
        folder = self._folder / f"config-{len(list(self._folder.glob('config-*')))}"
        folder.mkdir()
        return Loader.of(folder, sandbox.config(), warehouse.address)

    @contextmanager
    def _sandbox(self, *options: str) -> Iterator[Sandbox]:
        sandbox = Sandbox.start(
            self._folder, "--divisions", "3", "--size", self._size, "--now", NOW,
            "--minute-limit", "100000", "--daily-limit", "1000000", *options,
        )  # fmt: skip
        try:
            yield sandbox
        finally:
            sandbox.stop()


if __name__ == "__main__":
    sys.exit(main())
