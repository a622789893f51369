"""Divisions, scopes, modules and blocked users."""

from __future__ import annotations

import pytest

from exact_online_sandbox.sandbox import Sandbox
from unit_tests.sandbox.server_caller import DIVISION, NOW, OTHER_DIVISION, Caller


def caller_for(box: Sandbox, *divisions: int) -> Caller:
    chain = box.oauth.login("app", "kim", divisions)
    form = {
        "grant_type": "refresh_token",
        "refresh_token": chain.refresh_token,
        "client_id": "app",
        "client_secret": "secret",
    }
    return Caller(box, box.oauth.token(form)["access_token"])


def test_division_not_ticked_in_the_consent_is_refused(box: Sandbox) -> None:
    reply = caller_for(box, OTHER_DIVISION).get(f"{DIVISION}/crm/Contacts")
    assert (reply.status, reply.message) == (403, "Forbidden - User division is not within division scope")


def test_division_that_does_not_exist_is_refused_with_a_reason(caller: Caller) -> None:
    reply = caller.get("999/crm/Contacts")
    assert (reply.status, reply.headers["Reason"]) == (403, "NoDivisionAccess")


def test_division_lists_show_what_was_ticked(box: Sandbox, caller: Caller) -> None:
    for path, codes in (
        ("system/Divisions", [DIVISION, OTHER_DIVISION]),
        ("hrm/Divisions", [DIVISION]),
        ("system/AllDivisions", [DIVISION]),
    ):
        assert [row["Code"] for row in caller.get(f"{DIVISION}/{path}").rows] == codes, path
    only = caller_for(box, OTHER_DIVISION)
    assert [row["Code"] for row in only.get(f"{OTHER_DIVISION}/system/Divisions").rows] == [OTHER_DIVISION]


def test_division_lists_page(box: Sandbox, caller: Caller) -> None:
    box.settings.change({"page_sizes": {"standard": 1}})
    rows = caller.all(f"{DIVISION}/system/Divisions?$select=Code")
    assert [row["Code"] for row in rows] == [DIVISION, OTHER_DIVISION]


def test_older_list_has_its_own_names(caller: Caller) -> None:
    (row,) = caller.get(f"{DIVISION}/hrm/Divisions").rows
    assert row["HID"] == "1"
    assert len(row) == 34


def test_division_in_the_address_of_the_list_may_go_unchecked(box: Sandbox) -> None:
    only = caller_for(box, OTHER_DIVISION)
    assert only.get(f"{DIVISION}/system/Divisions").status == 403
    box.settings.change({"check_divisions_url": False})
    assert [row["Code"] for row in only.get(f"{DIVISION}/system/Divisions").rows] == [OTHER_DIVISION]


def test_missing_scope_is_named(box: Sandbox, caller: Caller) -> None:
    box.rights.deny({"kind": "scope", "scope": "financial.costcenters"})
    reply = caller.get(f"{DIVISION}/hrm/Costcenters")
    assert (reply.status, reply.message) == (
        403,
        "Forbidden - Application Scope Violated. Cannot read 'financial.costcenters' scope.",
    )
    assert caller.get(f"{DIVISION}/crm/Contacts").status == 200
    assert caller.get("current/Me").status == 200


def test_missing_module_is_plain_forbidden_in_one_division_only(box: Sandbox, caller: Caller) -> None:
    box.rights.deny({"kind": "module", "path": "project/*", "division": DIVISION})
    reply = caller.get(f"{DIVISION}/project/Projects")
    assert (reply.status, reply.message) == (403, "Forbidden")
    assert caller.get(f"{OTHER_DIVISION}/project/Projects").status == 200


def test_older_areas_may_show_nothing_instead(box: Sandbox, caller: Caller) -> None:
    box.store.insert(DIVISION, "crm/Contacts", {}, at=NOW)
    box.rights.deny({"kind": "empty", "path": "crm/Contacts"})
    assert caller.get(f"{DIVISION}/crm/Contacts").rows == []


@pytest.mark.parametrize("status", [401, 403])
def test_blocked_user_gets_a_reason(box: Sandbox, caller: Caller, status: int) -> None:
    box.rights.deny({"kind": "blocked", "reason": "LicenseExpired", "status": status})
    reply = caller.get("current/Me")
    assert (reply.status, reply.headers["Reason"]) == (status, "LicenseExpired")


def test_nonsense_denials_are_refused(box: Sandbox) -> None:
    for raw in ({"kind": "magic"}, {"kind": "scope"}, {"kind": "module", "colour": "red"}):
        with pytest.raises(ValueError, match="denial"):
            box.rights.deny(raw)


def test_token_is_needed_and_expires(box: Sandbox, caller: Caller) -> None:
    assert caller.get("current/Me", token="nonsense").status == 401
    box.clock.advance(599)
    assert caller.get("current/Me").status == 200
    box.clock.advance(1)
    reply = caller.get("current/Me")
    assert (reply.status, reply.text) == (401, "")
    assert "access%20token%20expired" in reply.headers["WWW-Authenticate"]


def test_current_division_follows_the_user(box: Sandbox, caller: Caller) -> None:
    box.oauth.user("sam").current_division = OTHER_DIVISION
    assert caller.get("current/Me").rows[0]["CurrentDivision"] == OTHER_DIVISION
    rows = caller.get(f"{DIVISION}/system/Divisions?$select=Code,Current").rows
    assert [row["Code"] for row in rows if row["Current"]] == [OTHER_DIVISION]
