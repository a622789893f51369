"""Which streams a person names on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from source_exact_online.catalog.definitions import StreamDefinition, catalog


class UnknownStreamError(ValueError):
    """A name that no stream has; the text is a sentence for a person."""


def selected(text: str, offered: Sequence[StreamDefinition]) -> list[StreamDefinition]:
    """Return the streams that a text names, in the order of the catalogue.

    Args:
        text: "core", "all", or names of streams separated by commas; any mixture of them.
        offered: streams that the configuration offers; "core" and "all" mean those among them.

    Raises:
        UnknownStreamError: a name is none of a stream, or nothing is named.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UnknownStreamError('No stream is named: say "core", "all", or names such as accounts,items.')
    unknown = next((name for name in names if name not in ("core", "all") and name not in catalog()), None)
    if unknown is not None:
        near = get_close_matches(unknown.lower().replace("-", "_").replace(" ", "_"), catalog(), n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}?" if near else "`source-exact-online discover` lists all."
        raise UnknownStreamError(f"There is no stream {unknown!r}: {hint}")
    return [
        definition
        for definition in catalog().values()
        if definition.name in names
        or (definition in offered and ("all" in names or ("core" in names and definition.core)))
    ]
