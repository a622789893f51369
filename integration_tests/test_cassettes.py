"""The connector against recorded answers, with the network blocked (`make cassettes` records them anew).

The recordings in cassettes/ were made against the sandbox; each answer in them says so. With a configuration of a
trial company in the file that EXACT_ONLINE_RECORD_CONFIG names they are made against Exact Online instead. Everything
runs in this process with one worker: vcrpy mixes answers up when several threads record.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.test import entrypoint_wrapper
from vcr.stubs import VCRHTTPResponse

from integration_tests.connector import Config, configured_catalog
from integration_tests.protocol import latest_config, parse_line
from integration_tests.sandbox_client import Sandbox
from source_exact_online import SourceExactOnline

CASSETTES = Path(__file__).parent / "cassettes"
RECORD_CONFIG = "EXACT_ONLINE_RECORD_CONFIG"
HOST = "start.exactonline.nl"
"""Host in the recordings, whichever one they were made against."""

LISTINGS = {"financial_periods": "financial/FinancialPeriods", "gl_accounts": "sync/Financial/GLAccounts"}
COLUMNS = {
    "financial_periods": ["FinPeriod", "FinYear", "StartDate", "EndDate", "Created"],
    "gl_accounts": ["Code", "Description", "BalanceSide", "Created"],
}
"""A list and a feed, with few columns so that the recordings stay small."""

REDACTED = "REDACTED"
TOKENS = ("access_token", "refresh_token")


def scrub_request(request: Any) -> Any:
    """A request without the address it went to; None for what is said to the sandbox itself."""
    parts = urlsplit(request.uri)
    if parts.path.startswith("/sandbox"):
        return None
    request.uri = parts._replace(scheme="https", netloc=HOST).geturl()
    return request


def scrub_response(response: dict[str, Any]) -> dict[str, Any]:
    """An answer without tokens, cookies and the address it came from; it says what it was recorded against."""
    text = response["body"]["string"].decode()
    for name in TOKENS:
        text = re.sub(rf'("{name}"\s*:\s*")[^"]*"', rf'\g<1>{REDACTED}-{name}"', text)
    text = re.sub(r"https?://(127\.0\.0\.1:\d+|start\.exactonline\.[a-z.]+)(?=/)", f"https://{HOST}", text)
    response["body"]["string"] = text.encode()
    headers = {name: value for name, value in response["headers"].items() if name.lower() not in DROPPED_HEADERS}
    headers["content-length"] = [str(len(response["body"]["string"]))]
    headers["x-recorded-against"] = ["a trial company" if os.environ.get(RECORD_CONFIG) else "the sandbox"]
    response["headers"] = headers
    return response


DROPPED_HEADERS = {"set-cookie", "content-length", "content-encoding", "x-recorded-against"}


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """How answers are recorded and found again."""
    return {
        "filter_headers": [("authorization", REDACTED), "user-agent", "cookie"],
        "filter_post_data_parameters": [(name, REDACTED) for name in ("client_id", "client_secret", "refresh_token")],
        "before_record_request": scrub_request,
        "before_record_response": scrub_response,
        "decode_compressed_response": True,
        "match_on": ["method", "scheme", "host", "port", "path", "query"],
    }


@pytest.fixture(autouse=True)
def replayed_bodies_take_what_real_ones_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """vcrpy hands all arguments of `read1` on to a BytesIO, which takes no `decode_content` as urllib3's bodies do."""

    def read1(self: VCRHTTPResponse, amount: int, *, decode_content: bool) -> bytes:
        assert decode_content
        found: bytes = self._content.read1(amount)
        return found

    monkeypatch.setattr(VCRHTTPResponse, "read1", read1)


@pytest.fixture
def config(record_mode: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Config]:
    """A login to record with, or one that only the recordings know."""
    path = os.environ.get(RECORD_CONFIG)
    if record_mode == "none":
        credentials = {"client_id": REDACTED, "client_secret": REDACTED, "refresh_token": REDACTED}
        yield {"site": "nl", "credentials": credentials, "num_workers": 1}
    elif path is None:
        sandbox: Sandbox = request.getfixturevalue("start_sandbox")("--now", "2025-06-30T12:00:00Z", "--size", "300")
        sandbox.post("settings", page_sizes={"standard": 20, "sync": 40})
        yield sandbox.config(num_workers=1)
        sandbox.stop()
    else:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        yield {**found, "num_workers": 1}
        # The refresh token in the file is spent now.
        messages = [parse_line(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        Path(path).write_text(json.dumps(latest_config(messages, found), indent=2), encoding="utf-8")


def recorded(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Interactions in the recording of a test."""
    path = CASSETTES / "test_cassettes" / f"{request.node.name}.yaml"
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    return found


@pytest.mark.vcr
@pytest.mark.block_network
def test_check_succeeds(config: Config) -> None:
    status = SourceExactOnline().check(logging.getLogger("airbyte"), config)

    assert status.status.value == "SUCCEEDED", status.message


@pytest.mark.vcr
@pytest.mark.block_network
def test_read_brings_each_recorded_row(config: Config, request: pytest.FixtureRequest, record_mode: str) -> None:
    catalog = configured_catalog(LISTINGS, columns=COLUMNS)

    output = entrypoint_wrapper.read(SourceExactOnline(), config, ConfiguredAirbyteCatalogSerializer.load(catalog))

    assert output.errors == []
    found = {(m.record.stream, m.record.data["ID"]): m.record.data for m in output.records if m.record is not None}
    assert found
    if record_mode != "none":
        return  # the recording is not written yet
    pages = {path: recorded_pages(request, path) for path in LISTINGS.values()}
    assert max(len(rows) for rows in pages.values()) > 1, "there has to be a second page"
    expected = {(stream, row["ID"]): row for stream, path in LISTINGS.items() for page in pages[path] for row in page}
    assert found.keys() == expected.keys()
    assert len(output.records) == len(expected)
    for key, row in expected.items():
        for name in ("Code", "Description", "BalanceSide", "FinYear", "FinPeriod"):
            assert found[key].get(name) == row.get(name)


def recorded_pages(request: pytest.FixtureRequest, path: str) -> list[list[dict[str, Any]]]:
    """Rows of each recorded page of a listing."""
    return [
        json.loads(interaction["response"]["body"]["string"])["d"]["results"]
        for interaction in recorded(request)
        if urlsplit(interaction["request"]["uri"]).path.endswith(f"/{path}")
    ]


@pytest.mark.parametrize("path", sorted(CASSETTES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_recordings_hold_no_secret_and_say_where_they_come_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    interactions = yaml.safe_load(text)["interactions"]

    assert interactions
    assert "Bearer " not in text
    assert "ookie" not in text
    assert "127.0.0.1" not in text
    tokens = re.findall(r'"(?:access|refresh)_token"\s*:\s*"([^"]*)"', text)
    assert set(tokens) <= {f"{REDACTED}-{name}" for name in TOKENS}
    for interaction in interactions:
        assert urlsplit(interaction["request"]["uri"]).hostname == HOST
        assert interaction["response"]["headers"]["x-recorded-against"] in (["the sandbox"], ["a trial company"])
        body = str(interaction["request"]["body"] or "")
        assert all(
            value == REDACTED for value in re.findall(r"(?:client_id|client_secret|refresh_token)=([^&]*)", body)
        )
