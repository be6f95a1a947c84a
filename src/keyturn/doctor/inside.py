"""Looks from inside: asks PostgreSQL and Redis with the settings of the servers, and only looks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from keyturn.clock import Clock
from keyturn.crypto.jose import PublicKey
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.connection import one_host_each
from keyturn.db.inspection import Inspection, Missing, inspect
from keyturn.db.migrate import migrations
from keyturn.db.queries import Query, load_queries
from keyturn.doctor import clients, postgres, schema, signing_keys, upkeep
from keyturn.doctor.finding import Check, Finding, skip
from keyturn.errors import Unavailable
from keyturn.keys.decision import Policy, Situation
from keyturn.keys.rotation import read_keys
from keyturn.outgoing.resolver import SystemResolver
from keyturn.settings import Settings

SQL = load_queries(__package__, "doctor.sql")

CONNECT = 3.0
"""Seconds to find a host by its name and be let in: more than a server takes, to say how long."""

QUESTION = 2.0
"""Seconds one question may take; a table that takes longer is left alone."""

AFTER_THE_SERVER: tuple[Check, ...] = (
    *postgres.OF_ACTIVITY,
    *schema.CHECKS,
    *signing_keys.CHECKS,
    *clients.CHECKS,
    *upkeep.CHECKS,
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the URL, as it answered."""

    url: str
    name: str
    row: Row | None = None
    reason: str = ""
    seconds: float = 0.0
    here: datetime | None = None
    """Our time at the moment the server told its own."""

    @property
    def is_primary(self) -> bool:
        """Whether it answered and is no standby."""
        return self.row is not None and not self.row["standby"]


@dataclass(slots=True)
class Inside:
    """What was found inside; `signing` and `public` are the names of keys, None when unknown."""

    findings: list[Finding] = field(default_factory=list)
    reached: bool = False
    signing: frozenset[str] | None = None
    public: frozenset[str] = frozenset()


async def look_inside(settings: Settings, clock: Clock, resolver: SystemResolver) -> Inside:
    """Look at the database of these settings."""
    urls = one_host_each(settings.postgres.direct().dsn())
    answers = await asyncio.gather(*(_meet(url, clock, resolver) for url in urls))
    there = [one for one in answers if one.row is not None]
    if not there:
        silent = [postgres.unreachable(one.name, one.reason) for one in answers]
        skipped = (postgres.HOSTS, postgres.POOLER, *postgres.OF_SERVER, *AFTER_THE_SERVER)
        return Inside([*silent, *skip(skipped, "the database does not answer")])
    chosen = next((one for one in there if one.is_primary), there[0])
    inside = Inside(_of_host(chosen, settings), reached=True)
    silent_ones = {one.name: one.reason for one in answers if one.row is None}
    inside.findings += postgres.hosts(silent_ones, len(there))
    inside.findings.append(await _pooler(settings, chosen, clock, resolver))
    try:
        async with inspect(chosen.url, CONNECT) as inspection:
            await _look_further(inspection, chosen.row or {}, settings, inside)
    except Unavailable as trouble:
        inside.findings += skip(
            AFTER_THE_SERVER, f"the second connection failed ({trouble.detail})"
        )
    return inside


async def _meet(url: str, clock: Clock, resolver: SystemResolver) -> Host:
    where = urlsplit(url)
    host = where.hostname or "the local socket"
    name = f"{host}:{where.port}" if where.port else host
    begun = clock.monotonic()
    try:
        async with asyncio.timeout(CONNECT):
            if where.hostname:
                await resolver.addresses(where.hostname)
            async with inspect(url, CONNECT) as inspection:
                seconds = clock.monotonic() - begun
                before = clock.now()
                (row,) = await inspection.fetch(SQL["server"])
                return Host(url, name, dict(row), "", seconds, before + (clock.now() - before) / 2)
    except Unavailable as trouble:
        return Host(url, name, reason=trouble.detail)
    except OSError as trouble:
        return Host(url, name, reason=type(trouble).__name__)


async def _pooler(
    settings: Settings, chosen: Host, clock: Clock, resolver: SystemResolver
) -> Finding:
    if not settings.postgres.is_pooled:
        return postgres.POOLER.ok("no pooler is set: postgres.url leads to the server itself")
    through = await _meet(settings.postgres.dsn(), clock, resolver)
    return postgres.pooler(through.reason, through.row, chosen.row or {})


