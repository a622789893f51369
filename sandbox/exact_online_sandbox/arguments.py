"""The arguments of the command line."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from exact_online_sandbox import __version__
from exact_online_sandbox.sandbox import DEFAULT_REDIRECT, DEFAULT_USER

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
    net.add_argument(
        "--tls",
        action="store_true",
        help="serve over https with a certificate made for this start; the line of JSON names its file, which a client"
        " has to trust (REQUESTS_CA_BUNDLE, curl --cacert); needs the package cryptography",
    )
    net.add_argument("--no-control", action="store_true", help="switch the control API under /sandbox off")
    net.add_argument("--ready-file", type=Path, metavar="PATH", help="write the line of JSON to this file as well")
    net.add_argument(
        "--connector-config",
        type=Path,
        metavar="PATH",
        help="write a configuration for Airbyte's source-exact-online to this file: site, base_url, credentials",
    )
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

    behaviour = top.add_argument_group("how it behaves where Exact's behaviour is not known (see README.md)")
    behaviour.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting as GET /sandbox/settings shows it, such as figures.age_from_due_date=true; may be repeated",
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


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    objects = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in objects):
        raise argparse.ArgumentTypeError("it takes an object or a list of objects")
    return objects


def _setting(text: str) -> dict[str, Any]:
    name, _, value = text.partition("=")
    try:
        found = orjson.loads(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE with true, false or a number") from None
    for part in reversed(name.split(".")):
        found = {part: found}
    return dict(found)


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
