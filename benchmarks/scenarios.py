"""What is measured. Each scenario returns plain data, for benchmarks.report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Cost, middle, run
from benchmarks.programs import COMMANDS, CONNECTOR, config, read_command, written
from benchmarks.replay import STREAM, Served, serving
from source_exact_online.catalog.definitions import Rows, StreamDefinition, Transport, catalog

CORE = (
    "accounts",
    "contacts",
    "addresses",
    "items",
    "item_groups",
    "sales_orders",
    "sales_order_lines",
    "sales_invoices",
    "sales_invoice_lines",
    "purchase_orders",
    "purchase_order_lines",
    "purchase_invoices",
    "purchase_invoice_lines",
    "gl_accounts",
    "gl_classifications",
    "transaction_lines",
    "journals",
    "financial_periods",
    "cost_centers",
    "cost_units",
    "divisions",
)
"""The 21 streams of the README's first table."""

LATENCY = 0.5
"""Seconds before each answer where latency is measured."""

SMALL = 60
"""Rows on a page where it is calls that count."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        rows: of the throughput.
        rounds: runs of each program.
    """

    rows: int = 200_000
    rounds: int = 5

    def of(self, full: int, least: int = 1) -> int:
        """Return a number that belongs to 200,000 rows, scaled down with them."""
        return max(least, full * self.rows // 200_000)


def only_feeds(definition: StreamDefinition) -> bool:
    """Return whether a stream has a feed of its own."""
    return definition.transport is Transport.FEED and definition.rows is Rows.ALL


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def throughput(scale: Scale) -> dict[str, Any]:
    """Read transaction lines of 71 columns with each program, one after the other, several times over."""
    costs: dict[str, list[Cost]] = {}
    with serving(scale.rows) as full, serving(0) as empty, _folder() as folder, _folder() as other:
        commands = {"connector": read_command(folder, config(full.base_url), [STREAM])}
        commands |= {name: [*command, full.base_url] for name, command in COMMANDS.items()}
        commands["connector, no rows"] = read_command(other, config(empty.base_url), [STREAM])
        commands["ceiling, no rows"] = [*COMMANDS["ceiling"], empty.base_url]
        for _ in range(scale.rounds):
            for name, command in commands.items():
                costs.setdefault(name, []).append(run(command))
    return {"rows": scale.rows, "rounds": scale.rounds, "costs": {name: _middle(all_) for name, all_ in costs.items()}}


def startup(scale: Scale) -> dict[str, Any]:
    """Run the verbs that read nothing."""
    costs: dict[str, list[Cost]] = {}
    with serving(0) as server, _folder() as folder:
        given = written(folder, "given.json", config(server.base_url))
        commands = {
            "spec": [*CONNECTOR, "spec"],
            "discover": [*CONNECTOR, "discover", "--config", given],
            "check": [*CONNECTOR, "check", "--config", given],
            "read of an empty stream": read_command(folder, config(server.base_url), [STREAM]),
        }
        for _ in range(scale.rounds):
            for name, command in commands.items():
                costs.setdefault(name, []).append(run(command))
    return {name: _middle(all_) for name, all_ in costs.items()}


def memory(scale: Scale) -> list[dict[str, Any]]:
    """Read ever more rows."""
    found = []
    for rows in (scale.of(40_000), scale.rows, scale.of(1_000_000)):
        with serving(rows, rendered=min(rows, 40_000)) as server, _folder() as folder:
            cost = run(read_command(folder, config(server.base_url), [STREAM]))
        found.append({"rows": rows, **asdict(cost)})
    return found


def latency(scale: Scale) -> list[dict[str, Any]]:
    """Read listings of some pages in many partitions from a server that takes half a second for each answer."""
    feeds = [name for name in CORE if only_feeds(catalog()[name])][:8]
    found = []
    for divisions, streams, pages in ((1, 1, 20), (8, 1, 20), (1, 8, 5), (8, 4, 5), (50, 4, 5)):
        pages = scale.of(pages, 2)
        names = feeds[:streams]
        with (
            serving(pages * SMALL, names, page_size=SMALL, divisions=divisions, latency=LATENCY) as server,
            _folder() as folder,
        ):
            run(read_command(folder, config(server.base_url), names))
            listings = _listing_calls(server, names)
        seconds = max(end for _, _, end in listings) - min(begin for _, begin, _ in listings)
        found.append({"divisions": divisions, "streams": streams, "calls": len(listings), "seconds": seconds})
    return found


def growth(scale: Scale) -> list[dict[str, Any]]:
    """Read streams twice: what does the second run cost, which finds no change?"""
    sizes = [(scale.of(divisions), CORE) for divisions in (50, 200, 500)] + [(scale.of(10), list(catalog()))]
    return [unchanged(divisions, streams) for divisions, streams in sizes]


def unchanged(divisions: int, streams: Sequence[str]) -> dict[str, Any]:
    """Read streams of a row each in some divisions twice; return what the second run costs."""
    with (
        serving(1, [name for name in streams if not catalog()[name].per_login], divisions=divisions) as server,
        _folder() as folder,
    ):
        state = _state_after(folder, read_command(folder, config(server.base_url), streams))
        before = len(server.log())
        output = folder / "output.jsonl"
        with output.open("wb") as stdout:
            cost = run(read_command(folder, config(server.base_url), streams, state), stdout)
        calls = len(server.log()) - before
        states = [line for line in output.read_bytes().splitlines(keepends=True) if line.startswith(b'{"type":"STATE"')]
    return {
        "divisions": divisions,
        "streams": len(streams),
        "calls": calls,
        "states": len(states),
        "state_bytes": sum(map(len, states)),
        **asdict(cost),
    }


def calls(scale: Scale) -> list[dict[str, Any]]:
    """Count the calls of a first read and of one without changes, for the core streams with seven pages each."""
    pages = 7
    with (
        serving(pages * SMALL, [name for name in CORE if not catalog()[name].per_login], page_size=SMALL) as server,
        _folder() as folder,
    ):
        state = _state_after(folder, read_command(folder, config(server.base_url), CORE))
        first = Counter(path for path, _, _ in server.log())
        run(read_command(folder, config(server.base_url), CORE, state))
        second = Counter(path for path, _, _ in server.log()) - first
    definitions = [catalog()[name] for name in CORE]
    return [
        {
            "path": path,
            "streams": [one.name for one in definitions if path.endswith("/" + one.path)],
            "transport": next((one.transport.value for one in definitions if path.endswith("/" + one.path)), ""),
            "first": first[path],
            "second": second[path],
        }
        for path in dict.fromkeys((*first, *second))
    ]


def quota(scale: Scale) -> dict[str, Any]:
    """Read a division alone on its quota of 60 calls a minute, against the sandbox: how much of a minute is used?"""
    from integration_tests.sandbox_client import Sandbox  # it needs the CDK, whose memory children would be charged for

    with _folder() as folder:
        sandbox = Sandbox.start(folder, "--divisions", "1", "--size", str(scale.of(5000)))
        sandbox.post("settings", page_sizes={"sync": 20, "standard": 20})
        run(read_command(folder, sandbox.config(), CORE))
        made = [call for call in sandbox.get("calls")["calls"] if call["division"]]
        sandbox.stop()
    minutes = Counter(call["time"][:16] for call in made)
    whole = [count for _, count in sorted(minutes.items())][1:-1]
    return {
        "calls": len(made),
        "minutes": whole,
        "refused": sum(call["status"] == 429 for call in made),
        "limit": 60,
    }


def _listing_calls(server: Served, streams: Sequence[str]) -> list[tuple[str, float, float]]:
    paths = tuple(catalog()[name].path for name in streams)
    return [call for call in server.log() if call[0].endswith(paths)]


def _state_after(folder: Path, command: Sequence[str]) -> list[Any]:
    """Run a read and return what a platform keeps of its states: the last of each stream."""
    output = folder / "first.jsonl"
    with output.open("wb") as stdout:
        run(command, stdout)
    last = {}
    for line in output.read_bytes().splitlines():
        if line.startswith(b'{"type":"STATE"'):
            state = json.loads(line)["state"]
            last[state["stream"]["stream_descriptor"]["name"]] = state
    return list(last.values())


def _middle(costs: Sequence[Cost]) -> dict[str, float]:
    return asdict(middle(costs))


SCENARIOS: Mapping[str, Callable[[Scale], Any]] = {
    one.__name__: one for one in (throughput, startup, calls, quota, latency, memory, growth)
}
