"""What `make clients` says of a client: what came, whose fault it is that nothing did, and what is missing here."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration_tests.clients import __main__ as clients
from integration_tests.clients.__main__ import STEPS, Client, MissingError, Program, cells, table, tried_cells


def nowhere(folder: Path, source: str | None) -> Program:
    raise MissingError("php on the PATH")


ODD = Client("odd", "odd 1.0", nowhere, {"key": "asks for what is not there"})


def test_a_step_says_what_came_or_whose_fault_it_is() -> None:
    found = {"login": {"came": "division 1"}, "list": {"failed": "a | b\nc"}, "key": {"failed": "400"}}

    assert cells(ODD, found) == [
        "division 1",
        "**failed**: not reached",
        "**failed**: a \\| b c",
        "**failed**: not reached",
        "its own fault: asks for what is not there",
    ]
    assert table({"odd 1.0": cells(ODD, found)}).count("\n") == 3


def test_what_is_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert tried_cells(ODD, None) is None
    assert "odd 1.0 is left out: php on the PATH is missing." in capsys.readouterr().out


def test_each_client_is_in_the_table_of_the_documentation() -> None:
    text = clients.DOCUMENT.read_text(encoding="utf-8")

    assert [one.title for one in clients.CLIENTS if f"| {one.title} |" not in text] == []
    assert "**failed**" not in text
    assert all(title in text for title in STEPS.values())
