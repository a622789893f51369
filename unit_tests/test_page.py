"""Pages of a listing: the proof that they are what was asked for, and rows that survive values which do not fit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets
from hypothesis import given
from hypothesis import strategies as st

from source_exact_online.api.odata import LONGEST_LINK
from source_exact_online.api.page import Page, PageDecoder, Repair, RowShape, following
from source_exact_online.api.repair import DamagedPageError, NotAPageError, words_in

BASE = "https://start.exactonline.nl"
DIVISION = 123456
PATH = f"/api/v1/{DIVISION}/financial/Journals"
URL = f"{BASE}{PATH}?$select=ID,Code,Description,Modified"
COLUMNS: dict[str, Any] = {"ID": str, "Code": str, "Description": str, "Modified": str, "Rate": int | float}
WORDS = "An error occurred while processing this request."
ERROR = f'{{"code":"","message":{{"lang":"","value":"{WORDS}"}}}}'
EXACTS_ERROR = f'{{\r\n"error": {{\r\n"code": "", "message": {{\r\n"lang": "", "value": "{WORDS}"\r\n}}\r\n}}\r\n}}'
ODD = '{"ID":"0","Description":"a\x0b"}'
"""A row that the strict decoder refuses and the forgiving one repairs."""


def journal(key: str, more: str = "", division: int = DIVISION) -> str:
    """A row as Exact writes it."""
    uri = f"{BASE}/api/v1/{division}/financial/Journals(guid'{key}')"
    metadata = f'{{"uri":"{uri}","type":"Exact.Web.Api.Models.Financial.Journal"}}'
    return f'{{"__metadata":{metadata},"ID":"{key}","Code":"70","Modified":"/Date(1741270612347)/"{more}}}'


def listing(*rows: str, more: str = "") -> bytes:
    """A page of rows, in the lines that Exact puts them in."""
    return f'{{"d":{{"results":[{",".join(rows)}]{more}}}}}'.encode()


def journals(division: int | None = DIVISION) -> PageDecoder:
    return PageDecoder(RowShape.of(COLUMNS, ["ID"]), division)


def decoded(body: bytes) -> Page:
    return journals().decode(body, URL)


def as_dicts(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.to_builtins(page.rows)
    return found


class TestEnvelopes:
    @pytest.mark.parametrize(
        "data",
        [
            f'{{"results":[{journal("a")}]}}',
            f'{{"results":[{journal("a")}],"__count":"1"}}',
            f"[{journal('a')}]",
            journal("a"),
        ],
        ids=["results", "count", "bare array", "single object"],
    )
    def test_every_envelope_holds_its_rows(self, data: str) -> None:
        page = decoded(f'{{"d":{data}}}'.encode())

        assert as_dicts(page) == [{"ID": "a", "Code": "70", "Modified": "/Date(1741270612347)/"}]
        assert (page.next_url, page.repairs) == (None, [])

    @pytest.mark.parametrize("body", [listing(), b'{"d":[]}', b'\xef\xbb\xbf{"d":{"results":[]}}'])
    def test_an_empty_page_is_a_page(self, body: bytes) -> None:
        assert decoded(body) == Page([], None, [])

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"<html><body>Maintenance</body></html>",
            b"<!DOCTYPE html><html><body><form action='/docs/Login.aspx' method='post'></form></body></html>",
            b"<feed xmlns='http://www.w3.org/2005/Atom'/>",
            b"Too many requests",
            b"\xff\xfe\x00",
        ],
    )
    def test_what_is_no_json_may_be_a_page_for_people(self, body: bytes) -> None:
        with pytest.raises(NotAPageError):
            decoded(body)

    @pytest.mark.parametrize(
        "body",
        [
            b"null",
            b"[]",
            b"42",
            b'"text"',
            b"{}",
            b'{"d":null}',
            b'{"d":{}}',
            b'{"d":"text"}',
            b'{"d":7}',
            b'{"d":[1,2]}',
            b'{"d":[[]]}',
            b'{"d":[{}]}',
            b'{"d":{"results":null}}',
            b'{"d":{"results":{}}}',
            b'{"d":{"results":["a"]}}',
            b'{"d":{"results":[null]}}',
            b'{"d":{"results":[{"ID":"a"}]}',
            b'{"fault":{"faultstring":"Failed to execute"}}',
            b"[" * 100_000,
        ],
    )
    def test_json_that_is_no_listing_is_never_an_empty_page(self, body: bytes) -> None:
        with pytest.raises(DamagedPageError):
            decoded(body)

    @pytest.mark.parametrize("body", [b'\r\n {"d":{"results":[', b"\n[1,"])
    def test_json_that_breaks_off_is_no_page_for_people(self, body: bytes) -> None:
        with pytest.raises(DamagedPageError, match="the JSON breaks off") as raised:
            decoded(body)

        assert not isinstance(raised.value, NotAPageError)

    @pytest.mark.parametrize("column", ["Unknown", "Description"])
    def test_nesting_without_end_is_damage_and_no_crash(self, column: str) -> None:
        with pytest.raises(DamagedPageError):
            decoded(listing(f'{{"ID":"a","{column}":' + "[" * 100_000 + "]" * 100_000 + "}"))

    @given(st.data())
    def test_a_body_cut_short_anywhere_is_no_page(self, data: st.DataObject) -> None:
        whole = listing(journal("a"), journal("b"), more=f',"__next":"{URL}"')
        length = data.draw(st.integers(0, len(whole) - 1))

        with pytest.raises(DamagedPageError):
            decoded(whole[:length])


BESIDE = '"error":' + ERROR
DAMAGED: dict[str, tuple[Callable[..., bytes], str]] = {
    "an error row among rows": (lambda *rows: listing(*rows, f"{{{BESIDE}}}"), WORDS),
    "an error row before rows": (lambda *rows: listing(f"{{{BESIDE}}}", *rows), WORDS),
    "an error in a row that has its key": (lambda *rows: listing(*rows, f'{{"ID":"b",{BESIDE}}}'), WORDS),
    "an error beside the results": (lambda *rows: listing(*rows, more=f",{BESIDE}"), WORDS),
    "an error beside the data": (lambda *rows: listing(*rows)[:-1] + f",{BESIDE}}}".encode(), WORDS),
    "an error in front of the data": (lambda *rows: f"{{{BESIDE},".encode() + listing(*rows)[1:], WORDS),
    "an error that is a text": (lambda *rows: listing(*rows, '{"error":"out of memory"}'), "a row lacks its key ID"),
    "an error in the middle of a row": (
        lambda *rows: listing(*rows, journal("b"))[:-12] + EXACTS_ERROR.encode(),
        WORDS,
    ),
    "an error in the middle of a text": (lambda *rows: listing(*rows)[:-4] + f"{{{BESIDE}}}".encode(), WORDS),
    "a row without its key": (lambda *rows: listing(*rows, '{"Code":"60"}'), "a row lacks its key ID"),
    "a row whose key is null": (lambda *rows: listing(*rows, '{"ID":null}'), "a row lacks its key ID"),
    "a row whose key is empty": (lambda *rows: listing(*rows, '{"ID":""}'), "a row lacks its key ID"),
    "a row whose key is NUL": (lambda *rows: listing(*rows, '{"ID":"\\u0000"}'), "a row has '\\x00' for its key ID"),
    "a link to another listing": (
        lambda *rows: listing(*rows, more=f',"__next":"{BASE}/api/v1/{DIVISION}/financial/GLAccounts?$skiptoken=1"'),
        "the link to the next page leads to glaccounts in place of journals",
    ),
    "a link to a listing whose name goes on": (
        lambda *rows: listing(*rows, more=f',"__next":"{BASE}{PATH}X?$skiptoken=1"'),
        "the link to the next page leads to journalsx in place of journals",
    ),
    "a link to another division": (
        lambda *rows: listing(*rows, more=f',"__next":"{BASE}/api/v1/234567/financial/Journals?$skiptoken=1"'),
        "the link to the next page leads to division 234567 in place of 123456",
    ),
    "a link to another division, spelt otherwise": (
        lambda *rows: listing(*rows, more=f',"__next":"{BASE}/API/v1//234567/Financial/Journals?$skiptoken=1"'),
        "the link to the next page leads to division 234567 in place of 123456",
    ),
    "a row whose key is no text": (lambda *rows: listing(*rows, '{"ID":7}'), "a row has 7 for its key ID"),
    "a stray byte in the name of the link": (
        lambda *rows: listing(*rows, more=f',"_@_next":"{URL}"').replace(b"@", b"\xff"),
        "a property's name is '_\ufffd_next'",
    ),
    "a control character in the name of the link": (
        lambda *rows: listing(*rows, more=f',"__next\x0b":"{URL}"'),
        "a property's name is '__next\ufffd'",
    ),
    "a stray byte in the name of a column": (
        lambda *rows: listing(*rows, '{"ID":"b","Co@e":"70"}').replace(b"@", b"\xff"),
        "a property's name is 'Co\ufffde'",
    ),
    "a stray byte in a name, after much else": (
        lambda *rows: listing(journal("x", f',"Note":"{"n" * 200_000}"'), *rows, '{"ID":"b","Co@e":"70"}').replace(
            b"@", b"\xff"
        ),
        "a property's name is 'Co\ufffde'",
    ),
    "a stray byte in the link": (
        lambda *rows: listing(*rows, more=f',"__next":"{URL}&$skiptoken=@"').replace(b"@", b"\xff"),
        "the link to the next page has characters that are none",
    ),
    "a row of another division by its address": (
        lambda *rows: listing(*rows, journal("b", division=234567)),
        "a row of division 234567 came in place of one of 123456",
    ),
    "a row of another division by its column": (
        lambda *rows: listing(*rows, journal("b", ',"Division":234567')),
        "a row of division 234567 came in place of one of 123456",
    ),
    "a row of another division without an address": (
        lambda *rows: listing(*rows, '{"ID":"b","Division":234567}'),
        "a row of division 234567 came in place of one of 123456",
    ),
    "a row whose address tells another division than its column": (
        lambda *rows: listing(*rows, journal("b", ',"Division":123456', division=234567)),
        "a row of division 234567 came in place of one of 123456",
    ),
}


@pytest.mark.parametrize("rows", [(), (journal("a"),), (journal("a"), ODD)], ids=["alone", "strict", "forgiving"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_page_with_anything_wrong_in_it_does_not_count(damage: str, rows: tuple[str, ...]) -> None:
    body, words = DAMAGED[damage]

    with pytest.raises(DamagedPageError) as raised:
        decoded(body(*rows))

    assert str(raised.value) == words
    assert not isinstance(raised.value, NotAPageError)


@pytest.mark.parametrize("odd", [(), (ODD,)], ids=["strict", "forgiving"])
def test_an_error_that_is_null_is_none(odd: tuple[str, ...]) -> None:
    body = listing(journal("a", ',"error":null'), *odd, more=',"error":null')[:-1] + b',"error":null}'

    assert decoded(body).rows[0].ID == "a"


@pytest.mark.parametrize("odd", [(), (ODD,)], ids=["strict", "forgiving"])
def test_rows_of_any_division_belong_to_a_listing_of_all(odd: tuple[str, ...]) -> None:
    first, second = journal("a", ',"Division":1', division=234567), journal("b", ',"Division":2', division=345678)

    rows = as_dicts(journals(None).decode(listing(first, second, *odd), URL))

    assert [(row["ID"], row["Division"]) for row in rows[:2]] == [("a", 1), ("b", 2)]
    assert [row for row in rows if "__metadata" in row] == []


def test_a_listing_of_all_divisions_may_go_on_at_the_address_of_another() -> None:
    link = URL.replace(str(DIVISION), "234567")

    assert journals(None).decode(listing(journal("a"), more=f',"__next":"{link}"'), URL).next_url == link


@pytest.mark.parametrize(
    "row",
    [
        journal("a"),
        '{"ID":"a"}',
        '{"__metadata":{},"ID":"a"}',
        '{"__metadata":{"uri":"/no/division"},"ID":"a","Division":123456}',
        f'{{"__metadata":{{"uri":"{BASE}/api/v1/beta/123456/x"}},"ID":"a","Division":null}}',
    ],
)
def test_a_row_that_does_not_tell_its_division_is_believed(row: str) -> None:
    assert [one.ID for one in decoded(listing(row)).rows] == ["a"]


class TestLinks:
    @pytest.mark.parametrize(
        ("link", "meant"),
        [
            (f"{URL}&$skiptoken=guid'b'", f"{URL}&$skiptoken=guid'b'"),
            (f"../api/v1/{DIVISION}/financial/Journals?$skiptoken=1", f"{BASE}{PATH}?$skiptoken=1"),
            (f"../../api/v1/{DIVISION}/financial/Journals?$skiptoken=1", f"{BASE}{PATH}?$skiptoken=1"),
            (f"{PATH}?$skiptoken=1", f"{BASE}{PATH}?$skiptoken=1"),
            ("Journals?$skiptoken=1", f"{BASE}{PATH}?$skiptoken=1"),
            (f"{PATH}/?$skiptoken=1", f"{BASE}{PATH}/?$skiptoken=1"),
            ("?$select=ID", f"{BASE}{PATH}?$select=ID"),
        ],
    )
    @pytest.mark.parametrize("odd", [(), (ODD,)], ids=["strict", "forgiving"])
    def test_the_next_page_is_where_the_link_leads(self, link: str, meant: str, odd: tuple[str, ...]) -> None:
        assert decoded(listing(*odd, more=f',"__next":"{link}"')).next_url == meant
        assert following(URL, link) == meant

    @pytest.mark.parametrize("link", ["null", '""'])
    def test_no_link_means_the_last_page(self, link: str) -> None:
        assert decoded(listing(more=f',"__next":{link}')).next_url is None

    @pytest.mark.parametrize("link", ["7", "0", "true", "false", "{}", "[]", '["a"]', '"http://["'])
    def test_a_link_that_is_no_address_is_damage(self, link: str) -> None:
        """Taken for the last page, it would lose the rest of the listing."""
        with pytest.raises(DamagedPageError, match="link to the next page"):
            decoded(listing(journal("a"), more=f',"__next":{link}'))

    @pytest.mark.parametrize("odd", [(), (ODD,)], ids=["strict", "forgiving"])
    def test_a_link_that_is_longer_than_any_url_is_damage(self, odd: tuple[str, ...]) -> None:
        """It would be refused, and stand in the state until then."""
        longest = f"{URL}&$skiptoken=" + "a" * (LONGEST_LINK - len(URL) - len("&$skiptoken="))
        assert decoded(listing(*odd, more=f',"__next":"{longest}"')).next_url == longest
        for link in (f"{longest}a", "a" * 5_000_000):
            with pytest.raises(DamagedPageError, match=r"link to the next page has \d+ characters"):
                decoded(listing(*odd, more=f',"__next":"{link}"'))


TEXT: Any = str
NUMBER: Any = int | float
BIG: Any = int | str
VALUES: list[tuple[Any, str, Any, bool]] = [
    # kind of the column, what stands in the JSON, what arrives, whether it is a repair
    (TEXT, r'"Sales \ud83d"', "Sales \ufffd", True),
    (TEXT, r'"\ude00 Sales"', "\ufffd Sales", True),
    (TEXT, r'"\ud83d\ude00"', "\U0001f600", False),
    (TEXT, '"Sales\x0bNL"', "Sales\ufffdNL", True),
    (TEXT, '"Sales\x00NL"', "Sales\ufffdNL", True),
    (TEXT, '"two\r\n\tlines"', "two\r\n\tlines", False),
    (TEXT, r'"Sales\u0000NL"', "SalesNL", False),
    (TEXT, r'"\u0000"', "", False),
    (TEXT, r'"\u0000\ud83d"', "\ufffd", True),
    (TEXT, r'"\\u0000"', r"\u0000", False),
    (TEXT, '"caf\udce9"', "caf\ufffd", True),
    (TEXT, '"                10"', "                10", False),
    (TEXT, '"NL        "', "NL        ", False),
    (TEXT, "7", None, True),
    (TEXT, "true", None, True),
    (TEXT, '{"a":1}', None, True),
    (TEXT, "[]", None, True),
    (int, "7", 7, False),
    (int, '"7"', 7, False),
    (int, '"-12"', -12, False),
    (int, "7.0", 7, False),
    (int, "7.5", None, True),
    (int, '"7.0"', 7, False),
    (int, '"7.5"', None, True),
    (int, '"n/a"', None, True),
    (int, '""', None, True),
    (int, "true", None, True),
    (int, "false", None, True),
    (int, "{}", None, True),
    (int, "9223372036854775807", 2**63 - 1, False),
    (int, "-9223372036854775808", -(2**63), False),
    (int, "9223372036854775808", None, True),
    (int, "-9223372036854775809", None, True),
    (int, '"9223372036854775807"', 2**63 - 1, False),
    (int, '"9223372036854775808"', None, True),
    (int, "1" + "0" * 5000, None, True),
    (int, '"' + "9" * 5000 + '"', None, True),
    (int, "NaN", None, True),
    (int, "1e3", 1000, False),
    (NUMBER, "9075", 9075, False),
    (NUMBER, "0.1", 0.1, False),
    (NUMBER, "1E-05", 1e-05, False),
    (NUMBER, '"1.5"', 1.5, False),
    (NUMBER, '"-3"', -3, False),
    (NUMBER, '"1e5"', 100000.0, False),
    (NUMBER, '"1E-05"', 1e-05, False),
    (NUMBER, '"1,5"', None, True),
    (NUMBER, '"n/a"', None, True),
    (NUMBER, '""', None, True),
    (NUMBER, "NaN", None, True),
    (NUMBER, "Infinity", None, True),
    (NUMBER, "-Infinity", None, True),
    (NUMBER, '"NaN"', None, True),
    (NUMBER, '"1e999"', None, True),
    (NUMBER, "1e999", None, True),
    (NUMBER, "1e300", 1e300, False),
    (NUMBER, "18446744073709551616", 18446744073709551616.0, False),
    (NUMBER, "true", None, True),
    (bool, "true", True, False),
    (bool, "false", False, False),
    (bool, "1", None, True),
    (bool, "0", None, True),
    (bool, '"true"', None, True),
    (BIG, '"9007199254740993"', "9007199254740993", False),
    (BIG, "9007199254740993", 9007199254740993, False),
    (BIG, "9223372036854775808", None, True),
    (BIG, "true", None, True),
    (BIG, "1.5", None, True),
    (BIG, "NaN", None, True),
    (Any, r'{"a":["\ud83d",1.5,true,null]}', {"a": ["\ufffd", 1.5, True, None]}, True),
    (Any, r'{"a":[{"b":"x\u0000"}]}', {"a": [{"b": "x"}]}, False),
    (Any, r'"\ud83d"', "\ufffd", True),
    (Any, '{"a":NaN}', {"a": None}, True),
]


@pytest.mark.parametrize("odd", [False, True], ids=["alone", "in an odd page"])
@pytest.mark.parametrize(("kind", "sent", "arrives", "repaired"), VALUES)
def test_a_value_that_does_not_fit_is_repaired_and_named(
    kind: Any, sent: str, arrives: Any, repaired: bool, odd: bool
) -> None:
    """The row arrives whatever the value is; the same on a page where another row is odd."""
    decoder = PageDecoder(RowShape.of({"ID": str, "X": kind}, ["ID"]), None)
    first = '{"ID":"a","X":' + sent + "},"
    last = r'{"ID":"z\ud83d"}' if odd else '{"ID":"z"}'
    body = ('{"d":{"results":[' + first + last + "]}}").encode("utf-8", "surrogateescape")

    page = decoder.decode(body, URL)

    assert [row.ID for row in page.rows] == ["a", "z\ufffd" if odd else "z"]
    assert (page.rows[0].X, type(page.rows[0].X)) == (arrives, type(arrives))
    assert [(one.column, one.key) for one in page.repairs if one.column == "X"] == [("X", "a")] * repaired
    msgspec.json.encode(page.rows).decode("utf-8")


@pytest.mark.parametrize(
    "value", ['"x"', '""', '"1.5"', "1.5", "true", "null", '"9223372036854775808"', '"1e3x"', "[]"]
)
def test_a_number_that_is_the_key_and_none_is_damage(value: str) -> None:
    """Exact sends 64 bit integers as text; a record without its key must not come of it."""
    decoder = PageDecoder(RowShape.of({"HID": int | str, "Amount": int | float}, ["HID"]), DIVISION)

    for other in ("1", '"n/a"'):  # a row for the strict decoder, and one for the forgiving one
        with pytest.raises(DamagedPageError):
            decoder.decode(listing('{"HID":1,"Amount":1}', f'{{"HID":{value},"Amount":{other}}}'), URL)


@pytest.mark.parametrize("value", ['"7"', "7", '"-7"', '"9223372036854775807"', "9223372036854775807", "0"])
def test_a_number_that_is_the_key_may_be_text(value: str) -> None:
    decoder = PageDecoder(RowShape.of({"HID": int | str, "Amount": int | float}, ["HID"]), DIVISION)

    for other in ("1", '"n/a"'):
        page = decoder.decode(listing(f'{{"HID":{value},"Amount":{other}}}'), URL)
        assert int(page.rows[0].HID) == int(value.strip('"'))


def test_a_repair_shows_what_was_sent_on_one_short_line() -> None:
    body = listing(
        '{"ID":"a","Rate":"n/a\\nb"}', '{"ID":"b","Rate":"' + "x" * 500 + '"}', '{"ID":"c","Code":"\ufffd\x0b"}'
    )

    repairs = decoded(body).repairs

    assert repairs[0] == Repair("Rate", "a", r"'n/a\nb'")
    assert len(repairs[1].value) <= 60
    assert repairs[2] == Repair("Code", "c", ""), "damaged text is not shown: what is left of it arrives"


def test_a_repair_shows_no_secret_cut_or_whole() -> None:
    secret = "tok3n" * 100
    update_secrets([secret])
    sent = ",".join(f'{{"ID":"{key}","Rate":{json.dumps(text + secret)}}}' for key, text in enumerate(["", "echo "]))
    assert [repair.value for repair in decoded(listing(sent)).repairs] == ["'****'", "'echo ****'"]


def test_a_key_of_several_columns_is_named_whole() -> None:
    decoder = PageDecoder(RowShape.of({"A": str, "B": int, "X": int}, ["A", "B"]), None)

    assert decoder.decode(listing('{"A":"a","B":2,"X":"x"}'), URL).repairs == [Repair("X", "a, 2", "'x'")]


def test_a_byte_order_mark_is_no_repair() -> None:
    page = decoded(b"\xef\xbb\xbf" + listing(journal("a")))

    assert ([row.ID for row in page.rows], page.repairs) == (["a"], [])


def test_dates_are_text_whatever_they_say() -> None:
    """A date that no calendar has makes no page damaged."""
    rows = decoded(
        listing('{"ID":"a","Modified":"/Date(253402300800000)/"}', '{"ID":"b","Modified":"0000-00-00"}')
    ).rows

    assert [row.Modified for row in rows] == ["/Date(253402300800000)/", "0000-00-00"]


@pytest.mark.parametrize("odd", [(), (ODD,)], ids=["strict", "forgiving"])
def test_null_and_absent_are_the_same_but_for_columns_of_any_type(odd: tuple[str, ...]) -> None:
    decoder = PageDecoder(RowShape.of({"ID": str, "Description": str, "X": int, "Y": Any}, ["ID"]), None)

    rows = decoder.decode(listing('{"ID":"a","X":null,"Y":null}', '{"ID":"b"}', *odd), URL).rows

    assert [(row.X, row.Y) for row in rows[:2]] == [(None, None), (None, msgspec.UNSET)]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_an_amount_keeps_all_its_digits(amount: float) -> None:
    assert decoded(listing(f'{{"ID":"a","Rate":{amount!r}}}')).rows[0].Rate == amount


class TestEmbeddedRows:
    """Lines inside another row."""

    def test_they_are_typed_and_repaired_like_those_of_a_page(self) -> None:
        repairs: list[Repair] = []

        rows = journals().rows([{"ID": "a", "Rate": "1.5"}, {"ID": "b", "Rate": "n/a"}], repairs, b"")

        assert [(row.ID, row.Rate) for row in rows] == [("a", 1.5), ("b", None)]
        assert repairs == [Repair("Rate", "b", "'n/a'")]

    @pytest.mark.parametrize(
        "line", [{"Code": "1"}, {"ID": None}, {"error": {}}, "a", None, {"ID": "a", "Division": 234567}]
    )
    def test_they_are_held_to_the_same_proof(self, line: object) -> None:
        with pytest.raises(DamagedPageError):
            journals().rows([{"ID": "a"}, line], [], b"")


plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"))
int64 = st.integers(-(2**63), 2**63 - 1)
plain = st.none() | st.booleans() | int64 | st.floats(allow_nan=False, allow_infinity=False) | plain_text
VALUES_OF: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": (str, plain_text),
    "integer": (int, int64),
    "big integer": (int | str, int64 | int64.map(str)),
    "number": (int | float, int64 | st.floats(allow_nan=False, allow_infinity=False)),
    "boolean": (bool, st.booleans()),
    "object": (Any, st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(plain_text, inner))),
}


@st.composite
def shapes_and_pages(draw: st.DrawFn) -> tuple[RowShape, bytes]:
    """A shape, and a page that fits it."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES_OF)), max_size=5))
    columns = {f"C{number}": VALUES_OF[kind] for number, kind in enumerate(kinds)}
    if draw(st.booleans()):
        columns["Division"] = (int, st.just(DIVISION))
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        row: dict[str, Any] = {"ID": draw(plain_text.filter(bool)), "Unknown": draw(plain)}
        for name, (_, values) in columns.items():
            if draw(st.booleans()):
                row[name] = draw(st.none() | values)
        if draw(st.booleans()):
            row["Division"] = DIVISION
        if draw(st.booleans()):
            row["__metadata"] = {"uri": f"{BASE}{PATH}(1)", "type": "T"}
        rows.append(row)
    link = draw(st.sampled_from([{}, {"__next": None}, {"__next": f"{URL}&$skiptoken=1"}]))
    body = json.dumps({"d": {"results": rows, **link}}, ensure_ascii=draw(st.booleans())).encode()
    return RowShape.of({"ID": str} | {name: kind for name, (kind, _) in columns.items()}, ["ID"]), body


