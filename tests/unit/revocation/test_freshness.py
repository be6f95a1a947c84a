"""The trust rule, against every history that answers can tell, and against the one it must bear."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from keyturn.revocation.freshness import Freshness

TRUST = 2.0


def seen(*answers):
    """A process that saw these answers: (upto, asked at, came at)."""
    freshness = Freshness(TRUST)
    for answer in answers:
        freshness.observe(*answer)
    return freshness


def test_a_process_that_has_seen_one_value_trusts_nothing():
    assert not seen((100.0, 1, 1.01)).trusts(100.0, 1.01)


def test_a_value_that_moved_is_trusted_for_two_seconds_from_the_question_before():
    freshness = seen((100.0, 1.0, 1.01), (101.0, 1.5, 1.51))
    assert freshness.trusts(101.0, 1.51)
    assert freshness.trusts(101.0, 2.99)
    assert not freshness.trusts(101.0, 3.0)


def test_a_value_that_moved_at_some_time_in_a_long_silence_proves_nothing():
    """The copier may have written it a second after the last question, and died."""
    freshness = seen((100.0, 1.0, 1.01), (101.0, 60.0, 60.01))
    assert not freshness.trusts(101.0, 60.01)


def test_a_value_that_stands_still_is_trusted_no_longer_for_being_seen_often():
    freshness = seen((100.0, 1.0, 1.01), (101.0, 1.5, 1.51))
    for tenth in range(16, 40):
        freshness.observe(101.0, tenth / 10, tenth / 10 + 0.01)
    assert freshness.trusts(101.0, 2.99)
    assert not freshness.trusts(101.0, 3.1)


def test_an_answer_without_the_value_is_never_trusted():
    freshness = seen((100.0, 1.0, 1.01), (101.0, 1.5, 1.51), (None, 1.6, 1.61))
    assert not freshness.trusts(None, 1.61)


def test_after_the_value_was_gone_it_must_move_again():
    freshness = seen((100.0, 1.0, 1.01), (101.0, 1.5, 1.51), (None, 1.6, 1.61), (101.5, 1.7, 1.71))
    assert not freshness.trusts(101.5, 1.71)
    freshness.observe(102.0, 2.2, 2.21)
    assert freshness.trusts(102.0, 2.21)


def test_a_value_that_went_backwards_must_move_again():
    """A promoted replica, or an old snapshot: the set lacks what was written since."""
    freshness = seen((100.0, 1.0, 1.01), (101.0, 1.5, 1.51), (70.0, 1.6, 1.61))
    assert not freshness.trusts(70.0, 1.61)
    freshness.observe(101.5, 2.0, 2.01)
    assert freshness.trusts(101.5, 2.01)


def test_an_older_answer_that_comes_late_is_noise():
    """Two questions at once: the one that was shown the old value is answered last."""
    freshness = seen(
        (100.0, 1.0, 1.01), (101.0, 1.45, 1.5), (101.5, 1.96, 2.0), (101.0, 1.95, 2.01)
    )
    assert freshness.trusts(101.5, 2.01)
    assert freshness.trusts(101.0, 2.01)


def test_an_older_answer_that_comes_late_is_believed_no_longer_than_it_was_before():
    """The value before the last move may be old itself: nobody copied for ten seconds."""
    freshness = seen((100.0, 1.0, 1.01), (100.0, 11.0, 11.01), (101.0, 11.02, 11.04))
    freshness.observe(100.0, 11.01, 11.05)
    assert freshness.trusts(101.0, 11.05)
    assert not freshness.trusts(100.0, 11.05)


def test_steady_copies_are_trusted_without_a_gap():
    """Copies and looks twice a second, each up to a tenth late, in the worst phase."""
    freshness = Freshness(TRUST)
    writes = [n * 0.55 for n in range(200)]
    trusted = []
    for n in range(180):
        asked = n * 0.55 + 0.001 * n % 0.55
        current = max(at for at in writes if at <= asked)
        freshness.observe(current, asked, asked + 0.05)
        trusted += [freshness.trusts(current, asked + 0.05), freshness.trusts(current, asked + 0.6)]
    assert all(trusted[8:])


@dataclass
class Server:
    """What Redis holds: `upto`, and when that was written; and what it might be rolled back to."""

    now: float = 0.0
    state: tuple[float, float] | None = None
    history: list[tuple[float, float]] = field(default_factory=list)

    def copy(self):
        upto = (self.history[-1][0] if self.history else 1e6) + 1
        self.state = (upto, self.now)
        self.history.append(self.state)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.001, 1.5)),
        st.just(("copy",)),
        st.just(("flush",)),
        st.tuples(st.just("roll back"), st.integers(1, 4)),
        st.just(("ask",)),
        st.tuples(st.just("answer"), st.integers(0, 3)),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_is_trusted_was_complete_within_the_last_two_seconds(history):
    """Flushes, roll-backs, silence, and answers that overtake each other, in any order."""
    server, freshness = Server(), Freshness(TRUST)
    asked: list[tuple[float, tuple[float, float] | None]] = []
    for step, *argument in history:
        if step == "pass":
            server.now += argument[0]
        elif step == "copy":
            server.copy()
        elif step == "flush":
            server.state = None
        elif step == "roll back" and len(server.history) > argument[0]:
            server.state = server.history[-argument[0] - 1]
        elif step == "ask":
            asked.append((server.now, server.state))
        elif step == "answer" and asked:
            asked_at, state = asked.pop(argument[0] % len(asked))
            upto = None if state is None else state[0]
            freshness.observe(upto, asked_at, server.now)
            if freshness.trusts(upto, server.now):
                assert state is not None
                assert server.now - state[1] < TRUST
