"""What there is one of in a process: made once from Settings, before anything is connected."""

import asyncio
from dataclasses import dataclass
from typing import Self

import structlog

from keyturn.cache.client import Cache
from keyturn.clients.client_keys import ClientKeys
from keyturn.clients.published_keys import PublishedKeys
from keyturn.clients.registry import Registry
from keyturn.clock import Clock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database
from keyturn.keys.decision import Policy
from keyturn.keys.keyring import Keyring
from keyturn.keys.rotation import KeyRotation
from keyturn.outgoing.client import Outgoing
from keyturn.revocation.cache import RevocationCache
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.end import Ending
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.settings import Settings
from keyturn.status_lists.published import StatusLists
from keyturn.telemetry import build
from keyturn.telemetry.audit import Audit, Detail
from keyturn.telemetry.callers import SERVER, Actor
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.tracing import Traces
from keyturn.telemetry.vitals import Vitals
from keyturn.users.hash_pool import HashPool
from keyturn.users.passwords import Passwords
from keyturn.users.throttle import Throttle
from keyturn.web.client_ip import ClientAddress

log = structlog.get_logger("keyturn.app")


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """Connections, caches and counters; each of them once."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    vitals: Vitals
    audit: Audit
    database: Database
    rotations: Database
    cache: Cache
    outgoing: Outgoing
    secrets: MasterSecrets
    codec: RefreshTokenCodec
    registry: Registry
    client_keys: ClientKeys
    key_rotation: KeyRotation
    keyring: Keyring
    revocation_cache: RevocationCache
    revocations: Revocations
    status_lists: StatusLists
    passwords: Passwords
    throttle: Throttle
    device_throttle: Throttle
    ending: Ending
    address: ClientAddress
    traces: Traces | None = None
    """None where nothing is traced: without an endpoint, and in commands."""

    @classmethod
    def of(
        cls, settings: Settings, clock: Clock, actor: Actor = SERVER, facts: Detail | None = None
    ) -> Self:
        """Build every shared part, unconnected; of `actor` and `facts`, `Audit` says more."""
        metrics = Metrics()
        metrics.build.info(dict(build.facts()))
        audit = Audit(clock, metrics, settings.audit.queue_limit, actor, facts or {})
        database = Database(settings.postgres, metrics, clock=clock)
        # Rotations need not wait for a standby, and may skip the disk: what is lost heals.
        commit = "off" if settings.postgres.async_rotation else "local"
        rotations = Database(settings.postgres, metrics, {"synchronous_commit": commit}, clock)
        _report_pools(metrics, database, rotations)
        cache = Cache(settings.redis, metrics, clock)
        secrets = MasterSecrets(settings.master_values())
        codec = RefreshTokenCodec(secrets)
        outgoing = Outgoing.of(settings)
        key_rotation = KeyRotation(database, secrets, Policy.of(settings), audit)
        keyring = Keyring(key_rotation, clock, metrics)
        throttle = Throttle(cache, settings.throttle, secrets, settings.issuer, metrics, clock)
        revocation_cache = RevocationCache(cache, clock, settings.issuer, settings.revocation.trust)
        revocations = Revocations(database, revocation_cache, metrics, clock)
        return cls(
            settings=settings,
            clock=clock,
            metrics=metrics,
            vitals=Vitals(clock, metrics, lambda: keyring.is_usable),
            audit=audit,
            database=database,
            rotations=rotations,
            cache=cache,
            outgoing=outgoing,
            secrets=secrets,
            codec=codec,
            registry=Registry(database, clock),
            client_keys=ClientKeys(PublishedKeys(outgoing, clock, metrics)),
            key_rotation=key_rotation,
            keyring=keyring,
            revocation_cache=revocation_cache,
            revocations=revocations,
            status_lists=StatusLists.of(settings, database, keyring, metrics, clock),
            passwords=Passwords(settings.passwords, HashPool(settings.passwords, metrics, clock)),
            throttle=throttle,
            device_throttle=throttle.apart(
                "device-",
                client_attempts=settings.device.codes_per_address,
                global_attempts=settings.device.wrong_codes,
            ),
            ending=Ending(database, codec, revocations, audit, metrics),
            address=ClientAddress(settings.server.trusted_proxies),
        )

    def note_unreadable(self, status: int, peer: str) -> None:
        """Count and log a request that the HTTP parser refused: no door ever saw it."""
        self.metrics.unreadable_requests(str(status))
        log.info("request_unreadable", status=status, ip=peer)

    async def close(self) -> None:
        """Close every thread and connection."""
        await self.passwords.pool.close()
        await self.cache.close()
        await self.rotations.close()
        await self.database.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.sink.close)


def _report_pools(metrics: Metrics, *pools: Database) -> None:
    """Let scrapes ask how many connections these have, together; nothing else is asked."""
    connections = metrics.database_connections
    connections["used"].set_function(lambda: sum(pool.in_use() for pool in pools))
    connections["idle"].set_function(lambda: sum(pool.idle() for pool in pools))
    connections["max"].set(sum(pool.settings.pool_max for pool in pools))
