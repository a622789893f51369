"""What a login needs to know, and which servers may see its tokens."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

SITES = ("nl", "be", "de", "fr", "es", "co.uk", "com")
"""Country sites. App registration, login and API of an account all belong to one of them."""


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """One app at one site.

    Attributes:
        base_url: e.g. ``https://start.exactonline.nl``, or a loopback address for a sandbox.
        site: country site, e.g. ``nl``.
        client_id: of the app registration.
        client_secret: of the app registration.
        token_file: where tokens are kept beside the configuration; None = nowhere.
    """

    base_url: str
    site: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    token_file: Path | None


def site_url(site: str) -> str:
    """Exact Online's address for a country site."""
    return f"https://start.exactonline.{site}"


def is_loopback(host: str | None) -> bool:
    """Whether a host name means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def trusted_base_url(configured: str | None, site: str) -> str:
    """Address of the API.

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
