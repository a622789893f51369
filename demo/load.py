"""The part that is plain PyAirbyte: load the core of Exact Online into a DuckDB file.

`python -m demo.load config.json exact_online.duckdb` reads everything the first time and only what changed from then
on, as PyAirbyte keeps the state in the DuckDB file. With a config.json of your own it loads your own administrations.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

STREAMS = (
    "accounts", "contacts", "addresses", "items", "item_groups", "sales_orders", "sales_order_lines", "sales_invoices",
    "sales_invoice_lines", "purchase_orders", "purchase_order_lines", "purchase_invoices", "purchase_invoice_lines",
    "gl_accounts", "gl_classifications", "transaction_lines", "journals", "financial_periods", "cost_centers",
    "cost_units", "divisions",
)  # fmt: skip
SCHEMA = "exact"
"""Schema of the tables within the DuckDB file, which must not have the same name: DuckDB could not tell them apart."""


def load(config_file: Path, duckdb_file: Path) -> None:
    """Read the streams and merge what comes into the tables of the same names."""
    # PyAirbyte asks for its settings while it is imported.
    os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "NO_LIVE_PROGRESS": "1"}
    import airbyte
    from airbyte.caches import DuckDBCache

    source = airbyte.get_source(
        "source-exact-online",
        local_executable=Path(sys.executable).parent / "source-exact-online",
        config=json.loads(config_file.read_text(encoding="utf-8")),
        streams=list(STREAMS),
        config_change_callback=lambda config: keep(config),
    )

    def keep(config: dict[str, Any]) -> None:
        """Exact's refresh token works once: the next command needs the new one, and so does the next run."""
        source.set_config(config)
        fresh = config_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(config), encoding="utf-8")
        fresh.replace(config_file)

    source.check()
    source.read(cache=DuckDBCache(db_path=duckdb_file, schema_name=SCHEMA))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("duckdb", type=Path)
    options = parser.parse_args()
    load(options.config, options.duckdb)
