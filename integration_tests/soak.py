"""Simulated weeks of one connection: a sync an hour, in processes of their own, and whatever can happen meanwhile.

    python -m integration_tests.soak --days 7 --divisions 20 --seed 1

Books change all the time, also while they are read. Answers are damaged or missing, divisions are closed for some
hours, the site is down each night, syncs are killed at any request and resumed from what the destination took, access
tokens live for ten minutes, the runner loses some of the configurations that it is handed, and the token file makes up
for it. Each evening two syncs in peace have to make the destination equal to the books. Memory and file descriptors
stay what they were, and no call for tokens is ever refused.

The same seed tells the same story again; where several workers read side by side, their requests may change places.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from statistics import median

from exact_online_sandbox.api import Api
from exact_online_sandbox.authorize import TOKEN, Authorization
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.sandbox import DEFAULT_USER
from integration_tests.business import COLUMNS, KINDS, ORDINARY, SNAPSHOT, Business
from integration_tests.destination import Destination
from integration_tests.direct import CLIENT, DirectSandbox, configured
from integration_tests.forked import Ended, Event, run_forked
from integration_tests.outputs import OUTPUTS
from integration_tests.protocol import latest_config, members
from integration_tests.trouble import OTHERWISE_DAMAGED, OUTAGES, ROWS_DAMAGED, Trouble

BEGIN = datetime(2025, 10, 25, 12, 0, tzinfo=timezone.utc)
"""The first night has the hour that the clock shows twice."""

MAINTENANCE = {"kind": "maintenance", "between": ["04:00", "04:30"], "retry_after": "date"}
FEWEST, MOST = 4, 20
"""Rows of a kind in a division: with fewer, none is deleted, with more, none is added."""

GROWTH_KB, GROWTH_A_DAY_KB = 8_000, 1_000
"""What a sync's memory may grow by after the first day: by chance, and for pages that its parent changes meanwhile."""

GROWTH_BLOCKS, GROWTH_A_DAY_BLOCKS = 20_000, 10_000
"""Memory blocks that the parent may add after the first day: by chance, and for tombstones, which stay for good."""

LARGEST_SYNC_KB = 120_000
"""What no sync may take beyond what it shares with its parent, however much has piled up for it."""


@dataclass(slots=True)
class Figures:
    """What has happened so far.

    Attributes:
        ends: how syncs ended.
        changes: of the books.
        faults: answers that were spoilt, by kind; `closed division` counts divisions.
        kills: by signal.
        errors: closing errors of syncs, by type.
        refreshes: new tokens.
        token_faults: calls for tokens that met a fault.
        refused: calls for tokens that Exact refused.
        requests: of all syncs.
        late: hours in which the sync before was still running.
    """

    ends: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    refreshes: int = 0
    token_faults: int = 0
    refused: int = 0
    requests: int = 0
    late: int = 0

    def summary(self) -> str:
        """The totals, for a line."""
        names = ("syncs", "changes", "faults", "kills")
        counts = (self.ends, self.changes, self.faults, self.kills)
        sums = [f"{count.total()} {name}" for name, count in zip(names, counts, strict=True)]
        return f"{', '.join(sums)}, {self.requests} requests, {self.refreshes} refreshes"


@dataclass(frozen=True, slots=True)
class Size:
    """What the long-lived process takes up, and a day's syncs: the one in the middle, and the most of any.

    The long-lived one, the parent, holds the sandbox and the destination. Its resident memory is told, but says little:
    it stays where the longest output of a sync has driven it, as the few rows that are kept lie between the many that
    are not. What it keeps is counted in the interpreter's memory blocks.
    """

    rss_kb: int
    blocks: int
    descriptors: int
    sync_kb: int
    largest_sync_kb: int
    sync_descriptors: int

    def __str__(self) -> str:
        return (
            f"memory {self.rss_kb / 1024:.1f} MB, {self.blocks} blocks, {self.descriptors} descriptors; "
            f"a sync {self.sync_kb / 1024:.1f} MB, "
            f"at most {self.largest_sync_kb / 1024:.1f} MB and {self.sync_descriptors} descriptors"
        )


