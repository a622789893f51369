"""The dbt project describes what it has, and tests what it checks."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import yaml

from source_exact_online.catalog.definitions import catalog, with_full_columns

PROJECT = Path(__file__).parent.parent / "dbt"


def described(folder: str, kind: str) -> dict[str, dict[str, Any]]:
    """Models or seeds by name, as the YAML files of a folder describe them."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in (PROJECT / folder).rglob("*.yml")]
    return {one["name"]: one for file in files for one in file.get(kind, [])}


def test_every_model_and_seed_is_described_with_its_columns() -> None:
    found = described("models", "models") | described("seeds", "seeds")
    files = {file.stem for kind in ("models/**/*.sql", "seeds/*.csv") for file in PROJECT.glob(kind)}
    assert files == found.keys()
    for model in found.values():
        assert model["description"].strip()
        assert model["columns"]
        assert all(column["description"].strip() for column in model["columns"])


def test_every_check_has_a_model_a_row_in_the_seed_and_a_test() -> None:
    with (PROJECT / "seeds" / "exact_checks.csv").open(encoding="utf-8", newline="") as file:
        severities = {row["check_name"]: row["severity"] for row in csv.DictReader(file)}
    models = {file.stem.removeprefix("check_") for file in PROJECT.glob("models/checks/check_*.sql")}
    tests = {
        test["exact_check"]["arguments"]["check_name"]: test["exact_check"]["config"]["severity"]
        for test in described("models", "models")["exact__checks"]["data_tests"]
    }
    text = (PROJECT / "models" / "marts" / "exact__checks.sql").read_text(encoding="utf-8")
    assert models == severities.keys()
    assert tests == severities
    assert all(f"'{check}'" in text for check in models)


def test_every_stream_that_staging_reads_is_a_stream_of_the_connector() -> None:
    sources = yaml.safe_load((PROJECT / "models" / "staging" / "sources.yml").read_text(encoding="utf-8"))
    schemas = Path(__file__).parent.parent / "source_exact_online" / "schemas"
    for table in sources["sources"][0]["tables"]:
        assert (schemas / f"{table['name']}.json").exists(), table["name"]


def test_staging_tells_rows_apart_by_the_key_that_they_have_with_full_columns_too() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in PROJECT.glob("models/staging/*.sql"))
    calls = re.findall(r"(?:exact_rows|entries|entry_lines)\(\s*'(\w+)'(.*?)\)\s*\}\}", text, flags=re.DOTALL)
    assert {"sales_invoices", "items", "sales_entries", "purchase_entry_lines"} <= {stream for stream, _ in calls}
    for stream, arguments in calls:
        keys = re.search(r"\bkeys=\[([^]]*)\]", arguments)
        first, *rest = re.findall(r"\w+", keys[1]) if keys else ["ID", "Division"]
        named = re.search(r"named_key='(\w+)'", arguments)
        assert catalog()[stream].primary_key == (first, *rest), stream
        if stream in with_full_columns():
            assert with_full_columns()[stream].primary_key == (named[1] if named else first, *rest), stream
