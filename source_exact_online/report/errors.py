"""What keeps a page from being written."""

from __future__ import annotations


class ReportError(Exception):
    """The page cannot be written; the text is a sentence for a person."""
