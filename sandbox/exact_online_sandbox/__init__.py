"""A local server that behaves like the Exact Online REST API."""

from __future__ import annotations

__version__ = "0.1.0"
