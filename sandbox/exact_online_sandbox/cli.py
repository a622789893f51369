"""The command line: make a sandbox and serve it."""

from __future__ import annotations

import argparse
import contextlib
import random
import string
import sys
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from exact_online_sandbox import __version__
from exact_online_sandbox.captured import CAPTURED_DIVISIONS, load_captured
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.sandbox import DEFAULT_REDIRECT, DEFAULT_USER, Sandbox
from exact_online_sandbox.server import Server
from exact_online_sandbox.settings import Settings
from exact_online_sandbox.store import Store
from exact_online_sandbox.synthetic import fill

_DESCRIPTION = """\
Serves a sandbox that behaves like the Exact Online REST API: OAuth2 with rotating refresh tokens, divisions with
coherent bookkeeping, standard, bulk and sync endpoints, quotas and errors. Nothing leaves this machine.

When it accepts connections it prints one line of JSON with everything a client needs: base_url, client_id,
client_secret, refresh_token, redirect_uri and divisions. Stop it with Ctrl-C.
"""
_EPILOG = """\
examples:
  python -m exact_online_sandbox                          two small divisions on a free port
  python -m exact_online_sandbox --port 8085 --size large --db books.sqlite
  python -m exact_online_sandbox --minute-limit 20 --minute-seconds 3 --latency-ms 300
  python -m exact_online_sandbox --token-life 5           refresh every 4.75 seconds

While it runs, /sandbox/... changes data, injects faults, shifts the clock and shows the log of calls; see README.md.
"""


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    top = argparse.ArgumentParser(
        prog="exact-online-sandbox",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=__version__)
    net = top.add_argument_group("where it listens")
    net.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    net.add_argument("--port", type=_port, default=0, help="port to listen on; 0 takes a free one (default: 0)")
    net.add_argument("--no-control", action="store_true", help="switch the control API under /sandbox off")
    net.add_argument("--ready-file", type=Path, metavar="PATH", help="write the line of JSON to this file as well")
    net.add_argument("--verbose", action="store_true", help="a line on stderr for each request")

    data = top.add_argument_group("what it holds")
    data.add_argument("--seed", type=int, default=1, help="same seed, same data and credentials (default: 1)")
    data.add_argument("--divisions", type=int, default=2, metavar="N", help="number of divisions (default: 2)")
    data.add_argument(
        "--size",
        default="small",
        metavar="SIZE",
        help="bookkeeping per division: tiny, small, medium, large, or a number of transaction lines (default: small)",
    )
    data.add_argument(
        "--all-endpoints",
        action="store_true",
        help="fill every readable endpoint that has no bookkeeping with a few made-up rows",
    )
    data.add_argument(
        "--real-payloads",
        action="store_true",
        help="add divisions 102 and 499156 with rows captured from the real API",
    )
    data.add_argument(
        "--db",
        default=":memory:",
        metavar="FILE",
        help="keep the data in this SQLite file; one that has divisions already is served as it is (default: memory)",
    )
    data.add_argument(
        "--same-feed-ids",
        action="store_true",
        help="let the ID of headers in sync feeds equal InvoiceID and the like (default: an ID of its own)",
    )
    data.add_argument(
        "--zone",
        type=_zone,
        default="Europe/Amsterdam",
        metavar="ZONE",
        help="time zone of the server's wall clock: of Created and Modified, of filters, of ServerTime; the Date header"
        " stays UTC (default: %(default)s)",
    )
    data.add_argument(
        "--now", type=_moment, metavar="ISO", help="moment the sandbox's clock begins at, UTC (default: now)"
    )

    limits = top.add_argument_group("limits")
    limits.add_argument("--minute-limit", type=int, default=60, metavar="N", help="calls per minute (default: 60)")
    limits.add_argument(
        "--minute-seconds", type=float, default=60, metavar="S", help="length of a minute (default: 60)"
    )
    limits.add_argument("--daily-limit", type=int, default=5000, metavar="N", help="calls per day (default: 5000)")
    limits.add_argument(
        "--day-seconds", type=float, default=86400, metavar="S", help="length of a day (default: 86400)"
    )
    limits.add_argument(
        "--error-limit",
        type=int,
        default=10,
        metavar="N",
        help="4xx answers per endpoint and hour before the app is blocked; 0 for no limit (default: 10)",
    )
    limits.add_argument(
        "--error-status", type=int, default=429, metavar="STATUS", help="status while blocked (default: 429)"
    )
    limits.add_argument(
        "--latency-ms", type=float, default=0, metavar="MS", help="wait before each answer (default: 0)"
    )

    wrong = top.add_argument_group("what goes wrong (see README.md)")
    wrong.add_argument(
        "--fault",
        type=_objects,
        action="extend",
        default=[],
        metavar="JSON",
        help="a fault, or a list of them, as the control API takes them; @FILE reads a file; may be repeated",
    )
    wrong.add_argument(
        "--deny",
        type=_objects,
        action="extend",
        default=[],
        metavar="JSON",
        help="a denial, or a list of them, likewise",
    )

    login = top.add_argument_group("login")
    login.add_argument("--client-id", metavar="ID", help="client id of the app (default: made from the seed)")
    login.add_argument("--client-secret", metavar="TEXT", help="its secret (default: made from the seed)")
    login.add_argument(
        "--redirect-uri",
        action="append",
        default=[],
        metavar="URI",
        help=f"registered redirect address, may be repeated; loopback ones always work (default: {DEFAULT_REDIRECT})",
    )
    login.add_argument("--user", default=DEFAULT_USER, help="user of the first login (default: %(default)s)")
    login.add_argument(
        "--token-life",
        type=float,
        default=600,
        metavar="S",
        help="life of an access token; the next refresh is refused before 95 %% of it (default: 600)",
    )
    login.add_argument(
        "--strict-refresh", action="store_true", help="refuse a refresh until the access token's life is over"
    )
    login.add_argument(
        "--keep-chain",
        action="store_true",
        help="let a login survive the use of an old refresh token (default: it ends the login)",
    )
    login.add_argument(
        "--invalid-client-status",
        type=int,
        choices=(400, 401),
        default=400,
        help="status for a wrong client id or secret (default: 400)",
    )
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(argv)
    try:
        sandbox = build(options)
        server = Server(
            sandbox, host=options.host, port=options.port, control=not options.no_control, verbose=options.verbose
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"exact-online-sandbox: {error}")
    line = ready_line(sandbox, server.base_url, options)

    def ready() -> None:
        if options.ready_file is not None:
            temporary = options.ready_file.with_name(options.ready_file.name + ".tmp")
            temporary.write_text(line + "\n", encoding="utf-8")
            temporary.replace(options.ready_file)
        print(line, flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        server.run(ready)


def build(options: argparse.Namespace) -> Sandbox:
    """Make the sandbox that the options describe.

    Raises:
        ValueError: the size is unknown, or the database does not fit.
    """
    settings = _settings(options)
    clock = Clock(options.now)
    store = Store(options.db, seed=options.seed, zone=options.zone, own_feed_ids=not options.same_feed_ids)
    if not store.division_codes():
        _fill(store, clock, options)
    sandbox = Sandbox(store, clock, settings)
    for fault in options.fault:
        sandbox.faults.add(fault)
    for denial in options.deny:
        sandbox.rights.deny(denial)
    chance = random.Random(options.seed)
    client_id = options.client_id or str(uuid.UUID(int=chance.getrandbits(128), version=4))
    secret = options.client_secret or "".join(chance.choices(string.ascii_letters + string.digits, k=12))
    sandbox.register(client_id, secret, options.redirect_uri or [DEFAULT_REDIRECT])
    return sandbox


def ready_line(sandbox: Sandbox, base_url: str, options: argparse.Namespace) -> str:
    """The line of JSON with everything a client needs; it holds the refresh token of a fresh login."""
    app = next(iter(sandbox.oauth.apps.values()))
    divisions = sorted(sandbox.store.division_codes(), key=lambda code: (code in CAPTURED_DIVISIONS, code))
    sandbox.oauth.user(options.user).current_division = next(iter(divisions), None)
    chain = sandbox.oauth.login(app.client_id, options.user, divisions)
    return orjson.dumps(
        {
            "base_url": base_url,
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "refresh_token": chain.refresh_token,
            "redirect_uri": app.redirect_uris[0],
            "divisions": divisions,
        }
    ).decode()


def _settings(options: argparse.Namespace) -> Settings:
    settings = Settings()
    settings.change(
        {
            "quota": {
                "minute_limit": options.minute_limit,
                "minute_seconds": options.minute_seconds,
                "daily_limit": options.daily_limit,
                "day_seconds": options.day_seconds,
            },
            "errors": {"limit": options.error_limit, "status": options.error_status},
            "tokens": {
                "life_seconds": options.token_life,
                "strict_refresh": options.strict_refresh,
                "reuse_kills_chain": not options.keep_chain,
                "invalid_client_status": options.invalid_client_status,
            },
            "latency_ms": options.latency_ms,
        }
    )
    return settings


def _fill(store: Store, clock: Clock, options: argparse.Namespace) -> None:
    if options.divisions:
        # The bookkeeping is a package of its own and takes its time to load.
        from exact_online_sandbox.books import generate

        generate(store, seed=options.seed, divisions=options.divisions, size=options.size, until=clock.now())
    if options.all_endpoints:
        for code in store.division_codes():
            fill(store, code, until=clock.now())
    if options.real_payloads:
        load_captured(store)


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    objects = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in objects):
        raise argparse.ArgumentTypeError("it takes an object or a list of objects")
    return objects


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time zone such as Europe/London") from None


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 date and time") from None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment
