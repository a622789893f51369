"""Rendering of answers in JSON and of errors, in Exact's envelopes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import orjson

from exact_online_sandbox.formats import JSON
from exact_online_sandbox.reader import Result
from exact_online_sandbox.rows import Values
from exact_online_sandbox.shape import Selection, Shape
from exact_online_sandbox.views import View

_PLAIN = "$'(),:!*/"
"""Characters that stay as they are in query options."""


def render_json(result: Result, collection_uri: str, next_uri: str | None) -> bytes:
    """Render an answer.

    Args:
        result: the rows.
        collection_uri: address of the collection, from which the addresses of rows are made.
        next_uri: address of the next page, if there is one.
    """
    rows = json_rows(result, collection_uri)
    body: Any
    if result.single:
        body = rows[0]
    elif result.bare:
        body = rows
    else:
        body = {"results": rows}
        if result.count is not None:
            body["__count"] = str(result.count)
        if next_uri is not None:
            body["__next"] = next_uri
    return orjson.dumps({"d": body})


def json_rows(result: Result, collection_uri: str) -> list[dict[str, Any]]:
    """Rows with ``__metadata``, links to unexpanded collections, and expanded collections."""
    base = collection_uri.rpartition("/")[0]
    own = _RowMaker(result.view, result.selection, collection_uri)
    inner = {
        name: _RowMaker(found.view, result.selection.expanded[name], f"{base}/{found.view.endpoint.entity_set}")
        for name, found in result.children.items()
    }
    rows = []
    for values in result.rows:
        row = own.make(values)
        for name, selection in result.selection.expanded.items():
            page = result.expanded(name, values)
            row[name] = {"results": [inner[name].make(child) for child in page.rows]}
            if page.token is not None:
                row[name]["__next"] = inner_next_uri(own.uri(values), name, selection, page.token)
        rows.append(row)
    return rows


class _RowMaker:
    def __init__(self, view: View, selection: Selection, uri: str) -> None:
        self._view = view
        self._uri = uri
        self._deferred = selection.deferred
        self._shape = Shape(view, selection.plain, JSON)

    def uri(self, values: Values) -> str:
        return f"{self._uri}({self._view.key_literal(values)})"

    def make(self, values: Values) -> dict[str, Any]:
        uri = self.uri(values)
        row: dict[str, Any] = {"__metadata": {"uri": uri, "type": self._view.type_name}}
        row.update(self._shape.apply(values))
        for name in self._deferred:
            row[name] = {"__deferred": {"uri": f"{uri}/{name}"}}
        return row


def next_uri(collection_uri: str, options: tuple[tuple[str, str], ...], token: str) -> str:
    """Address of the next page: the options as given, with the skip token instead of ``$skip``."""
    kept = tuple((name, value) for name, value in options if name not in ("$skiptoken", "$skip"))
    return address(collection_uri, (*kept, ("$skiptoken", token)))


def address(uri: str, options: tuple[tuple[str, str], ...]) -> str:
    """An address with query options, written as Exact writes them."""
    return f"{uri}?{urlencode(options, safe=_PLAIN, quote_via=quote)}" if options else uri


def inner_next_uri(row_uri: str, name: str, selection: Selection, token: str) -> str:
    """Address of the next page of an expanded property: behind the row's key, with the columns selected of it."""
    options = () if selection.items is None else (("$select", ",".join(selection.items)),)
    return next_uri(f"{row_uri}/{name}", options, token)


def error_json(text: str) -> bytes:
    """Error object as captured from Exact: CRLF between the lines, empty code and language."""
    value = orjson.dumps(text).decode()
    lines = ["{", '"error": {', '"code": "", "message": {', f'"lang": "", "value": {value}', "}", "}", "}"]
    return "\r\n".join(lines).encode()


def error_xml(text: str) -> bytes:
    """OData error document."""
    return (
        '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n'
        '<error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">\r\n'
        f'  <code></code>\r\n  <message xml:lang="">{escape(text)}</message>\r\n</error>'
    ).encode()
