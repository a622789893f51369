"""Every value of every core stream is the sandbox's, for a Dutch and a British administration."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from integration_tests.conftest import StartSandbox
from integration_tests.connector import Run, configured_catalog, stream_schema
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import CORE, assert_same, by_key, parse_time, primary_key, utc_text

INSTANTS = {
    "the last moment of winter time": ("2024-03-31T00:59:59.999+00:00", "2024-03-31T00:59:59.999+00:00"),
    "the first moment of summer time": ("2024-03-31T01:00:00+00:00", "2024-03-31T01:00:00.000+00:00"),
    "half past three on the short night": ("2024-03-31T01:30:00.123+00:00", "2024-03-31T01:30:00.123+00:00"),
    "before the repeated hour": ("2024-10-26T23:59:59.999+00:00", "2024-10-26T23:59:59.999+00:00"),
    "the repeated hour, first time": ("2024-10-27T00:30:00.456+00:00", "2024-10-27T01:30:00.456+00:00"),
    "the repeated hour, second time": ("2024-10-27T01:30:00.456+00:00", "2024-10-27T01:30:00.456+00:00"),
    "after the repeated hour": ("2024-10-27T02:00:00+00:00", "2024-10-27T02:00:00.000+00:00"),
    "a summer's day": ("2024-07-01T22:00:00+00:00", "2024-07-01T22:00:00.000+00:00"),
    "a winter's day": ("2024-01-15T23:00:00.001+00:00", "2024-01-15T23:00:00.001+00:00"),
}
"""What changed when, and what the record has to say: of two possible instants the second, which has passed."""

AMOUNTS = [0.1 + 0.2, 1234567.89, -0.01, 1e-7, 123456789012.345, 2.0**53 + 2, 4503599627370497.5, 0.0, -9075.0]
"""Doubles whose last digit is easily lost, and whole ones, which Exact sends without decimals."""

BUSINESS_DATES = ["2024-03-31T00:00:00", "2024-10-27T00:00:00", "2024-02-29T00:00:00", "1999-12-31T00:00:00"]


@pytest.fixture(scope="module")
def awkward(sandbox: Sandbox) -> dict[str, list[dict[str, Any]]]:
    """Rows with awkward values, put into both divisions: by stream, the rows as the sandbox has them."""
    made: dict[str, list[dict[str, Any]]] = {"gl_accounts": [], "journals": [], "transaction_lines": []}
    for division in sandbox.divisions:
        for number, (moment, _) in enumerate(INSTANTS.values()):
            stamps = {"Created": moment, "Modified": moment}
            account = {"Code": f"DST{number}", "Description": f"Night {number}", **stamps}
            made["gl_accounts"].append(sandbox.insert(division, "financial/GLAccounts", account))
            journal = {"Code": f"N{number}", "Description": f"Night {number}", **stamps}
            made["journals"].append(sandbox.insert(division, "financial/Journals", journal))
        for number, amount in enumerate(AMOUNTS):
            line = {
                "AmountDC": amount,
                "AmountFC": -amount,
                "ExchangeRate": amount,
                "Date": BUSINESS_DATES[number % len(BUSINESS_DATES)],
                "DueDate": BUSINESS_DATES[-number % len(BUSINESS_DATES)],
                "Description": "  blanks before, and after  ",
                "AccountCode": f"{number:>18}",
                "Notes": 'quotes " \\ and \u20ac \u2028 \U0001f600',
                "LineNumber": number,
            }
            made["transaction_lines"].append(sandbox.insert(division, "financialtransaction/TransactionLines", line))
    return made


@pytest.fixture(scope="module")
def first_read(sandbox: Sandbox, awkward: dict[str, list[dict[str, Any]]]) -> Run:
    """One first read of all core streams of two divisions."""
    assert len(sandbox.divisions) == 2
    return sandbox.connection().read(configured_catalog(CORE))


@pytest.mark.parametrize("stream", CORE)
def test_every_value_is_the_sandboxs(stream: str, first_read: Run, sandbox: Sandbox) -> None:
    expected = sandbox.expected(stream)

    assert expected, "a stream without rows proves nothing"
    assert_same(stream, by_key(stream, first_read.records(stream)), expected)


@pytest.mark.parametrize("stream", CORE)
def test_a_first_read_brings_each_key_once_and_no_tombstone(stream: str, first_read: Run) -> None:
    keys = Counter(primary_key(stream, record) for record in first_read.records(stream))

    assert [key for key, count in keys.items() if count > 1] == []
    assert all(None not in key for key in keys)
    assert first_read.tombstones(stream) == []


@pytest.mark.parametrize("stream", CORE)
def test_records_fit_the_schema_of_their_stream(stream: str, first_read: Run) -> None:
    schema = stream_schema(stream)
    validator = Draft7Validator(schema, format_checker=FormatChecker())
    records = first_read.records(stream)

    problems = [f"{error.json_path}: {error.message}" for record in records for error in validator.iter_errors(record)]
    unknown = {name for record in records for name in record} - set(schema["properties"])

    assert problems == []
    assert unknown == set()


def test_both_countries_are_read(first_read: Run, sandbox: Sandbox) -> None:
    countries = {record["Division"]: record["Country"].strip() for record in first_read.records("divisions")}

    assert set(countries) == set(sandbox.divisions)
    assert set(countries.values()) == {"NL", "GB"}
    for stream in CORE:
        assert {record["Division"] for record in first_read.records(stream)} == set(sandbox.divisions), stream


@pytest.mark.parametrize("stream", ["gl_accounts", "journals"], ids=["feed", "list"])
@pytest.mark.parametrize("name", INSTANTS)
def test_instants_are_utc_in_both_nights_that_change_the_clock(
    name: str, stream: str, first_read: Run, awkward: dict[str, list[dict[str, Any]]]
) -> None:
    moment, said = INSTANTS[name]
    ids = {row["ID"] for row in awkward[stream] if parse_time(row["Modified"]) == parse_time(moment)}
    records = [record for record in first_read.records(stream) if record["ID"] in ids]

    assert len(records) == 2
    assert {record["Modified"] for record in records} == {said}
    assert {record["Created"] for record in records} == {said}
    assert utc_text(parse_time(moment)) == said


def test_business_dates_are_not_shifted(first_read: Run, awkward: dict[str, list[dict[str, Any]]]) -> None:
    wanted = {row["ID"]: (row["Date"], row["DueDate"]) for row in awkward["transaction_lines"]}
    found = {
        record["ID"]: (record["Date"], record["DueDate"])
        for record in first_read.records("transaction_lines")
        if record["ID"] in wanted
    }

    assert found == wanted
    assert {date for dates in found.values() for date in dates} == set(BUSINESS_DATES)


def test_amounts_keep_every_digit(first_read: Run, awkward: dict[str, list[dict[str, Any]]]) -> None:
    ids = {row["ID"] for row in awkward["transaction_lines"]}
    records = [record for record in first_read.records("transaction_lines") if record["ID"] in ids]

    assert sorted(record["AmountDC"] for record in records) == sorted([*AMOUNTS, *AMOUNTS])
    assert all(record["AmountFC"] == -record["AmountDC"] for record in records)


def test_integers_beyond_the_reach_of_a_double_are_exact(first_read: Run, sandbox: Sandbox) -> None:
    numbers = {record["Division"]: record["Hid"] for record in first_read.records("divisions")}
    truth = {row["Code"]: row["Hid"] for row in sandbox.truth("system/Divisions")}

    assert numbers == {code: int(hid) for code, hid in truth.items()}
    assert all(isinstance(number, int) for number in numbers.values())
    assert any(number > 2**53 and float(number) != number for number in numbers.values())


def test_row_versions_are_integers(first_read: Run) -> None:
    versions = [record["Timestamp"] for record in first_read.records("accounts")]

    assert versions
    assert all(type(version) is int for version in versions)


def test_padding_is_kept(first_read: Run, awkward: dict[str, list[dict[str, Any]]]) -> None:
    codes = [record["Code"] for record in first_read.records("accounts")]
    ids = {row["ID"] for row in awkward["transaction_lines"]}
    lines = [record for record in first_read.records("transaction_lines") if record["ID"] in ids]

    assert codes
    assert {len(code) for code in codes} == {18}
    assert any(code.startswith(" ") for code in codes)
    assert {record["Description"] for record in lines} == {"  blanks before, and after  "}
    assert {record["Notes"] for record in lines} == {'quotes " \\ and \u20ac \u2028 \U0001f600'}


@pytest.mark.parametrize(
    ("headers", "lines", "header_key"),
    [
        ("sales_invoices", "sales_invoice_lines", "InvoiceID"),
        ("purchase_orders", "purchase_order_lines", "PurchaseOrderID"),
        ("sales_orders", "sales_order_lines", "OrderID"),
        ("purchase_invoices", "purchase_invoice_lines", "InvoiceID"),
    ],
)
def test_lines_find_their_header(headers: str, lines: str, header_key: str, first_read: Run) -> None:
    key = header_key if headers != "purchase_invoices" else "ID"
    known = {(record["Division"], record[key]) for record in first_read.records(headers)}
    referred = {(record["Division"], record[header_key]) for record in first_read.records(lines)}

    assert len(known) == len(first_read.records(headers))
    assert referred
    assert referred <= known


def test_the_ledger_keeps_the_rows_that_head_an_entry(first_read: Run) -> None:
    numbers = Counter(record["LineNumber"] == 0 for record in first_read.records("transaction_lines"))

    assert numbers[True] > 0
    assert numbers[False] > numbers[True]


def test_the_ledger_balances(first_read: Run, awkward: dict[str, list[dict[str, Any]]]) -> None:
    """Debits and credits of each entry cancel out, its head among them: no row is missing or doubled."""
    invented = {row["ID"] for row in awkward["transaction_lines"]}
    sums: Counter[tuple[int, str]] = Counter()
    for record in first_read.records("transaction_lines"):
        if record["ID"] not in invented:
            sums[(record["Division"], record["EntryID"])] += round(record["AmountDC"] * 100)  # cents

    assert sums
    assert {entry: cents for entry, cents in sums.items() if cents} == {}


def test_one_worker_reads_the_same_as_ten(sandbox: Sandbox, first_read: Run) -> None:
    streams = ["accounts", "journals", "sales_invoices", "sales_invoice_lines", "purchase_invoices", "divisions"]

    run = sandbox.connection(num_workers=1).read(streams)

    for stream in streams:
        assert by_key(stream, run.records(stream)) == by_key(stream, first_read.records(stream)), stream


def test_rows_that_the_real_api_once_sent_are_read(start_sandbox: StartSandbox) -> None:
    """Divisions with rows that Exact itself published as examples, far older than what the sandbox invents."""
    sandbox = start_sandbox("--divisions", "0", "--real-payloads")
    streams = ["accounts", "gl_accounts"]

    run = sandbox.connection().read(streams)

    for stream in streams:
        assert run.records(stream)
        assert_same(stream, by_key(stream, run.records(stream)), sandbox.expected(stream))
    sandbox.stop()
