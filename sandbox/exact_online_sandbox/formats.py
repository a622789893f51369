"""How values look outside: in JSON, in Atom, and as the sandbox's own truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from exact_online_sandbox.reference import is_instant
from exact_online_sandbox.rows import Value
from exact_online_sandbox.wallclock import WallClock, instant_from_ms, naive_from_ms

Converter = Callable[[Value], Value]

JSON, ATOM, TRUTH = "json", "atom", "truth"

# Service part of the .NET type names. Seen: Exact.Web.Api.Models.Account, .GLAccount, .SalesInvoice, .SalesOrder,
# Exact.Web.Api.Models.HRM.DivisionClass, Exact.Web.Api.Models.Manufacturing.*, Exact.Web.Api.System.Me.
_TYPE_PREFIXES: Mapping[str, str] = MappingProxyType(
    {"HRM": "Models.HRM.", "Manufacturing": "Models.Manufacturing.", "System": "System."}
)


def type_name(service: str, entity: str) -> str:
    """The .NET name of an entity's rows, as in ``__metadata.type``."""
    return f"Exact.Web.Api.{_TYPE_PREFIXES.get(service, 'Models.')}{entity}"


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
