"""Which administrations a login may read, however little of that Exact tells."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import (
    NEVER_MOVED,
    CurrentUser,
    Division,
    accessible_divisions,
    closed,
    current_user,
)
from source_exact_online.api.errors import IncompleteError, LoginUnusableError
from unit_tests.exact_fakes import Answer, ScriptedApi, client_of, lost, page, quota_headers, refusal

ALL = "system/Divisions"
ONE_LICENCE = "hrm/Divisions"
ME = "current/Me"
SCOPE = "Forbidden - Application Scope Violated. Cannot read 'organization.administration' scope."
OUTSIDE = "Forbidden - User division is not within division scope"


@pytest.fixture
def client(api: ScriptedApi) -> ExactClient:
    return client_of(api)


def listed(*codes: int) -> Answer:
    return page([{"Code": code, "Description": f"Company {code}", "DivisionMoveDate": None} for code in codes])


def me(code: object) -> Answer:
    return page([{"CurrentDivision": code}])


def paths(api: ScriptedApi) -> list[tuple[int | None, str]]:
    return [(one.division, one.path) for one in api.sent]


def test_without_configuration_the_current_division_leads_to_all(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ME, me(7)).on(ALL, listed(7, 8))

    found = accessible_divisions(client)

    assert list(found.divisions) == [7, 8]
    assert (found.complete, found.url_division, found.warning) == (True, 7, None)
    assert paths(api) == [(None, ME), (7, ALL)]


@pytest.mark.parametrize(("code", "division"), [("7", 7), (7.0, 7), (True, None), ("seven", None), (None, None)])
def test_the_current_division_is_a_number_however_it_is_spelt(
    api: ScriptedApi, client: ExactClient, code: object, division: int | None
) -> None:
    api.on(ME, me(code))

    if division is None:
        with pytest.raises(AirbyteTracedException, match="no current administration"):
            current_user(client)
    else:
        assert current_user(client).division == division


def test_configured_divisions_need_no_look_at_the_current_one(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ALL, listed(7, 8, 9))

    assert list(accessible_divisions(client, (8, 9)).divisions) == [7, 8, 9]
    assert paths(api) == [(8, ALL)]


def test_all_pages_of_divisions_are_read(api: ScriptedApi, client: ExactClient) -> None:
    first = page([{"Code": code} for code in range(1, 61)], more="60")
    api.on(ME, me(1)).on(ALL, first, page([{"Code": 61}]))

    assert len(accessible_divisions(client).divisions) == 61


def test_name_and_move_date_are_kept(api: ScriptedApi, client: ExactClient) -> None:
    row = {"Code": 7, "Description": "Bakery", "DivisionMoveDate": "/Date(1700000000000)/"}
    api.on(ALL, page([row, {"Code": 8, "Description": None, "DivisionMoveDate": None}]))

    assert accessible_divisions(client, (7,)).divisions == {
        7: Division(7, "Bakery", "/Date(1700000000000)/"),
        8: Division(8, "", NEVER_MOVED),
    }


def test_without_the_scope_the_list_of_one_licence_serves(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ME, me(7)).on(ALL, refusal(403, SCOPE))
    api.on(ONE_LICENCE, page([{"Code": 7, "Description": "Bakery"}]))

    found = accessible_divisions(client)

    assert found.divisions == {7: Division(7, "Bakery", None)}
    assert not found.complete, "other licences may have more"
    assert "Organization administration: Read" in str(found.warning)


def test_with_both_lists_forbidden_the_configured_divisions_are_read(api: ScriptedApi, client: ExactClient) -> None:
    api.always(ALL, refusal(403, SCOPE)).always(ONE_LICENCE, refusal(403, "Forbidden")).always(ME, me(8))

    found = accessible_divisions(client, (8, 9))

    assert list(found.divisions) == [8, 9]
    assert not found.complete
    assert "8, 9" in str(found.warning)
    assert len(paths(api)) <= 3, "the same question is not asked twice"


def test_with_both_lists_forbidden_the_current_division_is_what_is_left(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ME, me(7)).on(ALL, refusal(403, SCOPE)).on(ONE_LICENCE, refusal(404))

    found = accessible_divisions(client)

    assert list(found.divisions) == [7]
    assert found.url_division == 7
    assert "7" in str(found.warning)


def test_empty_lists_are_no_answer(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ME, me(7)).on(ALL, page([])).on(ONE_LICENCE, page([]))

    found = accessible_divisions(client)

    assert list(found.divisions) == [7]
    assert found.warning


def test_a_configured_division_outside_the_consent_does_not_hide_the_others(
    api: ScriptedApi, client: ExactClient
) -> None:
    api.always(ALL, refusal(403, OUTSIDE), division=99).always(ONE_LICENCE, refusal(403, OUTSIDE), division=99)
    api.on(ME, me(7)).on(ALL, listed(7, 8), division=7)

    found = accessible_divisions(client, (99, 8))

    assert list(found.divisions) == [7, 8]
    assert (found.complete, found.url_division) == (True, 7)


def test_a_number_that_comes_as_text_is_the_number(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ALL, page([{"Code": "8"}, {"Code": 7}]))

    assert list(accessible_divisions(client, (7,)).divisions) == [8, 7]


def test_a_list_with_rows_that_are_no_divisions_is_damaged_and_asked_again(
    api: ScriptedApi, client: ExactClient
) -> None:
    api.on(ALL, page([{"Code": "x"}, {"Code": 7}]), page([{"Code": 7}, {"Code": 8}]))

    assert list(accessible_divisions(client, (7,)).divisions) == [7, 8]


@pytest.mark.parametrize("code", [None, "", "seven"])
def test_a_login_without_current_division_is_told_to_open_one(
    api: ScriptedApi, client: ExactClient, code: object
) -> None:
    api.on(ME, me(code))

    with pytest.raises(AirbyteTracedException, match="open one") as raised:
        current_user(client)

    assert raised.value.failure_type is FailureType.config_error


def test_a_blocked_user_ends_the_run_at_once(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ME, refusal(403, reason="BlockedUser"))

    with pytest.raises(AirbyteTracedException, match="blocked"):
        accessible_divisions(client)


def test_a_fault_that_passes_does_not_change_the_outcome(api: ScriptedApi, client: ExactClient) -> None:
    api.on(ME, lost(), me(7)).on(ALL, refusal(500), listed(7))

    assert accessible_divisions(client).complete


def test_the_spent_day_of_one_division_does_not_keep_the_others_from_being_read(
    api: ScriptedApi, client: ExactClient
) -> None:
    spent = {name: value for name, value in quota_headers(api.clock, day=0).items() if "Minutely" not in name}
    api.always(ALL, Answer(429, headers=spent), division=7).always(ONE_LICENCE, Answer(429, headers=spent), division=7)
    api.always(ME, me(7)).always(ALL, listed(7, 8), division=8).always(ONE_LICENCE, listed(7, 8), division=8)

    assert 8 in accessible_divisions(client, (7, 8)).divisions


def test_configured_divisions_are_read_when_nobody_knows_the_current_one(api: ScriptedApi, client: ExactClient) -> None:
    api.always(ALL, refusal(403, SCOPE)).always(ONE_LICENCE, refusal(403, "Forbidden")).always(ME, me(None))

    assert list(accessible_divisions(client, (8,)).divisions) == [8]


@pytest.mark.parametrize("answer", [refusal(403, SCOPE), refusal(500), lost()])
def test_divisions_of_earlier_runs_stand_in_where_the_lists_cannot_be_had(
    api: ScriptedApi, client: ExactClient, answer: Answer
) -> None:
    api.on(ME, me(7)).always(ALL, answer).always(ONE_LICENCE, answer)

    found = accessible_divisions(client, known=(8, 9))

    assert list(found.divisions) == [8, 9]
    assert not found.complete
    assert "8, 9" in str(found.warning)


def test_without_any_knowledge_a_fault_is_not_taken_for_a_single_division(
    api: ScriptedApi, client: ExactClient
) -> None:
    """Going on would leave out divisions that nobody has named."""
    api.on(ME, me(7)).always(ALL, refusal(500)).always(ONE_LICENCE, refusal(500))

    with pytest.raises(AirbyteTracedException) as raised:
        accessible_divisions(client)

    assert raised.value.failure_type is FailureType.transient_error


class TestClosed:
    def test_a_division_that_answers_is_accessible_at_the_cost_of_a_call(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.on(ONE_LICENCE, Answer(200, b'{"d": [{"Code": 7}]}'))

        assert closed(client, 7) is None
        assert [one.options["$top"] for one in api.sent] == ["1"]

    @pytest.mark.parametrize("answer", [refusal(403, OUTSIDE), refusal(403, reason="NoDivisionAccess")])
    def test_a_closed_division_is_told_of(self, api: ScriptedApi, client: ExactClient, answer: Answer) -> None:
        api.on(ONE_LICENCE, answer)

        assert "7" in str(closed(client, 7))

    @pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(403, SCOPE), refusal(404)])
    def test_what_is_said_of_the_endpoint_says_nothing_of_the_division(
        self, api: ScriptedApi, client: ExactClient, answer: Answer
    ) -> None:
        api.on(ONE_LICENCE, answer)

        assert closed(client, 7) is None

    def test_a_licence_that_has_expired_closes_its_divisions_alone(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(ONE_LICENCE, refusal(403, reason="LicenseExpired"), division=7)
        api.on(ONE_LICENCE, page([{"Code": 8}]), division=8)

        assert "licence of division 7 is blocked or has expired" in str(closed(client, 7))
        assert closed(client, 8) is None

    def test_a_fault_tells_nothing(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(ONE_LICENCE, refusal(500))

        with pytest.raises(IncompleteError):
            closed(client, 7)


class TestDamage:
    """A list with anything wrong in it is asked for again: a part of it would leave out divisions."""

    ERROR: ClassVar = {"error": {"code": "", "message": {"lang": "", "value": "An error occurred."}}}

    @pytest.mark.parametrize("row", [{"Code": None}, {}, {"Description": "Bakery"}, ERROR, {"Code": True}])
    def test_a_damaged_list_is_asked_for_again(
        self, api: ScriptedApi, client: ExactClient, row: dict[str, Any]
    ) -> None:
        api.on(ALL, page([{"Code": 7}, row]), listed(7, 8, 9))

        found = accessible_divisions(client, (7,))

        assert list(found.divisions) == [7, 8, 9]
        assert (found.complete, found.warning) == (True, None)

    def test_damage_that_stays_is_told_in_exacts_words(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(ME, me(7)).always(ALL, page([{"Code": 7}, self.ERROR])).always(ONE_LICENCE, page([self.ERROR]))

        with pytest.raises(IncompleteError, match=r"An error occurred\."):
            accessible_divisions(client)

    def test_odd_text_in_a_name_is_repaired(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(ALL, Answer(200, b'{"d": {"results": [{"Code": 7, "Description": "Bak\\u0000ery \\ud83d"}]}}'))

        assert accessible_divisions(client, (7,)).divisions == {7: Division(7, "Bakery \ufffd", None)}


class TestLogin:
    def test_a_login_page_ends_the_run_at_once(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(ALL, Answer(302, headers={"Location": "/docs/Login.aspx"}))

        with pytest.raises(LoginUnusableError, match="Log in again"):
            accessible_divisions(client, (7,))

        assert len(api.sent) == 1

    def test_a_dead_token_ends_the_run_whatever_is_configured(self, api: ScriptedApi, client: ExactClient) -> None:
        api.always(ALL, refusal(401))

        with pytest.raises(LoginUnusableError):
            accessible_divisions(client, (7,), known=(8,))

    def test_the_user_has_a_name(self, api: ScriptedApi, client: ExactClient) -> None:
        api.on(ME, page([{"CurrentDivision": 7, "UserID": "guid", "FullName": "Ada"}]), me(8))

        assert [current_user(client) for _ in range(2)] == [CurrentUser(7, "guid", "Ada"), CurrentUser(8, "", "")]
        assert api.sent[0].select == ["CurrentDivision", "UserID", "FullName", "ServerTime", "ServerUtcOffset"]

    def test_a_configured_division_whose_licence_has_expired_does_not_hide_the_others(
        self, api: ScriptedApi, client: ExactClient
    ) -> None:
        api.on(ALL, refusal(403, reason="LicenseExpired"), division=99)
        api.on(ME, me(7)).on(ALL, listed(7, 8), division=7)

        found = accessible_divisions(client, (99, 8))

        assert (list(found.divisions), found.complete) == ([7, 8], True)
        assert "division 99" in str(found.warning)
        assert paths(api) == [(99, ALL), (None, ME), (7, ALL)], "one refused call tells all of the division"
