"""Answers that users of Exact Online and of similar APIs have met: damaged pages, odd values, links in a circle.

Each division of the sandbox damages its answers in a way of its own, so that one run meets them all.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import Connector, Run
from integration_tests.field import (
    DELETED,
    DIVISIONS,
    FEED,
    HEADERS,
    LINES,
    LIST,
    LISTINGS,
    LONG_AGO,
    MANY,
    ME,
    NAVIGATION,
    STREAMS,
    SYNC_TIMESTAMP,
    catalog,
    made_to,
    position,
    rows,
    with_open_items,
)
from integration_tests.sandbox_client import Call, Sandbox
from integration_tests.truth import parse_time

ATTEMPTS = 6
WORDS = "Out of memory, said the server."
DAMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "an error row among rows": ({"kind": "error_row", "text": WORDS}, WORDS),
    "an error beside no rows": ({"kind": "error_beside", "text": WORDS}, WORDS),
    "an error that breaks the JSON": ({"kind": "error_breaks", "text": WORDS}, WORDS),
    "a row without its key": ({"kind": "no_key", "row": 0}, "lacks its key"),
    "another division's row": ({"kind": "other_division", "other": 999, "row": 0}, "division 999"),
}
"""Faults, and what a message has to say of them."""


@dataclass(frozen=True, slots=True)
class Story:
    """A run that met damaged answers, and the one after it.

    Attributes:
        calls: of the first.
        run: the first.
        later: the next one, with its state, when all was well again.
    """

    calls: list[Call]
    run: Run
    later: Run


@pytest.fixture(scope="module")
def field(start_sandbox: StartSandbox) -> Sandbox:
    """A sandbox of ten divisions."""
    return with_open_items(start_sandbox(*MANY))


@pytest.fixture(scope="module")
def peace(field: Sandbox) -> tuple[Connector, Run]:
    """A connection that has read everything while all was well, and that run."""
    connector = field.connection()
    return connector, connector.read(catalog())


def met(field: Sandbox, connector: Connector, streams: Any, state: Any = None) -> Story:
    """Read with the faults that are set now, and once more without."""
    field.forget_calls()
    run = connector.read(catalog(streams), state, succeeds=None)
    calls = field.calls()
    field.clear()
    return Story(calls, run, connector.read(catalog(streams), run.state))


def damaged(field: Sandbox, number: int) -> int:
    """The division that meets a kind of damage."""
    return field.divisions[number]


# -- pages that do not count -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoilt(field: Sandbox, peace: tuple[Connector, Run]) -> Story:
    """Pages of each kind of listing are damaged for good in five divisions; in three others the sync timestamp is."""
    assert peace
    for number, (fault, _) in enumerate(DAMAGES.values()):
        for path in LISTINGS.values():
            field.fault(**fault, path=path, division=field.divisions[number])
    for division, (fault, _) in zip(field.divisions[5:], list(DAMAGES.values())[:3], strict=False):
        field.fault(**fault, path=SYNC_TIMESTAMP, division=division)
    return met(field, field.connection(start_date=LONG_AGO), LISTINGS)


@pytest.mark.parametrize("stream", LISTINGS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_page_that_stays_damaged_ends_the_stream_incomplete_with_exacts_words(
    damage: str, stream: str, field: Sandbox, spoilt: Story, peace: tuple[Connector, Run]
) -> None:
    division, words = damaged(field, list(DAMAGES).index(damage)), DAMAGES[damage][1]
    run = spoilt.run

    assert run.exit_code == 1
    assert run.statuses[stream] == "INCOMPLETE"
    assert rows(division, stream, run) == {}
    (message,) = (one for one in run.errors if f"{stream} in division {division}" in one and "streams are" not in one)
    assert words in message
    assert set(run.failure_types) == {"transient_error"}
    calls = made_to(spoilt.calls, LISTINGS[stream], division)
    assert [call.status for call in calls] == [200] * ATTEMPTS
    assert not position(run, stream, division).keys() & {"cursor", "row_version", "last_read_at", "refreshed_at"}
    assert rows(division, stream, spoilt.later) == rows(division, stream, peace[1])


@pytest.mark.parametrize("stream", LISTINGS)
def test_other_divisions_are_read_as_ever(
    stream: str, field: Sandbox, spoilt: Story, peace: tuple[Connector, Run]
) -> None:
    for division in field.divisions[len(DAMAGES) :]:
        assert rows(division, stream, spoilt.run) == rows(division, stream, peace[1])
    assert spoilt.later.exit_code == 0


def test_a_sync_timestamp_that_stays_damaged_lets_the_feed_begin_at_its_start(field: Sandbox, spoilt: Story) -> None:
    for division in field.divisions[5:8]:
        assert len(made_to(spoilt.calls, SYNC_TIMESTAMP, division)) == ATTEMPTS
        assert made_to(spoilt.calls, LISTINGS[FEED], division)[0].options["$filter"] == "Timestamp gt 1L"
    told = [line for line in spoilt.run.warnings if "from its beginning" in line]
    assert len(told) == 3
    assert all(WORDS in line for line in told)


def test_a_page_that_was_damaged_once_costs_a_call_and_no_row(field: Sandbox, peace: tuple[Connector, Run]) -> None:
    for division, (fault, _) in zip(field.divisions, DAMAGES.values(), strict=False):
        for path in LISTINGS.values():
            field.fault(**fault, path=path, division=division, count=1)

    story = met(field, field.connection(), LISTINGS)

    assert story.run.exit_code == 0
    for stream, path in LISTINGS.items():
        assert story.run.statuses[stream] == "COMPLETE"
        for number, division in enumerate(field.divisions):
            assert rows(division, stream, story.run) == rows(division, stream, peace[1])
            assert len(made_to(story.calls, path, division)) == (2 if number < len(DAMAGES) else 1)


@pytest.fixture(scope="module")
def spoilt_later(field: Sandbox, peace: tuple[Connector, Run]) -> Story:
    """A row of each division is deleted, order charges change; five logs and five lists of headers are damaged."""
    connector, first = peace
    for division in field.divisions:
        keys = list(rows(division, FEED, first))
        field.delete(division, "financialtransaction/TransactionLines", keys[0])
        key = next(iter(rows(division, LINES, first)))
        field.update(division, f"salesorder/{NAVIGATION}", key, {"OrderChargesLineDescription": "changed"})
    for number, (fault, _) in enumerate(DAMAGES.values()):
        inside = {} if fault["kind"] in ("error_beside", "error_breaks") else {"inside": NAVIGATION, "column": "ID"}
        field.fault(**fault, path=DELETED, division=field.divisions[number])
        field.fault(**fault, **inside, path=HEADERS, division=field.divisions[5 + number])
    return met(field, connector, STREAMS, first.state)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_log_of_deletions_that_stays_damaged_does_not_count(
    damage: str, field: Sandbox, spoilt_later: Story, peace: tuple[Connector, Run]
) -> None:
    division, words = damaged(field, list(DAMAGES).index(damage)), DAMAGES[damage][1]
    run, (deleted, *_) = spoilt_later.run, rows(division, FEED, peace[1])

    assert run.statuses[FEED] == "INCOMPLETE"
    assert any(words in message and f"in division {division}" in message for message in run.errors)
    assert len(made_to(spoilt_later.calls, DELETED, division)) == ATTEMPTS
    assert [one for one in run.tombstones(FEED) if one["Division"] == division] == []
    before, after = (position(one, FEED, division)["deletions_read_until"] for one in (peace[1], run))
    assert before == after
    assert [one["ID"] for one in spoilt_later.later.tombstones(FEED) if one["Division"] == division] == [deleted]


@pytest.mark.parametrize("damage", DAMAGES)
def test_lines_inside_headers_that_stay_damaged_do_not_count(
    damage: str, field: Sandbox, spoilt_later: Story, peace: tuple[Connector, Run]
) -> None:
    division, words = damaged(field, 5 + list(DAMAGES).index(damage)), DAMAGES[damage][1]
    run, (changed, *_) = spoilt_later.run, rows(division, LINES, peace[1])

    assert run.statuses[LINES] == "INCOMPLETE"
    assert any(words in message and f"{LINES} in division {division}" in message for message in run.errors)
    assert len(made_to(spoilt_later.calls, HEADERS, division)) == ATTEMPTS
    assert rows(division, LINES, run) == {}
    assert rows(division, LINES, spoilt_later.later)[changed]["OrderChargesLineDescription"] == "changed"


def test_the_list_of_divisions_and_the_user_are_proven_as_well(field: Sandbox) -> None:
    faults = [fault for fault, _ in DAMAGES.values()]
    for fault in faults[:3]:
        field.fault(**fault, path=ME, count=1)
    for fault in faults[:4]:
        field.fault(**fault, path=DIVISIONS, count=1)

    story = met(field, field.connection(), [LIST])

    assert story.run.exit_code == 0
    assert len(made_to(story.calls, ME, None)) == 4
    assert sum(call.endpoint == DIVISIONS for call in story.calls) == 5
    assert {record["Division"] for record in story.run.records(LIST)} == set(field.divisions)


def test_a_list_of_divisions_that_stays_damaged_leaves_none_out_unsaid(field: Sandbox) -> None:
    field.fault("error_row", path=DIVISIONS, text=WORDS)

    story = met(field, field.connection(), [LIST])

    assert story.run.exit_code == 1
    assert story.run.records(LIST) == []
    assert WORDS in story.run.errors[-1]
    assert set(story.run.failure_types) == {"transient_error"}
    assert story.later.exit_code == 0


# -- values ------------------------------------------------------------------------------------------------------------

ODD: dict[str, tuple[bytes, str | None, tuple[str, str, str]]] = {
    "half an emoji": (b'"Sales \\ud83d"', "Sales \ufffd", ("Description", "Description", "AccountName")),
    "a raw control character": (b'"Sales\x0bNL"', "Sales\ufffdNL", ("Currency", "CreatorFullName", "CurrencyCode")),
    "a stray byte": (b'"Caf\xe9"', "Caf\ufffd", ("JournalCode", "GLAccountDescription", "JournalCode")),
    "NUL": (b'"Sales\\u0000NL"', "SalesNL", ("ModifierFullName", "ModifierFullName", "YourRef")),
    "a bare NaN": (b"NaN", None, ("AmountDC", "AmountDC", "Amount")),
    "text in a number": (b'"n/a"', None, ("AmountFC", "Quantity", "AmountInTransit")),
    "a year that no calendar has": (b'"/Date(253402300800000)/"', None, ("Created", "Created", "DueDate")),
    "no date": (b'"0000-00-00T00:00:00"', None, ("Date", "Date", "InvoiceDate")),
}
"""What stands for a value, what becomes of it, and the columns of feed, list and snapshot that meet it."""


@pytest.fixture(scope="module")
def odd(field: Sandbox, spoilt_later: Story) -> tuple[Run, Run]:
    """A run without and one with an odd value in each division's first row; the ninth sends a byte order mark."""
    assert spoilt_later
    good = field.connection().read(catalog(LISTINGS))
    for division, (body, _, columns) in zip(field.divisions, ODD.values(), strict=False):
        for path, column in zip(LISTINGS.values(), columns, strict=True):
            text = base64.b64encode(body).decode()
            field.fault("value", path=path, division=division, column=column, row=0, body_base64=text)
    for path in (*LISTINGS.values(), ME, DIVISIONS):
        field.fault("byte_order_mark", path=path, division=None if path in (ME, DIVISIONS) else field.divisions[8])
    return good, met(field, field.connection(), LISTINGS).run


