"""The judge finds what is planted in a history, and nothing in an honest one."""

from itertools import count

import pytest

from chaos.history import Event
from chaos.judge import judge
from chaos.promises import Promises

PROMISES = Promises(grace=10, introspection=2.5, offline=6, forgetting=frozenset({"F4"}))


class Past:
    """A history in the making; every event takes 0.1 s."""

    def __init__(self):
        self.events = []
        self.tokens = count()

    def add(self, at, kind, **said):
        said = {"session": "s1", "app": "app 1", "status": 200, **said}
        self.events.append(Event(**{"at": at, "began": at - 0.1, "kind": kind, **said}))
        return self

    def signed_in(self, at=1.0, **said):
        return self.add(at, "sign_in", given=0, token="t0", **said)

    def refreshed(self, at, generation, given, **said):
        said = {"token": f"t{given}", **said}
        return self.add(at, "refresh", generation=generation, given=given, **said)

    def refused(self, at, generation, **said):
        said = {"status": 400, "error": "invalid_grant", **said}
        return self.add(at, "refresh", generation=generation, **said)

    def replayed(self, at, generation, kind="replay", **said):
        said = {"status": 400, "error": "invalid_grant", "app": "thief", **said}
        return self.add(at, kind, generation=generation, **said)

    def fault(self, began, ended, fault="F1"):
        self.add(began, "fault", fault=fault, error="begins", session="", app="")
        return self.add(ended, "fault", fault=fault, error="ends", session="", app="")

    def row(self, reason="", at=100.0):
        return self.add(at, "row", error=reason)

    @property
    def verdict(self):
        return judge(sorted(self.events, key=lambda one: one.at), PROMISES)

    @property
    def zeros(self):
        return tuple(self.verdict.zeros.values())


@pytest.fixture
def past():
    return Past().signed_in().refreshed(2, 0, 1).refreshed(13, 1, 2)


def test_an_honest_history_has_four_zeros(past):
    past.refreshed(14, 1, 2).refreshed(15, 2, 2).add(16, "call").add(16, "introspect").row()
    assert past.zeros == (0, 0, 0, 0)


def test_zeros_of_a_run_that_tried_nothing_say_nothing(past):
    assert not past.verdict.holds
    assert {"replay", "foreign", "posthumous", "revoke"} <= set(past.verdict.untried)


def test_zeros_of_a_run_that_tried_everything_hold(past):
    past.replayed(20, 0, "foreign").add(21, "call").add(21, "introspect")
    past.add(22, "log_out").add(22, "log_out_all").add(22, "revoke")
    past.replayed(23, 2, "posthumous").replayed(23, 0).row("logout")
    assert past.verdict.holds, past.verdict


def test_a_refusal_out_of_the_blue_is_a_lost_sign_in(past):
    assert past.refused(25, 2).row("reuse").zeros == (1, 0, 0, 0)
    assert "the row is reuse" in past.verdict.lost[0]


def test_a_sign_in_is_lost_once(past):
    assert past.refused(25, 2).refused(26, 2).row("reuse").zeros[0] == 1


def test_a_refusal_while_the_row_lives_blames_the_caller_too(past):
    assert past.refused(25, 2).row().zeros == (1, 0, 0, 1)


def test_another_4xx_blames_the_caller_and_loses_nothing(past):
    past.refused(25, 2, error="invalid_client", status=401).row()
    assert past.zeros == (0, 0, 0, 1)


def test_a_limit_that_was_reached_is_no_verdict(past):
    past.refused(25, 2, error="slow_down", status=429).refreshed(26, 2, 3).row()
    assert past.zeros == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["log_out", "log_out_all", "revoke"])
@pytest.mark.parametrize("status", [200, 503, 0])
def test_who_asked_for_the_end_may_be_refused_answered_or_not(past, kind, status):
    assert past.add(20, kind, status=status).refused(21, 2).row(kind).zeros == (0, 0, 0, 0)


def test_the_owner_of_a_stolen_token_may_be_refused_after_the_theft_only(past):
    assert past.replayed(30, 0).refused(31, 2).row("reuse").zeros == (0, 0, 0, 0)
    assert past.refused(29, 2).zeros[0] == 1


def test_a_thief_in_another_clients_name_ends_nothing(past):
    assert past.replayed(30, 0, "foreign").refused(31, 2).row("reuse").zeros[0] == 1


