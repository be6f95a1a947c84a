"""The management port: shut to the public, and well where operators ask it."""

from collections.abc import Mapping

import orjson

from keyturn import paths
from keyturn.doctor.finding import Check, Finding, error, skip
from keyturn.doctor.wire import Answer, NoAnswer

EXPOSED = error("management.exposed")
REACHABLE = error("management.reachable")
READY = error("management.ready")
DEPENDENCIES = error("management.dependencies")

OF_PORT: tuple[Check, ...] = (REACHABLE, READY, DEPENDENCIES)
CHECKS: tuple[Check, ...] = (EXPOSED, *OF_PORT)

OK = 200

SIGNS: Mapping[str, bytes] = {
    paths.METRICS: b"keyturn_",
    paths.LIVE: b'"live"',
    paths.DEPENDENCIES: b'"dependencies"',
    paths.ADMIN_OPENAPI: b'"openapi"',
}
"""What each answer of the management port is known by: a page that a site has for all is not it."""


def exposed(answers: Mapping[str, Answer]) -> Finding:
    """Judge what the public URL says to the paths of the management port."""
    out = [path for path, one in answers.items() if SIGNS[path] in one.body and one.status != 404]  # noqa: PLR2004
    if not out:
        return EXPOSED.ok("the management port is not behind the public URL")
    sentence = f"the public URL answers {', '.join(out)}: the management port is open to everybody"
    mend = "route the public host to the public port only (8080), never to 8081"
    return EXPOSED.wrong(sentence, mend)


def away(url: str, trouble: NoAnswer) -> list[Finding]:
    """Say that nobody answers at the management URL."""
    mend = "see that the server runs and server.management_host listens there; correct the URL"
    found = REACHABLE.wrong(f"{url}: {trouble}", mend)
    return [found, *skip((READY, DEPENDENCIES), "nobody answers")]


def port(url: str, started: Answer, ready: Answer, dependencies: Answer) -> list[Finding]:
    """Judge the answers of the management port."""
    if b'"start' not in started.body:
        sentence = f"{url} is no management port of ours ({started.status})"
        mend = "give --management-url the URL of port 8081"
        return [REACHABLE.wrong(sentence, mend), *skip((READY, DEPENDENCIES), "it is not ours")]
    return [
        REACHABLE.ok(f"{url} answers"),
        _ready(started, ready),
        _dependencies(dependencies),
    ]


def _ready(started: Answer, ready: Answer) -> Finding:
    if started.status != OK:
        mend = "see the server's log for `starting`: it says what it waits for"
        return READY.wrong("the server has not started", mend)
    if ready.status != OK:
        reasons = _object(ready).get("reasons") or ["no reason given"]
        mend = "mend what it names; while it drains, another replica should be ready"
        return READY.wrong(f"the server is not ready: {', '.join(map(str, reasons))}", mend)
    return READY.ok("the server has started and is ready")


def _dependencies(answer: Answer) -> Finding:
    found = _object(answer).get("dependencies") or {}
    down = [name for name, one in found.items() if not one.get("up")]
    if answer.status == OK and not down:
        return DEPENDENCIES.ok(
            f"the server reaches {' and '.join(found) or 'what it asked so far'}"
        )
    told = ", ".join(f"{name} ({found[name].get('reason', 'away')})" for name in down)
    mend = "see that the server's host may connect to it (firewall, NetworkPolicy, password)"
    return DEPENDENCIES.wrong(f"the server does not reach {told or 'what it needs'}", mend)


def _object(answer: Answer) -> dict[str, dict[str, dict[str, object]]]:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
