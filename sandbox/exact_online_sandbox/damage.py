"""Damage to the rows of a JSON answer, whatever endpoint it comes from."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from exact_online_sandbox import errors
from exact_online_sandbox.faults import Asked, Fault
from exact_online_sandbox.http import JSON_TYPE, Answer
from exact_online_sandbox.render import address

Row = dict[str, Any]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLACE = "4c1c8d6b-the-given-value"
_DIVISION = re.compile(r"(/api/v1/(?:beta/)?)\d+/")


def damage(fault: Fault, answer: Answer, asked: Asked) -> None:
    """Change the rows of an answer in place; one without rows in JSON stays as it is.

    Args:
        fault: one of the kinds in `faults.ROWS`.
        answer: what the API says.
        asked: what it was asked.
    """
    if answer.status != 200 or answer.content_type != JSON_TYPE:
        return
    if fault.kind == "byte_order_mark":
        answer.body = _BYTE_ORDER_MARK + answer.body
        return
    document = orjson.loads(answer.body)
    if fault.kind in ("circle", "error_beside"):
        change = _link if fault.kind == "circle" else _empty
        change(fault, document, asked)
        answer.body = orjson.dumps(document)
        return
    lists = _lists(document["d"], fault.inside)
    rows = [row for found in lists for row in found]
    if not rows:
        return
    if fault.kind == "error_row":
        _among(lists, _error(fault), _place(fault, len(rows)), document)
        answer.body = orjson.dumps(document)
    elif fault.kind == "error_breaks":
        row = rows[min(_place(fault, len(rows)), len(rows) - 1)]
        body = _before_the_middle(orjson.dumps(document), orjson.dumps(row))
        answer.body = body + orjson.dumps(_error(fault))
    else:
        for row in rows if fault.row is None else rows[fault.row :][:1]:
            _change(fault, row, asked)
        answer.body = orjson.dumps(document).replace(orjson.dumps(_PLACE), fault.raw)


def _change(fault: Fault, row: Row, asked: Asked) -> None:
    if fault.kind == "no_key":
        for name in (fault.column,) if fault.column else asked.key:
            row.pop(name, None)
    elif fault.kind == "value" and fault.column in row:
        row[fault.column] = _PLACE
    elif fault.kind == "other_division":
        row["__metadata"]["uri"] = _DIVISION.sub(rf"\g<1>{fault.other}/", row["__metadata"]["uri"])
        if "Division" in row:
            row["Division"] = fault.other


def _is_enveloped(d: object) -> bool:
    return isinstance(d, dict) and "results" in d


def _lists(d: Any, inside: str | None) -> list[list[Row]]:  # noqa: ANN401 - whatever stands in the answer
    """The lists of rows in an answer: its own one, or those of an expanded collection."""
    rows = d["results"] if _is_enveloped(d) else d if isinstance(d, list) else [d]
    if inside is None:
        return [rows]
    return [row[inside]["results"] for row in rows if _is_enveloped(row.get(inside))]


def _place(fault: Fault, rows: int) -> int:
    """Where an error stands: before the row of that number."""
    if fault.row is None:
        return rows // 2
    return max(0, rows + fault.row) if fault.row < 0 else min(fault.row, rows)


def _error(fault: Fault) -> Row:
    return {"error": {"code": "", "message": {"lang": "", "value": fault.text or errors.IN_THE_MIDST}}}


def _among(lists: list[list[Row]], error: Row, place: int, document: Row) -> None:
    """Put an error before the row at a place; what would have come after the rows, the next page's link, is missing."""
    d = document["d"]
    if isinstance(d, dict):
        d.pop("__next", None)
    if any(row is d for rows in lists for row in rows):
        document["d"] = error
        return
    for rows in lists:
        if place <= len(rows):
            rows.insert(place, error)
            return
        place -= len(rows)


def _empty(fault: Fault, document: Row, _: Asked) -> None:
    document["d"] = {"results": []} if _is_enveloped(document["d"]) else []
    document.update(_error(fault))


def _before_the_middle(body: bytes, row: bytes) -> bytes:
    """The body up to the middle of one of its rows, ending with a whole character."""
    return body[: body.index(row) + len(row) // 2].decode(errors="ignore").encode()


def _link(fault: Fault, document: Row, asked: Asked) -> None:
    """Let the last page of a circle name the first as its next one."""
    d = document["d"]
    if not _is_enveloped(d):
        return
    first = tuple(pair for pair in asked.options if pair[0] != "$skiptoken")
    number = fault.numbers.get((asked.uri, frozenset(asked.options)), 1)
    following = d.get("__next")
    if following is None or number == fault.pages:
        d["__next"] = address(asked.uri, first)
    else:
        options = frozenset(parse_qsl(urlsplit(following).query))
        fault.numbers[(asked.uri, options)] = number + 1