@pytest.mark.parametrize("stream", LISTINGS)
@pytest.mark.parametrize("what", ODD)
def test_an_odd_value_costs_no_row_and_is_named(what: str, stream: str, field: Sandbox, odd: tuple[Run, Run]) -> None:
    division, (_, repaired, columns) = field.divisions[list(ODD).index(what)], ODD[what]
    column = columns[list(LISTINGS).index(stream)]
    expected, found = (rows(division, stream, run) for run in odd)

    assert odd[1].statuses[stream] == "COMPLETE"
    assert found.keys() == expected.keys()
    (key,) = (key for key, record in found.items() if record != expected[key])
    assert found[key].get(column) == repaired
    assert {**found[key], column: None} == {**expected[key], column: None}
    warnings = [line for line in odd[1].warnings if line.startswith(f"{column} of {stream} ")]
    assert len(warnings) == (what != "NUL")
    assert all(f"division {division}" in line and str(key) in line for line in warnings)


@pytest.mark.parametrize("stream", LISTINGS)
def test_a_byte_order_mark_changes_nothing(stream: str, field: Sandbox, odd: tuple[Run, Run]) -> None:
    good, run = odd

    assert rows(field.divisions[8], stream, run) == rows(field.divisions[8], stream, good)
    assert len(run.warnings) == len(LISTINGS) * (len(ODD) - 1), run.warnings


