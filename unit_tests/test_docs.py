"""The documentation says what the data files say, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from source_exact_online.streams.catalog import catalog
from tools.document_tables import DOCUMENTS, TABLES, scopes, streams, with_tables
from tools.reference import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
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
    document = "before\n<!-- table: scopes -->\n| old |\n<!-- end of table -->\nafter"
    mended = with_tables(document)
    assert mended == f"before\n<!-- table: scopes -->\n{scopes()}<!-- end of table -->\nafter"
    assert "old" not in mended


def test_the_stream_table_names_each_stream_of_the_catalogue_once() -> None:
    assert re.findall(r"^\| `(\w+)` \|", streams(), re.MULTILINE) == list(catalog())


def test_the_stream_table_says_which_streams_get_deletions() -> None:
    told = {row.split(" | ")[0].strip("| `"): row.endswith("| yes |") for row in streams().splitlines()[2:]}
    assert told == {name: definition.entity_type is not None for name, definition in catalog().items()}


def test_the_scope_table_names_each_stream_at_its_scope() -> None:
    rows = dict(re.findall(r"^\| (.+?): Read \| (.+) \|$", scopes(), re.MULTILINE))
    told = {stream: scope for scope, uses in rows.items() for stream in re.findall(r"`(\w+)`", uses)}
    assert told == {name: definition.scope for name, definition in catalog().items()}


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


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
    assert named - targets == set()
