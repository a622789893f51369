"""Where the tables go: a DuckDB file, a PostgreSQL database, or any destination that dlt has."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
from dlt.common.configuration.specs.exceptions import InvalidConnectionString
from dlt.common.destination import Destination
from dlt.destinations.impl.postgres.configuration import PostgresCredentials

from source_exact_online.load.errors import LoadError
from source_exact_online.load.lock import file_lock, postgres_lock, unlocked
from source_exact_online.words import nearest

DATASET = "exact_online"
"""Schema of the tables."""

_STAGING = "insert-from-staging"
"""Name of dlt's way to replace rows from a staging table, in one transaction."""

_DUCKDB_SUFFIXES = (".duckdb", ".db", ".ddb")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the tables go.

    Attributes:
        destination: dlt's.
        place: as it is named to a person.
        query: how a person asks a first question; {sql} stands for it.
        replaces_at_once: whether rows replace a table's from a staging table, so that it is never empty meanwhile.
        lock: held by a load from its beginning to its end. It yields a function that raises LoadError once it is lost.
    """

    destination: Destination[Any, Any]
    place: str
    query: str
    replaces_at_once: bool = True
    lock: Callable[[], AbstractContextManager[Callable[[], None]]] = unlocked


def target(text: str | None, config: Path) -> Target:
    """Return where the tables go.

    Args:
        text: a file, ``postgresql://...`` or ``dlt:NAME``; None = ``exact.duckdb`` beside the configuration.
        config: the configuration file.

    Raises:
        LoadError: the text names nothing of these.
    """
    if text is None:
        return _duckdb(config.parent / "exact.duckdb")
    if text.startswith(("postgresql://", "postgres://")):
        return _postgres(text)
    if text.startswith("dlt:"):
        return _other(text.removeprefix("dlt:"))
    hint = _hint(text)
    if hint is None and "://" not in text and text.endswith(_DUCKDB_SUFFIXES):
        return _duckdb(Path(text).expanduser())
    hint = hint or "name a file that ends in .duckdb, postgresql://..., or dlt:NAME."
    raise LoadError(f"{without_password(text)!r} is no destination: {hint}")


def _hint(text: str) -> str | None:
    """Return what to say in place of the name of a database, alone or in front of a colon; None for anything else."""
    name, _, rest = text.partition(":")
    name = name.lower()
    if name == "duckdb":
        file = rest.partition("?")[0].rpartition("/")[2] or "exact"
        file += "" if file.endswith(_DUCKDB_SUFFIXES) else ".duckdb"
        return f"a DuckDB file is named by its path alone, as in --to {file}."
    if name in ("postgresql", "postgres"):
        return "say --to postgresql://user:password@host:5432/database."
    if name in _names():
        return f"say --to dlt:{name}, and configure it as dlt wants it."
    return None


def _names() -> list[str]:
    """Return the names of dlt's destinations."""
    return [one for one in dlt.destinations.__all__ if one != "destination"]


def _duckdb(file: Path) -> Target:
    if not file.parent.is_dir():
        raise LoadError(f"There is no folder {file.parent} for {file.name}.")
    if file.stem.lower() in (DATASET, f"{DATASET}_staging"):
        raise LoadError(
            f"DuckDB could not tell a file named {file.name} from its schema {DATASET}: choose another name."
        )
    return Target(
        dlt.destinations.duckdb(str(file), replace_strategy=_STAGING),
        str(file),
        f"python -c \"import duckdb; duckdb.connect('{file}').sql('''\n  {{sql}}''').show()\"",
        lock=partial(file_lock, file),
    )


def _postgres(url: str) -> Target:
    try:
        parts = urlsplit(url)
        if not (parts.username and parts.hostname and parts.path.strip("/")):
            raise LoadError(
                f"{without_password(url)} lacks user, host or database: postgresql://user:password@host:5432/database."
            )
        credentials = PostgresCredentials(url)
    except (ValueError, InvalidConnectionString):  # brackets or a port that make no sense
        raise LoadError(
            f"{without_password(url)} is no address: postgresql://user:password@host:5432/database, with what is "
            "special in a password written as in a URL (%40 for @)."
        ) from None
    if credentials.password is None:
        credentials.password = os.environ.get("PGPASSWORD", "")  # without one, libpq looks into ~/.pgpass
    return Target(
        dlt.destinations.postgres(credentials, replace_strategy=_STAGING),
        without_password(url),
        f'psql "{without_password(url)}" -c "\n  {{sql}}"',
        lock=partial(postgres_lock, credentials.to_native_representation(), DATASET, without_password(url)),
    )


def _other(name: str) -> Target:
    known = _names()
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean dlt:{near}?" if near else f"dlt has {', '.join(known)}."
        raise LoadError(f"dlt has no destination {without_password(name)!r}: {hint}")
    place, query = f"{name}, as dlt is configured,", "{sql}"
    if _STAGING in _replace_strategies(Destination.from_reference(name)):
        return Target(Destination.from_reference(name, replace_strategy=_STAGING), place, query)
    return Target(Destination.from_reference(name), place, query, replaces_at_once=False)


def _replace_strategies(destination: Destination[Any, Any]) -> Sequence[str]:
    """Return how dlt can replace the rows of an ordinary table in a destination."""
    known = destination.capabilities()
    found = known.supported_replace_strategies or []
    if known.replace_strategies_selector:
        found = known.replace_strategies_selector(found, table_schema={"name": DATASET})
    return list(found)


def without_password(text: str) -> str:
    """Return an address without its password, also where it is not quite an address."""
    text = re.sub(r"^([\w+.-]*:?/*[^:@]*):(?!/).*@", r"\1:***@", text, flags=re.DOTALL)
    return re.sub(r"(?i)(password|passwd|pwd|token|secret|key)=[^&]*", r"\1=***", text)
