"""Seeded chance: the same seed gives the same rows, GUIDs included."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

_VARIANTS = "89ab"
T = TypeVar("T")


class Dice(random.Random):
    """A random source that also makes GUIDs."""

    def guid(self) -> str:
        """A version 4 GUID as Exact writes it: lower case, no braces."""
        digits = f"{self.getrandbits(128):032x}"
        variant = _VARIANTS[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def digits(self, count: int) -> str:
        """So many decimal digits, the first not zero."""
        return str(self.randrange(10 ** (count - 1), 10**count))

    def skewed(self, options: Sequence[T]) -> T:
        """One of the options, early ones far more often than late ones."""
        return options[int(len(options) * self.random() ** 2)]
