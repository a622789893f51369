"""Inputs for the targets: the corpus, and what becomes of it when pieces are cut out and put in (hypothesis)."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.targets import Target

_ROUND = 100
"""Examples between two looks at the clock."""


def corpus(target: Target) -> list[bytes]:
    """Return the inputs to begin with."""
    lines = target.corpus.read_text(encoding="ascii").splitlines()
    return [ast.literal_eval(line) for line in lines]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], tokens: tuple[bytes, ...]) -> bytes:
    """Return one of the seeds, changed in some places."""
    data = draw(st.sampled_from(seeds))
    pieces = st.sampled_from(tokens) | st.binary(max_size=4) | st.text(max_size=3).map(_encoded)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from((0, 0, 1, 2, 8, 64)))
        data = data[:at] + draw(pieces) + data[at + cut :]
    return data


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def property_of(target: Target, examples: int, seed_number: int | None = None) -> Callable[[], None]:
    """Return a test that a target holds for some examples; a seed makes them the same each time."""
    explain_not = tuple(phase for phase in Phase if phase is not Phase.explain)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=explain_not,
        suppress_health_check=list(HealthCheck),
        derandomize=False,
    )
    @given(mutated(corpus(target), target.tokens))
    def holds(data: bytes) -> None:
        target.check(data)

    return seed(seed_number)(holds) if seed_number is not None else holds


def run_for(target: Target, seconds: float, first_seed: int = 0) -> int:
    """Try a target for some seconds; return the number of examples.

    Raises:
        Exception: what the target raised, with the smallest input that does it in a note.
    """
    for data in corpus(target):
        target.check(data)
    end, number = time.monotonic() + seconds, first_seed
    while time.monotonic() < end:
        property_of(target, _ROUND, number)()
        number += 1
    return (number - first_seed) * _ROUND
