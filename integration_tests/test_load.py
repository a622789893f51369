"""`load` through the console script: the tables equal the sandbox's own rows, whatever has happened in between."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import environment
from integration_tests.entity_rows import ENTITIES, FAMILIES, LOGGED, change, key_of, rows_of
from integration_tests.loads import Loader
from integration_tests.outputs import OUTPUTS
from integration_tests.sandbox_client import Sandbox
from integration_tests.test_every_stream import CATALOG
from integration_tests.test_every_stream import expected as rows_of_any
from integration_tests.truth import CORE
from integration_tests.warehouse_tables import (
    DuckDBTables,
    ParquetTables,
    PostgresTables,
    Tables,
    differences,
    primary_key,
)
from source_exact_online.load.destination import target

pytestmark = pytest.mark.timeout(900)

POSTGRES = os.environ.get("LOAD_TEST_POSTGRES")
"""Address of a database in which the schema exact_online may be dropped."""

DESTINATIONS = [
    "duckdb",
    pytest.param("parquet", marks=pytest.mark.soak),
    pytest.param(
        "postgres", marks=[pytest.mark.soak, pytest.mark.skipif(not POSTGRES, reason="no LOAD_TEST_POSTGRES")]
    ),
]
"""`make load-test` tries all, `make test` the first."""


@pytest.fixture(scope="module", params=DESTINATIONS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Tables, dict[str, str]]:
    """What `--to` names, the tables there, and the environment that it needs."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return str(folder / "exact.duckdb"), DuckDBTables(folder / "exact.duckdb"), {}
    if request.param == "parquet":
        settings = {"DESTINATION__FILESYSTEM__BUCKET_URL": folder.as_uri()}
        return "dlt:filesystem", ParquetTables(folder), settings
    assert POSTGRES
    return POSTGRES, empty_postgres(POSTGRES), {}


def empty_postgres(url: str) -> PostgresTables:
    import psycopg2

    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists exact_online cascade; drop schema if exists exact_online_staging cascade")
    connection.close()
    return PostgresTables(url)


def problems(sandbox: Sandbox, tables: Tables) -> list[str]:
    """Differences between all tables of the core and the books."""
    return [one for stream in CORE for one in differences(tables, stream, sandbox.expected(stream))]


def work(sandbox: Sandbox, number: int) -> None:
    """Change, add and delete rows of every stream of the core; deletions only where Exact logs them."""
    busy, calm = sandbox.divisions if number % 2 else reversed(sandbox.divisions)
    for stream in ENTITIES:
        change(sandbox, stream, busy, rows_of(sandbox, stream, busy)[number])
    sandbox.insert(calm, "crm/Accounts", {"Code": f"{4711 + number:>18}", "Name": "Nieuw & Zoon €\n"})
    sandbox.insert(calm, "financial/Journals", {"Code": f"7{number}", "Description": ""})
    silent = rows_of(sandbox, "items", calm)[-number]
    sandbox.update(calm, "logistics/Items", silent["ID"], {"Description": "'\"\\,"}, touch_modified=False)
    for stream in (*LOGGED, *FAMILIES):
        sandbox.delete(calm, ENTITIES[stream], key_of(stream, rows_of(sandbox, stream, calm)[number + 1]))


def test_tables_equal_the_books_after_a_first_load_and_three_rounds_of_changes(
    shared_sandbox: Sandbox, place: tuple[str, Tables, dict[str, str]], tmp_path: Path
) -> None:
    to, tables, variables = place
    loader = Loader.of(tmp_path, shared_sandbox.config(), to, **variables)
    loader.run()
    assert problems(shared_sandbox, tables) == []
    for number in (1, 2, 3):
        work(shared_sandbox, number)
        loader.run()
        assert problems(shared_sandbox, tables) == [], f"round {number}"


@pytest.mark.soak
def test_every_stream_equals_the_books(
    start_sandbox: StartSandbox, place: tuple[str, Tables, dict[str, str]], tmp_path: Path
) -> None:
    sandbox = start_sandbox(
        "--divisions",
        "2",
        "--size",
        "tiny",
        "--all-endpoints",
        "--minute-limit",
        MANY_CALLS,
        "--daily-limit",
        MANY_CALLS,
    )
    to, tables, variables = place
    loader = Loader.of(tmp_path, sandbox.config(stream_groups=["all", "undocumented"]), to, **variables)
    loader.run("--streams", "all", "--full")
    found = []
    for stream in CATALOG:
        records = rows_of_any(sandbox, stream)
        expected = {tuple(one[name] for name in primary_key(stream["name"])): one for one in records}
        dated_by_header = ("Modified",) if "header" in stream else ()
        found += differences(tables, stream["name"], expected, ignored=dated_by_header)
    assert found == []