class Soak:
    """One connection over its life.

    Args:
        seed: of everything that is left to chance.
        divisions: their number.
        folder: for files.
    """

    def __init__(self, seed: int, divisions: int, folder: Path) -> None:
        self.figures = Figures()
        self.sandbox = DirectSandbox(tuple(range(1001, 1001 + divisions)), BEGIN)
        self.business = Business(self.sandbox)
        self.destination = Destination()
        self._chance = random.Random(seed)
        self._folder = folder
        self._box = self.sandbox.box
        self._api, self._authorization = Api(self._box), Authorization(self._box)
        self._closed_until: dict[int, datetime] = {}
        self._ended: list[tuple[int, int]] = []
        """Memory (kB) and descriptors of the syncs since they were last asked for."""
        self._box.settings.change(
            {
                "quota": {"minute_limit": 60, "daily_limit": 5000},
                "errors": {"limit": 10},
                "tokens": {"life_seconds": 600},
            }
        )
        refresh_token = self._box.oauth.login(CLIENT[0], DEFAULT_USER, self.sandbox.divisions).refresh_token
        self._config = {
            "site": "nl",
            "lookback_window_minutes": 30,
            "credentials": {
                "client_id": CLIENT[0],
                "client_secret": CLIENT[1],
                "refresh_token": refresh_token,
                "token_file": str(folder / "tokens.json"),
            },
        }
        streams = [configured(name, columns, full=name == SNAPSHOT.stream) for name, columns in COLUMNS.items()]
        (folder / "catalog.json").write_text(json.dumps({"streams": streams}))
        for _ in range((FEWEST + MOST) // 2):
            for division in self.sandbox.divisions:
                for kind in (*KINDS, SNAPSHOT):
                    self.business.insert(kind, division, BEGIN - timedelta(days=self._chance.randrange(400)))

    # -- a day -----------------------------------------------------------------------------------------------------

    def day(self, number: int) -> Size:
        """Let a day pass, and hold the destination against the books.

        Args:
            number: of the day, from 0.
        """
        for hour in range(24):
            begin = BEGIN + timedelta(days=number, hours=hour, minutes=self._chance.randrange(25))
            if self.sandbox.now() > begin:
                self.figures.late += 1
                continue
            self._box.clock.set(begin)
            for _ in range(self._chance.randrange(len(self.sandbox.divisions) * 3)):
                self._change()
            self._open_and_close(begin)
            while self._sync(self._chance.random() < 0.5, self._kill()).signal is not None:
                pass  # the platform begins again at once
        self._closed_until.clear()
        for _ in range(2):  # the first one ends what was under way
            self._in_peace()
        problems = [
            problem
            for stream in COLUMNS
            for division in self.sandbox.divisions
            for _, problem, _ in self.business.problems(self.destination, stream, division)
        ]
        assert not problems, f"{len(problems)} differences on day {number}, such as: " + "; ".join(problems[:5])
        assert self.figures.refused == 0, "a call for tokens was refused"
        self._box.calls.clear()
        return self.size()

    def _in_peace(self) -> None:
        ended = self._sync(troubled=False, kill=None, rate=0)
        statuses = [trace.get("stream_status", {}) for trace in members(ended.messages, "TRACE")]
        complete = {one["stream_descriptor"]["name"] for one in statuses if one.get("status") == "COMPLETE"}
        assert ended.exit_code == 0, self._explain(ended)
        assert complete == set(COLUMNS), self._explain(ended)

    def _kill(self) -> tuple[Signals, int] | None:
        """A signal and the event before which it comes, two times in five."""
        chance = self._chance
        signal = chance.choice((SIGKILL, SIGKILL, SIGTERM))
        event = chance.randrange(chance.choice((1, 10, 30)) * len(self.sandbox.divisions))
        return (signal, event) if chance.random() < 0.4 else None

    def size(self) -> Size:
        """What is taken up now, and by the syncs since the last time."""
        memory, descriptors = zip(*self._ended, strict=True) if self._ended else ((0,), (0,))
        self._ended.clear()
        gc.collect()
        (rss,) = (line.split()[1] for line in Path("/proc/self/status").read_text().split("\n") if "VmRSS" in line)
        blocks, mine = sys.getallocatedblocks(), len(os.listdir("/proc/self/fd"))
        return Size(int(rss), blocks, mine, int(median(memory)), max(memory), max(descriptors))

    # -- what happens ----------------------------------------------------------------------------------------------

    def _change(self) -> None:
        chance = self._chance
        kind, division = chance.choice((*KINDS, SNAPSHOT)), chance.choice(self.sandbox.divisions)
        what = chance.choice((*ORDINARY, *ORDINARY, "batch", "rename"))
        rows = self.sandbox.store.count(division, kind.entity)
        if what == "delete" and rows <= FEWEST:
            what = "insert"
        elif what in ("insert", "insert late", "create again") and rows >= MOST:
            what = "delete"
        late = timedelta(minutes=0 if what == "create again" else chance.randrange(30))
        if chance.random() < 0.002:
            what = "move"
            self.business.move(division)
        else:
            self.business.happen(what, kind, division, chance.randrange(MOST), late)
        self.figures.changes[what] += 1

    def _open_and_close(self, now: datetime) -> None:
        """Open the divisions whose time has come, and now and then close another for some hours."""
        self._closed_until = {code: until for code, until in self._closed_until.items() if until > now}
        if self._chance.random() < 0.15:
            division = self._chance.choice(self.sandbox.divisions)
            self._closed_until[division] = now + timedelta(hours=self._chance.randrange(1, 9))
            self.figures.faults["closed division"] += 1

    def _trouble(self) -> None:
        chance, divisions = self._chance, self.sandbox.divisions
        for _ in range(chance.randrange(1, 4)):
            kind = chance.choice((*ROWS_DAMAGED, *OTHERWISE_DAMAGED, *OUTAGES, "drip"))
            # What spoils the answer of a call for tokens costs the login, as it would at Exact: only outages meet it.
            division = chance.randrange(len(divisions) + (kind in OUTAGES))
            trouble = Trouble(
                kind, chance.randrange(20), division, chance.choice((0, 0, 1, 2, 3)), chance.choice((1, 2, 5, 7, None))
            )
            trouble.begin(self._box, divisions, sorted(COLUMNS), **({"seconds": 0.02} if kind == "drip" else {}))

    # -- a sync ----------------------------------------------------------------------------------------------------

    def _sync(self, troubled: bool, kill: tuple[Signals, int] | None, rate: float = 0.1) -> Ended:
        """Run one sync.

        Args:
            troubled: whether some answers are spoilt.
            kill: a signal, and the number of the event before which it is sent.
            rate: changes an event.
        """
        chance, box = self._chance, self._box
        page, pace = chance.choice((2, 5, 1000)), chance.choice((0.05, 0.5, 2.0, 6.0))
        box.settings.change({"page_sizes": {"standard": page, "sync": page, "expanded": page - 1}})
        box.faults.add(MAINTENANCE)
        for division in self._closed_until:
            box.rights.deny({"kind": "blocked", "reason": "LicenseExpired", "division": division})
        if troubled:
            self._trouble()
        # A listing that was begun before its division was closed cannot be read to its end, and says so.
        may_fail = troubled or bool(self._closed_until)
        self.destination.begin_full(SNAPSHOT.stream)
        workers = chance.choice((1, 1, 4))
        # Other workers go on at once while one saves its tokens, and a kill in that moment may lose them.
        unsaved = 0 if workers == 1 else 8
        events = quiet_until = 0

        def before(event: Event) -> Signals | None:
            nonlocal events, quiet_until
            events += 1
            if isinstance(event, Request):
                if event.path == TOKEN:
                    quiet_until = events + unsaved
                self.figures.requests += 1
                box.clock.advance(pace)
            if chance.random() < rate:
                self._change()
            may_die = kill is not None and (kill[0] is SIGTERM or not 0 < quiet_until - events < unsaved)
            return kill[0] if kill is not None and may_die and events > kill[1] else None

        ended = run_forked(self._arguments(workers), self._folder, box.clock, self._answer, before)
        for fault in box.faults.describe():
            self.figures.faults.update({fault["kind"]: fault["hits"]} if fault["hits"] else {})
        box.faults.clear()
        box.rights.allow_all()
        self._take(ended, may_fail=may_fail)
        return ended

    def _arguments(self, workers: int) -> list[str]:
        config = {**self._config, "num_workers": workers}
        states = list(self.destination.states_of(COLUMNS).values())
        for name, content in (("config", config), ("state", states)):
            (self._folder / f"{name}.json").write_text(json.dumps(content))
        paths = {name: str(self._folder / f"{name}.json") for name in ("config", "catalog", "state")}
        return ["read", *(part for name, path in paths.items() for part in (f"--{name}", path))]

    def _answer(self, request: Request) -> Answer:
        if request.path != TOKEN:
            return self._api.handle(request)
        answer = self._authorization.handle(request)
        (call,) = self._box.token_calls.describe()
        self._box.token_calls.clear()
        self.figures.refreshes += call["status"] == 200 and call["fault"] is None
        self.figures.token_faults += call["fault"] is not None
        self.figures.refused += call["status"] != 200 and call["fault"] is None
        return answer

    def _take(self, ended: Ended, *, may_fail: bool) -> None:
        """What arrives at the destination and the runner."""
        messages = ended.messages
        if ended.signal is SIGKILL:  # what it wrote last may not have been read: as if killed a little earlier
            messages = messages[: max(0, len(messages) - self._chance.randrange(60))]
        for message in messages:
            self.destination.take(message)
        if self._chance.random() < 0.5:  # else the runner forgets
            self._config = latest_config(messages, self._config)
        OUTPUTS.keep(*ended.output)
        self._ended.append((ended.memory_kb, ended.descriptors))
        errors = [trace["error"]["failure_type"] for trace in members(ended.messages, "TRACE") if "error" in trace]
        if ended.signal is not None:
            self.figures.kills[ended.signal.name] += 1
            self.figures.ends["killed"] += 1
            assert ended.exit_code in (-ended.signal, 0, 1), self._explain(ended)
        else:
            self.figures.ends["incomplete" if ended.exit_code else "complete"] += 1
            self.figures.errors.update(errors[-1:])
            assert ended.exit_code in ((0, 1) if may_fail else (0,)), self._explain(ended)
        assert "system_error" not in errors, self._explain(ended)

    def _explain(self, ended: Ended) -> str:
        stdout, stderr = ended.output
        told = [line for line in stdout.split("\n") if '"type":"LOG"' in line or '"type":"ERROR"' in line]
        return f"exit code {ended.exit_code}\n" + "\n".join(told[-30:]) + f"\n{stderr[-2000:]}"


def run(days: int, divisions: int, seed: int, folder: Path, say: Callable[[str], None] = print) -> Figures:
    """Tell a story.

    Args:
        days: its length.
        divisions: their number.
        seed: of everything that is left to chance.
        folder: for files.
        say: takes lines about how it goes.

    Raises:
        AssertionError: something was wrong; the text says what.
    """
    began = time.monotonic()
    say(f"{days} days of {divisions} divisions, seed {seed}")
    random.seed(seed)  # each sync is forked with it, and draws the length of its pauses
    soak = Soak(seed, divisions, folder)
    figures, sizes = soak.figures, [soak.size()]
    say(f"at the start: {sizes[0]}")
    try:
        for number in range(days):
            sizes.append(soak.day(number))
            say(f"day {number + 1} after {time.monotonic() - began:.0f} s: {figures.summary()}; {sizes[-1]}")
    except BaseException:
        say("\n".join([*list(soak.business.diary)[-60:], f"seed {seed}"]))
        raise
    finally:
        soak.sandbox.store.close()
    for secrets in soak.sandbox.box.oauth.issued().values():
        OUTPUTS.keep_secrets(secrets)
    assert OUTPUTS.leaks() == [], "a secret stands in what a sync wrote"
    start, first, last = sizes[0], sizes[1], sizes[-1]
    for name, by_chance, a_day in (
        ("blocks", GROWTH_BLOCKS, GROWTH_A_DAY_BLOCKS),
        ("sync_kb", GROWTH_KB, GROWTH_A_DAY_KB),
    ):
        growth = getattr(last, name) - getattr(first, name)
        assert growth < by_chance + days * a_day, f"{name} has grown by {growth}: {[*map(str, sizes)]}"
    assert max(size.largest_sync_kb for size in sizes) < LARGEST_SYNC_KB, f"a sync has taken {[*map(str, sizes)]}"
    assert last.descriptors == start.descriptors, f"file descriptors are left open: {sizes}"
    assert last.sync_descriptors <= first.sync_descriptors + 2, f"a sync leaves file descriptors open: {sizes}"
    for title in ("ends", "changes", "faults", "kills", "errors"):
        say(f"{title}: {', '.join(f'{number} {what}' for what, number in getattr(figures, title).most_common())}")
    say(f"{figures.token_faults} calls for tokens met a fault, {figures.refused} were refused")
    say(f"{figures.late} hours in which the sync before was still running")
    return figures


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--divisions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        run(options.days, options.divisions, options.seed, Path(folder))


if __name__ == "__main__":
    main()
