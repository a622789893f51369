"""Log in to Exact Online in a browser and write a configuration that is ready to use."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import Division, accessible_divisions
from source_exact_online.auth.masking import mask
from source_exact_online.auth.token_endpoint import TokenEndpoint
from source_exact_online.clock import Clock, SystemClock
from source_exact_online.command_line import SECRET_VARIABLE
from source_exact_online.config import token_file_beside
from source_exact_online.login.config_file import LoginRequest
from source_exact_online.login.flow import DivisionLister, LoginFlow
from source_exact_online.login.redirect import LoginError
from source_exact_online.login.terminal import Console, Terminal
from source_exact_online.sites import check_ca_bundle, trusted_base_url


def run(
    args: argparse.Namespace,
    check: Callable[[Path], int] | None = None,
    *,
    terminal: Terminal | None = None,
    clock: Clock | None = None,
    endpoint: TokenEndpoint | None = None,
    list_divisions: DivisionLister | None = None,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Run the command.

    Args:
        args: parsed options of `login`.
        check: tries the finished configuration and gives an exit code; None = leave that to the user.
        terminal: the person; None = standard input and output.
        clock: time source; None = the real time.
        endpoint: token endpoint; None = the site's.
        list_divisions: see `DivisionLister`; None = ask the API.
        environment: may hold the client secret, and name a bundle of certificates.

    Returns:
        The exit code.
    """
    terminal = terminal or Console()
    clock = clock or SystemClock()
    try:
        request = _request(args, terminal, environment)
        endpoint = endpoint or TokenEndpoint(request.base_url, request.client_id, request.client_secret, clock)
        LoginFlow(request, terminal, clock, endpoint, list_divisions or _Lister(clock)).run()
        if check is None:
            terminal.say(f"Try it: source-exact-online check --config {request.config_file}")
            return 0
        terminal.say("Checking the connection ...")
        code = check(request.config_file)
    except LoginError as error:
        terminal.say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        terminal.say("\nStopped.")
        return 130
    terminal.say("The connection works." if code == 0 else "The configuration is written, but the check failed.")
    return code


def _request(args: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> LoginRequest:
    try:
        base_url = trusted_base_url(args.base_url, args.site)
        check_ca_bundle(base_url, environment)
    except ValueError as error:
        raise LoginError(str(error)) from None
    secret = environment.get(SECRET_VARIABLE) or terminal.secret("Client secret of the app:")
    for name, value in (("client id", args.client_id), ("client secret", secret)):
        if not value or value.split() != [value]:
            raise LoginError(f"The {name} is empty or contains white space: copy it again.")
    mask(secret)
    return LoginRequest(
        site=args.site,
        base_url=base_url,
        client_id=args.client_id,
        client_secret=secret,
        redirect_uri=args.redirect_uri,
        config_file=args.config.expanduser(),
        token_file=None if args.no_token_file else _token_file(args.config, args.token_file),
        divisions=args.divisions,
        force_login=args.force_login,
        browser=not args.no_browser,
        overwrite=args.overwrite,
    )


def _token_file(config_file: Path, named: str | None) -> Path:
    """Return the absolute path of the token file: as named, else beside the configuration."""
    return Path(os.path.abspath(Path(named).expanduser())) if named else token_file_beside(config_file)


class _FixedToken:
    """The access token of the login just made; it cannot be renewed here."""

    def __init__(self, access_token: str) -> None:
        self._access_token = access_token

    def get_access_token(self) -> str:
        return self._access_token

    def reject(self, access_token: str) -> None:
        raise LoginError(
            "Exact Online gave tokens but does not accept them for data (HTTP 401). Check that the site is the country "
            "where the app is registered, and that the user is active."
        )


class _Lister:
    """Asks the API for the divisions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, base_url: str, access_token: str) -> list[Division]:
        client = ExactClient(base_url, _FixedToken(access_token), self._clock)
        readable = accessible_divisions(client)
        return sorted(readable.divisions.values(), key=lambda division: division.code)
