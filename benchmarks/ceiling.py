"""The least that a program can do: fetch the pages, parse them, write the rows as lines. It converts nothing.

Usage: python -m benchmarks.ceiling BASE_URL
"""

from __future__ import annotations

import sys

import orjson
import requests

from benchmarks.replay import FIRST_DIVISION, PATH


def main(base_url: str) -> None:
    """Read all transaction lines and write them to stdout."""
    session = requests.Session()
    url: str | None = f"{base_url}/api/v1/{FIRST_DIVISION}/{PATH}?$filter=Timestamp gt 1L"
    while url:
        data = orjson.loads(session.get(url).content)["d"]
        for row in data["results"]:
            sys.stdout.buffer.write(orjson.dumps(row) + b"\n")
        url = data.get("__next")


if __name__ == "__main__":
    main(sys.argv[1])
