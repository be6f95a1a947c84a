"""What should happen to the signing keys, gate by gate, and over years of any luck."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.configuration import load_settings
from keyturn.errors import KeyNotReady
from keyturn.keys.decision import (
    Add,
    Policy,
    Promote,
    Remove,
    Reseal,
    Retire,
    Situation,
    Step,
    due,
    leaves_at,
    promote_now,
    replace_compromised,
)
from keyturn.keys.model import State, StoredKey
from support.keys import POLICY

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOKEN_LIFE = timedelta(hours=1)


def key(kid: str, state: State, age: timedelta, secret: int = 1) -> StoredKey:
    since = NOW - age
    sealed = None if state is State.RETIRED else bytes([secret]) + kid.encode()
    return StoredKey(kid, state, since, since, {}, sealed, since if sealed else None)


def seen(*keys: StoredKey, opened: bool = True) -> Situation:
    kids = frozenset(key.kid for key in keys if key.sealed) if opened else frozenset()
    return Situation(keys, NOW, kids, current_secret=1)


def test_an_empty_table_gets_a_key_that_signs_at_once_and_a_next_one():
    assert due(seen(), POLICY) == (Add(State.SIGNING), Add(State.NEXT))


def test_what_signs_and_what_follows_change_places_at_one_moment():
    old = key("a", State.SIGNING, POLICY.period - SECOND)
    late = key("b", State.NEXT, POLICY.lead - 5 * SECOND)
    situation = seen(old, late)
    assert {leaves_at(one, situation, POLICY) for one in (old, late)} == {NOW + 5 * SECOND}
    assert leaves_at(old, seen(old), POLICY) == NOW + SECOND
    assert leaves_at(late, seen(late), POLICY) == NOW + 5 * SECOND
    gone = key("c", State.RETIRED, SECOND)
    assert leaves_at(gone, seen(gone), POLICY) == NOW + POLICY.retirement - SECOND


def test_a_next_key_is_always_published():
    assert due(seen(key("a", State.SIGNING, SECOND)), POLICY) == (Add(State.NEXT),)


def test_nothing_is_due_while_both_are_young():
    assert due(seen(key("a", State.SIGNING, SECOND), key("b", State.NEXT, SECOND)), POLICY) == ()


def test_the_next_key_is_promoted_when_the_period_is_over():
    situation = seen(key("a", State.SIGNING, POLICY.period), key("b", State.NEXT, POLICY.lead))
    assert due(situation, POLICY) == (Retire("a"), Promote("b"), Add(State.NEXT))


def test_the_period_is_not_over_a_second_early():
    situation = seen(
        key("a", State.SIGNING, POLICY.period - SECOND), key("b", State.NEXT, POLICY.lead)
    )
    assert due(situation, POLICY) == ()


def test_a_key_never_signs_before_it_has_had_its_lead():
    situation = seen(
        key("a", State.SIGNING, 2 * POLICY.period), key("b", State.NEXT, POLICY.lead - SECOND)
    )
    assert due(situation, POLICY) == ()
    with pytest.raises(KeyNotReady, match="may sign in 1 s"):
        promote_now(situation, POLICY)


def test_a_database_clock_that_stepped_back_delays_a_promotion_and_never_hastens_it():
    situation = seen(
        key("a", State.SIGNING, 2 * POLICY.period), key("b", State.NEXT, timedelta(minutes=-5))
    )
    assert due(situation, POLICY) == ()


def test_an_orphaned_next_key_takes_over():
    assert due(seen(key("b", State.NEXT, SECOND)), POLICY) == (Promote("b"), Add(State.NEXT))


def test_a_process_without_the_secret_promotes_nothing():
    """A replica that was started with the wrong secrets must not take the others down."""
    situation = seen(
        key("a", State.SIGNING, POLICY.period), key("b", State.NEXT, POLICY.lead), opened=False
    )
    assert due(situation, POLICY) == ()
    with pytest.raises(KeyNotReady, match="cannot be opened"):
        promote_now(situation, POLICY)


def test_rotating_now_needs_a_next_key():
    with pytest.raises(KeyNotReady, match="no next key"):
        promote_now(seen(key("a", State.SIGNING, SECOND)), POLICY)


def test_rotating_now_works_once_the_lead_has_passed():
    situation = seen(key("a", State.SIGNING, SECOND), key("b", State.NEXT, POLICY.lead))
    assert promote_now(situation, POLICY) == (Retire("a"), Promote("b"), Add(State.NEXT))


def test_a_compromised_key_is_gone_at_once_and_the_lead_is_skipped():
    situation = seen(key("a", State.SIGNING, SECOND), key("b", State.NEXT, SECOND))
    assert replace_compromised(situation) == (
        Remove("a", State.SIGNING),
        Promote("b"),
        Add(State.NEXT),
    )


def test_a_compromised_key_is_replaced_even_when_no_other_key_can_be_opened():
    situation = seen(key("a", State.SIGNING, SECOND), key("b", State.NEXT, SECOND), opened=False)
    assert replace_compromised(situation) == (
        Remove("a", State.SIGNING),
        Remove("b", State.NEXT),
        Add(State.SIGNING),
        Add(State.NEXT),
    )
    assert replace_compromised(seen(key("a", State.SIGNING, SECOND))) == (
        Remove("a", State.SIGNING),
        Add(State.SIGNING),
        Add(State.NEXT),
    )


def test_a_retired_key_stays_until_the_last_token_it_signed_has_expired():
    young = (key("a", State.SIGNING, SECOND), key("b", State.NEXT, SECOND))
    kept = key("r", State.RETIRED, POLICY.retirement)
    gone = key("r", State.RETIRED, POLICY.retirement + SECOND)
    assert due(seen(*young, kept), POLICY) == ()
    assert due(seen(*young, gone), POLICY) == (Remove("r", State.RETIRED),)


def test_a_key_under_an_older_secret_is_resealed_after_a_while():
    """At once would let two replicas in the middle of a roll-out undo each other for ever."""
    fresh = (key("a", State.SIGNING, SECOND, secret=9), key("b", State.NEXT, SECOND))
    rested = (key("a", State.SIGNING, POLICY.staleness, secret=9), key("b", State.NEXT, SECOND))
    assert due(seen(*fresh), POLICY) == ()
    assert due(seen(*rested), POLICY) == (Reseal("a"),)
    assert due(seen(*rested, opened=False), POLICY) == ()


def test_a_key_that_retires_is_not_resealed_in_the_same_breath():
    """Its private half is wiped; a second statement on it would find nothing and undo the first."""
    situation = seen(
        key("a", State.SIGNING, POLICY.period, secret=9),
        key("b", State.NEXT, POLICY.lead, secret=9),
    )
    assert due(situation, POLICY) == (Retire("a"), Promote("b"), Add(State.NEXT))


def test_the_gates_come_from_the_settings():
    settings = load_settings(
        {
            "KEYTURN_ISSUER": "https://id.example",
            "KEYTURN_POSTGRES__URL": "postgresql:///unused",
            "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
        }
    )
    assert Policy.of(settings) == POLICY
    assert POLICY.retirement == TOKEN_LIFE + POLICY.margin


@dataclass
class Table:
    """The table as steps change it, and what verifiers out there could have seen of it."""

    now: datetime = NOW
    keys: list[StoredKey] = field(default_factory=list)
    made: int = 0
    published: dict[str, datetime] = field(default_factory=dict)
    first_signed: dict[str, datetime] = field(default_factory=dict)
    last_signed: dict[str, datetime] = field(default_factory=dict)
    removed: dict[str, datetime] = field(default_factory=dict)

    def situation(self) -> Situation:
        kids = frozenset(key.kid for key in self.keys if key.sealed)
        return Situation(tuple(self.keys), self.now, kids, current_secret=1)

    def apply(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case Add(state):
                    self.made += 1
                    kid = f"k{self.made}"
                    self._put(StoredKey(kid, state, self.now, self.now, {}, b"\x01", self.now))
                    self.published[kid] = self.now
                    if state is State.SIGNING:
                        self.first_signed[kid] = self.now
                case Retire(kid):
                    old = self._take(kid, State.SIGNING)
                    self.last_signed[kid] = self.now
                    self._put(
                        StoredKey(kid, State.RETIRED, self.now, old.created_at, {}, None, None)
                    )
                case Promote(kid):
                    old = self._take(kid, State.NEXT)
                    self.first_signed[kid] = self.now
                    self._put(
                        StoredKey(kid, State.SIGNING, self.now, old.created_at, {}, b"\x01", NOW)
                    )
                case Remove(kid, state):
                    self._take(kid, state)
                    self.removed[kid] = self.now
                case Reseal():
                    raise AssertionError("there is one secret")

    def _put(self, key: StoredKey) -> None:
        if key.state is not State.RETIRED:
            assert not [other for other in self.keys if other.state is key.state], "one of each"
        self.keys.append(key)

    def _take(self, kid: str, state: State) -> StoredKey:
        key = next(key for key in self.keys if key.kid == kid and key.state is state)
        self.keys.remove(key)
        return key


MOMENTS = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 2000),
            st.integers(3000, 5000),
            st.integers(0, 100 * 86400),
        ),
        st.sampled_from(["job", "job", "job", "now"]),
    ),
    max_size=40,
)


@given(MOMENTS)
@settings(max_examples=200, deadline=None)
def test_no_verifier_ever_meets_a_key_it_cannot_know(moments):
    """Whatever the times of the job and of operators: a key that signs has been published for
    max-age + staleness + skew, the first one excepted, and it stays published until the last
    token that the most stale replica signed with it has expired.
    """
    table = Table()
    table.apply(due(table.situation(), POLICY))
    for seconds, act in moments:
        table.now += timedelta(seconds=seconds)
        try:
            steps = (due if act == "job" else promote_now)(table.situation(), POLICY)
        except KeyNotReady:
            steps = ()
        table.apply(steps)
        assert sorted(k.state for k in table.keys if k.sealed) == [State.NEXT, State.SIGNING]
    first, *later = table.first_signed
    assert table.first_signed[first] == NOW
    for kid in later:
        assert table.first_signed[kid] - table.published[kid] >= POLICY.margin
    for kid, at in table.removed.items():
        assert at - table.last_signed[kid] > TOKEN_LIFE + POLICY.staleness
