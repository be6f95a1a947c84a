"""The judge finds what is planted in a history, and nothing in an honest one."""

from dataclasses import replace

import pytest

from chaos.past import Past


def test_an_honest_history_has_four_zeros(past):
    past.refreshed(14, 1, 2).refreshed(15, 2, 2).add(16, "call").add(16, "introspect").row()
    assert past.zeros == (0, 0, 0, 0)


def test_zeros_of_a_run_that_tried_nothing_say_nothing(past):
    assert not past.verdict.holds
    assert {"replay", "foreign", "posthumous", "revoke"} <= set(past.verdict.untried)


def everything(past):
    past.replayed(20, 0, "foreign").add(21, "call").add(21, "introspect")
    past.add(22, "log_out").add(22, "log_out_all").add(22, "revoke")
    past.replayed(23, 2, "posthumous").replayed(23, 0).row("logout")
    return past.add(24, "call", status=401, error="revoked").fault(25, 26)


def test_zeros_of_a_run_that_tried_everything_hold(past):
    assert everything(past).verdict.holds, past.verdict


@pytest.mark.parametrize(
    "kind",
    ["sign_in", "log_out", "revoke", "call", "introspect", "replay", "foreign", "posthumous"],
)
def test_what_was_never_decided_was_never_tried(past, kind):
    everything(past)
    past.events = [
        replace(one, status=503, error="") if one.kind == kind else one for one in past.events
    ]
    assert kind in past.verdict.untried
    assert not past.verdict.holds


def test_a_run_without_a_fault_or_without_a_revoked_call_says_nothing(past):
    everything(past)
    past.events = [one for one in past.events if one.kind != "fault" and one.error != "revoked"]
    assert past.verdict.untried == ["a call told revoked", "any fault"]


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


@pytest.mark.parametrize("kind", ["log_out", "log_out_all", "revoke"])
def test_an_end_that_was_asked_for_and_never_came_explains_nothing(past, kind):
    assert past.add(20, kind, status=503).refused(21, 2).row().zeros == (1, 0, 0, 1)


def test_an_end_that_was_lost_with_its_primary_explains_what_it_did_before(past):
    past.fault(19, 22, "F5").add(20, "log_out", status=503).refused(21, 2)
    assert past.add(21, "introspect", error="inactive").row().zeros == (0, 0, 0, 0)


def test_an_end_that_never_came_makes_nobody_inactive(past):
    past.add(20, "log_out", status=503).add(22, "introspect", error="inactive").row()
    assert past.zeros == (0, 0, 0, 1)


def test_limits_and_answers_of_500_are_counted(past):
    past.refused(25, 2, status=429, error="slow_down").refused(26, 2, status=500, error="")
    past.add(27, "sign_in", session="", status=500).signed_in(28, session="s2")
    past.refreshed(29, 2, 3).row()
    assert past.verdict.excused == {"told 429": 1, "answered 500": 2}
    assert past.zeros == (0, 0, 0, 0)


def test_the_owner_of_a_stolen_token_may_be_refused_after_the_theft_only(past):
    assert past.replayed(30, 0).refused(31, 2).row("reuse").zeros == (0, 0, 0, 0)
    assert past.refused(29, 2).zeros[0] == 1


def test_a_thief_in_another_clients_name_ends_nothing(past):
    assert past.replayed(30, 0, "foreign").refused(31, 2).row("reuse").zeros[0] == 1


def test_whoever_is_never_answered_again_has_lost(past):
    past.refused(90, 2, status=503, error="temporarily_unavailable").row()
    assert past.zeros == (1, 0, 0, 0)


def test_whoever_meets_a_limit_for_ever_has_lost_too(past):
    assert past.refused(90, 2, status=429, error="slow_down").row().zeros == (1, 0, 0, 0)


def test_whoever_asked_to_leave_waits_for_no_answer(past):
    past.refused(90, 2, status=503).add(91, "log_out", status=503).row()
    assert past.zeros == (0, 0, 0, 0)


def test_an_app_that_can_never_sign_in_again_has_lost(past):
    past.add(20, "log_out").add(21, "sign_in", session="", status=503).row("logout")
    assert past.zeros == (1, 0, 0, 0)
    assert past.signed_in(22, session="s2").zeros == (0, 0, 0, 0)


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
    past.add(20, "log_out_all", status=401, error="invalid_grant").row("logout_all")
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
