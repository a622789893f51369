"""``$filter``: parsing, checking and evaluating.

The dialect is OData v2 as far as Exact documents it: ``eq ne gt ge lt le and or not``, parentheses, string and date
functions, literals ``guid'…'``, ``datetime'…'``, ``123L``, numbers, text, ``true``, ``false``, ``null``. A property is
compared with a literal, never with another property.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from exact_online_sandbox import errors
from exact_online_sandbox.errors import bad_request
from exact_online_sandbox.literals import (
    BOOLEAN,
    FUNCTIONS,
    GUID,
    MOMENT,
    NULL,
    NUMBER,
    TEXT,
    datetime_literal,
    guid_literal,
    number_literal,
)
from exact_online_sandbox.wallclock import WallClock

Value = Any
Values = Sequence[Value]
Getter = Callable[[Values], Value]

_KINDS = {
    "Edm.String": TEXT,
    "Edm.Guid": GUID,
    "Edm.DateTime": MOMENT,
    "Edm.Boolean": BOOLEAN,
    "Edm.Int16": NUMBER,
    "Edm.Int32": NUMBER,
    "Edm.Int64": NUMBER,
    "Edm.Byte": NUMBER,
    "Edm.Double": NUMBER,
}

_TOKEN = re.compile(
    r"\s*(?:(?P<typed>(?:guid|datetime)'(?:[^']|'')*')|(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?[LlDdMmFf]?)(?![\w])"
    r"|(?P<name>[A-Za-z_][\w]*(?:/[A-Za-z_][\w]*)*)|(?P<mark>[(),]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}

_DEEPEST = 100
"""Levels of parentheses, functions and ``not``."""


@dataclass(frozen=True, slots=True)
class Column:
    """A property as filters see it."""

    name: str
    type: str
    get: Getter
    """Its value in a kept row; dates as milliseconds of the wall clock."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``property operator literal``, one of the terms that all have to hold."""

    name: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter."""

    names: tuple[str, ...]
    """Properties it names, in order of appearance."""
    conditions: tuple[Condition, ...]
    """Terms that must all hold; together with ``complete`` they say what an index can do."""
    complete: bool
    """Whether ``conditions`` are the whole filter."""
    matches: Callable[[Values], bool]


@dataclass(frozen=True, slots=True)
class _Node:
    kind: str
    get: Getter
    position: int
    column: str | None = None
    literal: Any = None
    is_literal: bool = False
    terms: tuple[Condition, ...] | None = None
    """When the node is a conjunction of conditions only."""
    partial: tuple[Condition, ...] = ()
    """Conditions that must hold for the node to hold."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse_filter(text: str, find: Callable[[str], Column | None], *, type_name: str, wall: WallClock) -> Filter:
    """Parse a ``$filter``.

    Args:
        text: the decoded value of the option.
        find: gives the column of a property, None for an unknown one.
        type_name: .NET name of the entity, for messages.
        wall: the server's wall clock; a ``datetime`` literal with ``Z`` or an offset is shifted to it, one without is
            taken as it reads (Exact compares with its local time).

    Raises:
        ApiError: 400 with Exact's text for what is wrong.
    """
    parser = _Parser(_tokens(text), find, type_name, wall)
    node = parser.parse()
    test = node.get
    return Filter(
        names=tuple(parser.names),
        conditions=node.terms if node.terms is not None else node.partial,
        complete=node.terms is not None,
        matches=lambda values: test(values) is True,
    )


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None or match.lastgroup is None:
            raise bad_request(errors.SYNTAX)
        found.append(_Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        at = match.end()
    return found


class _Parser:
    """Recursive descent: or > and > not > comparison > operand."""

    def __init__(
        self, tokens: list[_Token], find: Callable[[str], Column | None], type_name: str, wall: WallClock
    ) -> None:
        self._tokens = tokens
        self._at = 0
        self._find = find
        self._type_name = type_name
        self._wall = wall
        self._depth = 0
        self.names: list[str] = []

    def parse(self) -> _Node:
        if not self._tokens:
            raise bad_request(errors.SYNTAX)
        node = self._or()
        if self._at < len(self._tokens):
            raise bad_request(errors.SYNTAX)
        if node.kind != BOOLEAN:
            raise bad_request(errors.BOOLEAN_EXPECTED)
        return node

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _accept(self, text: str) -> bool:
        token = self._peek()
        if token is not None and token.kind in ("name", "mark") and token.text == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise bad_request(errors.SYNTAX)

    def _or(self) -> _Node:
        nodes = [self._and()]
        while self._accept("or"):
            nodes.append(self._and())
        return nodes[0] if len(nodes) == 1 else _any_of([_boolean(node) for node in nodes])

    def _and(self) -> _Node:
        nodes = [self._not()]
        while self._accept("and"):
            nodes.append(self._not())
        return nodes[0] if len(nodes) == 1 else _all_of([_boolean(node) for node in nodes])

    def _deeper(self, parse: Callable[[], _Node]) -> _Node:
        if self._depth == _DEEPEST:
            raise bad_request(errors.SYNTAX)
        self._depth += 1
        node = parse()
        self._depth -= 1
        return node

    def _not(self) -> _Node:
        token = self._peek()
        if token is not None and self._accept("not"):
            inner = _boolean(self._deeper(self._not))
            test = inner.get
            return _Node(BOOLEAN, lambda v: test(v) is not True, token.position)
        return self._comparison()

    def _comparison(self) -> _Node:
        left = self._operand()
        token = self._peek()
        if token is None or token.kind != "name" or token.text not in ("eq", "ne", *_COMPARISONS):
            return left
        self._at += 1
        return _compare(left, token.text, self._operand())

    def _operand(self) -> _Node:
        token = self._peek()
        if token is None:
            raise bad_request(errors.SYNTAX)
        if self._accept("("):
            node = self._deeper(self._or)
            self._expect(")")
            return node
        self._at += 1
        if token.kind == "name":
            following = self._peek()
            if following is not None and following.text == "(" and token.text in FUNCTIONS:
                return self._call(token)
            return self._name(token)
        if token.kind == "mark":
            raise bad_request(errors.SYNTAX)
        return _literal(token, self._wall)

    def _name(self, token: _Token) -> _Node:
        constant = {"true": (BOOLEAN, True), "false": (BOOLEAN, False), "null": (NULL, None)}.get(token.text)
        if constant is not None:
            kind, value = constant
            return _Node(kind, lambda _: value, token.position, literal=value, is_literal=True)
        column = self._find(token.text)
        if column is None:
            raise bad_request(errors.unknown_filter_property(token.text, self._type_name, token.position))
        if column.type not in _KINDS:
            raise bad_request(errors.SYNTAX)
        self.names.append(column.name)
        return _Node(_KINDS[column.type], column.get, token.position, column=column.name)

    def _call(self, token: _Token) -> _Node:
        kinds, kind, function = FUNCTIONS[token.text]
        self._expect("(")
        arguments = [self._deeper(self._operand)]
        while self._accept(","):
            arguments.append(self._deeper(self._operand))
        self._expect(")")
        if tuple(a.kind for a in arguments) != kinds:
            raise bad_request(errors.SYNTAX)
        getters = [a.get for a in arguments]

        def call(values: Values) -> Value:
            given = [get(values) for get in getters]
            return None if any(value is None for value in given) else function(*given)

        return _Node(kind, call, token.position)


def _boolean(node: _Node) -> _Node:
    if node.kind != BOOLEAN:
        raise bad_request(errors.BOOLEAN_EXPECTED)
    return node


def _all_of(nodes: Sequence[_Node]) -> _Node:
    tests = [node.get for node in nodes]
    terms = None
    if all(node.terms is not None for node in nodes):
        terms = tuple(term for node in nodes for term in node.terms or ())
    partial = tuple(term for node in nodes for term in node.terms or node.partial)
    return _Node(
        BOOLEAN, lambda v: all(test(v) is True for test in tests), nodes[0].position, terms=terms, partial=partial
    )


def _any_of(nodes: Sequence[_Node]) -> _Node:
    tests = [node.get for node in nodes]
    return _Node(BOOLEAN, lambda v: any(test(v) is True for test in tests), nodes[0].position)


def _compare(left: _Node, operator: str, right: _Node) -> _Node:
    if left.column is not None and right.column is not None:
        raise bad_request(errors.SYNTAX)
    if NULL not in (left.kind, right.kind) and left.kind != right.kind:
        raise bad_request(errors.SYNTAX)
    a, b = left.get, right.get
    if operator in ("eq", "ne"):
        wanted = operator == "eq"
        node_get: Getter = lambda v: (a(v) == b(v)) is wanted  # noqa: E731 - two closures of one shape
    else:
        compare = _COMPARISONS[operator]

        def node_get(v: Values) -> bool:
            x, y = a(v), b(v)
            return x is not None and y is not None and compare(x, y)

    terms = None
    if left.column is not None and right.is_literal and right.kind != NULL:
        terms = (Condition(left.column, operator, right.literal),)
    return _Node(BOOLEAN, node_get, left.position, terms=terms)


def _literal(token: _Token, wall: WallClock) -> _Node:
    if token.kind == "number":
        value: Any = number_literal(token.text)
        kind = NUMBER
    elif token.kind == "text":
        value, kind = token.text[1:-1].replace("''", "'"), TEXT
    elif token.text.startswith("guid"):
        value, kind = guid_literal(token.text, token.position), GUID
    else:
        value, kind = datetime_literal(token.text, wall), MOMENT
    return _Node(kind, lambda _: value, token.position, literal=value, is_literal=True)
