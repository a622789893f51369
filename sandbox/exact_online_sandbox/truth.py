"""The sandbox's own truth: rows as they are, for comparing with what a client made of them."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from exact_online_sandbox.api import data_view
from exact_online_sandbox.entities import DELETED, DIVISIONS, entities
from exact_online_sandbox.formats import TRUTH
from exact_online_sandbox.reference import endpoints
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.shape import Shape
from exact_online_sandbox.views import Listing, View

_CHUNK = 500


def truth_rows(sandbox: Sandbox, division: int, endpoint: str) -> Iterator[bytes]:
    """Rows of an endpoint, or of an entity by its name, as a JSON document in pieces.

    Instants are ISO 8601 with ``+00:00``, business dates without a zone, both with milliseconds only where they are not
    zero; Int64 are numbers. Nothing is hidden by paging, rights or filters. system/Divisions gives every division.

    Args:
        sandbox: the sandbox.
        division: code of the division.
        endpoint: path of an endpoint or name of an entity; a sync one has ``Timestamp`` as well.

    Raises:
        KeyError: there is no such endpoint, or no such division.
    """
    reference = endpoints()[endpoint]
    if division not in sandbox.store.division_codes():
        raise KeyError(division)
    return _pieces(sandbox, division, data_view(reference, sandbox), endpoint)


def _pieces(sandbox: Sandbox, division: int, view: View, endpoint: str) -> Iterator[bytes]:
    names = [p.name for p in view.endpoint.properties.values() if not p.is_navigation]
    shape = Shape(view, names, TRUTH)
    yield orjson.dumps({"division": division, "endpoint": endpoint})[:-1] + b',"rows":['
    first, batch = True, []
    for values in _values(sandbox, division, view):
        batch.append(orjson.dumps(shape.apply(values)))
        if len(batch) == _CHUNK:
            yield (b"" if first else b",") + b",".join(batch)
            first, batch = False, []
    if batch:
        yield (b"" if first else b",") + b",".join(batch)
    yield b"]}"


def _values(sandbox: Sandbox, division: int, view: View) -> Iterator[list[object]]:
    if view.endpoint.path != DIVISIONS:
        yield from view.every(Listing(division))
        return
    codec = sandbox.store.codec(DIVISIONS)
    for code in sandbox.store.division_codes():
        yield codec.encode(sandbox.store.division(code))


def entity_counts(sandbox: Sandbox, division: int) -> dict[str, int]:
    """Number of rows per entity, empty ones left out."""
    counts = {name: sandbox.store.count(division, name) for name in entities()}
    counts[DELETED] = sum(1 for _ in sandbox.store.deletions(division))
    return {name: count for name, count in counts.items() if count}
