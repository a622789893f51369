"""Parts of sentences for people."""

from __future__ import annotations

import pytest

from source_exact_online.words import counted, nearest


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows")])
def test_a_noun_has_the_form_of_its_number(number: int, text: str) -> None:
    assert counted(number, "row") == text


@pytest.mark.parametrize(
    ("name", "meant"),
    [("divison", "divisions"), ("Start-Date", "start_date"), ("startDate", "start_date"), ("colour", None), ("", None)],
)
def test_the_nearest_name_is_found_in_any_spelling(name: str, meant: str | None) -> None:
    assert nearest(name, ["divisions", "start_date"]) == meant
