"""The country sites, and which servers may see a login's tokens."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

SITES = ("nl", "be", "de", "fr", "es", "co.uk", "com")
"""Country sites. App registration, login and API of an account all belong to one of them."""


def site_url(site: str) -> str:
    """Return Exact Online's address for a country site."""
    return f"https://start.exactonline.{site}"


def is_loopback(host: str | None) -> bool:
    """Return whether a host name means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def trusted_base_url(configured: str | None, site: str) -> str:
    """Return the address of the API.

    Args:
        configured: what the user wants instead of the site's own address, if anything.
        site: country site.

    Raises:
        ValueError: it is neither the site's own address nor a loopback one; a token never goes anywhere else.
    """
    official = site_url(site)
    wanted = (configured or official).rstrip("/")
    if wanted == official or _is_sandbox(wanted):
        return wanted
    raise ValueError(f"base_url must be {official} or a loopback address: a token never goes anywhere else.")


def _is_sandbox(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets or a port that make no sense
        return False
    plain = not (parts.path or parts.query or parts.fragment or parts.username) and port != 0
    return parts.scheme in ("http", "https") and plain and is_loopback(parts.hostname)
