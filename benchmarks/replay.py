"""A server that replays pages from memory, so that a benchmark measures the client alone.

It knows the few endpoints that a read needs. Pages are rendered once, at the start.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.schemas import DELETED_AT, schema

ROOT = Path(__file__).resolve().parent.parent
STREAM = "transaction_lines"
PATH = "sync/Financial/TransactionLines"
NULLS = 0.35
"""Share of values that are null, where they may be."""

WORDS = ("kantoorartikelen", "reiskosten", "thee & koffie", 'scherm 27"', "één uur advies")
PAGE_SIZE = 1000
FIRST_DIVISION = 100001


def columns(definition: StreamDefinition) -> dict[str, dict[str, Any]]:
    """Return the columns of a stream with their JSON schemas."""
    properties: dict[str, dict[str, Any]] = schema(definition.name)["properties"]
    return {name: column for name, column in properties.items() if name != DELETED_AT}


def value(name: str, column: dict[str, Any], number: int, rng: random.Random) -> object:
    """Return a value as Exact sends it."""
    types = column["type"]
    if name == "Timestamp":
        return str(number + 2)  # a first read asks for what is greater than 1
    if name == "Division":
        return FIRST_DIVISION
    if name == "ID" and "string" in types:
        return f"{rng.getrandbits(32):08x}-aaaa-bbbb-cccc-{number:012x}"
    if column.get("format") == "date-time":
        span = 86_400_000
        moment = 1_500_000_000_000 + rng.randrange(3000) * span
        instant = column.get("airbyte_type") == "timestamp_with_timezone"
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
        return f"Factuur {rng.choice(WORDS)} €{rng.randrange(10**6)}"
    return f"{rng.getrandbits(32):08x}-1111-2222-3333-{rng.getrandbits(48):012x}"


def row_of(definition: StreamDefinition, number: int, rng: random.Random) -> dict[str, object]:
    """Return a row of a stream."""
    required = {*definition.always_read, "Division", "Timestamp", "LineNumber"}
    return {
        name: None if name not in required and rng.random() < NULLS else value(name, column, number, rng)
        for name, column in columns(definition).items()
    }


def pages(stream: str, rows: int, page_size: int, base_url: str) -> list[bytes]:
    """Return the bodies of a listing's pages, each without its end: whether there is a next page comes after it."""
    rng, definition = random.Random(7), catalog()[stream]
    url = f"{base_url}/api/v1/{FIRST_DIVISION}/{definition.path}"
    bodies = []
    for first in range(0, rows, page_size):
        listed = []
        for number in range(first, min(first + page_size, rows)):
            metadata = {"uri": f"{url}(guid'{number:012x}')", "type": stream}
            listed.append({"__metadata": metadata, **row_of(definition, number, rng)})
        text = json.dumps({"d": {"results": listed}}, separators=(",", ":"), ensure_ascii=False)
        bodies.append(text.removesuffix("}}").encode())
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
        if parts.path == "/log":
            self._answer(json.dumps(self.server.log).encode())
            return
        began = time.time()
        if self.server.latency:
            time.sleep(self.server.latency)
        found = re.match(r"/api/v1/(\d+)/(.+)$", parts.path)
        if parts.path.endswith("/current/Me"):
            self._rows([{"CurrentDivision": FIRST_DIVISION, "UserID": "u", "FullName": "A User"}])
        elif parts.path.endswith("/system/Divisions"):
            numbers = range(FIRST_DIVISION, FIRST_DIVISION + self.server.divisions)
            self._rows([{"Code": one, "Description": f"Division {one}", "DivisionMoveDate": None} for one in numbers])
        elif found is not None and found[2] in self.server.bodies:
            self._page(found[2], found[1].encode(), parse_qs(parts.query))
        else:
            self._rows([])
        self.server.log.append((parts.path, began, time.time()))

    def _page(self, path: str, division: bytes, query: dict[str, list[str]]) -> None:
        server, bodies = self.server, self.server.bodies[path]
        condition = query.get("$filter", [""])[0]
        after = re.search(r"Timestamp gt (\d+)L", condition)
        if "$skiptoken" in query:
            first = int(query["$skiptoken"][0])
        elif after is not None:
            first = int(after[1]) - 1
        else:
            first = server.rows if condition.startswith("Modified ge") else 0
        if first >= server.rows:
            self._rows([])
            return
        body = bodies[first // server.page_size % len(bodies)]
        following = first + server.page_size
        if following < server.rows:
            link = f"{server.base_url}/api/v1/{FIRST_DIVISION}/{path}?$skiptoken={following}"
            body += b',"__next":"%s"' % link.encode()
        if division != b"%d" % FIRST_DIVISION:
            body = body.replace(b"%d" % FIRST_DIVISION, division)
        self._answer(body + b"}}")

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
    """The server.

    Args:
        rows: of each listing.
        streams: those that have rows; all others are empty.
        page_size: rows on a page.
        rendered: rows that differ; a longer listing has them again and again. None means all.
        divisions: how many there are; all have the same rows.
        latency: seconds before each answer.

    Attributes:
        log: answers so far, tokens aside: path, and epoch seconds of their beginning and end.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        rows: int,
        streams: Sequence[str] = (STREAM,),
        *,
        page_size: int = PAGE_SIZE,
        rendered: int | None = None,
        divisions: int = 1,
        latency: float = 0.0,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows = rows
        self.page_size = page_size
        self.divisions = divisions
        self.latency = latency
        self.base_url = f"http://127.0.0.1:{self.server_port}"
        self.log: list[tuple[str, float, float]] = []
        self.bodies = {
            catalog()[one].path: pages(one, min(rows, rendered or rows), page_size, self.base_url) for one in streams
        }


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own, so that its memory is not counted for the programs that are measured."""

    base_url: str

    def log(self) -> list[tuple[str, float, float]]:
        """Return its answers so far, as `Replay` has them."""
        with urlopen(f"{self.base_url}/log") as answer:
            found: list[tuple[str, float, float]] = json.loads(answer.read())
        return found


@contextmanager
def serving(rows: int, streams: Sequence[str] = (STREAM,), **options: float) -> Iterator[Served]:
    """Run a server, with the arguments of `Replay`, while used as a context."""
    command = [sys.executable, "-m", "benchmarks.replay", json.dumps({"rows": rows, "streams": streams, **options})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip())
        finally:
            process.terminate()


def main() -> None:
    """Serve until stopped, with options in JSON; print the address once it is ready."""
    server = Replay(**json.loads(sys.argv[1]))
    print(server.base_url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
