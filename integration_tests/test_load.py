"""`load` through the console script: the tables equal the sandbox's own rows, whatever has happened in between."""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from pathlib import Path

import pytest

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.entity_rows import ENTITIES, FAMILIES, LOGGED, change, key_of, rows_of
from integration_tests.loads import Loader
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
@pytest.mark.timeout(900)
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
    loader = Loader.of(tmp_path, sandbox.config(), to, **variables)
    loader.run("--streams", "all", "--full")
    found = []
    for stream in CATALOG:
        records = rows_of_any(sandbox, stream)
        expected = {tuple(one[name] for name in primary_key(stream["name"])): one for one in records}
        dated_by_header = ("Modified",) if "header" in stream else ()
        found += differences(tables, stream["name"], expected, ignored=dated_by_header)
    assert found == []


def test_a_second_load_reads_only_what_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    loader = Loader.of(tmp_path, sandbox.config(lookback_window_minutes=0))
    assert "\n  contacts " in loader.run("--streams", "contacts,journals").stdout
    row = rows_of(sandbox, "contacts", sandbox.divisions[0])[-1]
    change(sandbox, "contacts", sandbox.divisions[0], row)
    run = loader.run("--streams", "contacts,journals")
    assert re.search(r"^  contacts +1$", run.stdout, re.MULTILINE), run


def test_a_stream_that_is_read_whole_loses_the_rows_that_are_gone(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing tells of their deletion: they are missing in what was read."""
    division = sandbox.divisions[0]
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, sandbox.config())
    unit = {"Code": "zz", "Description": "Gone soon", "Active": True, "Main": False}
    gone = sandbox.insert(division, "logistics/Units", unit)
    loader.run("--streams", "units")
    count = tables.rows("select count(*) from exact_online.units")[1][0][0]
    sandbox.delete(division, "logistics/Units", gone["ID"])
    loader.run("--streams", "units")
    assert tables.rows("select count(*) from exact_online.units")[1][0][0] == count - 1


def test_rows_whose_deletion_is_not_logged_go_with_a_full_load(sandbox: Sandbox, tmp_path: Path) -> None:
    division = sandbox.divisions[0]
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, sandbox.config())
    gone = sandbox.insert(division, "financial/Journals", {"Code": "zz", "Description": "Gone soon"})
    loader.run("--streams", "journals")
    sandbox.delete(division, "financial/Journals", gone["ID"])
    loader.run("--streams", "journals")
    assert list(differences(tables, "journals", sandbox.expected("journals"))) != []
    loader.run("--streams", "journals", "--full")
    assert list(differences(tables, "journals", sandbox.expected("journals"))) == []
    change(sandbox, "journals", division, rows_of(sandbox, "journals", division)[0])
    loader.run("--streams", "journals")
    assert list(differences(tables, "journals", sandbox.expected("journals"))) == []


def test_what_an_incomplete_run_has_read_is_loaded_and_the_next_goes_on(clean: Sandbox, tmp_path: Path) -> None:
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, clean.config())
    streams = ("--streams", "accounts,cost_centers,units")
    for scope in ("financial.costcenters", "logistics.items"):
        clean.deny("scope", scope=scope)
    run = loader.run(*streams, succeeds=False)
    assert "INCOMPLETE cost_centers: " in run.stdout
    assert "INCOMPLETE units: " in run.stdout
    assert list(differences(tables, "accounts", clean.expected("accounts"))) == []
    clean.clear()
    loader.run(*streams)
    for stream in ("accounts", "cost_centers"):
        assert list(differences(tables, stream, clean.expected(stream))) == []


def test_a_stream_that_is_read_whole_keeps_its_rows_when_it_is_incomplete(clean: Sandbox, tmp_path: Path) -> None:
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, clean.config())
    loader.run("--streams", "units")
    before = tables.rows("select * from exact_online.units order by all")
    assert before[1]
    clean.deny("scope", scope="logistics.items")
    loader.run("--streams", "units", succeeds=False)
    assert tables.rows("select * from exact_online.units order by all") == before


def test_a_load_that_is_killed_is_taken_up_by_the_next(clean: Sandbox, tmp_path: Path) -> None:
    """Whenever it dies: nothing is lost, nothing doubled."""
    tables, loader = DuckDBTables(tmp_path / "exact.duckdb"), Loader.of(tmp_path, clean.config())
    for seconds in (2.0, 4.0, 6.0):
        process = loader.start()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    loader.run()
    assert problems(clean, tables) == []


def test_new_tokens_go_back_into_the_configuration_file(sandbox: Sandbox, tmp_path: Path) -> None:
    loader = Loader.of(tmp_path, sandbox.config())
    before = loader.config
    loader.run("--streams", "units")
    after = loader.config
    assert after["credentials"]["refresh_token"] != before["credentials"]["refresh_token"]
    assert after["credentials"].keys() >= {"access_token", "token_expiry_date"}
    assert stat.S_IMODE(loader.config_file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "exact.duckdb"]


def test_with_a_token_file_the_configuration_file_stays_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    config = sandbox.config(credentials={"token_file": str(tmp_path / "tokens.json")})
    loader = Loader.of(tmp_path, config)
    loader.run("--streams", "units")
    assert loader.config == config
    loader.run("--streams", "units")


MISTAKES = {
    "a stream in capitals": (["--streams", "Accounts"], "There is no stream Accounts (did you mean accounts?)"),
    "a misspelt stream": (["--streams", "acounts,items"], "There is no stream acounts (did you mean accounts?)"),
    "no stream": (["--streams", ","], "There is no stream ','; say core, all, or names"),
    "a misspelt destination of dlt": (
        ["--to", "dlt:bigqery"],
        "dlt has no destination 'bigqery': did you mean dlt:bigquery?",
    ),
    "a file of another kind": (
        ["--to", "exact.csv"],
        "'exact.csv' is no destination: name a file that ends in",
    ),
    "a folder that is not there": (["--to", "nowhere/exact.duckdb"], "There is no folder nowhere for exact.duckdb."),
    "a file named as its schema": (["--to", "exact_online.duckdb"], "DuckDB could not tell"),
    "no database": (["--to", "postgresql://me:secret@127.0.0.1"], "postgresql://me:***@127.0.0.1 lacks user, host or"),
    "a database that is not there": (
        ["--to", "postgresql://me:secret@127.0.0.1:1/books"],
        "postgresql://me:***@127.0.0.1:1/books cannot be loaded: ",
    ),
    "a destination that is not configured": (["--to", "dlt:filesystem"], "filesystem, as dlt is configured cannot be"),
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
