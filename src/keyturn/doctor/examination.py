"""The whole examination: every family of checks at once, each bounded in time, and the report."""

import asyncio
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from keyturn.clock import Clock
from keyturn.configuration import load_settings
from keyturn.doctor import (
    answers,
    clients,
    configuration,
    documents,
    exposure,
    postgres,
    redis,
    schema,
    signing_keys,
    status_list,
    tls,
    upkeep,
)
from keyturn.doctor.cache import look_at_redis
from keyturn.doctor.finding import Check, Finding, Report, Severity, skip
from keyturn.doctor.inside import AFTER_THE_SERVER, Inside, look_inside
from keyturn.doctor.outside import OF_ANSWERS, Outside, look_at_management, look_outside
from keyturn.doctor.sources import sources
from keyturn.doctor.wire import Target
from keyturn.errors import SettingsRefused
from keyturn.outgoing.resolver import SystemResolver
from keyturn.settings import Settings

LIMIT = 12.0
"""Seconds for one side; both are looked at together."""

CHECKS: tuple[Check, ...] = (
    *configuration.CHECKS,
    *postgres.CHECKS,
    *schema.CHECKS,
    *signing_keys.CHECKS,
    *clients.CHECKS,
    *upkeep.CHECKS,
    *redis.CHECKS,
    *tls.CHECKS,
    *documents.CHECKS,
    *status_list.CHECKS,
    *answers.CHECKS,
    *exposure.CHECKS,
)
"""Everything that can be found, in the order of a report."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be examined: settings None: not asked for, or not good."""

    settings: Settings | None
    url: str | None
    management_url: str | None
    inside: bool


def read(environ: Mapping[str, str], config: Path | None) -> tuple[Settings | None, list[Finding]]:
    """Read the settings, and say everything that is wrong with them and their files."""
    settings, problems = None, list[str]()
    try:
        settings = load_settings(environ, config)
    except SettingsRefused as refused:
        problems = str(refused).splitlines()
    found = [*configuration.loaded(settings, problems)]
    found += configuration.written(sources(environ, config))
    if settings is not None:
        found += configuration.chosen(settings)
    return settings, found


async def examine(
    order: Order, clock: Clock, trust: ssl.SSLContext, read_before: Sequence[Finding] = ()
) -> Report:
    """Look at everything that is asked for and put it in order. Changes nothing anywhere."""
    resolver = SystemResolver()
    settings = order.settings
    expected = settings.issuer if settings else order.url
    outward = Target(order.url or expected or "", expected or "", trust, resolver)
    inside, cache, outside, management = await asyncio.gather(
        _in_time(_inside(order, clock, resolver), Inside(_late(_OF_DATABASE))),
        _in_time(_cache(order, clock, resolver), _late(redis.CHECKS)),
        _in_time(_outside(outward, clock, settings), Outside(_late(_OF_ISSUER))),
        _in_time(_management(order, trust, resolver), (_late(exposure.OF_PORT), False)),
    )
    found = [*read_before, *inside.findings, *cache, *outside.findings, *management[0]]
    if inside.signing is not None and outside.kids:
        found += documents.against_database(outside.kids, inside.signing, inside.public)
    elif outside.findings:
        found += skip(documents.COMPARED, "it takes the database and the issuer together")
    asked = inside.findings or outside.findings or management[0]
    answered = inside.reached or outside.reached or management[1]
    return _report(found, reached=answered or not asked)


_OF_DATABASE: tuple[Check, ...] = tuple(dict.fromkeys((*postgres.CHECKS, *AFTER_THE_SERVER)))
_OF_ISSUER: tuple[Check, ...] = (*tls.CHECKS, *OF_ANSWERS)


async def _in_time(look: Awaitable[Found], late: Found) -> Found:
    try:
        async with asyncio.timeout(LIMIT):
            return await look
    except TimeoutError:
        return late


def _late(checks: Sequence[Check]) -> list[Finding]:
    """Say of the first check, which is whether somebody answers, that nobody did in time."""
    first, *rest = checks
    mend = "see what hangs between here and there"
    return [first.wrong(f"no end within {LIMIT:.0f} s", mend), *skip(rest, "there was no time")]


async def _inside(order: Order, clock: Clock, resolver: SystemResolver) -> Inside:
    if order.settings is None or not order.inside:
        return Inside()
    return await look_inside(order.settings, clock, resolver)


async def _cache(order: Order, clock: Clock, resolver: SystemResolver) -> list[Finding]:
    if order.settings is None or not order.inside:
        return []
    return await look_at_redis(order.settings, clock, resolver)


async def _outside(target: Target, clock: Clock, settings: Settings | None) -> Outside:
    if not target.connect:
        return Outside()
    return await look_outside(target, clock, settings.keys.jwks_max_age if settings else None)


async def _management(
    order: Order, trust: ssl.SSLContext, resolver: SystemResolver
) -> tuple[list[Finding], bool]:
    url = order.management_url
    if url is None:
        return [], False
    return await look_at_management(Target(url, url, trust, resolver))


def _report(found: Sequence[Finding], *, reached: bool) -> Report:
    """Put findings in the order of the checks; one that was not asked for has none."""
    order = {check.id: place for place, check in enumerate(CHECKS)}
    # Two sides may speak of one check: what one of them skipped gives way to what was found.
    told = [one for one in found if one.severity is not Severity.SKIPPED]
    skipped = {one.id: one for one in found if one.severity is Severity.SKIPPED}
    left = [one for one in skipped.values() if one.id not in {each.id for each in told}]
    return Report(sorted([*told, *left], key=lambda one: order[one.id]), reached)
