"""The country sites, and which servers may see a login's tokens."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

SITES = ("nl", "be", "de", "fr", "es", "co.uk", "com")
"""Country sites. App registration, login and API of an account all belong to one of them."""

_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables that requests looks into, in its order."""

_AMBIGUOUS = re.compile(r"[\\@?#%\s\x00-\x20\x7f]")


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
    wanted = (configured or official).removesuffix("/")
    if wanted == official:
        return official
    sandbox = _sandbox_url(wanted)
    if sandbox is None:
        raise ValueError(f"base_url must be {official} or a loopback address: a token never goes anywhere else.")
    return sandbox


def check_ca_bundle(base_url: str, environment: Mapping[str, str]) -> None:
    """Try the certificates that the environment names in place of the usual ones, as requests takes them from there.

    Args:
        base_url: of the API.
        environment: environment variables of the process.

    Raises:
        ValueError: they cannot be used; without this, each call would fail with some other error.
    """
    name = next((name for name in _CA_BUNDLES if environment.get(name)), None)
    if name is None or not base_url.startswith("https:") or Path(environment[name]).is_dir():
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(environment[name])
    except (OSError, ValueError) as error:
        reason = "no certificate in PEM form is in it" if isinstance(error, ssl.SSLError) else error
        raise ValueError(f"{name} names {environment[name]}, which cannot be used: {reason}.") from error


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL; the port also where it is left out."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _sandbox_url(url: str) -> str | None:
    """Return the URL put together anew from what was read in it, None where it is no plain loopback address.

    Other libraries read a URL in other ways, so nothing is let through that two of them may take differently.
    """
    if _AMBIGUOUS.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets or a port that make no sense
        return None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or parts.path or port == 0 or not is_loopback(host):
        return None
    netloc = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{netloc}" if port is None else f"{parts.scheme}://{netloc}:{port}"
