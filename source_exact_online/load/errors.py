"""What a person can do something about; the text is a sentence for them."""

from __future__ import annotations


class LoadError(Exception):
    """The load cannot begin or go on."""
