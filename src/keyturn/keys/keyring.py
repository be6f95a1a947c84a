"""The keys in memory: what signs, what verifies, and the JWKS as the bytes that are sent.

A request never waits for the database here. The keyring is read again every few seconds and
whenever a replica announces a change; with the database away it goes on with what it has, says
so (`is_stale`), and signs only as long as every verifier can still be expected to know the key.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson
import structlog

from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.crypto.jose import PublicKey, SigningKey
from keyturn.errors import Unavailable
from keyturn.keys.decision import Policy, Situation, leaves_at
from keyturn.keys.model import State
from keyturn.keys.rotation import KeyRotation
from keyturn.keys.sealing import unseal
from keyturn.telemetry.metrics import Metrics

log = structlog.get_logger("keyturn.keys")

# Simple verifiers take the first key; keep the one that signs there.
_ORDER = {State.SIGNING: 0, State.NEXT: 1, State.RETIRED: 2}


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The JWKS document (RFC 7517 section 5) and its entity tag, equal on every replica."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent reading of the keys."""

    signing: SigningKey | None
    public: Mapping[str, PublicKey]
    published: PublishedKeys
    unopened: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Keyring:
    """What one process knows of the signing keys; `load` before the first request."""

    rotation: KeyRotation
    clock: Clock
    metrics: Metrics
    _snapshot: Snapshot | None = None
    _loaded_at: float = field(default=0.0)

    @property
    def signing(self) -> SigningKey | None:
        """The key to sign with; None while there is none, or none that verifiers surely know."""
        if self._snapshot is None or self._age() > self._policy.margin.total_seconds():
            # It may have been retired long ago elsewhere, and be published no longer.
            return None
        return self._snapshot.signing

    @property
    def is_usable(self) -> bool:
        """Whether there is a key to sign with, however old the knowledge of it: for readiness."""
        return self._snapshot is not None and self._snapshot.signing is not None

    @property
    def is_stale(self) -> bool:
        """Whether the keys were last read too long ago for others to cache what we say."""
        return self._snapshot is None or self._age() > self._policy.staleness.total_seconds()

    def find(self, kid: str) -> PublicKey | None:
        """Return the published key of that name: one look-up in a dict, whatever `kid` holds."""
        return self._snapshot.public.get(kid) if self._snapshot else None

    def jwks(self) -> PublishedKeys:
        """Return the JWKS. Raises `Unavailable` before the first load."""
        if self._snapshot is None:
            raise Unavailable("keys: not loaded yet")
        return self._snapshot.published

    async def load(self) -> None:
        """Read the keys again; private halves are imported once. Raises `Unavailable`."""
        # Taken before the question is sent: the answer is at least as fresh as this.
        asked_at = self.clock.monotonic()
        situation = await self.rotation.look()
        snapshot = await self._take(situation)
        self._report(situation, snapshot)
        self._snapshot, self._loaded_at = snapshot, asked_at

    @property
    def _policy(self) -> Policy:
        return self.rotation.policy

    def _age(self) -> float:
        return self.clock.monotonic() - self._loaded_at

    async def _take(self, situation: Situation) -> Snapshot:
        ordered = sorted(situation.keys, key=lambda key: (_ORDER[key.state], key.created_at))
        keys = [self.find(key.kid) or PublicKey.from_jwk(key.public_jwk) for key in ordered]
        public = {key.kid: key for key in (*keys, *(key.for_pss() for key in keys))}
        return Snapshot(
            signing=await self._open(situation),
            public=MappingProxyType(public),
            published=_publish(public.values()),
            unopened=frozenset(
                key.kid for key in situation.keys if key.sealed and not situation.opens(key)
            ),
        )

    async def _open(self, situation: Situation) -> SigningKey | None:
        key, held = situation.signing, self._snapshot.signing if self._snapshot else None
        if key is None or not situation.opens(key):
            return None
        if held is not None and held.kid == key.kid:
            return held
        private = unseal(key, self.rotation.secrets)
        return await asyncio.to_thread(SigningKey.from_der, private, key.kid)

    def _report(self, situation: Situation, snapshot: Snapshot) -> None:
        known = self._snapshot.unopened if self._snapshot else frozenset()
        for key in situation.keys:
            if key.kid in snapshot.unopened - known:
                log.error(
                    "signing_key_sealed", kid=key.kid, state=key.state, secret_id=key.secret_id
                )
        for state in State:
            ends = [
                leaves_at(key, situation, self._policy).timestamp()
                for key in situation.keys
                if key.state is state
            ]
            self.metrics.signing_keys.labels(state).set(len(ends))
            if ends:
                self.metrics.signing_key_not_after.labels(state).set(min(ends))
            else:
                self.metrics.signing_key_not_after.remove(state)
        self.metrics.signing_keys_unopened.set(len(snapshot.unopened))
        self.metrics.keyring_loaded.set(self.clock.now().timestamp())


def _publish(keys: Iterable[PublicKey]) -> PublishedKeys:
    body = orjson.dumps({"keys": [dict(key.jwk) for key in keys]})
    return PublishedKeys(body, f'"{opaque.sha256(body).hex()[:32]}"')