@pytest.mark.parametrize("lists", ["one division is blocked", "no list of divisions"])
@pytest.mark.parametrize("full", [(), ("--full",)])
def test_rows_of_a_division_that_cannot_be_read_stay(
    clean: Sandbox, tmp_path: Path, lists: str, full: tuple[str, ...]
) -> None:
    """Units are read whole each time, journals with `--full`; Exact may not even list the divisions."""
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, clean.config())
    streams = ("--streams", "units,journals")

    def keys() -> list[Any]:
        each = "select id, division from exact_online."
        return tables.rows(f"{each}units union all {each}journals order by all")[1]

    loader.run(*streams)
    before = keys()
    assert {division for _, division in before} == set(clean.divisions)
    if lists == "one division is blocked":
        clean.deny("blocked", reason="LicenseExpired", division=clean.divisions[1])
    else:
        clean.deny("module", path="system/Divisions")
        clean.deny("module", path="hrm/Divisions")
    loader.run(*streams, *full)
    assert keys() == before


def test_rows_that_are_gone_go_from_the_tables_of_complete_streams(clean: Sandbox, tmp_path: Path) -> None:
    """Exact logs no deletion of a unit or a journal: units are read whole each time, journals with `--full`."""
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, clean.config())
    streams = ("--streams", "units,journals,cost_centers")
    division = clean.divisions[0]
    unit = clean.insert(division, "logistics/Units", {"Code": "zz", "Description": "Gone soon"})
    journal = clean.insert(division, "financial/Journals", {"Code": "zz", "Description": "Gone soon"})

    def units() -> list[Any]:
        return tables.rows("select id from exact_online.units order by all")[1]

    def right(stream: str) -> bool:
        return not list(differences(tables, stream, clean.expected(stream)))

    loader.run(*streams)
    all_units = units()
    assert (unit["ID"],) in all_units

    for scope in ("financial.costcenters", "logistics.items"):
        clean.deny("scope", scope=scope)
    clean.delete(division, "logistics/Units", unit["ID"])
    clean.delete(division, "financial/Journals", journal["ID"])
    changed = rows_of(clean, "journals", division)[0]
    change(clean, "journals", division, changed)
    run = loader.run(*streams, succeeds=False)
    assert "INCOMPLETE units: " in run.stdout
    assert "INCOMPLETE cost_centers: " in run.stdout
    assert units() == all_units, "what is not complete replaces nothing"
    text = tables.rows(f"select description from exact_online.journals where id = '{changed['ID']}'")
    assert text[1][0][0].startswith("changed "), "other streams are loaded"

    clean.clear()
    loader.run(*streams)
    assert units() == [one for one in all_units if one != (unit["ID"],)]
    assert right("cost_centers")
    assert not right("journals")

    loader.run(*streams, "--full")
    assert right("journals")
    change(clean, "journals", division, rows_of(clean, "journals", division)[1])
    loader.run(*streams)
    assert right("journals"), "after a full load changes arrive as before"


def test_a_division_that_is_left_out_keeps_its_rows_and_goes_on_later(clean: Sandbox, tmp_path: Path) -> None:
    tables, config = DuckDBTables(tmp_path / "exact.duckdb"), clean.config()
    kept, left_out = clean.divisions
    streams = ("--streams", "accounts,journals,divisions")

    def counts(table: str, column: str = "division") -> dict[Any, Any]:
        return dict(tables.rows(f"select {column}, count(*) from exact_online.{table} group by all")[1])

    Loader.of(tmp_path, config).run(*streams)
    before = {name: counts(name) for name in ("accounts", "journals")}
    narrowed = Loader.of(tmp_path, {**config, "divisions": [kept]})
    narrowed.run(*streams)
    narrowed.run(*streams, "--full")
    assert {name: counts(name) for name in before} == before
    assert counts("divisions", "code") == {kept: 1}

    change(clean, "accounts", left_out, rows_of(clean, "accounts", left_out)[0])
    clean.forget_calls()
    run = Loader.of(tmp_path, config).run(*streams)
    assert re.search(r"^  accounts +1(?![\d,])", run.stdout, re.MULTILINE), run
    assert [one for stream in before for one in differences(tables, stream, clean.expected(stream))] == []


