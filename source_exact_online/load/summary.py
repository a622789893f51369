"""What a person reads when a load has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from source_exact_online.words import counted, printable


@dataclass(slots=True)
class Tally:
    """What was loaded.

    Attributes:
        streams: names of the streams to load.
        rows: rows by stream that are new or were read again, tombstones aside.
        deleted: tombstones by stream.
        failures: why streams are incomplete, by stream.
        error: why the run as a whole has failed; None if it has not.
    """

    streams: Sequence[str]
    rows: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    failures: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


def lines(tally: Tally, place: str, seconds: float, query: str, dataset: str, command: str) -> Iterator[str]:
    """Yield the lines of the summary.

    Args:
        tally: what was loaded.
        place: where to.
        seconds: how long it took.
        query: how to ask a question; {sql} stands for it.
        dataset: schema of the tables.
        command: loads what changes from now on.
    """
    total, deleted = tally.rows.total(), tally.deleted.total()
    touched = [name for name in tally.streams if tally.rows[name] or tally.deleted[name]]
    yield f"Loaded {counted(total, 'row')} of {counted(len(touched), 'stream')} into {place} in {seconds:,.0f} s."
    if touched:
        width = max(len("stream"), *map(len, touched))
        yield ""
        yield f"  {'stream':<{width}}  {'rows':>11}" + (f"  {'deletions':>9}" if deleted else "")
        for name in touched:
            gone = f"  {tally.deleted[name] or '':>9}" if deleted else ""
            yield f"  {name:<{width}}  {tally.rows[name]:>11,}{gone}".rstrip()
        yield ""
    quiet = len(tally.streams) - len(touched) - sum(1 for name in tally.failures if name not in touched)
    if quiet and not tally.error:
        yield f"Nothing new in {counted(quiet, 'other stream' if touched else 'stream')}."
    for why in dict.fromkeys(tally.failures.values()):
        names = [name for name in tally.streams if tally.failures.get(name) == why]
        which = "all streams" if len(names) == len(tally.streams) > 1 else ", ".join(names)
        yield f"INCOMPLETE {which}: {printable(why)}"
    if tally.error and not tally.failures:
        yield f"INCOMPLETE: {printable(tally.error)}"
    if tally.failures or tally.error:
        yield "What was read is loaded. The next load goes on from there." if touched else "Nothing was loaded."
    elif touched:
        yield "A first question:"
        yield ""
        yield query.format(sql=f"select * from {dataset}.{touched[0]} limit 10")
        yield ""
        yield f"Load what changes from now on: {command}"
