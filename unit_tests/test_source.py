"""The connector as Airbyte sees it: spec, check, discover and read, each with the sentence a person needs."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteConnectionStatus, FailureType, Status, SyncMode
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online import SourceExactOnline
from source_exact_online.catalog.definitions import catalog
from unit_tests.exact_fakes import (
    SECRETS,
    Answer,
    FakeClock,
    ScriptedApi,
    configured,
    page,
    quota_headers,
    raw_config,
    read,
    refusal,
    row,
)

JOURNALS = "financial/Journals"
ACCOUNTS = "sync/CRM/Accounts"
OUTSIDE = "Forbidden - User division is not within division scope"
SCOPE = "Forbidden - Application Scope Violated. Cannot read 'organization.administration' scope."
LOGGER = logging.getLogger("airbyte.test")


def check(clock: FakeClock, **config: Any) -> AirbyteConnectionStatus:
    return SourceExactOnline(clock).check(LOGGER, raw_config(**config))


class TestDiscover:
    def test_it_needs_neither_token_nor_network(self, clock: FakeClock) -> None:
        found = SourceExactOnline(clock).discover(LOGGER, {}).streams

        assert [stream.name for stream in found] == [
            name for name, one in catalog().items() if one.group != "undocumented"
        ]

    def test_each_stream_shows_key_cursor_and_modes(self, clock: FakeClock) -> None:
        for stream in SourceExactOnline(clock).discover(LOGGER, {}).streams:
            definition = catalog()[stream.name]
            assert stream.source_defined_primary_key is not None
            assert stream.source_defined_primary_key == [[name] for name in (*definition.key, "Division")]
            assert ["Timestamp"] not in stream.source_defined_primary_key
            assert stream.source_defined_cursor is (True if definition.cursor else None) or not definition.cursor
            assert (stream.default_cursor_field or []) == ([definition.cursor] if definition.cursor else [])
            assert (SyncMode.incremental in stream.supported_sync_modes) is (definition.cursor is not None)
            properties = stream.json_schema["properties"]
            assert {name for (name,) in stream.source_defined_primary_key} <= set(properties)
            assert "Division" in properties

    def test_streams_with_a_deletion_log_say_so_in_their_schema(self, clock: FakeClock) -> None:
        for stream in SourceExactOnline(clock).discover(LOGGER, {}).streams:
            logged = catalog()[stream.name].tracks_deletions
            assert ("_ab_cdc_deleted_at" in stream.json_schema["properties"]) is logged


class TestCheck:
    def test_it_asks_for_the_divisions_and_each_of_them(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456).always("hrm/Divisions", page([{"Code": 1}]))

        assert check(clock).status is Status.SUCCEEDED
        assert [(one.division, one.path) for one in api.sent] == [
            (None, "current/Me"),
            (123, "system/Divisions"),
            (123, "hrm/Divisions"),
            (456, "hrm/Divisions"),
        ]

    def test_it_costs_a_handful_of_calls_however_many_divisions_there_are(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.divisions(*range(100, 400)).always("hrm/Divisions", page([]))

        assert check(clock).status is Status.SUCCEEDED
        assert len(api.sent) <= 15

    def test_it_tells_of_an_outage_within_a_minute(self, api: ScriptedApi, clock: FakeClock) -> None:
        """A sync waits for a site that is down; a person who checks does not."""
        api.always("current/Me", refusal(503))
        began = clock.monotonic()

        with pytest.raises(AirbyteTracedException) as raised:
            check(clock)

        assert raised.value.failure_type is FailureType.transient_error
        assert clock.monotonic() - began < 60

    def test_an_unknown_division_is_named_with_those_there_are(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456).always("hrm/Divisions", page([]))

        status = check(clock, divisions=[123, 999])

        assert status.status is Status.FAILED
        assert "Division 999" in str(status.message)
        assert "456 (Company 456)" in str(status.message)

    def test_a_closed_division_is_named(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456)
        api.on("hrm/Divisions", page([]), division=123).on("hrm/Divisions", refusal(403, OUTSIDE), division=456)

        status = check(clock)

        assert status.status is Status.FAILED
        assert "456" in str(status.message)
        assert "exclude_divisions" in str(status.message)

    def test_a_missing_scope_for_the_list_of_divisions_is_no_failure(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.divisions(123).always("system/Divisions", refusal(403, SCOPE))
        api.always("hrm/Divisions", page([{"Code": 123, "Description": "x"}]))

        assert check(clock).status is Status.SUCCEEDED
        assert [line for line in caplog.messages if "Organization administration: Read" in line]

    def test_a_blocked_user_is_told_what_to_do(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always("current/Me", refusal(403, reason="BlockedUser"))

        with pytest.raises(AirbyteTracedException, match="Reactivate the user"):
            check(clock)

    def test_nothing_left_to_read_is_no_success(self, api: ScriptedApi, clock: FakeClock) -> None:
        """A check that succeeds promises that a read will not fail for the configuration."""
        api.divisions(123).always("hrm/Divisions", page([]))

        status = check(clock, exclude_divisions=[123])

        assert status.status is Status.FAILED
        assert "exclude_divisions" in str(status.message)


class TestRead:
    def test_a_run_ends_well_when_each_stream_could_read_a_division(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, page([row("a")]), division=123).on(JOURNALS, refusal(403, "Forbidden"), division=456)

        run = read(clock, configured("journals"))

        assert run.error is None
        assert run.statuses == {"journals": "COMPLETE"}

    def test_an_unknown_division_is_warned_of_and_the_others_are_read(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.divisions(123).on(JOURNALS, page([row("a")]))

        run = read(clock, configured("journals"), divisions=[123, 999])

        assert run.keys("journals") == ["a"]
        assert [line for line in caplog.messages if "Division 999" in line]

    @pytest.mark.parametrize(
        ("config", "word"), [({"divisions": [999]}, "999"), ({"exclude_divisions": [123]}, "exclude_divisions")]
    )
    def test_nothing_to_read_is_a_config_error(
        self, api: ScriptedApi, clock: FakeClock, config: dict[str, Any], word: str
    ) -> None:
        api.divisions(123)

        run = read(clock, configured("journals"), **config)

        assert run.error is not None
        assert run.error.failure_type is FailureType.config_error
        assert word in str(run.error.message)
        assert run.messages == []

    def test_all_divisions_forbidden_is_a_config_error_that_names_the_scope(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.divisions(123, 456).always(JOURNALS, refusal(403, "Application Scope Violated"))
        api.always(ACCOUNTS, page([row("a", 5)]))

        run = read(clock, configured("journals", "accounts"))

        assert run.statuses == {"journals": "INCOMPLETE", "accounts": "COMPLETE"}
        assert run.error is not None
        assert run.error.failure_type is FailureType.config_error
        assert "Financial generalledgers: Read" in str(run.error.message)

    def test_a_spent_day_is_transient_and_the_other_division_goes_on(self, api: ScriptedApi, clock: FakeClock) -> None:
        spent = {name: value for name, value in quota_headers(clock, day=0).items() if "Minutely" not in name}
        api.divisions(123, 456)
        api.on(JOURNALS, page([row("a")], more="1"), Answer(429, headers=spent), division=123)
        api.on(JOURNALS, page([row("b")], more="1"), page([row("c")]), division=456)

        run = read(clock, configured("journals"))

        assert sorted(run.keys("journals")) == ["a", "b", "c"]
        assert run.error is not None
        assert run.error.failure_type is FailureType.transient_error
        assert "00:00 UTC" in str(run.error.message)
        assert run.position("journals", 123)["in_progress"]["next_url"]

    def test_the_gravest_reason_is_the_runs_reason(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123).on(JOURNALS, *[refusal(500)] * 6).on(ACCOUNTS, refusal(403, "Forbidden"))

        run = read(clock, configured("journals", "accounts"))

        assert run.error is not None
        assert run.error.failure_type is FailureType.config_error
        assert "journals" in str(run.error.message)
        assert "Crm accounts: Read" in str(run.error.message)

    def test_a_minute_that_is_spent_is_waited_out(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123)
        api.on(JOURNALS, page([row("a")], more="1", **quota_headers(clock, minute=0)), page([row("b")]))

        run = read(clock, configured("journals"))

        assert run.keys("journals") == ["a", "b"]
        assert run.error is None
        assert sum(clock.slept) == pytest.approx(60, abs=2)

    def test_a_reserve_is_left_to_other_programs(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123)
        api.on(JOURNALS, page([row("a")], more="1", **quota_headers(clock, day=100)))

        run = read(clock, configured("journals"), daily_calls_reserve=100)

        assert run.keys("journals") == ["a"]
        assert run.statuses == {"journals": "INCOMPLETE"}

    def test_at_the_end_it_says_what_it_cost(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")
        api.divisions(123)
        api.on(JOURNALS, page([row("a"), row("b")], more="1"), refusal(503), page([row("c")], **quota_headers(clock)))

        read(clock, configured("journals"))

        said = "\n".join(caplog.messages)
        (line,) = [line.split() for line in said.splitlines() if line.startswith("journals") and "123" in line]
        assert line[:6] == ["journals", "123", "3", "3", "0", "1"], "calls, rows, 429s, faults"
        assert "24 calls a day" in said

    def test_no_secret_is_in_any_output(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        api.divisions(123).on(JOURNALS, *[refusal(500, "Oops")] * 6).on(ACCOUNTS, refusal(400, "Bad Request"))

        run = read(clock, configured("journals", "accounts"))

        said = [str(message) for message in run.messages if message["type"] != "CONTROL"]
        said += [*caplog.messages, str(run.error), str(run.error.internal_message if run.error else "")]
        assert not [text for text in said for secret in SECRETS if secret in text]

    def test_the_login_may_lack_the_list_of_divisions(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123)
        api.always("system/Divisions", refusal(403, SCOPE)).always("hrm/Divisions", refusal(403, "Forbidden"))
        api.on(JOURNALS, page([row("a")]), division=123).on(JOURNALS, page([row("b")]), division=456)

        run = read(clock, configured("journals"), divisions=[123, 456])

        assert run.error is None
        assert run.keys("journals") == ["a", "b"]

    def test_a_cursor_from_the_future_does_not_hide_rows(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123).on(JOURNALS, page([row("a")]), page([row("a")]))
        clock.advance(400 * 86_400)
        later = read(clock, configured("journals"))
        clock.advance(-400 * 86_400)

        run = read(clock, configured("journals"), later.state)

        assert run.keys("journals") == ["a"]
        assert api.asked(JOURNALS)[1].filter is None
