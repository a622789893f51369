"""The same listing read by dlt's rest_api source. It leaves dates as they are and proves nothing of a page.

Usage: python -m benchmarks.dlt_source [--extract] BASE_URL
"""

from __future__ import annotations

import argparse
import os
import tempfile

from benchmarks.replay import FIRST_DIVISION, PATH


def main() -> None:
    """Iterate over all transaction lines, or extract them to disk as dlt's pipelines do at first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extract", action="store_true")
    parser.add_argument("base_url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", DLT_DATA_DIR=folder, DLT_PROJECT_DIR=folder)
        import dlt
        from dlt.sources.rest_api import rest_api_source

        endpoint = {
            "path": PATH,
            "params": {"$filter": "Timestamp gt 1L"},
            "data_selector": "d.results",
            "paginator": {"type": "json_link", "next_url_path": "d.__next"},
        }
        source = rest_api_source(
            {
                "client": {"base_url": f"{options.base_url}/api/v1/{FIRST_DIVISION}/"},
                "resources": [{"name": "transaction_lines", "endpoint": endpoint}],
            }
        )
        if options.extract:
            dlt.pipeline("bench", destination="dummy", pipelines_dir=folder).extract(source)
        else:
            print(sum(1 for _ in source.resources["transaction_lines"]))


if __name__ == "__main__":
    main()
