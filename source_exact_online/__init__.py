"""Airbyte source connector for Exact Online."""

from source_exact_online.source import SourceExactOnline

__all__ = ["SourceExactOnline"]
