"""The configuration that a login writes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from source_exact_online.auth.tokens import Tokens
from source_exact_online.login.redirect import LoginError
from source_exact_online.sites import site_url


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What the person asked for.

    Attributes:
        site: country site.
        base_url: address of the API.
        client_id: of the app.
        client_secret: of the app.
        redirect_uri: registered for the app.
        config_file: where the configuration goes.
        token_file: absolute, for ``credentials.token_file``; None = leave it out.
        divisions: "all", or numbers separated by commas; None = ask.
        force_login: whether Exact asks for user and password even if the browser is logged in.
        browser: whether a browser may be opened.
        overwrite: whether an existing configuration may be replaced without a question.
    """

    site: str
    base_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    redirect_uri: str
    config_file: Path
    token_file: Path | None = None
    divisions: str | None = None
    force_login: bool = False
    browser: bool = True
    overwrite: bool = False


def parse_divisions(text: str, known: set[int]) -> list[int]:
    """Return the division numbers in a text; empty for all.

    Args:
        text: numbers separated by commas or blanks; "all" or nothing for all.
        known: the numbers that there are; empty where that is not known.

    Raises:
        LoginError: something else, or an unknown number.
    """
    if text.strip().lower() in ("", "all"):
        return []
    codes = []
    for part in text.replace(",", " ").split():
        if not (part.isascii() and part.isdigit()):
            raise LoginError(f"{part!r} is no division number.")
        if known and int(part) not in known:
            raise LoginError(f"Division {part} is not among those that the login may read.")
        codes.append(int(part))
    return list(dict.fromkeys(codes))


def configuration(request: LoginRequest, tokens: Tokens, divisions: list[int]) -> dict[str, Any]:
    """Return the connector's configuration."""
    credentials = {
        "client_id": request.client_id,
        "client_secret": request.client_secret,
        "refresh_token": tokens.refresh_token,
        "access_token": tokens.access_token,
        "token_expiry_date": tokens.expires_at.isoformat() if tokens.expires_at else "",
    }
    if request.token_file:
        credentials["token_file"] = str(request.token_file)
    config: dict[str, Any] = {"site": request.site, "credentials": credentials}
    if divisions:
        config["divisions"] = divisions
    if request.base_url != site_url(request.site):
        config["base_url"] = request.base_url
    return config


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write a configuration so that it is whole or not there, readable by its owner only.

    Raises:
        LoginError: it cannot be written.
    """
    path = Path(os.path.realpath(path))
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(config, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise LoginError(f"{path} cannot be written ({error.strerror}). The login is lost; log in again.") from error
