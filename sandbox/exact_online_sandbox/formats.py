"""How values look outside: in JSON, in Atom, and as the sandbox's own truth."""

from __future__ import annotations

from collections.abc import Callable

from exact_online_sandbox.reference import is_instant
from exact_online_sandbox.rows import Value
from exact_online_sandbox.wallclock import WallClock, instant_from_ms, naive_from_ms

Converter = Callable[[Value], Value]

JSON, ATOM, TRUTH = "json", "atom", "truth"


def converter(name: str, type_: str, mode: str, wall: WallClock) -> Converter | None:
    """Give the function that turns a kept value into its outside form; None when it stays as it is.

    Args:
        name: name of the property.
        type_: its Edm type.
        mode: JSON, ATOM or TRUTH.
        wall: the server's wall clock, in which JSON and Atom show instants.
    """
    if type_ == "Edm.DateTime":
        if mode == TRUTH:
            return _iso_utc if is_instant(name) else _iso_naive
        show = _json_date if mode == JSON else _iso_naive
        if not is_instant(name):
            return show
        return lambda ms: show(wall.to_wall_ms(ms))
    if type_ == "Edm.Int64" and mode != TRUTH:
        return str
    return None


def _json_date(ms: int) -> str:
    return f"/Date({ms})/"


def _iso_naive(ms: int) -> str:
    return naive_from_ms(ms).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def _iso_utc(ms: int) -> str:
    return instant_from_ms(ms).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def literal(value: Value, type_: str) -> str:
    """Write a kept key value as an OData literal."""
    if type_ == "Edm.Guid":
        return f"guid'{value}'"
    if type_ == "Edm.String":
        return "'" + str(value).replace("'", "''") + "'"
    if type_ == "Edm.Int64":
        return f"{value}L"
    if type_ == "Edm.DateTime":
        return f"datetime'{_iso_naive(value)}'"
    return str(value)