def test_whoever_is_never_answered_again_has_lost(past):
    past.refused(90, 2, status=503, error="temporarily_unavailable").row()
    assert past.zeros == (1, 0, 0, 0)


def test_a_retry_within_the_grace_is_promised_to_the_end(past):
    past.refused(25, 2, status=0, error="ReadTimeout").refused(34.8, 2).row("reuse")
    assert past.zeros[0] == 1


def test_a_retry_after_the_grace_is_not_promised_if_it_looked_like_theft(past):
    past.refused(25, 2, status=0, error="ReadTimeout").refused(35.2, 2)
    assert past.row("reuse").zeros[0] == 0
    assert past.verdict.excused == {"retried after the grace": 1}


def test_a_session_that_a_late_retry_ended_is_inactive_for_good_reason(past):
    past.refused(25, 2, status=0, error="ReadTimeout").refused(35.2, 2).row("reuse")
    assert past.add(36, "introspect", error="inactive").zeros == (0, 0, 0, 0)


def test_a_retry_after_the_grace_is_promised_if_nobody_had_rotated(past):
    past.refused(25, 2, status=0, error="ReadTimeout").refused(35.2, 2).row()
    assert past.zeros[0] == 1


def test_the_grace_begins_after_the_last_answer_that_gave_the_token(past):
    # Asked at 25 without an answer, told at 30 that 2 is current still: it was left after that.
    past.refused(25, 2, status=0).refreshed(30, 2, 2).refused(36, 2).row("reuse")
    assert past.zeros[0] == 1


def test_a_second_child_of_one_token_is_a_double_lineage(past):
    assert past.refreshed(14, 1, 2, token="another").row().zeros == (0, 1, 0, 0)


def test_a_thief_who_is_given_a_second_child_is_a_double_lineage(past):
    past.replayed(14, 1, status=200, error="", given=2, token="another").row()
    assert past.zeros[1] == 1


@pytest.mark.parametrize("given", [0, 4])
def test_an_answer_that_is_no_child_is_a_double_lineage(past, given):
    assert past.refreshed(25, 2, given).row().zeros[1] == 1


@pytest.mark.parametrize(
    ("kind", "after"), [("posthumous", 0.2), ("refresh", 0.2), ("introspect", 2.7), ("call", 6.2)]
)
def test_what_has_ended_is_good_no_longer_than_its_bound(past, kind, after):
    past.add(20, "log_out").row("logout")
    past.add(20 + after - 0.15, kind, generation=2, given=2, token="t2")
    assert past.zeros == (0, 0, 0, 0)
    past.add(20 + after, kind, generation=2, given=2, token="t2")
    assert past.zeros == (0, 0, 1, 0)


def test_an_answer_that_says_inactive_accepts_nothing(past):
    assert past.add(20, "log_out").add(30, "introspect", error="inactive").row().zeros[2] == 0


def test_a_token_that_expired_in_the_meantime_is_neither_accepted_nor_denied(past):
    past.add(20, "introspect", error="expired").add(21, "log_out")
    assert past.add(30, "introspect", error="expired").row().zeros == (0, 0, 0, 0)


def test_an_end_that_nobody_was_told_of_has_no_bound(past):
    past.add(20, "log_out", status=0).add(40, "introspect").row()
    assert past.zeros == (0, 0, 0, 0)


def test_a_grandparent_that_is_answered_was_reused(past):
    assert past.replayed(14, 0, status=200, error="", given=1, token="t1").row().zeros[2] == 1


def test_a_parent_is_answered_within_the_grace_and_reused_after_it(past):
    past.replayed(22, 1, status=200, error="", given=2, token="t2").row()
    assert past.zeros == (0, 0, 0, 0)
    past.replayed(33, 1, status=200, error="", given=2, token="t2")
    assert past.zeros[2] == 1


def test_answers_that_give_the_child_again_prolong_no_grace(past):
    for at in range(15, 24, 2):
        past.refreshed(at, 2, 2)
    past.replayed(24, 1, status=200, error="", given=2, token="t2").row()
    assert past.zeros == (0, 0, 1, 0)


def test_an_owner_who_presents_what_is_superseded_must_be_refused_as_a_thief(past):
    assert past.refreshed(22, 1, 2).zeros == (0, 0, 0, 0)
    assert past.refreshed(24, 1, 2).row().zeros == (0, 0, 1, 0)


