"""Who may still be answered a token that was left behind, and who may be refused for it."""


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


def test_a_late_retry_explains_no_refusal_before_it(past):
    past.refused(25, 2).refused(26, 2, status=0, error="ReadTimeout").refused(36.2, 2)
    assert past.row("reuse").zeros[0] == 1


def test_a_retry_after_the_grace_is_promised_if_nobody_had_rotated(past):
    past.refused(25, 2, status=0, error="ReadTimeout").refused(35.2, 2).row()
    assert past.zeros[0] == 1


def test_the_grace_begins_after_the_last_answer_that_gave_the_token(past):
    # Asked at 25 without an answer, told at 30 that 2 is current still: it was left after that.
    past.refused(25, 2, status=0).refreshed(30, 2, 2).refused(36, 2).row("reuse")
    assert past.zeros[0] == 1


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
