"""Carries decisions about the signing keys out: one replica at a time, all of it or nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keyturn.crypto import jose
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database, Row, Statements
from keyturn.db.queries import Query, load_queries
from keyturn.errors import Unavailable
from keyturn.keys import decision
from keyturn.keys.decision import Add, Policy, Promote, Remove, Reseal, Retire, Situation, Step
from keyturn.keys.model import State, StoredKey
from keyturn.keys.sealing import opens, seal, unseal
from keyturn.telemetry.audit import Audit, AuditEvent

SQL = load_queries(__package__, "keys.sql")

CHANNEL = "keyturn_keys"
"""Notified, without a payload, when the keys have changed."""

LOCK = 0x6B657973
"""The advisory lock of everything that changes signing keys."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyRotation:
    """The only writer of `signing_keys`."""

    database: Database
    secrets: MasterSecrets
    policy: Policy
    audit: Audit

    async def look(self) -> Situation:
        """Read the keys without deciding anything. Raises `Unavailable`."""
        return await self._read(self.database)

    async def run_due(self) -> tuple[Step, ...]:
        """Do what time asks for and return it; any number of replicas may call at once.

        Raises `Unavailable`.
        """
        return await self._decide(lambda situation: decision.due(situation, self.policy))

    async def promote_now(self) -> tuple[Step, ...]:
        """Promote the next key ahead of its time. Raises `KeyNotReady`, `Unavailable`."""
        return await self._decide(lambda situation: decision.promote_now(situation, self.policy))

    async def replace_compromised(self) -> tuple[Step, ...]:
        """Stop publishing the signing key at once and sign with another. Raises `Unavailable`."""
        return await self._decide(decision.replace_compromised)

    async def _decide(self, decide: Callable[[Situation], tuple[Step, ...]]) -> tuple[Step, ...]:
        # Keys are made before the lock is taken: nobody waits for a prime number.
        foreseen = decide(await self.look())
        if not foreseen:
            return ()
        wanted = sum(isinstance(step, Add) for step in foreseen)
        spares = [await asyncio.to_thread(jose.generate) for _ in range(wanted)]
        async with self.database.transaction() as tx:
            await tx.fetch_row(SQL["lock"], LOCK)
            situation = await self._read(tx)
            steps = decide(situation)
            for step in steps:
                await self._carry_out(tx, step, situation, spares)
            if any(not isinstance(step, Reseal) for step in steps):
                await tx.fetch_row(SQL["announce"], CHANNEL)
        for event in map(_event, steps):
            self.audit.record(event)
        return steps

    async def _read(self, statements: Statements) -> Situation:
        return await read_keys(statements.fetch, self.secrets)

    async def _carry_out(
        self, tx: Statements, step: Step, situation: Situation, spares: list[RSAPrivateKey]
    ) -> None:
        match step:
            case Add(state):
                key = spares.pop() if spares else await asyncio.to_thread(jose.generate)
                touched = await self._add(tx, key, state)
            case Retire(kid):
                touched = await tx.execute(SQL["retire"], kid)
            case Promote(kid):
                touched = await tx.execute(SQL["promote"], kid)
            case Remove(kid, state):
                touched = await tx.execute(SQL["remove"], kid, state)
            case Reseal(kid):
                touched = await self._reseal(tx, kid, situation)
        if touched != 1:
            # Somebody edits the table by hand, without the lock.
            raise Unavailable(f"keys: {type(step).__name__} found another state")

    async def _add(self, tx: Statements, key: RSAPrivateKey, state: str) -> int:
        jwk = jose.public_jwk(key)
        sealed = seal(jose.to_der(key), jwk["kid"], self.secrets)
        return await tx.execute(SQL["add"], jwk["kid"], state, jwk, sealed)

    async def _reseal(self, tx: Statements, kid: str, situation: Situation) -> int:
        key = next(key for key in situation.keys if key.kid == kid)
        fresh = seal(unseal(key, self.secrets), kid, self.secrets)
        return await tx.execute(SQL["reseal"], kid, fresh, key.sealed)


async def read_keys(
    fetch: Callable[[Query], Awaitable[list[Row]]], secrets: MasterSecrets
) -> Situation:
    """Read the keys by one question, as a process with these secrets sees them."""
    rows = await fetch(SQL["list"])
    keys = tuple(StoredKey.from_row(row) for row in rows if row["kid"] is not None)
    opened = frozenset(key.kid for key in keys if opens(key, secrets))
    return Situation(keys, rows[0]["now"], opened, secrets.current_id)


def _event(step: Step) -> AuditEvent:
    match step:
        case Add(state):
            return AuditEvent("key_created", detail={"state": state})
        case Promote(kid):
            return AuditEvent("key_rotated", detail={"kid": kid})
        case Retire(kid):
            return AuditEvent("key_retired", detail={"kid": kid})
        case Remove(kid, State.SIGNING):
            return AuditEvent("key_compromised", detail={"kid": kid})
        case Remove(kid):
            return AuditEvent("key_removed", detail={"kid": kid})
        case Reseal(kid):
            return AuditEvent("key_resealed", detail={"kid": kid})
