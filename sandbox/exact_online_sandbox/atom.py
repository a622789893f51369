"""Rendering of answers as Atom, what Exact sends unless JSON is asked for."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from exact_online_sandbox.formats import ATOM
from exact_online_sandbox.reader import Result, shape_of
from exact_online_sandbox.render import inner_next_uri
from exact_online_sandbox.rows import Value, Values
from exact_online_sandbox.shape import Selection, Shape
from exact_online_sandbox.views import View

_DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"
_METADATA = f"{_DATA}/metadata"
_NAMESPACES = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{_DATA}" xmlns:m="{_METADATA}"'
_RELATED = "http://schemas.microsoft.com/ado/2007/08/dataservices/related/"
_SCHEME = "http://schemas.microsoft.com/ado/2007/08/dataservices/scheme"
_HEAD = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'


def render_atom(result: Result, collection_uri: str, next_uri: str | None, updated: str) -> bytes:
    """Render an answer as a feed, or as one entry.

    Args:
        result: the rows.
        collection_uri: address of the collection.
        next_uri: address of the next page, if there is one.
        updated: moment of the answer, as Atom writes it.
    """
    shape = shape_of(result, ATOM)
    entries = [_entry(result, result.selection, shape, values, collection_uri, updated) for values in result.rows]
    if result.single:
        entry = entries[0].replace("<entry>", f"<entry xml:base={quoteattr(collection_uri)} {_NAMESPACES}>", 1)
        return (_HEAD + entry).encode()
    count = "" if result.count is None else f"<m:count>{result.count}</m:count>"
    link = "" if next_uri is None else f'<link rel="next" href={quoteattr(next_uri)} />'
    name = escape(result.view.endpoint.entity_set)
    return (
        f"{_HEAD}<feed xml:base={quoteattr(collection_uri.rpartition('/')[0] + '/')} {_NAMESPACES}>{count}"
        f'<title type="text">{name}</title><id>{escape(collection_uri)}</id><updated>{updated}</updated>'
        f'<link rel="self" title="{name}" href="{name}" />{"".join(entries)}{link}</feed>'
    ).encode()


def render_elements(result: Result) -> bytes:
    """Render the complex rows of a function: plain elements, no feed."""
    view, shape = result.view, shape_of(result, ATOM)
    name, typed = view.endpoint.entity_set, f"m:type={quoteattr(view.type_name)}"
    rows = (_properties(view, shape.apply(values), "") for values in result.rows)
    elements = "".join(f"<element {typed}>{row}</element>" for row in rows)
    return f'{_HEAD}<{name} xmlns="{_DATA}" xmlns:m="{_METADATA}">{elements}</{name}>'.encode()


def _entry(
    result: Result, selection: Selection, shape: Shape, values: Values, collection_uri: str, updated: str
) -> str:
    view = result.view
    uri = f"{collection_uri}({view.key_literal(values)})"
    links = "".join(
        f'<link rel="{_RELATED}{name}" type="application/atom+xml;type=feed" title="{name}"'
        f" href={quoteattr(f'{uri}/{name}')}>{_inline(result, name, values, uri, updated)}</link>"
        for name in sorted((*selection.deferred, *selection.expanded), key=str.lower)
    )
    return (
        f'<entry><id>{escape(uri)}</id><category term={quoteattr(view.type_name)} scheme="{_SCHEME}" />{links}'
        f"<title /><updated>{updated}</updated><author><name /></author>"
        f'<content type="application/xml"><m:properties>{_properties(view, shape.apply(values))}'
        "</m:properties></content></entry>"
    )


def _inline(result: Result, name: str, values: Values, row_uri: str, updated: str) -> str:
    selection = result.selection.expanded.get(name)
    if selection is None:
        return ""
    entries, link = "", ""
    if name in result.children:
        view, page = result.children[name].view, result.expanded(name, values)
        inner = Result(view, selection, [])
        shape = Shape(view, selection.plain, ATOM)
        uri = view.endpoint.entity_set
        entries = "".join(_entry(inner, selection, shape, row, uri, updated) for row in page.rows)
        if page.token is not None:
            link = f'<link rel="next" href={quoteattr(inner_next_uri(row_uri, name, selection, page.token))} />'
    return f'<m:inline><feed><title type="text">{name}</title>{entries}{link}</feed></m:inline>'


def _properties(view: View, row: dict[str, Any], prefix: str = "d:") -> str:
    parts = []
    for name, value in row.items():
        type_ = view.endpoint.properties[name].type
        typed = "" if type_ == "Edm.String" else f' m:type="{type_}"'
        if value is None:
            parts.append(f'<{prefix}{name}{typed} m:null="true" />')
        elif isinstance(value, dict):
            inner = "".join(f"<{prefix}{key}>{escape(_text(item))}</{prefix}{key}>" for key, item in value.items())
            parts.append(f"<{prefix}{name}>{inner}</{prefix}{name}>")
        else:
            parts.append(f"<{prefix}{name}{typed}>{escape(_text(value))}</{prefix}{name}>")
    return "".join(parts)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
