"""A server that replays pages of transaction lines from memory, so that a benchmark measures the client alone.

It knows the few endpoints that a read of one stream needs. Pages are rendered once, at the start.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from datetime import datetime, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

STREAM = "transaction_lines"
PATH = "sync/Financial/TransactionLines"
PAGE_SIZE = 1000
FIRST_DIVISION = 100001


def columns() -> dict[str, dict[str, Any]]:
    """Return the columns of the stream with their JSON schemas."""
    document = json.loads(files("source_exact_online").joinpath(f"schemas/{STREAM}.json").read_text("utf-8"))
    properties: dict[str, dict[str, Any]] = document["properties"]
    return {name: schema for name, schema in properties.items() if name != "_ab_cdc_deleted_at"}


def value(name: str, schema: dict[str, Any], number: int, rng: random.Random) -> object:
    """Return a value as Exact sends it. A third of the columns that may be null are."""
    types = schema["type"]
    if name == "Timestamp":
        return str(number + 1)
    if name == "Division":
        return FIRST_DIVISION
    if name == "ID":
        return f"{rng.getrandbits(32):08x}-aaaa-bbbb-cccc-{number:012x}"
    if name not in ("Modified", "LineNumber") and rng.random() < 0.35:
        return None
    if schema.get("format") == "date-time":
        span = 86_400_000
        moment = 1_500_000_000_000 + rng.randrange(3000) * span
        instant = schema.get("airbyte_type") == "timestamp_with_timezone"
        return f"/Date({moment + (rng.randrange(span) if instant else 0)})/"
    if "number" in types:
        return round(rng.uniform(-10_000, 10_000), 2)
    if "integer" in types:
        return rng.randrange(1, 9999)
    if "boolean" in types:
        return rng.random() < 0.5
    if name.endswith(("Code", "Number")):
        return f"{rng.randrange(10**6):>18}"
    if name.endswith(("Description", "Name", "Notes")):
        return "Factuur kantoorartikelen €" + str(rng.randrange(10**6))
    return f"{rng.getrandbits(32):08x}-1111-2222-3333-{rng.getrandbits(48):012x}"


def pages(rows: int, base_url: str) -> list[bytes]:
    """Return the bodies of all pages."""
    rng, schemas = random.Random(7), columns()
    bodies = []
    for first in range(0, rows, PAGE_SIZE):
        listed = []
        for number in range(first, min(first + PAGE_SIZE, rows)):
            row: dict[str, object] = {name: value(name, schema, number, rng) for name, schema in schemas.items()}
            uri = f"{base_url}/api/v1/{FIRST_DIVISION}/{PATH}(guid'{row['ID']}')"
            listed.append({"__metadata": {"uri": uri, "type": "Exact.Web.Api.Models.Sync.TransactionLine"}, **row})
        data: dict[str, object] = {"results": listed}
        if first + PAGE_SIZE < rows:
            data["__next"] = f"{base_url}/api/v1/{FIRST_DIVISION}/{PATH}?$skiptoken={first + PAGE_SIZE}L"
        bodies.append(json.dumps({"d": data}, separators=(",", ":"), ensure_ascii=False).encode())
    return bodies


class Handler(BaseHTTPRequestHandler):
    """Answers from memory."""

    protocol_version = "HTTP/1.1"
    server: Replay

    def do_POST(self) -> None:
        """Give tokens."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        tokens = {"access_token": "a" * 900, "refresh_token": "r" * 900, "expires_in": "600", "token_type": "bearer"}
        self._answer(json.dumps(tokens).encode())

    def do_GET(self) -> None:
        """Give the page that was asked for."""
        parts = urlsplit(self.path)
        if self.server.latency:
            time.sleep(self.server.latency)
        if parts.path.endswith("/current/Me"):
            self._rows([{"CurrentDivision": FIRST_DIVISION, "UserID": "u", "FullName": "A User"}])
        elif parts.path.endswith("/system/Divisions"):
            numbers = range(FIRST_DIVISION, FIRST_DIVISION + self.server.divisions)
            self._rows([{"Code": one, "Description": f"Division {one}", "DivisionMoveDate": None} for one in numbers])
        elif parts.path.endswith(PATH):
            query = parse_qs(parts.query)
            token = query.get("$skiptoken", ["0L"])[0]
            after = re.search(r"gt (\d+)L", query.get("$filter", [""])[0])
            start = int(token.rstrip("L")) if "$skiptoken" in query else int(after[1]) - 1 if after else 0
            page = start // PAGE_SIZE
            self._answer(self.server.bodies[page] if page < len(self.server.bodies) else b'{"d":{"results":[]}}')
        else:
            self._rows([])

    def _rows(self, rows: list[dict[str, object]]) -> None:
        self._answer(json.dumps({"d": {"results": rows}}).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response_only(200)
        reset = int(time.time() // 60 + 1) * 60_000
        for name, content in {
            "Date": format_datetime(datetime.now(timezone.utc), usegmt=True),
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "X-RateLimit-Limit": "5000000",
            "X-RateLimit-Remaining": "4900000",
            "X-RateLimit-Reset": str(int(time.time() // 86_400 + 1) * 86_400_000),
            "X-RateLimit-Minutely-Limit": "600000",
            "X-RateLimit-Minutely-Remaining": "590000",
            "X-RateLimit-Minutely-Reset": str(reset),
        }.items():
            self.send_header(name, content)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Replay(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(self, rows: int, divisions: int = 1, latency: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.divisions = divisions
        self.latency = latency
        self.base_url = f"http://127.0.0.1:{self.server_port}"
        self.bodies = pages(rows, self.base_url)


def main() -> None:
    """Serve until stopped; print the address once it is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--divisions", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    server = Replay(options.rows, options.divisions, options.latency)
    print(server.base_url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
