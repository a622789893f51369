"""What a login needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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
