"""What `--to` may name, and what is said where it names nothing."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from source_exact_online.command_line import command_parser
from source_exact_online.load import command, loading
from source_exact_online.load.destination import target
from source_exact_online.load.errors import LoadError
from source_exact_online.load.summary import Tally

CONFIG = Path("folder/config.json")

MISTAKES = {
    "exact.csv": "'exact.csv' is no destination: name a file that ends in .duckdb, postgresql://..., or dlt:NAME.",
    "mysql://me:secret@host/books": "'mysql://me:***@host/books' is no destination: name a file that ends in .duckdb, "
    "postgresql://..., or dlt:NAME.",
    "duckdb:books": "'duckdb:books' is no destination: a DuckDB file is named by its path alone, as in "
    "--to books.duckdb.",
    "duckdb:///books.db": "'duckdb:///books.db' is no destination: a DuckDB file is named by its path alone, as in "
    "--to books.db.",
    "duckdb": "'duckdb' is no destination: a DuckDB file is named by its path alone, as in --to exact.duckdb.",
    "books": "'books' is no destination: name a file that ends in .duckdb, postgresql://..., or dlt:NAME.",
    "snowflake://me:secret@host/books": "'snowflake://me:***@host/books' is no destination: say --to dlt:snowflake, "
    "and configure it as dlt wants it.",
    "BigQuery": "'BigQuery' is no destination: say --to dlt:bigquery, and configure it as dlt wants it.",
    "postgres:books": "'postgres:books' is no destination: say --to postgresql://user:password@host:5432/database.",
    "nowhere/exact.duckdb": "There is no folder nowhere for exact.duckdb.",
    "exact_online.duckdb": "DuckDB could not tell a file named exact_online.duckdb from its schema exact_online: "
    "choose another name.",
    "postgresql://me:secret@127.0.0.1": "postgresql://me:***@127.0.0.1 lacks user, host or database: "
    "postgresql://user:password@host:5432/database.",
    "dlt:Bigqery": "dlt has no destination 'Bigqery': did you mean dlt:bigquery?",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_is_no_destination_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(LoadError) as refused:
        target(text, CONFIG)
    assert str(refused.value) == MISTAKES[text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres:me:s3cret@host/db", "postgres:me:***@host/db"),
        ("postgresql//me:s3cret@host/db", "postgresql//me:***@host/db"),
        ("snowflake:me:s3cret@host", "snowflake:me:***@host"),
        ("snowflake://me:s3/cr@et@host/books", "snowflake://me:***@host/books"),
        ("snowflake://host/books?user=me&password=s3cret", "snowflake://host/books?user=me&password=***"),
        ("motherduck:md:books?motherduck_token=s3cret", "motherduck:md:books?motherduck_token=***"),
        ("duckdb:books.duckdb?password=s3cret", "duckdb:books.duckdb?password=***"),
        ("dlt:snowflake://me:s3cret@host", "snowflake://me:***@host"),
        ("postgresql://me@host?password=s3cret", "postgresql://me@host?password=***"),
        ("postgresql://host/books?user=me&passwd=s3cret", "postgresql://host/books?user=me&passwd=***"),
        ("postgresql+psycopg2://me:s3cret@host/books", "postgresql+psycopg2://me:***@host/books"),
        ("postgresql://domain/me:s3cret@host/books", "postgresql://domain/me:***@host/books"),
        ("//me:s3cret@host/books", "//me:***@host/books"),
        ("postgresql://me:s3cr[et@host/books", "postgresql://me:***@host/books is no address"),
        ("postgresql://me:s3cret@host:port/books", "postgresql://me:***@host:port/books is no address"),
    ],
)
def test_what_is_refused_is_shown_without_its_password(text: str, shown: str) -> None:
    with pytest.raises(LoadError) as refused:
        target(text, CONFIG)
    assert shown in str(refused.value)
    assert "s3" not in str(refused.value)


def test_the_default_is_a_file_beside_the_configuration(tmp_path: Path) -> None:
    assert target(None, tmp_path / "config.json").place == str(tmp_path / "exact.duckdb")


def test_a_password_is_not_shown() -> None:
    goal = target("postgresql://me:secret@db.example:5433/books", CONFIG)
    assert goal.place == "postgresql://me:***@db.example:5433/books"
    assert "secret" not in goal.query
    assert target("postgresql://me@db.example:5433/books", CONFIG).place == "postgresql://me@db.example:5433/books"


def test_the_command_for_the_next_load_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to = "postgresql://me:secret@db.example/books"
    tally = Tally(["accounts"], Counter(accounts=1))
    monkeypatch.setattr(command, "DLT_SETTINGS", {})
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(loading, "load", lambda *_, **__: (tally, target(to, CONFIG)))
    assert command.run(command_parser().parse_args(["load", "--config", "config.json", "--to", to])) == 0
    shown = capsys.readouterr().out
    assert "load --config config.json --to postgresql://me:***@db.example/books" in shown
    assert "secret" not in shown


def test_any_other_destination_of_dlt_is_taken() -> None:
    assert target("dlt:snowflake", CONFIG).destination.destination_name == "snowflake"
