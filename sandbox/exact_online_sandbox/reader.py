"""Reading: one GET on an endpoint, from the parsed address to the rows of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exact_online_sandbox import errors, policy
from exact_online_sandbox.errors import bad_request, not_found
from exact_online_sandbox.filters import Filter, parse_filter
from exact_online_sandbox.query import Query
from exact_online_sandbox.reference import BULK_PAGE_SIZE, PAGE_SIZE, Endpoint
from exact_online_sandbox.rows import Values
from exact_online_sandbox.shape import Selection, Shape, navigation, select
from exact_online_sandbox.views import Listing, Page, TableView, View

_UNPAGED = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """What an address points at."""

    endpoint: Endpoint
    address: str
    """Path of the list, as the caller spells it."""
    key: str | None = None
    """Text between the parentheses, for one row."""
    count: bool = False
    """Whether ``/$count`` is asked."""
    navigation: str | None = None
    """Name of a navigation property behind a key."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The rows of one expanded property."""

    view: View
    owner: str
    """Property of the owning rows by whose value they are found."""
    pages: dict[Any, Page]
    """First page by that value."""


@dataclass(slots=True)
class Result:
    """Rows of an answer, not yet rendered."""

    view: View
    selection: Selection
    rows: list[Values]
    single: bool = False
    bare: bool = False
    """Whether the answer is an array without an envelope (``$top``, functions)."""
    token: str | None = None
    count: int | None = None
    only_count: bool = False
    children: dict[str, Expansion] = field(default_factory=dict)
    """Rows of the expanded properties, as far as they can be found."""

    def expanded(self, name: str, values: Values) -> Page:
        """The first page of an expanded property of one row."""
        found = self.children.get(name)
        page = None if found is None else found.pages.get(values[self.view.slots[found.owner]])
        return page or Page([], None)


@dataclass(slots=True)
class PageSizes:
    """Rows a page by kind of endpoint; smaller ones let a test page through little data."""

    standard: int = PAGE_SIZE
    bulk: int = BULK_PAGE_SIZE
    sync: int = BULK_PAGE_SIZE
    expanded: int = 0
    """Rows of a collection in ``$expand``, and behind its address; 0 for all, with no further page."""

    def of(self, endpoint: Endpoint) -> int:
        """Rows a page of that endpoint."""
        if endpoint.kind == "function":
            return _UNPAGED
        return {"bulk": self.bulk, "sync": self.sync}.get(endpoint.kind, self.standard)


def read(view: View, target: Target, query: Query, division: int, sizes: PageSizes) -> Result:
    """Answer one read.

    Raises:
        ApiError: what Exact would refuse the request with.
    """
    endpoint = view.endpoint
    if query.expand and endpoint.kind != "standard":
        raise bad_request(errors.SYNTAX)
    selection = select(view, query.select, query.expand)
    if target.key is not None:
        result = Result(view, selection, [view.one(division, target.key)], single=True)
        _expand(result, division, sizes)
        return result
    condition = _filter(view, query)
    policy.check_select(endpoint, query.select, query.top)
    policy.check_filter(endpoint, condition.names if condition else ())
    policy.check_paging(
        endpoint,
        skip=query.skip > 0,
        orderby=bool(query.orderby) and not _in_feed_order(endpoint, query),
        count=query.inlinecount or target.count,
    )
    listing = Listing(division, condition)
    if target.count:
        return Result(view, selection, [], count=view.count(listing), only_count=True)
    size = sizes.of(endpoint)
    # $top does nothing on sync (picqer #587).
    top = None if endpoint.kind == "sync" else query.top
    listing = Listing(
        division,
        condition,
        orderby=() if endpoint.kind == "sync" else query.orderby,
        skip=0 if query.skiptoken is not None else query.skip,
        token=query.skiptoken,
        limit=size if top is None else min(top, size),
        test=_parameters(view, query),
    )
    page = view.page(listing)
    result = Result(view, selection, page.rows, token=page.token if top is None else None)
    result.bare = top is not None or endpoint.kind == "function"
    if query.inlinecount:
        result.count, result.bare = view.count(listing), False
    _expand(result, division, sizes)
    return result


def read_navigation(
    source: View, lines: TableView, target: Target, query: Query, division: int, sizes: PageSizes
) -> Result:
    """Answer the rows behind a deferred collection: ``Accounts(guid'…')/BankAccounts``."""
    found = navigation(source.endpoint.path, target.navigation or "")
    if found is None or target.key is None:
        raise not_found(target.navigation or source.endpoint.entity_set)
    owner = source.one(division, target.key)
    value = owner[source.slots[found.owner]]
    rows = [] if value is None else lines.children(division, found.column, [value])[value]
    page = lines.part(rows, sizes.expanded, query.skiptoken)
    return Result(lines, select(lines, query.select, ()), page.rows, token=page.token)


def _filter(view: View, query: Query) -> Filter | None:
    if query.filter is None:
        return None
    return parse_filter(query.filter, view.find, type_name=view.type_name, wall=view.store.wall)


def _in_feed_order(endpoint: Endpoint, query: Query) -> bool:
    return endpoint.kind == "sync" and query.orderby == (("Timestamp", False),)


def _parameters(view: View, query: Query) -> Callable[[Values], bool] | None:
    """Test for a function's parameters, as far as they name a property of its rows.

    Raises:
        ApiError: 400, a parameter is missing.
    """
    wanted: list[tuple[int, str]] = []
    for parameter in view.endpoint.parameters:
        value = query.parameters.get(parameter.name)
        if value is None:
            raise bad_request(errors.SYNTAX)
        if parameter.type == "Edm.Guid" and isinstance(view, TableView):
            names = (parameter.name.lower(), parameter.name.lower().removesuffix("id"))
            slot = next((s for name, s in view.slots.items() if name.lower() in names), None)
            if slot is not None:
                wanted.append((slot, value.removeprefix("guid").strip("'").lower()))
    if not wanted:
        return None
    return lambda values: all(values[slot] == value for slot, value in wanted)


def _expand(result: Result, division: int, sizes: PageSizes) -> None:
    for name in result.selection.expanded:
        found = navigation(result.view.endpoint.path, name)
        if found is None:
            continue
        lines = TableView(found.endpoint, result.view.store)
        slot = result.view.slots[found.owner]
        owners = [values[slot] for values in result.rows if values[slot] is not None]
        rows = lines.children(division, found.column, owners)
        pages = {owner: lines.part(own, sizes.expanded) for owner, own in rows.items()}
        result.children[name] = Expansion(lines, found.owner, pages)


def shape_of(result: Result, mode: str) -> Shape:
    """The shape of a result's rows."""
    return Shape(result.view, result.selection.plain, mode)
