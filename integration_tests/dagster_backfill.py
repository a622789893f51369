"""What `orchestrate` does inside Dagster's environment: start a backfill of all divisions and follow it to its end.

Runs in the folder of examples/dagster. Prints a line of JSON when it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import time

import definitions
import exact
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.execution.backfill import PartitionBackfill

ENDED = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


def start(instance: DagsterInstance, backfill_id: str) -> int:
    """Request a backfill of all streams in all divisions, as the button in Dagster's page does."""
    codes = [str(code) for code in exact.readable_divisions()]
    instance.add_dynamic_partitions("exact_divisions", codes)
    graph = definitions.defs.resolve_asset_graph()
    instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id=backfill_id,
            asset_graph=graph,
            partition_names=codes,
            asset_selection=list(graph.get_all_asset_keys()),
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    return len(codes)


def worker_of(instance: DagsterInstance, run: DagsterRun) -> int | None:
    """The process of a run."""
    for entry in instance.all_logs(run.run_id):
        if found := re.search(
            r"Started process for run \(pid: (\d+)\)|Executing steps in process \(pid: (\d+)\)", entry.message
        ):
            return int(found[1] or found[2])
    return None


def main() -> None:
    """Start, kill if told to, wait and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backfill", required=True, help="id of the backfill")
    parser.add_argument("--kill", action="store_true", help="kill -9 a run worker once rows are coming in")
    parser.add_argument("--timeout", type=float, default=1800.0)
    args = parser.parse_args()
    end = time.monotonic() + args.timeout
    killed: list[str] = []
    seen: set[int] = set()
    with DagsterInstance.get() as instance:
        divisions = start(instance, args.backfill)
        while time.monotonic() < end:
            time.sleep(1)
            runs = [record for record in instance.get_run_records() if _of(record.dagster_run, args.backfill)]
            going = [record.dagster_run for record in runs if record.dagster_run.status is DagsterRunStatus.STARTED]
            workers = {run.run_id: worker_of(instance, run) for run in going}
            seen.update(pid for pid in workers.values() if pid is not None)
            if args.kill and not killed and going and rows() > 0 and (pid := workers[going[-1].run_id]):
                os.kill(pid, signal.SIGKILL)
                killed.append(going[-1].run_id)
            backfill = instance.get_backfill(args.backfill)
            if backfill is not None and backfill.status.value.startswith("COMPLETED"):
                break
        times = [time for record in runs for time in (record.start_time, record.end_time) if time]
        told = {
            "divisions": divisions,
            "runs": len(runs),
            "run_workers": len(seen),
            "statuses": sorted(record.dagster_run.status.value for record in runs),
            "killed": killed,
            "retried": [record.dagster_run.parent_run_id for record in runs if record.dagster_run.parent_run_id],
            "backfill": backfill.status.value if backfill is not None else None,
            "seconds": round(max(times) - min(times), 1) if times else None,
        }
    print(json.dumps(told))


def _of(run: DagsterRun, backfill_id: str) -> bool:
    return run.tags.get("dagster/backfill") == backfill_id


def rows() -> int:
    """How many rows are in the warehouse."""
    with exact.psycopg.connect(exact.WAREHOUSE_URL) as warehouse:
        found = warehouse.execute("SELECT count(*) FROM exact_records").fetchone()
    return int(found[0]) if found else 0


if __name__ == "__main__":
    main()
