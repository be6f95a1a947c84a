"""Signing keys for tests: made once a process, because primes are slow."""

from datetime import datetime, timedelta
from functools import cache
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keyturn.clock import Clock, SystemClock
from keyturn.crypto import jose
from keyturn.crypto.jose import generate
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database
from keyturn.keys.decision import Policy
from keyturn.keys.keyring import Keyring
from keyturn.keys.model import State, StoredKey
from keyturn.keys.rotation import KeyRotation
from keyturn.keys.sealing import seal
from keyturn.telemetry.audit import Audit
from keyturn.telemetry.metrics import Metrics

FIRST = MasterSecrets({1: b"first master secret of thirty-two bytes"})
BOTH = MasterSecrets({2: b"second master secret of thirty-two byte", 1: FIRST.values[1]})
SECOND = MasterSecrets({2: BOTH.values[2]})
"""A roll-out: the old secret, both with the new one first, the new one alone."""

POLICY = Policy(
    lead=timedelta(minutes=15),
    period=timedelta(days=90),
    margin=timedelta(seconds=300 + 60 + 60),
    staleness=timedelta(seconds=60),
)


def private_key(number: int = 0) -> RSAPrivateKey:
    """Return the same key for the same number."""
    return _made(number)


@cache
def _made(_number: int) -> RSAPrivateKey:
    return generate()


def made_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the rotations of this test take keys that others took, each once, in the same order."""
    numbers = count()
    monkeypatch.setattr(jose, "generate", lambda: private_key(next(numbers)))


def signing_key(number: int = 0) -> jose.SigningKey:
    """Return that key ready to sign."""
    key = private_key(number)
    return jose.SigningKey.from_der(jose.to_der(key), jose.thumbprint(key))


def public_key(number: int = 0) -> jose.PublicKey:
    """Return that key's public half."""
    return jose.PublicKey.from_jwk(jose.public_jwk(private_key(number)))


def stored_key(
    state: State, since: datetime, number: int = 0, secrets: MasterSecrets = FIRST
) -> StoredKey:
    """Return a row."""
    key = private_key(number)
    kid = jose.thumbprint(key)
    retired = state is State.RETIRED
    return StoredKey(
        kid=kid,
        state=state,
        since=since,
        created_at=since,
        public_jwk=jose.public_jwk(key),
        sealed=None if retired else seal(jose.to_der(key), kid, secrets),
        sealed_at=None if retired else since,
    )


def keyring_of(
    database: Database, clock: Clock, secrets: MasterSecrets = FIRST, policy: Policy = POLICY
) -> Keyring:
    """Return an empty keyring over a real database."""
    return Keyring(rotation_of(database, secrets, policy), clock, Metrics())


def rotation_of(
    database: Database, secrets: MasterSecrets = FIRST, policy: Policy = POLICY
) -> KeyRotation:
    """Return what changes the keys of a real database."""
    return KeyRotation(database, secrets, policy, Audit(SystemClock(), Metrics(), limit=100))
