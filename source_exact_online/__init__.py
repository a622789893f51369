"""Airbyte source connector for Exact Online."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_exact_online.source import SourceExactOnline

__all__ = ["SourceExactOnline"]


def __getattr__(name: str) -> object:
    """Import the source when it is asked for: it needs the CDK, which takes long and not every command needs.

    Raises:
        AttributeError: there is no such name.
    """
    if name == "SourceExactOnline":
        from source_exact_online.source import SourceExactOnline

        return SourceExactOnline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
