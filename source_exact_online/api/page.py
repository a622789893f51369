"""Pages of a listing: bytes to typed rows, and the proof that they are the page that was asked for.

Exact writes the status before it has read the rows, so a 200 proves nothing: an error object may stand among the rows,
beside them, or in the middle of one. A page counts only if each of its rows bears its key and belongs to the division
that was asked. Everything else is a damaged page, and none of it counts.

A page is decoded strictly. What the strict decoder refuses goes through the forgiving one, value by value: text is
repaired, a value that does not fit its column becomes null, and each repair is named. No row is lost to one bad value.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

import msgspec

from source_exact_online.api.errors import shortened
from source_exact_online.api.odata import LONGEST_LINK
from source_exact_online.api.repair import ODD_TEXT, DamagedPageError, fit, lenient_json, shown, words_in

METADATA = "__metadata"

_NUL = re.compile(rb"\\u0000")
_DIVISION = re.compile(r"/api/+v1/+(?:beta/+)?(\d+)/", re.IGNORECASE)
_CHUNK = 1 << 16
_Utf8Decoder = getincrementaldecoder("utf-8")

Row = Any
"""A typed row: an instance of a class that `row_type` made. A property that Exact did not send is None, or UNSET where
its type is Any."""


class Metadata(msgspec.Struct, gc=False):
    """What OData says of a row.

    Attributes:
        uri: address of the row.
    """

    uri: str = ""


@dataclass(frozen=True, slots=True)
class RowShape:
    """What the rows of a listing must look like.

    Attributes:
        columns: type of each property as it stands in JSON; hashable pairs of name and type.
        key: properties that no row may lack.
    """

    columns: tuple[tuple[str, type | UnionType], ...]
    key: tuple[str, ...]

    @classmethod
    def of(cls, columns: Mapping[str, type | UnionType], key: Iterable[str]) -> RowShape:
        """Return the shape of some columns, the key's among them."""
        return cls(tuple(columns.items()), tuple(key))


