"""Bugs to plant: a run on a copy of the source with one of them must fail, or the judge is blind.

Each replaces a piece of one module's text, and fails to apply when that text is no longer there.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True, slots=True)
class Bug:
    """`module` is a path below `keyturn`; `changes` are pairs of what stands there and what shall.

    `faults` are what brings it to light, by their ids; none: any run does.
    """

    title: str
    module: str
    changes: tuple[tuple[str, str], ...]
    shows: str
    """The count of the verdict that it must make other than zero."""
    faults: tuple[str, ...] = ()
    lasting: float | None = None
    """Seconds each of these must last for that, instead of what the schedule says."""
    settings: tuple[tuple[str, str], ...] = ()
    """Of the servers: what it needs to be seen on a machine that is busy."""


REPLAYED = """\
            child = self.codec.child(token)
            return self._answer(request, stored.session, child, Outcome.REPLAYED)
"""
FORKED = """\
            from keyturn.crypto.opaque import token_bytes

            child = self.codec.child(token)
            place = (child.key_id, child.session_id, child.generation)
            fork = type(child)(*place, token_bytes(32))
            return self._answer(request, stored.session, fork, Outcome.REPLAYED)
"""
REVOKED = """\
    if stored.revoked:
"""
REVOKED_UNLESS_PARENT = """\
    is_parent = codec.child(token).hash == stored.token_hash
    if stored.revoked and not (stored.is_within(presented.grace) and is_parent):
"""
WITHIN = """\
        stored.is_within(presented.grace)
        or stored.rotated_at"""
EVER = """\
        bool(presented.grace)
        or stored.rotated_at"""
PERSISTED = """\
            refreshed = await self._persist(request, presented)
"""
BLAMED = """\
            try:
                refreshed = await self._persist(request, presented)
            except Unavailable:
                raise InvalidGrant("session: not found") from None
"""

BUGS: dict[str, Bug] = {
    "verdict-before-client": Bug(
        "A token's verdict is found, and acted on, before it is known whose token it is",
        "sessions/refresh_token.py",
        (('message = b"krt1" + body + client_id.encode()', 'message = b"krt1" + body'),),
        shows="sign-ins lost",
    ),
    "forking-grace": Bug(
        "Inside the grace a token is answered with a new child each time",
        "sessions/rotation.py",
        ((REPLAYED, FORKED),),
        shows="double lineages",
    ),
    "replay-before-revoked": Bug(
        "A token inside its grace is answered before it is asked whether the session was ended",
        "sessions/decision.py",
        ((REVOKED, REVOKED_UNLESS_PARENT),),
        shows="revoked or reused tokens accepted after their bound",
    ),
    "endless-grace": Bug(
        "A token's direct parent is answered long after the grace",
        "sessions/decision.py",
        ((WITHIN, EVER),),
        shows="revoked or reused tokens accepted after their bound",
    ),
    "unmoved-marker": Bug(
        "The copy of the revocations in Redis is believed although its marker stands still",
        "revocation/freshness.py",
        (("        return any(\n", "        return upto is not None or any(\n"),),
        shows="revoked or reused tokens accepted after their bound",
        faults=("F14-cut", "F14-read-only"),
        lasting=9.0,
        # Else a Redis that is slow for want of a core is not asked at all, and PostgreSQL knows.
        settings=(("redis__timeout", "2.0"),),
    ),
    "400-on-database-loss": Bug(
        "An app is told that its token is bad when PostgreSQL is away",
        "sessions/rotation.py",
        ((PERSISTED, BLAMED),),
        shows="4xx caused by infrastructure",
        faults=("F1", "F2", "F3"),
    ),
}


@contextmanager
def planted(bug: Bug) -> Iterator[Path]:
    """Return a copy of the source with the bug in it, for the length of the block."""
    with TemporaryDirectory(prefix="keyturn-planted-") as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        module = copy / "keyturn" / bug.module
        text = module.read_text(encoding="utf-8")
        for old, new in bug.changes:
            if text.count(old) != 1:
                raise LookupError(f"{bug.title}: {old!r} stands {text.count(old)} times")
            text = text.replace(old, new)
        module.write_text(text, encoding="utf-8")
        yield copy