def test_a_load_that_is_killed_is_taken_up_by_the_next(clean: Sandbox, tmp_path: Path) -> None:
    """Whenever it dies: nothing is lost, nothing doubled, and nothing of it stays in the temporary directory."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    loader = Loader.of(tmp_path, clean.config(), TMPDIR=str(temporary))
    tables = DuckDBTables(tmp_path / "exact.duckdb")
    for seconds in (3.0, 1.0, 0.0):  # after it has made its folder
        process, before = loader.start(), set(temporary.glob("*/content"))
        while not set(temporary.glob("*/content")) - before:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert list(temporary.iterdir())
    loader.run()
    assert problems(clean, tables) == []
    assert list(temporary.iterdir()) == []


def test_a_table_tells_the_calls_of_the_day_other_programs_with_the_app_included(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    config = sandbox.config()
    loader, (division, *_) = Loader.of(tmp_path, config), sandbox.divisions
    sandbox.post("quota/use", client_id=config["credentials"]["client_id"], division=division, day=1000)
    sandbox.forget_calls()
    loader.run("--streams", "units,cost_centers")
    calls = Counter(call.division for call in sandbox.calls() if call.division is not None)
    with duckdb.connect(str(tmp_path / "exact.duckdb"), read_only=True) as connection:
        used = dict(connection.execute("select division, used from exact_online._exact_calls").fetchall())
    assert used == {**calls, division: calls[division] + 1000}


def test_a_load_is_refused_while_another_one_runs(
    sandbox: Sandbox, place: tuple[str, Tables, dict[str, str]], tmp_path: Path
) -> None:
    to, _, variables = place
    if to.startswith("dlt:"):
        pytest.skip("dlt has no lock for it")
    loader = Loader.of(tmp_path, sandbox.config(), to, **variables)
    sandbox.forget_calls()
    with target(to, loader.config_file).lock():
        run = loader.run("--streams", "units", succeeds=False)
    assert "Another load is writing to " in run.stderr, run
    assert sandbox.calls() == []
    loader.run("--streams", "units")


def test_tokens_are_kept_beside_a_configuration_file_that_stays_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    config = sandbox.config()
    loader = Loader.of(tmp_path, config)
    loader.run("--streams", "units")
    loader.run("--streams", "units")
    assert loader.config == config
    assert stat.S_IMODE((tmp_path / "config.tokens.json").stat().st_mode) == 0o600


def test_with_a_token_file_the_configuration_file_stays_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    config = sandbox.config(credentials={"token_file": str(tmp_path / "tokens.json")})
    loader = Loader.of(tmp_path, config)
    loader.run("--streams", "units")
    assert loader.config == config
    loader.run("--streams", "units")


PIPELINE = """
import sys
import dlt
from source_exact_online.dlt_source import exact_online

config, file, folder = sys.argv[1:]
pipeline = dlt.pipeline(
    "books", destination=dlt.destinations.duckdb(file), dataset_name="exact_online", pipelines_dir=folder
)
source = exact_online(config, streams=["accounts", "units", "cost_centers"])
pipeline.run(source)
print(sorted(source.failures))
"""


def test_a_pipeline_of_dlt_loads_the_same_tables_and_goes_on_from_its_own_state(clean: Sandbox, tmp_path: Path) -> None:
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, clean.config())

    def run(folder: str) -> str:
        arguments = [str(loader.config_file), str(tables.file), str(tmp_path / folder)]
        process = subprocess.run(
            [sys.executable, "-c", PIPELINE, *arguments], capture_output=True, text=True, env=environment(), check=False
        )
        OUTPUTS.keep(process.stdout, process.stderr)
        assert process.returncode == 0, process.stderr
        return process.stdout.splitlines()[-1]

    assert run("first machine") == "[]"
    units = tables.rows("select * exclude (_read_at) from exact_online.units order by all")
    change(clean, "accounts", clean.divisions[0], rows_of(clean, "accounts", clean.divisions[0])[0])
    clean.deny("scope", scope="logistics.items")
    clean.forget_calls()
    assert run("second machine") == "['units']"
    assert tables.rows("select * exclude (_read_at) from exact_online.units order by all") == units
    assert [call.rows for call in clean.calls("sync/CRM/Accounts") if call.rows] == [1], "only what has changed"
    for stream in ("accounts", "cost_centers"):
        assert list(differences(tables, stream, clean.expected(stream))) == []


MISTAKES = {
    "a stream in capitals": (["--streams", "Accounts"], "There is no stream Accounts (did you mean accounts?)"),
    "a misspelt destination": (["--to", "dlt:bigqery"], "dlt has no destination 'bigqery': did you mean dlt:bigquery?"),
    "a database that is not there": (
        ["--to", "postgresql://me:secret@127.0.0.1:1/books"],
        "postgresql://me:***@127.0.0.1:1/books cannot be loaded: ",
    ),
    "a destination that is not configured": (["--to", "dlt:filesystem"], "filesystem, as dlt is configured, cannot be"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence_before_anything_is_asked_of_exact(
    mistake: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    options, sentence = MISTAKES[mistake]
    sandbox.forget_calls()
    run = Loader.of(tmp_path, sandbox.config()).run(*options, succeeds=False)
    assert run.stderr.startswith(sentence), run
    assert len(run.stderr.strip().splitlines()) == 1
    assert "secret" not in run.stderr
    assert run.stdout == ""
    assert sandbox.calls() == sandbox.token_calls() == []
