"""Looks from outside: asks what clients ask, through whatever stands before the servers."""

import asyncio
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from keyturn import paths
from keyturn.clock import Clock
from keyturn.doctor import answers, documents, exposure, status_list, tls
from keyturn.doctor.answers import LONG_URL
from keyturn.doctor.finding import Check, Finding, skip
from keyturn.doctor.wire import HTTPS_PORT, Answer, NoAnswer, Question, Target

CONNECTIONS: Final = 5
"""Connections on which the keys are asked for: of several replicas, more than one answers."""

FOREIGN: Final = "https://doctor.invalid"
"""An origin that is nobody's (RFC 6761)."""

FORM: Final = "application/x-www-form-urlencoded"

OF_ANSWERS: tuple[Check, ...] = (
    *documents.CHECKS,
    *status_list.CHECKS,
    *answers.CHECKS,
    exposure.EXPOSED,
)

DISCOVERY: Final = Question(paths.OPENID_CONFIGURATION)
OAUTH: Final = Question(paths.OAUTH_METADATA)
KEYS: Final = Question(paths.JWKS)
LONG: Final = Question(f"{paths.JWKS}?long={'x' * (LONG_URL - len(paths.JWKS) - 6)}")
LOGIN: Final = Question(paths.LOGIN_PAGE, headers={"Accept": "text/html"})
TOKEN: Final = Question(
    paths.TOKEN,
    "POST",
    {"Content-Type": FORM, "Origin": FOREIGN},
    b"grant_type=doctor&grant_type=doctor",
)
"""Refused for a parameter that stands there twice, before anybody is looked up or audited."""

ROOT: Final = Question("/")


@dataclass(slots=True)
class Outside:
    """What was found outside; `kids` are the names of the keys that clients see."""

    findings: list[Finding] = field(default_factory=list)
    reached: bool = False
    kids: list[str] = field(default_factory=list)


async def look_outside(target: Target, clock: Clock, max_age: int | None) -> Outside:
    """Ask the deployment everything; `max_age` is the setting of the JWKS, where it is known."""
    try:
        discovery = await target.ask(DISCOVERY)
    except NoAnswer as trouble:
        failed = tls.failed(target.connect, trouble)
        rest = (tls.CERTIFICATE, tls.PLAIN, *OF_ANSWERS)
        return Outside([*failed, *skip(rest, "the issuer does not answer")])
    outside = Outside(tls.answered(target.connect, discovery, clock.now()), reached=True)
    outside.findings.append(answers.clock(discovery, clock.now()))
    try:
        outside.findings += await _look(target, discovery, max_age, outside)
    except NoAnswer as trouble:
        made = {one.id for one in outside.findings}
        left = [one for one in OF_ANSWERS if one.id not in made]
        outside.findings += skip(left, f"an answer did not come ({trouble})")
    outside.findings.append(await _plain(target))
    return outside


async def look_at_management(target: Target) -> tuple[list[Finding], bool]:
    """Ask the management port; return also whether it answered."""
    asked = [Question(path) for path in (paths.STARTED, paths.READY, paths.DEPENDENCIES)]
    try:
        started, ready, found = await asyncio.gather(*map(target.ask, asked))
    except NoAnswer as trouble:
        return exposure.away(target.connect, trouble), False
    return exposure.port(target.connect, started, ready, found), True


async def _look(
    target: Target, discovery: Answer, max_age: int | None, outside: Outside
) -> list[Finding]:
    once = (OAUTH, TOKEN, LOGIN, LONG, status_list.FIRST)
    asked = [*once, *(KEYS,) * CONNECTIONS, *map(Question, exposure.SIGNS)]
    oauth, token, login, long, first, *rest = await asyncio.gather(*map(target.ask, asked))
    keys, ports = rest[:CONNECTIONS], rest[CONNECTIONS:]
    outside.kids = documents.published(keys[0])
    public = {"the metadata": discovery, "the JWKS": keys[0]}
    everything = {**public, "a token answer": token}
    return [
        *documents.metadata(target.expected, discovery, oauth),
        *documents.jwks(keys),
        *status_list.status_list(target.expected, first, documents.keys_of(keys[0])),
        *answers.token(token),
        answers.kept(public, max_age),
        answers.headers(target.expected, everything),
        answers.encoding(everything),
        answers.origins(token, keys[0]),
        answers.cookies(target.expected, login),
        answers.long(long),
        exposure.exposed(dict(zip(exposure.SIGNS, ports, strict=True))),
    ]


async def _plain(target: Target) -> Finding:
    where = urlsplit(target.expected)
    if target.connect != target.expected or (where.port or HTTPS_PORT) != HTTPS_PORT:
        return tls.PLAIN.skipped("the issuer has a port of its own, or was asked elsewhere")
    if where.scheme != "https":
        return tls.PLAIN.skipped("the issuer is not https")
    return await look_at_plain(Target(f"http://{where.netloc}", target.expected, target.trust,
                                      target.resolver))  # fmt: skip


async def look_at_plain(target: Target) -> Finding:
    """Ask the port for http what it says."""
    try:
        return tls.plain(await target.ask(ROOT))
    except NoAnswer as trouble:
        return tls.plain(trouble)
