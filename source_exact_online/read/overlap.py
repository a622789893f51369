"""Memory of the lookback window: rows that were delivered once are not delivered again just for being read again."""

from __future__ import annotations

import heapq
from hashlib import blake2b

import orjson

from source_exact_online.api.odata import Row

REMEMBERED = 100
"""Records remembered per stream and division, the most recent ones; the state has to stay small."""


class Overlap:
    """Records of a list's most recent changes, by a digest of their content.

    A record with any other content, a new column included, counts as not delivered.
    """

    def __init__(self, delivered: frozenset[str]) -> None:
        self._delivered = delivered
        self._seen: dict[str, int] = {}

    def is_delivered(self, record: Row, modified: int | None) -> bool:
        """Whether the last pass delivered a record already; notes it for the next pass.

        Args:
            record: the record.
            modified: its ``Modified``, milliseconds on Exact's wall clock. Without one it is always delivered.
        """
        if modified is None:
            return False
        digest = blake2b(orjson.dumps(record, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
        self._seen[digest] = modified
        if len(self._seen) > 10 * REMEMBERED:
            self._seen = dict(heapq.nlargest(REMEMBERED, self._seen.items(), key=lambda item: item[1]))
        return digest in self._delivered

    def since(self, modified: int | None) -> frozenset[str]:
        """Digests of the records changed since a moment: those that the next pass may read again."""
        recent = [(digest, when) for digest, when in self._seen.items() if modified is None or when >= modified]
        return frozenset(digest for digest, _ in heapq.nlargest(REMEMBERED, recent, key=lambda item: item[1]))
