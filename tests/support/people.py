"""Accounts, sign-ins and their sessions on real servers, built as the server builds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from keyturn.cache.client import Cache
from keyturn.clients.model import Client
from keyturn.clock import SystemClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database
from keyturn.revocation.cache import RevocationCache
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.active import ActiveSessions
from keyturn.sessions.end import Ending
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.model import Started
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.sessions.start import SessionRequest, Starter
from keyturn.sessions.step_up import StepUps
from keyturn.settings import (
    RedisSettings,
)
from keyturn.settings_credentials import PasswordsSettings, ThrottleSettings
from keyturn.telemetry.audit import Audit
from keyturn.telemetry.metrics import Metrics
from keyturn.users.accounts import Accounts
from keyturn.users.authenticate import Authenticator
from keyturn.users.hash_pool import HashPool
from keyturn.users.model import Authenticated
from keyturn.users.passwords import Passwords
from keyturn.users.throttle import Throttle
from support.patience import patient

ISSUER = "https://id.example"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
CHEAP = PasswordsSettings(memory_kib=7168, time_cost=5)
"""The cheapest argon2id the settings allow."""

APP = Client(
    id="app",
    name="App",
    kind="public",
    grant_types=frozenset({"refresh_token"}),
    scopes=frozenset({"read"}),
    audiences=("https://api.example",),
)


@dataclass(frozen=True, slots=True)
class People:
    """The rooms a sign-in passes through."""

    database: Database
    passwords: Passwords
    throttle: Throttle
    accounts: Accounts
    authenticator: Authenticator
    starter: Starter
    active: ActiveSessions
    audit: Audit
    metrics: Metrics

    async def sign_in(self, email: str, password: str, address: str = HERE) -> Started:
        """Prove and start, as POST /auth/login does."""
        return await self.start(await self.authenticator.authenticate(email, password, address))

    async def start(self, person: Authenticated) -> Started:
        """Start a session on a proof."""
        return await self.starter.start(
            SessionRequest(
                user_id=person.user.id,
                client=APP,
                scopes=APP.scopes,
                audiences=APP.audiences,
                lifetimes=Lifetimes(timedelta(days=7), timedelta(days=7), remembered=None),
                proof_time=person.proof_time,
            )
        )

    def with_throttle(self, throttle: Throttle) -> "People":
        """The same people under other limits."""
        return replace(
            self, throttle=throttle, authenticator=replace(self.authenticator, throttle=throttle)
        )


@asynccontextmanager
async def people(
    database_url: str,
    redis_url: str | None = None,
    throttle: ThrottleSettings | None = None,
    passwords: PasswordsSettings = CHEAP,
) -> AsyncIterator[People]:
    """Build the rooms; without `redis_url` the limits are the process's own."""
    metrics, clock = Metrics(), SystemClock()
    secrets = MasterSecrets({1: b"a master secret of a test, 32 bytes+"})
    database = Database(patient(database_url), metrics)
    cache = Cache(RedisSettings(url=redis_url, timeout=20.0), metrics, clock)
    audit = Audit(clock, metrics, 1000)
    revocations = Revocations(database, RevocationCache(cache, clock, ISSUER, 2.0), metrics, clock)
    codec = RefreshTokenCodec(secrets)
    ending = Ending(database, codec, revocations, audit, metrics)
    step_ups = StepUps(database, ending, timedelta(seconds=10))
    pool = HashPool(passwords, metrics, clock)
    hasher = Passwords(passwords, pool)
    limits = Throttle(cache, throttle or ThrottleSettings(), secrets, ISSUER, metrics, clock)
    try:
        yield People(
            database=database,
            passwords=hasher,
            throttle=limits,
            accounts=Accounts(database, hasher, ending, audit),
            authenticator=Authenticator(database, hasher, limits, metrics, audit),
            starter=Starter(database, codec, ending, clock, step_ups, max_per_user=100),
            active=ActiveSessions(database),
            audit=audit,
            metrics=metrics,
        )
    finally:
        await pool.close()
        await cache.close()
        await database.close()
