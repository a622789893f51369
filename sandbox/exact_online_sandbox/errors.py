"""What the API refuses with, and the texts it does so with.

Texts marked *captured* were seen in answers of the real API (public issues of picqer/exact-php-client and of
exactonline-api-ruby-client, with their number). Texts marked *framework* are those of WCF Data Services, which Exact's
API is built on; no capture of them from Exact is public.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

SELECT_NEEDED = "Please add a $select or a $top=1 statement to the query string."
"""Captured: picqer #34, #62, #315, #556."""

SYNTAX = "Bad Request - Error in query syntax."
"""Captured: picqer #609."""

BOOLEAN_EXPECTED = "Expression of type 'System.Boolean' expected at position 0."
"""Captured: picqer #593."""

FORBIDDEN = "Forbidden"
"""Captured: picqer #111, #166, #332, #581."""

IN_THE_MIDST = "An error occurred while processing this request."
"""Framework: for what goes wrong after the status was sent."""

DIVISION_NOT_IN_CONSENT = "Forbidden - User division is not within division scope"
"""Captured: forums.invantive.com topic 3060."""


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, text: str | None, headers: Mapping[str, str] | None = None) -> None:
        """Describe the answer.

        Args:
            status: HTTP status.
            text: message of the OData error object; None for an answer without a body.
            headers: further headers (``Reason``, ``WWW-Authenticate`` ...).
        """
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = MappingProxyType(dict(headers or {}))


def bad_request(text: str) -> ApiError:
    """A 400 with that text."""
    return ApiError(400, text)


def not_found(segment: str) -> ApiError:
    """A 404 for a path or key that does not exist. Framework."""
    return ApiError(404, f"Resource not found for the segment '{segment}'.")


def scope_missing(scope: str) -> str:
    """Text for an app without a scope. Captured: picqer #509, #659."""
    return f"Forbidden - Application Scope Violated. Cannot read '{scope}' scope."


def mandatory_filter(fields: Iterable[str]) -> str:
    """Text for a missing mandatory filter. Captured: picqer #591 (fields sorted, full stop at the end)."""
    return (
        "This endpoint has mandatory filtering applied. A GET request for this endpoint must have a $filter parameter"
        f" with one of the following fields in the url:{','.join(sorted(fields, key=str.lower))}."
    )


def filter_refused(fields: Iterable[str]) -> str:
    """Text for fields an endpoint does not filter on. Captured: picqer #500."""
    return f"Filtering on these fields is not supported: {','.join(fields)}"


def bad_guid(literal: str, position: int) -> str:
    """Text for a malformed GUID. Captured: exactonline-api-ruby-client."""
    return f"Unrecognized 'Edm.Guid' literal '{literal}' in '{position}'."


def unknown_filter_property(name: str, type_name: str, position: int) -> str:
    """Text for an unknown property in ``$filter``. Framework."""
    return f"No property '{name}' exists in type '{type_name}' at position {position}."


def unknown_property(name: str, type_name: str) -> str:
    """Text for an unknown property in ``$select``, ``$expand`` or ``$orderby``. Framework."""
    return f"Type '{type_name}' does not have a property named '{name}' or there is no type with '{name}' name."