@given(shapes_and_pages())
def test_the_strict_and_the_forgiving_decoder_bring_the_same_rows(given_page: tuple[RowShape, bytes]) -> None:
    """A byte order mark in front sends the same page through the forgiving one."""
    shape, body = given_page
    decoder = PageDecoder(shape, DIVISION)

    strict, forgiving = decoder.decode(body, URL), decoder.decode(b"\xef\xbb\xbf" + body, URL)

    assert msgspec.json.encode(forgiving.rows) == msgspec.json.encode(strict.rows)
    assert (forgiving.next_url, forgiving.repairs) == (strict.next_url, strict.repairs)


class TestWords:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (EXACTS_ERROR, WORDS),
            (f"{{{BESIDE}}}", WORDS),
            (f'{{"d":{{"results":[{{"ID":"a","Na{EXACTS_ERROR}', WORDS),
            ('{"error":{"message":"plain"}}', "plain"),
            ('{"error":{"message":{"value":"two\\r\\nlines"}}}', "two lines"),
            ('{"error":{"message":{"value":"raw\ttab"}}}', "raw tab"),
            ('{"error":{"message":{"value":"a \\"quoted\\" word"}}}', 'a "quoted" word'),
            ('{"error":{"message":{"value":"Acc\\u00e8s refus\u00e9"}}}', "Acc\u00e8s refus\u00e9"),
            ('{"error":{"message":{"value":"raw\ttab, caf\\u00e9"}}}', "raw tab, caf\u00e9"),
            ('{"error":{"message":{"value":"bad \\x escape"}}}', r"bad \x escape"),
            ('{"error":"a text"}', ""),
            ('{"error":null}', ""),
            ('{"error":{"message":{"value":null}}}', ""),
            ('{"d":{"results":[]}}', ""),
            ("", ""),
        ],
    )
    def test_exacts_words_are_found_wherever_they_stand(self, body: str, words: str) -> None:
        assert words_in(body.encode()) == words

    def test_a_stray_byte_hides_no_words(self) -> None:
        assert words_in(b'{"error":{"message":{"value":"Acc\xe8s refus"}}}') == "Acc\ufffds refus"

    def test_long_words_are_shortened(self) -> None:
        assert len(words_in(('{"error":{"message":{"value":"' + "word " * 390 + '"}}}').encode())) == 300

    def test_secrets_in_them_are_masked_before_they_are_cut(self) -> None:
        secret = "tok3n" * 100
        update_secrets([secret])
        try:
            assert (
                words_in(f'{{"error":{{"message":"The token {secret} is old"}}}}'.encode()) == "The token **** is old"
            )
        finally:
            update_secrets([])

    @pytest.mark.parametrize(
        "body",
        [
            '"error":' * 130_000,
            '"error":{' * 120_000,
            '"error"' + " " * 1_000_000,
            ('"error"' + " " * 500) * 2_000,
            ('"error":{' + '"message"' * 32) * 3_500,
            ('"error":{' + '"message":{' + "x" * 280) * 3_300,
            ('"error":{"message":{' + '"value"' * 42) * 3_000,
            ('"error":{"message":"' + "x" * 2_500) * 400,
            ('"error":{"message":"' + "\\\\" * 1_200) * 400,
            "{" * 1_000_000,
            "\\" * 1_000_000,
        ],
    )
    def test_looking_for_them_takes_linear_time(self, body: str) -> None:
        raw = body.encode()
        started = time.process_time()

        words_in(raw)

        assert time.process_time() - started < 0.2
