"""Other ways to ask for what Exact refused, none of which repeats the refused request."""

from __future__ import annotations

import logging

from source_exact_online.api import odata
from source_exact_online.api.errors import Action, ErrorResolution, refused_columns
from source_exact_online.read.query import Query, Refusals

logger = logging.getLogger("airbyte.exact_online")


class QueryFallbacks:
    """Changes a query according to what was refused of it.

    Args:
        query: what a listing asks for.
        refused: columns refused so far, shared by all partitions.
        path: endpoint of the listing.
    """

    def __init__(self, query: Query, refused: Refusals, path: str) -> None:
        self._query = query
        self._refused = refused
        self._path = path

    def apply(self, resolution: ErrorResolution, url: str) -> bool:
        """Change the query; return whether that changes its requests, so that the listing can begin again.

        Args:
            resolution: of the refused request.
            url: its address.
        """
        if resolution.action is Action.DROP_COLUMN:
            return self._drop_columns(resolution.detail, url) or self.read_whole(resolution.detail)
        if resolution.action is Action.ADD_FILTER:
            return self._query.demand_filter()
        if resolution.action is Action.DROP_FILTER and self._query.drop_filter():
            logger.warning("%s Reading all rows of %s instead.", resolution.message, self._path)
            return True
        return False

    def read_whole(self, detail: str) -> bool:
        """List lines by themselves, as their headers do not show them; return whether headers were asked at all."""
        headers = self._query.asks_headers
        if headers is None or not self._query.drop_filter():
            return False
        logger.warning("%s does not show its lines (%s); reading all of %s.", headers, detail, self._path)
        return True

    def _drop_columns(self, detail: str, url: str) -> bool:
        """Leave out the columns that Exact's text names, or that another division's answer named meanwhile."""
        asked = odata.selected(url)
        known = set(asked) & self._refused.by_path.get(self._path, frozenset())
        columns = refused_columns(detail, asked, self._query.required)
        self._refused.add(self._path, columns, detail)
        return bool(columns or known)
