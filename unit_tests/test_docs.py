"""The documentation says what the data files say, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from source_exact_online.catalog.definitions import catalog, with_full_columns
from source_exact_online.catalog.schemas import properties
from tools import column_pages, licences
from tools.document_tables import DOCUMENTS, TABLES, with_tables
from tools.generate_catalog import load_overlay
from tools.reference import REPOSITORY, load_reference
from tools.stream_tables import all_streams, composite_keys, core_joins, core_streams, diagram, key_maps, scopes

README = REPOSITORY / "README.md"
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
# [text](target), ![text](target); a title after the target and an anchor are not part of the file's name.
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def ids(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings as GitHub makes them."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tables_are_those_of_the_data_files(name: str) -> None:
    document = (REPOSITORY / name).read_text(encoding="utf-8")
    assert document == with_tables(document), "make docs writes the tables anew"


def test_every_table_has_its_place_in_exactly_one_document() -> None:
    places = [
        table
        for name in DOCUMENTS
        for table in re.findall(r"<!-- table: (\w+) -->", (REPOSITORY / name).read_text(encoding="utf-8"))
    ]
    assert sorted(places) == sorted(TABLES)


def test_a_table_that_differs_from_its_data_is_written_anew() -> None:
    document = "before\n<!-- table: scopes -->\n| out of date |\n<!-- end of table -->\nafter"
    written = with_tables(document)
    assert written == f"before\n<!-- table: scopes -->\n{scopes()}<!-- end of table -->\nafter"
    assert "out of date" not in written


def test_the_first_stream_table_names_the_core() -> None:
    assert re.findall(r"^\| \[`(\w+)`\]", core_streams(), re.MULTILINE) == list(load_overlay().core)


def test_the_readme_counts_the_streams() -> None:
    documented = [name for name, one in catalog().items() if one.group != "undocumented"]
    assert f"{len(documented)} streams" in README.read_text(encoding="utf-8")


def test_the_stream_tables_name_each_stream_of_the_catalogue_once() -> None:
    assert sorted(re.findall(r"^\| \[`(\w+)`\]", all_streams(), re.MULTILINE)) == sorted(catalog())


@pytest.mark.parametrize("tables", [core_streams(), all_streams()], ids=["core", "all"])
def test_the_stream_tables_say_which_streams_get_deletions(tables: str) -> None:
    header = next(line for line in tables.splitlines() if line.startswith("| Stream"))
    column = header.strip("| ").split(" | ").index("Deletions")
    rows = [row.strip("| ").split(" | ") for row in tables.splitlines() if row.startswith("| [`")]
    told = {row[0].split("`")[1]: row[column] == "yes" for row in rows}
    assert told == {name: catalog()[name].tracks_deletions for name in told}
    assert True in told.values()


def test_the_scope_table_names_each_stream_at_its_scope() -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", scopes(), re.MULTILINE))
    told = {stream: scope for scope, uses in rows.items() for stream in re.findall(r"`(\w+)`", uses)}
    scope_of = {name: definition.scope for name, definition in catalog().items()}
    assert told == {name: f"{scope}: Read" if scope else "not documented" for name, scope in scope_of.items()}


def test_the_first_column_of_a_key_is_enough_where_it_is_a_guid_of_a_row_that_says_its_division() -> None:
    types = {path: {prop.name: prop.type for prop in one.properties} for path, one in load_reference().items()}
    enough, not_enough = set(), set()
    for name, definition in catalog().items():
        first, *rest = definition.primary_key
        own = types[definition.path.removeprefix("beta/")]
        alone = (first, rest) == ("Division", []) or (rest == ["Division"] and own[first] == "Edm.Guid")
        (enough if alone and (not rest or "Division" in own) else not_enough).add(name)
    assert enough >= {"accounts", "sales_invoices", "sales_invoice_lines", "transaction_lines", "journals", "divisions"}
    assert not_enough >= {"currencies", "journal_status_list", "reporting_balance", "receivables_list", "banks"}
    assert composite_keys().keys() == not_enough


def test_the_stream_maps_for_meltano_name_the_primary_keys() -> None:
    maps = yaml.safe_load(key_maps().strip("`\n").removeprefix("yaml"))["stream_maps"]
    assert {name: tuple(operators["__key_properties__"]) for name, operators in maps.items()} == {
        name: catalog()[name].primary_key for name in composite_keys()
    }
    assert all(operators.keys() == {"__key_properties__"} for operators in maps.values())


def test_the_lines_that_checks_of_runners_run_are_in_the_guide() -> None:
    guide = (REPOSITORY / "docs" / "runners.md").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"<!-- run by make ([\w: ]+) -->\n```\w+\n(.*?)```", guide, re.DOTALL))
    for name in ("warehouses: numbers", "warehouses: postgres"):
        assert compile(recipes[name], name, "exec")
    plugins = yaml.safe_load(recipes["meltano"])["plugins"]
    assert [one["name"] for one in plugins["extractors"]] == ["tap-airbyte", "tap-exact-online"]
    assert [one["name"] for one in plugins["loaders"]] == ["target-jsonl", "target-postgres"]


def test_joins_lead_from_columns_to_keys_that_exist() -> None:
    joins = core_joins()
    assert {(stream, column) for stream, column, _ in joins} >= {
        ("contacts", "Account"), ("sales_order_lines", "OrderID"), ("sales_invoice_lines", "InvoiceID"),
        ("purchase_invoice_lines", "InvoiceID"), ("transaction_lines", "GLAccount"),
    }  # fmt: skip
    ends = {(stream, column) for stream, column, _ in joins}
    ends |= {(name, column) for _, _, target in joins for name, column in [target.split(".")]}
    assert [(name, column) for name, column in ends if column not in properties(name)] == []


def test_every_join_is_in_the_diagram() -> None:
    drawn = re.findall(r"(\w+) \|\|--o\{ (\w+) : \"(.+)\"", diagram())
    told = {(many, column, one) for one, many, columns in drawn for column in columns.split(", ")}
    assert told == {(stream, column, target.split(".")[0]) for stream, column, target in core_joins()}


def test_the_pages_of_columns_say_what_the_schemas_say() -> None:
    written = {file: file.read_text(encoding="utf-8") for file in column_pages.FOLDER.iterdir()}
    assert written == column_pages.pages(), "make docs writes them anew"


def test_they_name_each_column_of_each_stream_once() -> None:
    full = with_full_columns()
    sections = [part for text in column_pages.pages().values() for part in text.split("\n## ")[1:]]
    told = {part.split("\n")[0]: re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in sections}
    assert {name: sorted(columns) for name, columns in told.items()} == {
        name: sorted({*properties(name), *(properties(full[name].schema) if name in full else ())})
        for name in catalog()
    }


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_files_and_headings_of_the_repository(page: Path) -> None:
    dead = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_the_licence_of_every_package_in_the_image_is_listed() -> None:
    """Names only: what a package says of its licence may change with its version, which depends on Python's."""
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", licences.PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    listed = sorted(name for names in rows.values() for name in re.findall(r"`([\w.-]+)`", names))
    assert listed == licences.locked_packages(), "make docs writes the list anew"
    assert rows["GPL-2.0-or-later"] == "`unidecode`"
    assert not [name for name in listed if not licences.licence_of(name)]


def test_the_glossary_names_each_word_once_and_the_module_that_owns_it() -> None:
    text = (REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| ")]
    rows = [row for row in rows if row[0] not in ("Word", "---")]
    words = [row[0] for row in rows]
    assert len(words) > 30
    assert len(set(words)) == len(words)
    owner = re.compile(r"\[(\w+/\w+\.py)\]\(\.\./source_exact_online/\1\)")
    assert [row[0] for row in rows if len(row) != 3 or not owner.fullmatch(row[2])] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
    assert named - targets == set()


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "docs/development.md"])
def test_files_of_the_repository_that_are_named_exist(name: str) -> None:
    page = (REPOSITORY / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]*)`", page))
    places = (REPOSITORY, REPOSITORY / "source_exact_online")
    assert [path for path in sorted(named) if not any((place / path).exists() for place in places)] == []
    assert named