def test_an_odd_value_in_every_row_is_told_once(field: Sandbox) -> None:
    field.fault("value", path=LISTINGS[LIST], column="AmountDC", body='"n/a"')

    run = met(field, field.connection(), [LIST]).run

    assert all("AmountDC" not in record for record in run.records(LIST))
    assert len(run.records(LIST)) > len(field.divisions)
    assert len(run.warnings) == 1


def test_a_log_of_deletions_with_odd_dates_still_tells_what_was_deleted(field: Sandbox) -> None:
    """The moment at which the log was read stands for a date that is none."""
    connector = field.connection()
    first = connector.read(catalog([FEED]))
    deleted = {division: next(iter(rows(division, FEED, first))) for division in field.divisions[:3]}
    for division, key in deleted.items():
        field.delete(division, "financialtransaction/TransactionLines", key)
    bodies = ['"/Date(253402300800000)/"', '"0000-00-00T00:00:00"', "null"]
    for division, body in zip(deleted, bodies, strict=True):
        field.fault("value", path=DELETED, division=division, column="DeletedDate", body=body)
    began = field.now()

    run = met(field, connector, [FEED], first.state).run

    found = {(one["Division"], one["ID"]): parse_time(one["_ab_cdc_deleted_at"]) for one in run.tombstones(FEED)}
    for one in deleted.items():
        assert abs(found[one] - began) < timedelta(minutes=5)


