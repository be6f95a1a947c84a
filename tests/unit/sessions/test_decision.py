"""The verdict over a row and a presented token, case by case; pure, on exact boundaries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from keyturn.crypto.secrets import MasterSecrets
from keyturn.sessions.decision import Case, Presented, StoredSession, decide, is_genuine
from keyturn.sessions.model import Session
from keyturn.sessions.refresh_token import RefreshToken, RefreshTokenCodec

CODEC = RefreshTokenCodec(MasterSecrets({1: b"m" * 32, 2: b"m" * 32}))
NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
GRACE = timedelta(seconds=10)
IDLE = timedelta(hours=1)
TICK = timedelta(microseconds=1)
FIRST = RefreshToken(1, UUID("01920000-0000-7000-8000-0000000000ff"), 0, b"s" * 32)
GENERATION = 20


def token(generation: int) -> RefreshToken:
    return CODEC.descendant(FIRST, generation)


CURRENT, CHILD, PARENT = token(GENERATION), token(GENERATION + 1), token(GENERATION - 1)
GRANDPARENT, GRANDCHILD = token(GENERATION - 2), token(GENERATION + 2)
FORGED = replace(PARENT, secret=b"f" * 32)

SESSION = Session(
    id=FIRST.session_id,
    user_id=UUID(int=1),
    client_id="app",
    scopes=frozenset({"read"}),
    audiences=("https://api.example",),
    claims={},
    auth_time=NOW - timedelta(hours=2),
    acr=None,
    amr=("pwd",),
    dpop_jkt=None,
    remembered=None,
    idle_expires_at=NOW + IDLE / 2,
    expires_at=NOW + timedelta(days=1),
    decided_at=NOW,
)
STORED = StoredSession(
    session=SESSION,
    token_hash=CURRENT.hash,
    next_hash=CHILD.hash,
    generation=GENERATION,
    rotated_at=NOW - timedelta(minutes=5),
    idle_lifetime=IDLE,
    revoked=False,
)
JUST_ROTATED = replace(STORED, rotated_at=NOW - timedelta(seconds=3))


def verdict(
    presented: RefreshToken,
    stored: StoredSession | None = STORED,
    *,
    jkt: str | None = None,
    grace: timedelta = GRACE,
) -> Case:
    return decide(stored, Presented(presented, jkt, grace), CODEC)


def bound(stored: StoredSession) -> StoredSession:
    return replace(stored, session=replace(stored.session, dpop_jkt="key"))


def idle_since(ago: timedelta) -> StoredSession:
    return replace(STORED, session=replace(SESSION, idle_expires_at=NOW - ago))


@pytest.mark.parametrize(
    ("presented", "expected"),
    [
        (CURRENT, Case.CURRENT),
        (CHILD, Case.AHEAD),
        (PARENT, Case.SUPERSEDED),
        (GRANDPARENT, Case.SUPERSEDED),
        (FIRST, Case.SUPERSEDED),
        (GRANDCHILD, Case.FOREIGN),
        (FORGED, Case.FOREIGN),
        (replace(CURRENT, secret=b"f" * 32), Case.FOREIGN),
        (replace(CHILD, secret=b"f" * 32), Case.FOREIGN),
        (replace(PARENT, key_id=2), Case.FOREIGN),
    ],
    ids=[
        "current",
        "child",
        "parent",
        "grandparent",
        "first",
        "grandchild",
        "forged parent",
        "forged current",
        "forged child",
        "parent under another key id",
    ],
)
def test_long_after_the_last_rotation_only_the_current_token_and_its_child_are_good(
    presented, expected
) -> None:
    assert verdict(presented) is expected


@pytest.mark.parametrize(
    ("presented", "expected"),
    [
        (CURRENT, Case.CURRENT_IN_GRACE),
        (CHILD, Case.AHEAD),
        (PARENT, Case.PARENT),
        (GRANDPARENT, Case.SUPERSEDED),
        (FORGED, Case.FOREIGN),
    ],
    ids=["current", "child", "parent", "grandparent", "forged"],
)
def test_inside_the_grace_the_direct_parent_is_good_too(presented, expected) -> None:
    assert verdict(presented, JUST_ROTATED) is expected


@pytest.mark.parametrize(
    ("rotated_at", "current", "parent"),
    [
        (NOW - GRACE, Case.CURRENT, Case.SUPERSEDED),
        (NOW - GRACE + TICK, Case.CURRENT_IN_GRACE, Case.PARENT),
        (NOW, Case.CURRENT_IN_GRACE, Case.PARENT),
        (NOW + GRACE, Case.CURRENT_IN_GRACE, Case.PARENT),
        # The database's clock stepped back: rotate again, but who came late is still no thief.
        (NOW + GRACE + TICK, Case.CURRENT, Case.PARENT),
        (NOW + timedelta(days=1), Case.CURRENT, Case.PARENT),
    ],
)
def test_the_grace_ends_on_both_sides_of_the_last_rotation(rotated_at, current, parent) -> None:
    stored = replace(STORED, rotated_at=rotated_at)
    assert verdict(CURRENT, stored) is current
    assert verdict(PARENT, stored) is parent


def test_without_a_grace_every_parent_is_superseded() -> None:
    stored = replace(STORED, rotated_at=NOW)
    assert verdict(PARENT, stored, grace=timedelta(0)) is Case.SUPERSEDED
    assert verdict(CURRENT, stored, grace=timedelta(0)) is Case.CURRENT


def test_the_start_of_a_session_is_no_rotation() -> None:
    """Its first token moves at its first use; the statement and the decision must agree on that."""
    begun = replace(
        STORED, generation=0, token_hash=FIRST.hash, next_hash=token(1).hash, rotated_at=NOW
    )
    assert verdict(FIRST, begun) is Case.CURRENT


def test_a_session_that_is_not_there_is_missing() -> None:
    assert verdict(CURRENT, None) is Case.MISSING


@pytest.mark.parametrize("presented", [CURRENT, CHILD, PARENT, GRANDPARENT, FORGED])
def test_a_revoked_session_accepts_nothing_inside_the_grace_neither(presented) -> None:
    assert verdict(presented, replace(JUST_ROTATED, revoked=True)) is Case.REVOKED


@pytest.mark.parametrize("presented", [CURRENT, CHILD, PARENT, GRANDPARENT, FORGED])
@pytest.mark.parametrize(
    ("left", "over"), [(timedelta(0), True), (-TICK, True), (TICK, False)], ids=str
)
def test_the_absolute_expiry_spares_nobody(presented, left, over) -> None:
    stored = replace(JUST_ROTATED, session=replace(SESSION, expires_at=NOW + left))
    assert (verdict(presented, stored) is Case.EXPIRED) == over


def test_an_idle_session_is_over_for_its_current_token() -> None:
    assert verdict(CURRENT, idle_since(timedelta(0))) is Case.EXPIRED
    assert verdict(CURRENT, idle_since(-TICK)) is Case.CURRENT
    assert verdict(PARENT, idle_since(timedelta(0))) is Case.EXPIRED


def test_a_lost_commit_that_slid_the_idle_expiry_can_still_be_healed() -> None:
    """The client saw the expiry move by one idle lifetime; the database forgot."""
    assert verdict(CHILD, idle_since(timedelta(0))) is Case.AHEAD
    assert verdict(CHILD, idle_since(IDLE - TICK)) is Case.AHEAD
    assert verdict(CHILD, idle_since(IDLE)) is Case.EXPIRED


@pytest.mark.parametrize("presented", [CURRENT, CHILD, PARENT, GRANDPARENT, FORGED])
@pytest.mark.parametrize("proof", [None, "another key"])
def test_without_a_proof_by_the_bound_key_there_is_no_verdict(presented, proof) -> None:
    """Else somebody who only saw an old token could end the session with it."""
    assert verdict(presented, bound(STORED), jkt=proof) is Case.NOT_PROVEN


def test_with_a_proof_by_the_bound_key_the_parent_is_good_at_any_time() -> None:
    assert verdict(PARENT, bound(STORED), jkt="key") is Case.PARENT
    assert verdict(PARENT, bound(STORED), jkt="key", grace=timedelta(0)) is Case.PARENT
    assert verdict(GRANDPARENT, bound(STORED), jkt="key") is Case.SUPERSEDED
    assert verdict(CURRENT, bound(STORED), jkt="key") is Case.CURRENT


def test_a_proof_for_a_session_that_is_bound_to_no_key_changes_nothing() -> None:
    assert verdict(CURRENT, jkt="key") is Case.CURRENT
    assert verdict(PARENT, jkt="key") is Case.SUPERSEDED


def test_a_superseded_token_is_followed_ten_thousand_steps_and_no_further() -> None:
    far = replace(
        STORED,
        generation=10_000,
        token_hash=token(10_000).hash,
        next_hash=token(10_001).hash,
    )
    assert verdict(FIRST, far) is Case.SUPERSEDED
    further = replace(
        far, generation=10_001, token_hash=token(10_001).hash, next_hash=token(10_002).hash
    )
    assert verdict(FIRST, further) is Case.FOREIGN
    assert verdict(token(1), further) is Case.SUPERSEDED


@pytest.mark.parametrize(
    ("presented", "genuine"),
    [
        (CURRENT, True),
        (CHILD, True),
        (PARENT, True),
        (FIRST, True),
        (GRANDCHILD, False),
        (FORGED, False),
        (replace(CURRENT, secret=b"f" * 32), False),
    ],
    ids=["current", "child", "parent", "first", "grandchild", "forged parent", "forged current"],
)
def test_any_generation_of_a_session_is_enough_to_log_out(presented, genuine) -> None:
    assert is_genuine(STORED, presented, CODEC) is genuine
    assert is_genuine(replace(STORED, revoked=True), presented, CODEC) is genuine
