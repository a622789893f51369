"""The configured catalogue: printed for a user, and understood in the forms that users have at hand."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from source_exact_online.catalog.configured import (
    FULL_REFRESH,
    INCREMENTAL,
    NotACatalogError,
    configured_catalog,
    understood_catalog,
)
from source_exact_online.catalog.definitions import UNDOCUMENTED, catalog
from source_exact_online.catalog.offer import entry, named

JOURNALS, AGING = (entry(catalog()[name], binary=False) for name in ("journals", "aging_overview"))
LOG = {"type": "LOG", "log": {"level": "INFO", "message": "…"}}
MESSAGE = {"type": "CATALOG", "catalog": {"streams": [JOURNALS, AGING]}}


def modes(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Sync modes by stream; the catalogue has to be one for Airbyte."""
    ConfiguredAirbyteCatalogSerializer.load(deepcopy(document))
    return {one["stream"]["name"]: (one["sync_mode"], one["destination_sync_mode"]) for one in document["streams"]}


class TestPrinted:
    def test_streams_are_read_incrementally_where_they_can_be(self) -> None:
        document = configured_catalog(named("journals,aging_overview", frozenset()), INCREMENTAL)

        assert modes(document) == {
            "journals": ("incremental", "append_dedup"), "aging_overview": ("full_refresh", "overwrite")
        }  # fmt: skip
        assert document["streams"][0]["cursor_field"] == ["Modified"]
        assert document["streams"][0]["primary_key"] == [["ID"], ["Division"]]
        assert document["streams"][0]["stream"] == JOURNALS

    def test_full_refresh_is_for_all(self) -> None:
        document = configured_catalog(named("journals,aging_overview", frozenset()), FULL_REFRESH)

        assert set(modes(document).values()) == {("full_refresh", "overwrite")}

    def test_it_is_understood_as_it_is(self) -> None:
        document = configured_catalog(named("core", frozenset()), INCREMENTAL)

        assert understood_catalog(document) == (document, [])


class TestNamed:
    def test_core_and_all(self) -> None:
        core = [definition.name for definition in named("core", frozenset())]

        assert "accounts" in core
        assert len(core) < 30
        assert [definition.name for definition in named("all", frozenset())] == [
            name for name, definition in catalog().items() if definition.group != UNDOCUMENTED
        ]

    def test_groups_narrow_all(self) -> None:
        assert {definition.group for definition in named("all", frozenset({"hrm"}))} == {"hrm"}

    def test_names_keep_their_order_and_may_be_in_any_group(self) -> None:
        chosen = named("journals, accounts,journals", frozenset({"hrm"}))

        assert [definition.name for definition in chosen] == ["journals", "accounts"]

    @pytest.mark.parametrize(
        ("name", "meant"), [("Accounts", "accounts"), ("jornals", "journals"), ("GL-Accounts", "gl_accounts")]
    )
    def test_a_wrong_name_brings_the_nearest(self, name: str, meant: str) -> None:
        with pytest.raises(ValueError, match=rf"{name} \(did you mean {meant}\?\)"):
            named(f"items,{name}", frozenset())

    @pytest.mark.parametrize("text", ["", ",", "xxxxxxxxxx"])
    def test_nothing_near_is_no_suggestion(self, text: str) -> None:
        with pytest.raises(ValueError, match="core, all, or names") as raised:
            named(text, frozenset())
        assert "did you mean" not in str(raised.value)


class TestUnderstood:
    @pytest.mark.parametrize(
        "document",
        [
            MESSAGE,
            [LOG, MESSAGE],
            MESSAGE["catalog"],
            {"streams": [{"stream": JOURNALS}, {"stream": {"name": "aging_overview"}}]},
            {"streams": [{"name": "journals"}, "aging_overview"]},
            [JOURNALS, AGING],
            ["journals", "aging_overview"],
        ],
        ids=["message", "messages", "catalogue", "streams without modes", "names", "flat list", "flat list of names"],
    )
    def test_streams_that_are_not_configured_are_read_as_they_can_be(self, document: Any) -> None:
        understood, notes = understood_catalog(document)

        assert modes(understood) == {
            "journals": ("incremental", "append_dedup"), "aging_overview": ("full_refresh", "overwrite")
        }  # fmt: skip
        assert {**understood["streams"][1]["stream"], "json_schema": AGING["json_schema"]} == AGING
        if '"stream"' not in str(document).replace("'", '"'):
            assert "all are read" in notes[0]
            assert "2 streams" in notes[0]
            assert "source-exact-online catalog" in notes[0]

    def test_what_is_configured_is_kept(self) -> None:
        stream = {
            "name": "journals",
            "json_schema": {"properties": {"ID": {}}},
            "supported_sync_modes": ["incremental"],
        }
        chosen = {
            "stream": stream,
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
            "cursor_field": ["Created"],
            "generation_id": 7,
        }

        understood, notes = understood_catalog({"streams": [chosen]})

        assert notes == []
        (one,) = understood["streams"]
        assert {**one, "stream": None} == {**chosen, "stream": None, "primary_key": [["ID"], ["Division"]]}
        assert one["stream"]["json_schema"] == {"properties": {"ID": {}}}

    def test_columns_that_are_not_named_are_all(self) -> None:
        (one,) = understood_catalog({"streams": [{"stream": {"name": "items"}, "sync_mode": "incremental"}]})[0][
            "streams"
        ]

        assert one["stream"]["json_schema"] == {}, "no selection"

    def test_a_stream_that_does_not_exist_is_left_to_whoever_knows_the_streams(self) -> None:
        assert modes(understood_catalog(["unicorns"])[0]) == {"unicorns": ("incremental", "append_dedup")}

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ({"streams": []}, "names no stream"),
            ([], "names no stream"),
            ([LOG], "none of the messages"),
            ({}, "no list of streams"),
            ({"type": "CATALOG", "catalog": 7}, "no list of streams"),
            (7, "no list of streams"),
            ({"streams": [{}]}, "has no name"),
            ({"streams": [{"stream": {"name": 7}}]}, "has no name"),
            ([7], "has no name"),
        ],
    )
    def test_what_cannot_be_understood_says_how_to_get_one(self, document: Any, words: str) -> None:
        with pytest.raises(NotACatalogError, match=words) as raised:
            understood_catalog(document)
        assert "source-exact-online catalog --streams core" in str(raised.value)

    def test_a_sync_mode_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(NotACatalogError, match="sync_mode of stream journals must be incremental or full_refresh"):
            understood_catalog({"streams": [{"stream": JOURNALS, "sync_mode": "full"}]})
