"""What should happen to the signing keys now: pure, so every gate can be tried at leisure.

A key may sign once every verifier must know it: a JWKS fetched just before the key was added
lives `max-age` in a cache, the replica that answered may have been `staleness` behind, clocks
differ by the skew. The `lead` covers them all. A retired key stays published until a token signed
at the last moment by the most stale replica has expired (OpenID Connect Core section 10.1.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Self

from keyturn.errors import KeyNotReady
from keyturn.keys.model import State, StoredKey
from keyturn.settings import LONGEST_ACCESS_TOKEN, Settings


@dataclass(frozen=True, slots=True)
class Policy:
    """The gates of a rotation, resolved from the settings."""

    lead: timedelta
    """Published for so long before it may sign."""
    period: timedelta
    """Signs for so long."""
    margin: timedelta
    """max-age + staleness + skew: how late the slowest replica or verifier hears of a change."""
    staleness: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Resolve the settings; they have been checked to give a long enough lead."""
        keys = settings.keys
        return cls(
            lead=timedelta(seconds=keys.lead),
            period=timedelta(seconds=keys.period),
            margin=timedelta(
                seconds=keys.jwks_max_age + keys.staleness + settings.tokens.clock_skew
            ),
            staleness=timedelta(seconds=keys.staleness),
        )

    @property
    def retirement(self) -> timedelta:
        """How long a retired key stays published."""
        return timedelta(seconds=LONGEST_ACCESS_TOKEN) + self.margin


@dataclass(frozen=True, slots=True)
class Add:
    """Make a key and publish it in `state`."""

    state: State


@dataclass(frozen=True, slots=True)
class Retire:
    """Stop signing with it; keep it published."""

    kid: str


@dataclass(frozen=True, slots=True)
class Promote:
    """Let the next key sign."""

    kid: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Publish it no longer."""

    kid: str
    state: State


@dataclass(frozen=True, slots=True)
class Reseal:
    """Put its private half under the current secret."""

    kid: str


Step = Add | Retire | Promote | Remove | Reseal


@dataclass(frozen=True, slots=True)
class Situation:
    """The rows and the database's time, as one process with its secrets sees them."""

    keys: tuple[StoredKey, ...]
    now: datetime
    opened: frozenset[str]
    """Kids whose seal a listed secret opens."""
    current_secret: int

    @property
    def signing(self) -> StoredKey | None:
        """The key that signs."""
        return self._only(State.SIGNING)

    @property
    def upcoming(self) -> StoredKey | None:
        """The key that will sign next."""
        return self._only(State.NEXT)

    def opens(self, key: StoredKey) -> bool:
        """Return whether this process can use its private half."""
        return key.kid in self.opened

    def age(self, key: StoredKey) -> timedelta:
        """Return how long it has been in its state."""
        return self.now - key.since

    def _only(self, state: State) -> StoredKey | None:
        return next((key for key in self.keys if key.state is state), None)


def leaves_at(key: StoredKey, situation: Situation, policy: Policy) -> datetime:
    """Return when a key is due to leave its state; in the past: something keeps it there."""
    if key.state is State.RETIRED:
        return key.since + policy.retirement
    signing, following = situation.signing, situation.upcoming
    # One moment for both: the next key takes over from the one that signs.
    gates = [signing.since + policy.period] if signing else []
    if following:
        gates.append(following.since + policy.lead)
    return max(gates)


def due(situation: Situation, policy: Policy) -> tuple[Step, ...]:
    """Return what time asks for: nothing, most of the time.

    A process that cannot open the next key promotes nothing: its configuration, and not the key,
    may be what is wrong.
    """
    # One thing at a time with the private halves: a key being retired must not be resealed.
    work = _succession(situation, policy) or tuple(_reseals(situation, policy))
    return (*work, *_removals(situation, policy))


def promote_now(situation: Situation, policy: Policy) -> tuple[Step, ...]:
    """Return a promotion ahead of its time. Raises `KeyNotReady` before the lead has passed."""
    following = situation.upcoming
    if following is None:
        raise KeyNotReady("no next key is published")
    wait = policy.lead - situation.age(following)
    if wait > timedelta(0):
        raise KeyNotReady(f"the next key may sign in {ceil(wait.total_seconds())} s")
    if not situation.opens(following):
        raise KeyNotReady(f"the next key, under secret {following.secret_id}, cannot be opened")
    return _promotion(situation.signing, following)


def replace_compromised(situation: Situation) -> tuple[Step, ...]:
    """Return an emergency: the signing key goes at once, another signs without its lead.

    Every token the old key signed is refused from the commit on, and verifiers that cached the
    JWKS may refuse the new ones for up to max-age. A next key that cannot be opened is replaced.
    """
    signing, following = situation.signing, situation.upcoming
    gone = (Remove(signing.kid, State.SIGNING),) if signing else ()
    if following is None:
        return (*gone, Add(State.SIGNING), Add(State.NEXT))
    if situation.opens(following):
        return (*gone, Promote(following.kid), Add(State.NEXT))
    useless = Remove(following.kid, State.NEXT)
    return (*gone, useless, Add(State.SIGNING), Add(State.NEXT))


def _succession(situation: Situation, policy: Policy) -> tuple[Step, ...]:
    signing, following = situation.signing, situation.upcoming
    if following is None:
        # Nobody has cached a JWKS of an empty table: its first key signs at once.
        first = () if signing else (Add(State.SIGNING),)
        return (*first, Add(State.NEXT))
    if not situation.opens(following):
        return ()
    if signing is None:
        return _promotion(None, following)
    over = situation.age(signing) >= policy.period
    known = situation.age(following) >= policy.lead
    return _promotion(signing, following) if over and known else ()


def _promotion(signing: StoredKey | None, following: StoredKey) -> tuple[Step, ...]:
    # Retiring first: the index allows one signing key at any moment.
    retired = (Retire(signing.kid),) if signing else ()
    return (*retired, Promote(following.kid), Add(State.NEXT))


def _removals(situation: Situation, policy: Policy) -> Iterator[Step]:
    for key in situation.keys:
        if key.state is State.RETIRED and situation.age(key) > policy.retirement:
            yield Remove(key.kid, State.RETIRED)


def _reseals(situation: Situation, policy: Policy) -> Iterator[Step]:
    """Yield the keys under a listed secret that is not the current one.

    Half-way through a roll-out replicas disagree about the current secret; a seal is therefore
    left alone for a while, so that they do not undo each other's work all the time.
    """
    for key in situation.keys:
        if key.sealed_at is None or key.secret_id == situation.current_secret:
            continue
        if situation.opens(key) and situation.now - key.sealed_at >= policy.staleness:
            yield Reseal(key.kid)