def test_a_retry_however_late_is_good_while_nobody_was_given_the_child(past):
    past.refused(25, 2, status=0).refused(30, 2, status=503).refreshed(60, 2, 3).row()
    assert past.zeros == (0, 0, 0, 0)


def test_a_rotation_that_was_lost_has_a_new_grace_from_when_it_healed(past):
    past.fault(14, 16, "F3").replayed(24, 1, status=200, error="", given=2, token="t2")
    assert past.zeros == (0, 0, 0, 0)
    past.refreshed(17, 2, 2).refreshed(21, 2, 2).refreshed(26, 2, 2).row()
    assert past.zeros == (0, 0, 0, 0)
    past.replayed(28, 1, status=200, error="", given=2, token="t2")
    assert past.zeros == (0, 0, 1, 0)


def test_a_fault_that_loses_nothing_gives_no_new_grace(past):
    past.fault(14, 16, "F1").replayed(24, 1, status=200, error="", given=2, token="t2").row()
    assert past.zeros == (0, 0, 1, 0)


def test_a_reuse_that_does_not_end_the_session_went_unseen(past):
    assert past.replayed(30, 0).refreshed(31, 2, 3).row().zeros == (0, 0, 1, 0)


def test_a_theft_that_met_trouble_ends_nothing(past):
    past.replayed(30, 0, status=503, error="temporarily_unavailable").refreshed(31, 2, 3).row()
    assert past.zeros == (0, 0, 0, 0)


def test_a_lagging_standby_may_forget_who_came_and_who_left_in_its_lag():
    came = Past().fault(10, 20, "F4").signed_in(12).refused(22, 0).row("missing")
    assert came.zeros == (0, 0, 0, 0)
    assert came.verdict.excused == {"session forgotten by a lagging standby": 1}
    left = Past().fault(10, 20, "F4").signed_in(2).add(12, "log_out").add(40, "call").row()
    assert left.zeros == (0, 0, 0, 0)
    assert left.verdict.excused == {"end undone by a lagging standby": 1}


def test_a_lagging_standby_may_forget_nothing_else():
    assert Past().fault(10, 20, "F4").signed_in(8).refused(22, 0).row("missing").zeros[0] == 1
    left = Past().fault(10, 20, "F4").signed_in(2).add(9, "log_out").add(40, "call").row()
    assert left.zeros[2] == 1
    other = Past().fault(10, 20, "F1").signed_in(2).add(12, "log_out").add(40, "call").row()
    assert other.zeros[2] == 1


def test_an_api_that_refuses_the_living_blames_the_caller(past):
    assert past.add(20, "call", status=401, error="revoked").row().zeros == (0, 0, 0, 1)
    assert past.add(20, "introspect", error="inactive").zeros[3] == 2


def test_who_signs_out_is_not_refused_but_by_an_end_that_came_first(past):
    past.add(20, "log_out_all", status=401, error="invalid_grant").row()
    assert past.zeros == (0, 0, 0, 1)
    past.add(19, "log_out_all", status=0)
    assert past.zeros == (0, 0, 0, 0)


def test_a_replica_whose_clock_is_wrong_may_misjudge_an_access_token_and_nothing_else(past):
    past.fault(30, 40, "F19").add(35, "introspect", error="inactive", fault="F19").row()
    assert past.zeros == (0, 0, 0, 0)
    assert past.verdict.excused == {"told inactive while the clock of a replica was wrong": 1}
    past.add(41, "introspect", error="inactive").refused(36, 2, fault="F19")
    assert past.zeros == (1, 0, 0, 2)


def test_a_password_that_is_right_is_not_refused():
    past = Past().add(3, "sign_in", session="", status=401, error="invalid_credentials")
    assert past.zeros == (0, 0, 0, 1)


def test_the_window_of_a_fault_reaches_from_the_first_to_the_last_failing_answer(past):
    past.fault(30, 34).refused(31, 2, status=0).refused(35, 2, status=503)
    past.refreshed(36, 2, 3).fault(50, 51, "F2")
    first, second = past.verdict.windows
    assert (first.fault, first.asked, first.failed) == ("F1", 3, 2)
    assert (first.first, first.last, first.seconds) == (1, 5, 4)
    assert (second.fault, second.failed, second.seconds) == ("F2", 0, 0)


def test_the_latency_outside_faults_is_that_of_answers_no_fault_touched(past):
    past.fault(30, 34).add(33, "refresh", began=30.5, generation=2, given=2, token="t2")
    assert past.verdict.p99_outside == pytest.approx(0.1)