@dataclass(frozen=True, slots=True)
class Repair:
    """One value that did not fit.

    Attributes:
        column: its property.
        key: key of its row, for a person.
        value: what was sent, shortened; empty where the text was damaged.
    """

    column: str
    key: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        rows: typed rows, in Exact's order.
        next_url: address of the page that follows; None on the last one.
        repairs: values that did not fit.
    """

    rows: Sequence[Row]
    next_url: str | None
    repairs: Sequence[Repair] = field(default=())


class PageDecoder:
    """Turns the bodies of one listing into pages. Thread-safe.

    Args:
        shape: what its rows look like.
        division: division that its rows must belong to; None where any will do.

    Attributes:
        row_type: class of its rows.
        key: properties that no row lacks.
    """

    def __init__(self, shape: RowShape, division: int | None) -> None:
        self.row_type = row_type(shape)
        self.key = shape.key
        self._columns = {"Division": int, **dict(shape.columns)}
        self._division = division
        self._uri_part = f"/{division}/"
        self._decoder = _decoder(shape)

    def decode(self, body: bytes, url: str) -> Page:
        """Return the page in a body.

        Args:
            body: as it was received.
            url: address that it answers.

        Raises:
            DamagedPageError: it is not a page of this listing.
        """
        repairs: list[Repair] = []
        try:
            if _NUL.search(body):
                raise msgspec.DecodeError("NUL in text")
            _prove_utf8(body)
            document = self._decoder.decode(body)
            if document.error is not None or document.d.error is not None:
                raise DamagedPageError(words_in(body) or "an error object stands beside the rows")
            rows, link = document.d.results, document.d.next
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a type that does not fit is a DecodeError
            rows, link = self._forgive(body, repairs)
        self._prove_division(rows)
        return Page(rows, self._following(url, link) if link else None, repairs)

    def _following(self, url: str, link: str) -> str:
        """Return the address that a link to the next page means.

        Raises:
            DamagedPageError: it leads nowhere, to another listing, or to another division's.
        """
        found = following(url, link)
        other = _DIVISION.search(urlsplit(found).path)
        if self._division is not None and other is not None and other[1] != str(self._division):
            raise DamagedPageError(
                f"the link to the next page leads to division {other[1][:20]} in place of {self._division}"
            )
        return found

    def _prove_division(self, rows: Sequence[Row]) -> None:
        """Hold the rows to the division that was asked.

        Raises:
            DamagedPageError: a row says that it belongs to another one.
        """
        part, division = self._uri_part, self._division
        for row in rows:
            metadata, row.metadata_ = row.metadata_, None
            if division is None:
                continue
            found = None
            if metadata is not None and part not in metadata.uri:
                found = _DIVISION.search(metadata.uri)
            other = found[1] if found is not None else row.Division
            if other is not None and other != division:
                raise DamagedPageError(f"a row of division {other} came in place of one of {division}")

    def _forgive(self, body: bytes, repairs: list[Repair]) -> tuple[list[Row], str | None]:
        """Read a page that the strict decoder refuses, value by value.

        Raises:
            DamagedPageError: it is not a page, whatever is forgiven.
        """
        document = lenient_json(body)
        if not isinstance(document, dict) or "d" not in document or document.get("error") is not None:
            raise DamagedPageError(words_in(body) or "the body has no member 'd'")
        data: Any = document["d"]
        link: Any = None
        if isinstance(data, dict) and "results" in data:
            if data.get("error") is not None:
                raise DamagedPageError(words_in(body) or "an error object stands beside the rows")
            data, link = data["results"], data.get("__next")
        elif isinstance(data, dict) and data:
            data = [data]
        if not isinstance(data, list):
            raise DamagedPageError(words_in(body) or "member 'd' holds no rows")
        if link is not None and not isinstance(link, str):
            raise DamagedPageError(f"the link to the next page is {shown(link)}")
        if link is not None and ODD_TEXT.search(link):
            raise DamagedPageError("the link to the next page has characters that are none")
        return [self._row(row, repairs, body) for row in data], link

    def rows(self, data: Sequence[object], repairs: list[Repair], body: bytes) -> list[Row]:
        """Return typed rows out of parsed JSON, as embedded lines are; repairs are added to a list.

        Args:
            data: the rows.
            repairs: gets what did not fit.
            body: that they stand in, for Exact's own words.

        Raises:
            DamagedPageError: one of them is no row of this listing.
        """
        rows = [self._row(row, repairs, body) for row in data]
        self._prove_division(rows)
        return rows

    def _row(self, row: object, repairs: list[Repair], body: bytes) -> Row:
        if not isinstance(row, dict) or row.get("error") is not None or any(not _names(row.get(n)) for n in self.key):
            raise DamagedPageError(words_in(body) or f"a row lacks its key {', '.join(self.key)}")
        values: dict[str, Any] = {}
        key = ", ".join(str(row[name]) for name in self.key)
        metadata = row.get(METADATA)
        if isinstance(metadata, dict) and isinstance(metadata.get("uri"), str):
            values["metadata_"] = Metadata(metadata["uri"])
        for name, kind in self._columns.items():
            value = row.get(name)
            if value is None and (kind is not Any or name not in row):
                continue
            is_number = name in self.key and kind == int | str
            fitting, is_odd = fit(value, int if is_number else kind)
            if name in self.key and not _names(fitting):
                raise DamagedPageError(f"a row has {shown(value)} for its key {name}")
            if is_odd:
                repairs.append(Repair(name, key, shown(value) if fitting is None else ""))
            values[name] = fitting
        return self.row_type(**values)


def _prove_utf8(body: bytes) -> None:
    """Hold a body to be UTF-8: msgspec does not look at the bytes of names that it does not know.

    Raises:
        UnicodeDecodeError: it is not.
    """
    decoder, rest = _Utf8Decoder(), memoryview(body)
    while rest:  # a text of the whole would take twice the body's memory
        decoder.decode(rest[:_CHUNK])
        rest = rest[_CHUNK:]


_INT64: Any = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_WITHIN_64_BITS: Mapping[Any, Any] = {int: _INT64, int | float: _INT64 | float, int | str: _INT64 | str}
"""Types whose integers the output can hold."""

_KEYS: Mapping[Any, Any] = {
    **_WITHIN_64_BITS,
    str: Annotated[str, msgspec.Meta(min_length=1)],
    int | str: _INT64 | Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,18}$")],
}
"""Types of keys, which name a row."""


def _names(value: object) -> bool:
    """Return whether a value can be a key."""
    return value is not None and value != ""


@lru_cache(maxsize=2048)
def row_type(shape: RowShape) -> type[msgspec.Struct]:
    """Return the class of a listing's rows. It is made once per shape, however many divisions are read.

    Keys have no default, so that the strict decoder refuses a row without them. A member ``error`` fits no row.
    """
    columns = {"Division": int, **dict(shape.columns)}
    required = [(name, _KEYS.get(columns[name], columns[name])) for name in shape.key]
    optional: list[Any] = [
        (name, kind, msgspec.UNSET) if kind is Any else (name, _WITHIN_64_BITS.get(kind, kind) | None, None)
        for name, kind in columns.items()
        if name not in shape.key
    ]
    optional += [("metadata_", Metadata | None, None), ("error_", None, None)]
    return msgspec.defstruct(
        "Row",
        [*required, *optional],
        rename={"metadata_": METADATA, "error_": "error"},
        omit_defaults=True,
        gc=False,
        kw_only=True,
    )


@lru_cache(maxsize=2048)
def _decoder(shape: RowShape) -> msgspec.json.Decoder[Any]:
    row: Any = row_type(shape)
    error: tuple[str, Any, Any] = ("error", Any, None)
    rows: Any = list.__class_getitem__(row)
    listing = msgspec.defstruct(
        "Listing", [("results", rows), ("next", str | None, None), error], rename={"next": "__next"}
    )
    return msgspec.json.Decoder(msgspec.defstruct("Document", [("d", listing), error]))


def following(url: str, link: str) -> str:
    """Return the address that a link to the next page means.

    Exact's documentation prints links as ``../api/v1/...``, which is meant from the site's root.

    Args:
        url: address of the page that has the link.
        link: as it stands there.

    Raises:
        DamagedPageError: it leads nowhere or to another listing, or is too long to be asked for and kept in a state.
    """
    if len(link) > LONGEST_LINK:
        raise DamagedPageError(f"the link to the next page has {len(link)} characters")
    try:
        found = urljoin(url, re.sub(r"^(\.\./)+api/", "/api/", link))
        here, there = _listing(url), _listing(found)
    except ValueError as error:
        raise DamagedPageError(f"the link to the next page is no URL ({shortened(str(error))})") from error
    if here != there:
        raise DamagedPageError(f"the link to the next page leads to {shortened(there)} in place of {here}")
    return found


def _listing(url: str) -> str:
    """Return what an address lists: the last part of its path, which Exact spells in any case."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2].lower()
