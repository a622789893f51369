"""Other ways to ask for what Exact refused, none of which repeats the refused request."""

from __future__ import annotations

import logging

from source_exact_online.api import odata
from source_exact_online.api.errors import Action, ErrorResolution, refused_columns
from source_exact_online.read.query import Query
from source_exact_online.read.stream_reader import RefusedColumns

logger = logging.getLogger("airbyte.exact_online")


class QueryFallbacks:
    """Changes a query according to what was refused of it."""

    def __init__(self, query: Query, refused: RefusedColumns, path: str) -> None:
        """QueryFallbacks for one listing.

        Args:
            query: what it asks for.
            refused: columns refused so far, shared by all partitions.
            path: its endpoint.
        """
        self._query = query
        self._refused = refused
        self._path = path

    def apply(self, verdict: ErrorResolution, url: str) -> bool:
        """Change the query; returns whether that changes its requests, so that the pass can begin again.

        Args:
            verdict: on the refused request.
            url: its address.
        """
        if verdict.action is Action.DROP_COLUMN:
            return (
                self._drop_columns(verdict.detail, url)
                or self._without_undated(verdict.detail)
                or self.without_headers(verdict.detail)
            )
        if verdict.action is Action.ADD_FILTER:
            return self._query.demand_filter()
        if verdict.action is Action.DROP_FILTER and self._query.drop_filter():
            logger.warning("%s Reading all rows of %s instead.", verdict.message, self._path)
            return True
        return False

    def _without_undated(self, detail: str) -> bool:
        if not self._query.drop_undated():
            return False
        logger.warning("%s cannot be asked for rows without Modified (%s).", self._path, detail)
        return True

    def without_headers(self, detail: str) -> bool:
        """Find lines another way, as their headers do not show them: by key, else by reading all of them.

        Returns:
            Whether headers were asked at all, and there is another way.
        """
        headers = self._query.headers
        if headers is None:
            return False
        if self._query.drop_expand():
            logger.warning("%s does not show its lines (%s); asking %s for them by key.", headers, detail, self._path)
            return True
        if not self._query.drop_filter():
            return False
        logger.warning("%s cannot be asked by key (%s); reading all of it.", self._path, detail)
        return True

    def _drop_columns(self, detail: str, url: str) -> bool:
        """Leave out the columns that Exact's text names, or that another division's answer named meanwhile."""
        asked = odata.selected(url)
        known = set(asked) & self._refused.of(self._path)
        columns = refused_columns(detail, asked, self._query.indispensable)
        self._refused.add(self._path, columns, detail)
        return bool(columns or known)