def _of_host(host: Host, settings: Settings) -> list[Finding]:
    row = host.row or {}
    return [
        postgres.REACHABLE.ok(f"{host.name} answers"),
        *postgres.server(row, host.seconds, settings.postgres),
        postgres.clock(row["now"], host.here or row["now"]),
    ]


async def _look_further(
    inspection: Inspection, server: Row, settings: Settings, inside: Inside
) -> None:
    """Ask one question after the other; one that fails leaves its own checks out."""

    async def ask(
        checks: Iterable[Check],
        query: Query,
        judge: Callable[[list[Any]], list[Finding]],
        *args: object,
    ) -> None:
        await _asked(inside, checks, lambda: _judged(inspection, query, judge, args))

    def activity(rows: list[Row]) -> list[Finding]:
        room = postgres.connections(server["connections"], rows[0], settings)
        return [room, upkeep.servers(rows[0]["processes"])]

    names = server["synchronous_standby_names"]
    kept = timedelta(days=settings.audit.retention_days or 36_500) + upkeep.SLACK
    counted = (postgres.CONNECTIONS, upkeep.SERVERS)
    if settings.postgres.is_pooled:
        # Nobody listens through a pooler, and its own connections say nothing of who shares them.
        inside.findings += skip(counted, "behind a pooler our processes cannot be counted")
    else:
        await ask(counted, SQL["activity"], activity)
    grace = timedelta(seconds=settings.sessions.grace)
    await ask(
        (postgres.STANDBY, postgres.LAG),
        SQL["standbys"],
        lambda rows: [postgres.standby(names, rows[0]), postgres.lag(rows[0], grace)],
    )
    await ask(
        (postgres.PRIVILEGES,),
        SQL["unwritable"],
        lambda rows: [postgres.privileges([row["relname"] for row in rows])],
    )
    await _asked(inside, schema.CHECKS, lambda: _schema(inspection))
    await _asked(inside, signing_keys.CHECKS, lambda: _keys(inspection, settings, inside))
    await ask(clients.CHECKS, SQL["clients"], clients.clients, clients.MOST)
    await ask(
        (upkeep.PURGE,),
        SQL["expired"],
        lambda rows: [upkeep.purge([row["name"] for row in rows])],
        upkeep.SLACK,
    )
    await ask(
        (upkeep.AUDIT, upkeep.RETENTION), SQL["audit"], lambda rows: upkeep.audit(rows[0]), kept
    )
    await ask((upkeep.LOGOUTS,), SQL["logouts"], lambda rows: [upkeep.logouts(rows[0]["oldest"])])


async def _judged(
    inspection: Inspection,
    query: Query,
    judge: Callable[[list[Any]], list[Finding]],
    args: tuple[object, ...],
) -> list[Finding]:
    return judge(await inspection.fetch(query, *args))


async def _asked(
    inside: Inside, checks: Iterable[Check], look: Callable[[], Awaitable[list[Finding]]]
) -> None:
    try:
        inside.findings += await look()
    except Missing:
        inside.findings += skip(checks, "the schema is older than this release: keyturn migrate")
    except Unavailable as trouble:
        inside.findings += skip(checks, f"the database did not say ({trouble.detail})")


async def _schema(inspection: Inspection) -> list[Finding]:
    try:
        rows = await inspection.fetch(SQL["migrations"])
    except Missing:
        rows = []
    return schema.schema([row["version"] for row in rows], migrations())


async def _keys(inspection: Inspection, settings: Settings, inside: Inside) -> list[Finding]:
    secrets = MasterSecrets(settings.master_values())
    situation = await read_keys(inspection.fetch, secrets)
    inside.signing, inside.public = _names(situation)
    return signing_keys.signing_keys(situation, Policy.of(settings))


def _names(situation: Situation) -> tuple[frozenset[str], frozenset[str]]:
    keys = [PublicKey.from_jwk(key.public_jwk) for key in situation.keys]
    names = {key.kid: frozenset({key.kid, key.for_pss().kid}) for key in keys}
    signing = names.get(situation.signing.kid, frozenset()) if situation.signing else frozenset()
    return signing, frozenset().union(*names.values())
