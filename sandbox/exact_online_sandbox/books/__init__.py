"""Coherent, seeded bookkeeping for the sandbox: made-up companies whose figures add up."""

from __future__ import annotations

from exact_online_sandbox.books.generator import generate
from exact_online_sandbox.books.size import SIZES, Size, size_of

__all__ = ["SIZES", "Size", "generate", "size_of"]
