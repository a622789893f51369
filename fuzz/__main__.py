"""Fuzz all targets, or some: `python -m fuzz --seconds 60 [target ...]`."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.mutations import run_for
from fuzz.targets import TARGETS, Target

_START_SECONDS = 60
"""Longest that a process of atheris may take beside its fuzzing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; return the exit code: 1 if some target failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"default: {', '.join(target.name for target in TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="of fuzzing in all (default: 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of hypothesis, to repeat a run")
    chosen = parser.parse_args(arguments)
    targets = [target for target in TARGETS if not chosen.targets or target.name in chosen.targets]
    guided = importlib.util.find_spec("atheris") is not None
    seconds = chosen.seconds / len(targets) / (2 if guided else 1)
    print(f"seed {chosen.seed}; {'hypothesis and atheris' if guided else 'hypothesis alone: atheris is not installed'}")
    failed = [target.name for target in targets if not _hypothesis(target, seconds, chosen.seed)]
    if guided:
        failed += [target.name for target in targets if not _atheris(target, seconds)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


def _hypothesis(target: Target, seconds: float, seed: int) -> bool:
    began = time.monotonic()
    try:
        examples = run_for(target, seconds, seed)
    except Exception as error:
        print(f"{target.name}: {type(error).__name__}: {error}", *getattr(error, "__notes__", ()), sep="\n  ")
        return False
    print(f"{target.name:15} hypothesis {examples:8,} examples in {time.monotonic() - began:.0f} s")
    return True


def _atheris(target: Target, seconds: float) -> bool:
    with tempfile.TemporaryDirectory(prefix="fuzz-found-") as folder:
        command = [sys.executable, "-m", "fuzz.guided", target.name, f"-max_total_time={max(1, round(seconds))}"]
        command += [f"-artifact_prefix={folder}/", "-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1"]
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds + _START_SECONDS, check=False
        )
        found = [file.read_bytes() for file in sorted(Path(folder).iterdir())]
    if ended.returncode or found:
        print(f"{target.name}: atheris ended with {ended.returncode}; add to {target.corpus.name} once it is mended:")
        print(*(f"  {data!r}" for data in found), ended.stdout[-2000:], ended.stderr[-2000:], sep="\n")
        return False
    runs = next((line.split()[-1] for line in ended.stderr.splitlines() if "number_of_executed_units" in line), "?")
    print(f"{target.name:15} atheris    {runs:>8} runs in {seconds:.0f} s")
    return True


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(main())
