"""The same listing read by an Airbyte manifest that the CDK runs. It leaves dates as they are, too.

Usage: python -m benchmarks.manifest BASE_URL
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.programs import configured, written
from benchmarks.replay import FIRST_DIVISION, PATH, STREAM
from source_exact_online.catalog.schemas import schema


def manifest(base_url: str) -> dict[str, Any]:
    """Return the manifest of a source with one stream."""
    stream = {
        "type": "DeclarativeStream",
        "name": STREAM,
        "primary_key": ["ID"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema(STREAM)},
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": f"{base_url}/api/v1/{FIRST_DIVISION}/",
                "path": PATH,
                "request_parameters": {"$filter": "Timestamp gt 1L"},
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["d", "results"]},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": {"type": "RequestPath"},
                "pagination_strategy": {
                    "type": "CursorPagination",
                    "cursor_value": "{{ response['d']['__next'] }}",
                    "stop_condition": "{{ '__next' not in response['d'] }}",
                },
            },
        },
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [STREAM]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "additionalProperties": True}},
    }


def main(base_url: str) -> None:
    """Read all transaction lines as RECORD messages."""
    from airbyte_cdk.cli.source_declarative_manifest import run

    catalog = configured([STREAM])
    catalog["streams"][0]["sync_mode"] = "full_refresh"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = written(folder, "config.json", {"__injected_declarative_manifest": manifest(base_url)})
        sys.argv[1:] = ["read", "--config", config, "--catalog", written(folder, "catalog.json", catalog)]
        run()


if __name__ == "__main__":
    main(sys.argv[1])
