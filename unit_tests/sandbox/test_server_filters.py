"""The filter language."""

from __future__ import annotations

import pytest

from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.filters import Column, Condition, Filter, parse_filter
from exact_online_sandbox.wallclock import WallClock

ROW = {
    "Name": ("Edm.String", "O'Neill & Zn."),
    "Code": ("Edm.String", "                 7"),
    "ID": ("Edm.Guid", "0a0b0c0d-0000-4000-8000-000000000001"),
    "Amount": ("Edm.Double", 12.5),
    "Number": ("Edm.Int32", 7),
    "Timestamp": ("Edm.Int64", 2**60),
    "Blocked": ("Edm.Boolean", False),
    "Date": ("Edm.DateTime", 1_706_659_200_000),
    "Nothing": ("Edm.String", None),
}
VALUES = [value for _, value in ROW.values()]


def find(name: str) -> Column | None:
    if name not in ROW:
        return None
    at = list(ROW).index(name)
    return Column(name, ROW[name][0], lambda values: values[at])


def parse(text: str) -> Filter:
    return parse_filter(text, find, type_name="T", wall=WallClock())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Number eq 7", True),
        ("Number ne 7", False),
        ("Number gt 6 and Number lt 8", True),
        ("Number ge 8 or Number le 7", True),
        ("not (Number eq 7)", False),
        ("not Blocked", True),
        ("Blocked", False),
        ("Blocked eq false", True),
        ("Number eq 1 or Number eq 7 and Blocked eq true", False),
        ("(Number eq 1 or Number eq 7) and Blocked eq false", True),
        ("Name eq 'O''Neill & Zn.'", True),
        ("startswith(Name,'O''')", True),
        ("endswith(Name, 'Zn.') eq true", True),
        ("substringof('Neill', Name)", True),
        ("trim(Code) eq '7'", True),
        ("tolower(Name) eq 'o''neill & zn.'", True),
        ("length(Code) eq 18", True),
        ("ID eq guid'0A0B0C0D-0000-4000-8000-000000000001'", True),
        ("Timestamp gt 1152921504606846975L", True),
        ("Timestamp gt 1152921504606846976", False),
        ("Amount eq 12.5", True),
        ("Amount lt 1.3E1", True),
        ("Date eq datetime'2024-01-31'", True),
        ("Date ge datetime'2024-01-31T00:00:00.001'", False),
        ("year(Date) eq 2024 and month(Date) eq 1 and day(Date) eq 31", True),
        ("Nothing eq null", True),
        ("Name ne null", True),
        ("Nothing gt 'a'", False),
        ("startswith(Nothing,'a')", False),
        ("7 eq Number", True),
    ],
)
def test_filter_selects(text: str, expected: bool) -> None:
    assert parse(text).matches(VALUES) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "Number", "Number eq", "eq 7", "Number eq 7)", "(Number eq 7", "Number eq 'x'", "Name eq 7", "Number = 7",
        "Blocked eq 1", "Date eq '2024-01-31'", "Date eq datetime'yesterday'", "Date eq datetime'2024-02-30'",
        "Name eq Code", "trim(Number) eq '7'", "startswith(Name)", "Number eq 7 and", "Name eq 'x", "Unknown eq 1",
        "Lines/ID eq 1", "Number eq 7 Number eq 7",
    ],
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(text)
    assert caught.value.status == 400


def test_conjunction_is_known_as_conditions() -> None:
    found = parse("Number ge 5 and (Timestamp gt 3L and Blocked eq false)")
    assert found.complete
    assert found.conditions == (
        Condition("Number", "ge", 5),
        Condition("Timestamp", "gt", 3),
        Condition("Blocked", "eq", False),
    )


def test_disjunction_is_no_condition_but_its_neighbours_are() -> None:
    found = parse("(Number eq 1 or Number eq 7) and Timestamp gt 3")
    assert not found.complete
    assert found.conditions == (Condition("Timestamp", "gt", 3),)


def test_names_are_those_of_the_whole_filter() -> None:
    assert parse("not (trim(Code) eq '7') or Number eq 7").names == ("Code", "Number")
