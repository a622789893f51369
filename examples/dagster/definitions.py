"""Exact Online in Dagster: an asset a stream, a partition a division, many run workers on one login.

dagster dev -f definitions.py
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import exact

GROUPS = {
    "crm": ["accounts", "contacts"],
    "sales": ["sales_invoices", "sales_invoice_lines"],
    "accounting": ["gl_accounts", "journals", "transaction_lines"],
}
"""Streams by group, as in `stream_groups` of the connector; docs/streams.md lists all."""

DIVISIONS_A_RUN = 5
"""A run starts the connector once a group. More divisions share that start; fewer are lost with a worker."""

divisions = dg.DynamicPartitionsDefinition(name="exact_divisions")


def assets_of(group: str, streams: Sequence[str]) -> dg.AssetsDefinition:
    """Return the assets of a group of streams."""

    @dg.multi_asset(
        name=group,
        specs=[dg.AssetSpec(stream, group_name=group) for stream in streams],
        partitions_def=divisions,
        backfill_policy=dg.BackfillPolicy.multi_run(DIVISIONS_A_RUN),
        retry_policy=dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL),
        can_subset=True,
    )
    def sync(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        chosen = sorted(key.to_user_string() for key in context.selected_asset_keys)
        counts = exact.sync(chosen, [int(code) for code in context.partition_keys])
        for stream in chosen:
            yield dg.MaterializeResult(asset_key=stream, metadata={"records": counts[stream]})

    return sync


@dg.sensor(minimum_interval_seconds=24 * 3600, default_status=dg.DefaultSensorStatus.RUNNING)
def new_divisions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Add a partition for each division that the login may read; unread ones start with their first backfill."""
    known = set(context.instance.get_dynamic_partitions("exact_divisions"))
    found = [code for code in map(str, exact.readable_divisions()) if code not in known]
    return dg.SensorResult(dynamic_partitions_requests=[divisions.build_add_request(found)] if found else [])


@dg.schedule(cron_schedule="0 5 * * *", execution_timezone="Europe/Amsterdam", target=dg.AssetSelection.all())
def every_morning(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Read what has changed, after Exact's nightly maintenance. No two runs read one division: they share its quota."""
    codes = list(context.instance.get_dynamic_partitions("exact_divisions"))
    for first in range(0, len(codes), DIVISIONS_A_RUN):
        some = codes[first : first + DIVISIONS_A_RUN]
        tags = {"dagster/asset_partition_range_start": some[0], "dagster/asset_partition_range_end": some[-1]}
        yield dg.RunRequest(run_key=f"{context.scheduled_execution_time:%F} {some[0]}", tags=tags)


defs = dg.Definitions(
    assets=[assets_of(group, streams) for group, streams in GROUPS.items()],
    schedules=[every_morning],
    sensors=[new_divisions],
    executor=dg.in_process_executor,  # a run is one worker process, and reads its groups one after the other
)
