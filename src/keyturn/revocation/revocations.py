"""Has this session or token ended? And: this token ends now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keyturn.clock import Clock
from keyturn.db.pool import Database
from keyturn.errors import CacheUnavailable
from keyturn.revocation import record
from keyturn.revocation.cache import RevocationCache, Verdict
from keyturn.revocation.record import LIFETIME, SQL, Kind
from keyturn.telemetry.metrics import Metrics

Source = Literal["cache", "database"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something ended early, and what that rests on."""

    revoked: bool
    source: Source


@dataclass(frozen=True, slots=True)
class Revocations:
    """Asks the copy in Redis, and PostgreSQL whenever the copy proves nothing."""

    database: Database
    cache: RevocationCache
    metrics: Metrics
    clock: Clock

    async def look_up(self, sid: str | None, jti: str) -> Finding:
        """Return whether the session `sid` or the token `jti` ended early, and who says so.

        No SQL while the copy is trusted, else one statement. Raises `Unavailable` when neither
        can be asked: a caller must then answer 503, neither yes nor no.
        """
        match await self._ask_cache(sid, jti):
            case Verdict.REVOKED:
                return Finding(revoked=True, source="cache")
            case Verdict.NOT_REVOKED:
                return Finding(revoked=False, source="cache")
            case Verdict.UNTRUSTED:
                row = await self.database.fetch_row(SQL["look_up"], sid, jti)
                return Finding(row is not None and bool(row["revoked"]), "database")

    async def revoke_token(self, jti: str) -> None:
        """End one access token: durable when this returns. Raises `Unavailable`."""
        async with self.database.transaction() as tx:
            await record.write(tx, "jti", [jti])
        self.metrics.revocations("token", "api")
        await self.announce("jti", [jti])

    async def announce(self, kind: Kind, ids: Sequence[str]) -> None:
        """After the commit, tell the copy at once; what fails here, the copier mends.

        Never raises for trouble with Redis: the revocation is durable already.
        """
        if not ids:
            return
        began = self.clock.monotonic()
        try:
            await self.cache.add(kind, ids, self.clock.now() + LIFETIME)
        except CacheUnavailable:  # counted by the cache; the copier has it within a second
            return
        self.metrics.revocation_propagation.observe(self.clock.monotonic() - began)

    async def _ask_cache(self, sid: str | None, jti: str) -> Verdict:
        try:
            verdict = await self.cache.look_up(sid, jti)
        except CacheUnavailable:
            self.metrics.revocation_lookups("error")
            return Verdict.UNTRUSTED
        self.metrics.revocation_lookups(_LABELS[verdict])
        return verdict


_LABELS = {
    Verdict.REVOKED: "hit",
    Verdict.NOT_REVOKED: "miss",
    Verdict.UNTRUSTED: "untrusted",
}
