"""How a script tells the driver what its client has done. For Python; the other scripts do the same in their language.

A line of JSON each way: ``{"consent": url}`` is answered by the address that the browser is sent back to,
``{"later": seconds}`` by an empty line once the sandbox's clock has been moved, ``{"step": …}`` by nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable


def _say(**fields: object) -> None:
    sys.__stdout__.write(json.dumps(fields) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def consent(url: str) -> str:
    """Let the driver log in and consent; return the address that the browser is sent back to."""
    _say(consent=url)
    return sys.stdin.readline().strip()


def later(seconds: int) -> None:
    """Let time pass in the sandbox."""
    _say(later=seconds)
    sys.stdin.readline()


def step(name: str, work: Callable[[], object]) -> None:
    """Do a step, and tell how it went; what it returns says what came."""
    try:
        _say(step=name, came=str(work()))
    except Exception as error:
        _say(step=name, failed=f"{type(error).__name__}: {error}"[:300])
