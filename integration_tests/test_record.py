"""`make record`, rehearsed: nothing personal leaves the recording, and the open questions get their answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from integration_tests.record.__main__ import record
from integration_tests.record.exchanges import Exchange
from integration_tests.record.privacy import Leak, Privacy
from integration_tests.record.questions import QUESTIONS
from integration_tests.sandbox_client import Sandbox


@pytest.fixture(scope="module")
def recorded(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    config = sandbox.config(divisions=sandbox.divisions[:1])
    assert record(config, folder / "files", folder / "tokens.json") == 0
    return folder / "files"


def test_no_name_address_or_amount_is_in_it(recorded: Path, sandbox: Sandbox) -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in recorded.iterdir())
    division = sandbox.divisions[0]
    accounts = sandbox.truth("crm/Accounts", division)
    lines = sandbox.truth("financialtransaction/TransactionLines", division)

    private = {row[name] for row in accounts for name in ("Name", "Email", "Phone", "VATNumber", "ID") if row.get(name)}
    private |= {sandbox.base_url, str(division), "Bearer"}
    amounts = {str(abs(row["AmountDC"])) for row in lines if abs(row["AmountDC"]) > 1000 and row["AmountDC"] % 1}
    assert len(private) + len(amounts) > 100
    assert sorted(one for one in private if one in text) == []
    assert len([one for one in amounts if one in text]) <= 3, "another amount may happen to be one of these"


def test_each_file_is_a_cassette(recorded: Path) -> None:
    for file in recorded.iterdir():
        cassette = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert cassette["version"] == 1
        for one in cassette["interactions"]:
            assert one["response"]["status"]["code"] == 200
            assert json.loads(one["response"]["body"]["string"])["d"] is not None


def test_what_the_sandbox_assumes_is_what_it_shows(
    sandbox: Sandbox, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record(sandbox.config(divisions=sandbox.divisions[:1]), tmp_path / "files", tmp_path / "tokens.json")
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("  ")]

    assert len(lines) == len(QUESTIONS)
    assert {line[2] for line in lines} == {"=", "+", "!"}
    assert [line for line in lines if line.startswith("  !")] == [line for line in lines if "calls a minute" in line]


def test_a_word_that_was_forgotten_stops_the_writing() -> None:
    privacy = Privacy()
    body = {"d": {"results": [{"Name": "Jansen Bakkerij"}]}}
    clean = privacy.scrubbed(Exchange("https://h/api/v1/1/crm/Accounts", 200, {}, json.dumps(body).encode()))

    privacy.check([clean.body.decode()])
    with pytest.raises(Leak, match="bakkerij"):
        privacy.check(["a text about Bakkerij"])


def test_form_stays_where_content_goes() -> None:
    row = {
        "Code": "              1000",
        "Name": "",
        "Email": None,
        "AmountDC": -120,
        "Modified": "/Date(1729850382643)/",
    }
    body = json.dumps({"d": {"results": [row]}}).encode()

    found = Privacy().scrubbed(Exchange("https://h/api/v1/1/crm/Accounts", 200, {"set-cookie": "x"}, body))

    clean = found.rows[0]
    assert (len(clean["Code"]), clean["Code"][:14].strip(), clean["Name"], clean["Email"]) == (18, "", "", None)
    assert clean["AmountDC"] < 0
    assert clean["Modified"] == row["Modified"]
    assert found.headers == {}
