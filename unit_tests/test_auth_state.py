"""The two rules at the heart of a login: which tokens win, and how its state moves."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta, timezone

import pytest
from airbyte_cdk.models import FailureType

from source_exact_online.auth import refresh_transitions as transitions
from source_exact_online.auth.precedence import Source, which_tokens_win
from source_exact_online.auth.refresh_state import Dead, Grace, Held, Lost, NoTokens, RefreshState, Refused, Waiting
from source_exact_online.auth.refresh_transitions import EARLY_PAUSES, Ask, Decision, Fail, Instant, Use, Wait, decide
from source_exact_online.auth.token_record import TokenRecord, fingerprint
from source_exact_online.auth.tokens import Tokens

NOW = datetime(2025, 3, 3, 9, 0, tzinfo=timezone.utc)

CONFIGURED = Tokens("configured!")
OWN = Tokens("configured!", "own-access", received_at=NOW)
UNSAVED = Tokens("unsaved!", "unsaved-access")


def chain(root: str = "first!", *previous: str, superseded: str = "ancient!") -> TokenRecord:
    """A token file whose chain began with `root` and went through `previous`, after another chain."""
    marks = tuple(fingerprint("salt", token) for token in previous)
    earlier = (fingerprint("salt", superseded),)
    return TokenRecord(Tokens("newest!", "file-access"), "salt", fingerprint("salt", root), marks, earlier)


class TestWhichTokensWin:
    @pytest.mark.parametrize(
        ("configured", "unsaved", "own", "record", "source", "refresh_token"),
        [
            ("configured!", None, None, None, Source.CONFIGURED, "configured!"),
            ("configured!", None, OWN, None, Source.OWN, "configured!"),
            ("other!", None, OWN, None, Source.CONFIGURED, "other!"),
            ("configured!", None, None, chain("configured!"), Source.STORE, "newest!"),
            ("configured!", None, None, chain("first!", "configured!"), Source.STORE, "newest!"),
            ("newest!", None, None, chain(), Source.STORE, "newest!"),
            ("configured!", None, OWN, chain("configured!"), Source.STORE, "newest!"),
            ("configured!", None, None, chain(), Source.CONFIGURED, "configured!"),
            ("configured!", None, OWN, chain(), Source.OWN, "configured!"),
            ("", None, None, chain(), Source.CONFIGURED, ""),
            ("configured!", UNSAVED, OWN, None, Source.UNSAVED, "unsaved!"),
            ("configured!", UNSAVED, OWN, chain(), Source.UNSAVED, "unsaved!"),
            ("configured!", UNSAVED, OWN, chain("configured!"), Source.STORE, "newest!"),
            ("configured!", None, None, chain(superseded="configured!"), Source.SUPERSEDED, "configured!"),
            ("configured!", UNSAVED, OWN, chain(superseded="configured!"), Source.SUPERSEDED, "configured!"),
            ("newest!", None, None, chain(superseded="newest!"), Source.STORE, "newest!"),
        ],
    )
    def test_table(
        self,
        configured: str,
        unsaved: Tokens | None,
        own: Tokens | None,
        record: TokenRecord | None,
        source: Source,
        refresh_token: str,
    ) -> None:
        found, tokens = which_tokens_win(Tokens(configured), unsaved=unsaved, own=own, record=record)

        assert (found, tokens.refresh_token) == (source, refresh_token)

    def test_own_tokens_win_over_the_same_ones_configured_as_they_know_their_age(self) -> None:
        assert which_tokens_win(CONFIGURED, own=OWN)[1].received_at == NOW


def at(seconds: float) -> Instant:
    return Instant(NOW + timedelta(seconds=seconds), seconds)


def issued(name: str = "a", seconds: float = 0.0) -> Tokens:
    """Tokens that came so many seconds after the start."""
    moment = NOW + timedelta(seconds=seconds)
    return Tokens(f"refresh-{name}", f"access-{name}", moment + timedelta(seconds=600), moment, 600.0)


HELD = RefreshState(Held(issued()))
REFUSED = transitions.rejected(HELD, "access-a", at(100).utc)
WAITING = transitions.told_too_early(REFUSED, at(100))
LOST = transitions.answer_lost(HELD, "ReadTimeout")
DEAD = transitions.gave_up(HELD, "It has been used.")
GRACE = transitions.told_too_early(HELD, at(590))


FOR_A_TOKEN = "Exact Online to give a new access token"


class TestStates:
    def test_each_is_reached_by_one_step(self) -> None:
        assert isinstance(RefreshState().login, NoTokens)
        assert isinstance(HELD.login, Held)
        assert isinstance(REFUSED.login, Refused)
        assert isinstance(WAITING.login, Waiting)
        assert isinstance(LOST.login, Lost)
        assert isinstance(DEAD.login, Dead)

    def test_a_state_cannot_be_changed(self) -> None:
        with pytest.raises(FrozenInstanceError):
            HELD.too_early = 3  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("state", "seconds", "decision"),
        [
            (HELD, 0, Use),
            (HELD, 579, Use),
            (HELD, 581, Ask),
            (RefreshState(Held(Tokens("only-a-refresh-token"))), 0, Ask),
            (REFUSED, 101, Ask),
            (WAITING, 101, Wait),
            (WAITING, 603, Ask),
            (GRACE, 599, Use),
            (GRACE, 601, Wait),
            (GRACE, 603, Ask),
            (LOST, 599, Use),
            (LOST, 601, Fail),
            (transitions.rejected(LOST, "access-a", at(590).utc), 591, Fail),
            (DEAD, 0, Fail),
        ],
    )
    def test_what_is_done_in_it(self, state: RefreshState, seconds: float, decision: type[Decision]) -> None:
        assert isinstance(decide(state, at(seconds)), decision)

    def test_a_token_that_is_too_old_to_use_and_too_young_to_replace_is_waited_for(self) -> None:
        short = Tokens("r", "a", NOW + timedelta(seconds=10), NOW + timedelta(seconds=3), 10.0)

        decision = decide(RefreshState(Held(short)), at(10))

        assert decision == Wait(pytest.approx(2.5), FOR_A_TOKEN)

    @pytest.mark.parametrize(("ahead", "decision"), [(-5, Wait(4.5, FOR_A_TOKEN)), (50, Ask())])
    def test_a_wait_of_more_than_a_life_comes_from_a_clock_that_was_set_back(
        self, ahead: float, decision: Decision
    ) -> None:
        endless = Tokens("r", "a", None, at(ahead).utc, 10.0)

        assert decide(RefreshState(Held(endless)), at(0)) == decision

    def test_waits_are_explained(self) -> None:
        assert decide(WAITING, at(100)) == Wait(pytest.approx(502.4), FOR_A_TOKEN)
        assert decide(GRACE, at(601)) == Wait(pytest.approx(1.4), FOR_A_TOKEN)

    def test_a_lost_answer_is_an_error_that_names_what_happened_and_the_way_out(self) -> None:
        lost = transitions.answer_lost(HELD, "ReadTimeout")
        assert lost.login == Lost(Held(issued()), "ReadTimeout")

        told = decide(lost, at(601))

        assert isinstance(told, Fail)
        assert "was lost (ReadTimeout)" in told.message
        assert (told.failure, told.log_in_again) == (FailureType.config_error, True)

    def test_a_lost_answer_while_a_refused_token_was_to_be_replaced_leaves_none_to_use(self) -> None:
        lost = transitions.answer_lost(WAITING, "ReadTimeout")

        assert lost.login == Lost(Refused(issued(), early=True), "ReadTimeout")
        assert isinstance(decide(lost, at(101)), Fail)

    @pytest.mark.parametrize(("detail", "log_in_again"), [("", True), ("invalid_grant", False)])
    def test_what_a_person_must_do_is_told_to_whoever_asks(self, detail: str, log_in_again: bool) -> None:
        more = {"detail": detail, "log_in_again": log_in_again} if detail else {}
        dead = transitions.gave_up(HELD, "It has been used.", **more)  # type: ignore[arg-type]

        assert dead.login == Dead(issued(), "It has been used.", detail, log_in_again)
        assert decide(dead, at(700)) == Fail("It has been used.", FailureType.config_error, detail, log_in_again)

    @pytest.mark.parametrize("state", [HELD, REFUSED, WAITING, GRACE, LOST, DEAD])
    def test_other_tokens_are_held_whatever_the_state_was(self, state: RefreshState) -> None:
        after = transitions.observed(state, issued("b"))

        assert after == RefreshState(Held(issued("b")))
        assert isinstance(decide(after, at(0)), Use)

    @pytest.mark.parametrize("state", [HELD, REFUSED, WAITING, GRACE, LOST, DEAD])
    def test_the_same_tokens_change_nothing(self, state: RefreshState) -> None:
        assert transitions.observed(state, Tokens("refresh-a", "access-a")) is state

    def test_other_tokens_end_neither_trouble_nor_doubt(self) -> None:
        state = replace(transitions.troubled(WAITING, at(100), "It is down."), answer_missing=True)

        after = transitions.observed(state, issued("b"))

        assert after == RefreshState(Held(issued("b")), state.trouble, answer_missing=True)

    @pytest.mark.parametrize("state", [HELD, REFUSED, WAITING, GRACE, LOST])
    def test_new_tokens_end_whatever_there_was(self, state: RefreshState) -> None:
        login = transitions.granted(state, issued("b"), NOW).login

        assert isinstance(login, Held)
        assert login.tokens == issued("b")
        assert login.replaces_refused == (state in (REFUSED, WAITING))

    def test_two_answers_in_a_row_without_a_usable_access_token_end_the_run_and_leave_the_login(self) -> None:
        first = transitions.granted(HELD, Tokens("refresh-b"), NOW)
        second = transitions.granted(first, Tokens("refresh-c"), NOW)

        assert first == RefreshState(Held(Tokens("refresh-b")), unusable=True)
        message = "Exact Online's answers to the token refresh hold no access token that can be used. Try again later."
        dead = Dead(Tokens("refresh-c"), message, log_in_again=False, passes=True)
        assert second == RefreshState(dead)
        assert transitions.granted(first, issued("c"), NOW) == RefreshState(Held(issued("c")))

    def test_a_refusal_of_a_token_that_is_not_in_use_changes_nothing(self) -> None:
        for state in (RefreshState(), REFUSED, WAITING, DEAD):
            assert transitions.rejected(state, "access-a", NOW) is state
        assert transitions.rejected(HELD, "access-z", NOW) is HELD

    def test_a_refusal_after_the_token_s_time_is_no_early_one(self) -> None:
        assert transitions.rejected(HELD, "access-a", at(590).utc).login == Refused(issued(), early=False)

    @pytest.mark.parametrize(("seconds", "early"), [(100, True), (590, False)])
    def test_a_refusal_after_a_lost_answer_leaves_no_token_to_use(self, seconds: float, early: bool) -> None:
        after = transitions.rejected(LOST, "access-a", at(seconds).utc)

        assert after == RefreshState(Lost(Refused(issued(), early), "ReadTimeout"))

    def test_a_token_refused_in_place_of_a_refused_one_needs_a_person(self) -> None:
        after = transitions.rejected(transitions.granted(REFUSED, issued("b"), NOW), "access-b", at(1).utc)

        assert isinstance(after.login, Dead)

    def test_too_early_again_after_a_refusal_needs_a_person(self) -> None:
        assert isinstance(transitions.told_too_early(WAITING, at(603)).login, Dead)

    def test_too_early_in_grace_is_not_counted_against_a_later_refusal(self) -> None:
        refused = transitions.rejected(GRACE, "access-a", at(595).utc)

        assert isinstance(transitions.told_too_early(refused, at(596)).login, Waiting)

    @pytest.mark.parametrize(
        ("seconds", "until"),
        [(0, 602.4), (100, 602.4), (599, 602.4), (600, 1202.4), (601, 1203.4)],
        ids=["at once", "early", "just before its end", "at its end", "after it"],
    )
    def test_a_refused_token_is_replaced_after_its_end_or_after_a_life(self, seconds: float, until: float) -> None:
        state = RefreshState(Refused(issued(), early=True))

        after = transitions.told_too_early(state, at(seconds))

        assert after.login == Waiting(Refused(issued(), early=True), pytest.approx(until), FOR_A_TOKEN)

    @pytest.mark.parametrize(("seconds", "until"), [(3, 600.0), (590, 600.0), (601, 605.4)])
    def test_a_life_is_counted_from_the_answer(self, seconds: float, until: float) -> None:
        """The answer took three seconds: Exact may count from its end, the token's use ends with what it said."""
        slow = Tokens("r", "a", at(600).utc, at(3).utc, 600.0)

        after = transitions.told_too_early(RefreshState(Held(slow)), at(seconds))

        assert after.login == Held(slow, Grace(at(until).utc, at(605.4).utc))

    def test_too_early_without_a_token_at_hand_is_waited_out_and_then_an_error(self) -> None:
        state, moment, pauses = RefreshState(Held(Tokens("only-a-refresh-token"))), 0.0, []
        for _ in EARLY_PAUSES:
            state = transitions.told_too_early(state, at(moment))
            assert isinstance(state.login, Waiting)
            pauses.append(state.login.until - moment)
            moment = state.login.until
        assert pauses == pytest.approx([12, 48, 120, 180, 216, 36])

        state = transitions.told_too_early(state, at(moment))

        told = decide(state, at(moment + 3600))
        assert isinstance(told, Fail)
        assert "too young" in told.message
        assert (told.failure, told.for_good) == (FailureType.transient_error, True)

    def test_what_exact_does_not_count_ends_no_run_that_goes_on_with_tokens_of_another_process(self) -> None:
        state = RefreshState(Held(issued()))
        for moment in range(transitions.MOST_REFUSALS):
            state = transitions.troubled(state, at(moment), "refused", is_counted=True)
        assert isinstance(state.login, Dead)

        state = transitions.observed(state, Tokens("another"))
        unreached = transitions.troubled(state, at(60), "cannot be reached")
        refused = transitions.troubled(state, at(60), "refused", is_counted=True)

        assert unreached.login == Held(Tokens("another"))
        assert isinstance(refused.login, Dead)

    def test_an_endpoint_that_does_not_work_ends_no_run_and_one_that_refuses_again_and_again_does(self) -> None:
        state = transitions.troubled(RefreshState(Held(Tokens("r"))), at(0.0), "It is down.")
        assert decide(state, at(1.0)) == Fail("It is down.", FailureType.transient_error, for_good=False)

        for _ in range(transitions.MOST_REFUSALS):
            state = transitions.troubled(state, at(60.0), "It refuses.", is_counted=True)

        assert decide(state, at(3600.0)) == Fail("It refuses.", FailureType.transient_error, log_in_again=False)

    def test_grace_of_an_unknown_end_grows(self) -> None:
        state, moment = RefreshState(Held(Tokens("r", "a"))), 0.0
        pauses = []
        for _ in range(6):
            state = transitions.told_too_early(state, at(moment))
            assert isinstance(state.login, Held)
            assert state.login.grace is not None
            pauses.append((state.login.grace.ask_at - at(moment).utc).total_seconds())
            moment += pauses[-1]
        assert pauses == [60, 120, 240, 480, 600, 600]

    def test_trouble_is_one_error_for_everybody_for_some_seconds(self) -> None:
        state = transitions.troubled(RefreshState(Held(issued())), at(600), "It is down.")

        told = decide(state, at(604))
        assert isinstance(told, Fail)
        assert told.failure is FailureType.transient_error
        assert told.message == "It is down."
        assert isinstance(decide(state, at(606)), Ask)

    def test_trouble_ends_a_wait_and_the_count_of_what_came_too_early(self) -> None:
        state = transitions.troubled(WAITING, at(100), "It is down.")

        assert (state.login, state.too_early) == (REFUSED.login, 0)

    def test_trouble_with_the_endpoint_does_not_hinder_a_living_token(self) -> None:
        state = transitions.troubled(HELD, at(0), "It is down.")

        assert isinstance(decide(state, at(1)), Use)
