"""`make bench`: measure, and write docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from benchmarks.report import write
from benchmarks.scenarios import SCENARIOS, Scale

FULL = Scale()
RESULTS = Path(__file__).parent / "output" / "results.json"
"""What was measured last, by scenario."""


def main() -> None:
    """Measure some scenarios or all; the document is written from the latest results of each."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL.rows, help="of the throughput; all else is scaled with it")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help="runs of each program")
    parser.add_argument(
        "--only",
        nargs="*",
        default=list(SCENARIOS),
        metavar="SCENARIO",
        help=f"of {', '.join(SCENARIOS)}; none writes the document anew",
    )
    parser.add_argument("--docs", type=Path, help="folder to write to; docs/ itself is written at full scale alone")
    options = parser.parse_args()
    scale = Scale(options.rows, options.rounds)
    RESULTS.parent.mkdir(exist_ok=True)
    is_full = scale.rows == FULL.rows
    kept = RESULTS if is_full else RESULTS.with_name("quick.json")
    results = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    results["machine"] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} on {platform.machine()}",
    }
    for name in options.only:
        print(f"{name} ...", end=" ", flush=True)
        began = time.monotonic()
        results[name] = SCENARIOS[name](scale)
        kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"{time.monotonic() - began:.0f} s", flush=True)
    missing = [name for name in SCENARIOS if name not in results]
    if missing:
        sys.exit(f"Not yet measured, so that nothing is written: {', '.join(missing)}.")
    folder = options.docs or (Path(__file__).parent.parent / "docs" if is_full else RESULTS.parent)
    for path in write(results, folder):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