# -- links -------------------------------------------------------------------------------------------------------------


def test_links_in_a_circle_are_noticed_within_one_round(field: Sandbox) -> None:
    field.post("settings", page_sizes={"standard": 1, "sync": 5})
    circles: list[int | None] = [1, 2, 3, None]
    for division, pages in zip(field.divisions, circles, strict=False):
        for path in (*LISTINGS.values(), DELETED):
            field.fault("circle", path=path, division=division, pages=pages)

    connector = field.connection()
    story = met(field, connector, LISTINGS)
    good = field.connection().read(catalog(LISTINGS))

    for stream, path in LISTINGS.items():
        assert story.run.statuses[stream] == "INCOMPLETE"
        for division, pages in zip(field.divisions, circles, strict=False):
            calls = made_to(story.calls, path, division)
            assert len(calls) == len({tuple(call.options.items()) for call in calls})
            assert pages is None or len(calls) == pages
            (message,) = (
                one
                for one in story.run.errors
                if f"{stream} in division {division}" in one and "streams are" not in one
            )
            assert "does not end" in message
        for division in field.divisions:
            assert rows(division, stream, story.run, story.later) == rows(division, stream, good)
    assert set(story.run.failure_types) == {"transient_error"}


def test_a_log_of_deletions_in_a_circle_does_not_count(field: Sandbox) -> None:
    connector = field.connection()
    first = connector.read(catalog([FEED]))
    division = field.divisions[0]
    keys = list(rows(division, FEED, first))[:3]
    field.delete(division, "financialtransaction/TransactionLines", *keys)
    field.post("settings", page_sizes={"sync": 1})
    field.fault("circle", path=DELETED, division=division, pages=2)

    story = met(field, connector, [FEED], first.state)

    assert story.run.statuses[FEED] == "INCOMPLETE"
    assert len(made_to(story.calls, DELETED, division)) == 2
    assert {one["ID"] for one in story.later.tombstones(FEED)} >= set(keys)


def test_a_list_of_divisions_in_a_circle_is_not_taken_for_all_of_it(field: Sandbox) -> None:
    field.post("settings", page_sizes={"standard": 3})
    field.fault("circle", path=DIVISIONS, pages=2)

    story = met(field, field.connection(), [LIST])

    assert story.run.exit_code == 1
    assert "does not end" in story.run.errors[-1]
    assert sum(call.endpoint == DIVISIONS for call in story.calls) == 2
    assert story.run.records(LIST) == []
