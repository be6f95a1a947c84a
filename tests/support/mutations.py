"""Planted defects: a case of the rotation page taken out, one at a time, in memory.

A mutation replaces a piece of text in a function's source or in a named query. It fails to apply
when that text is no longer there, so the list cannot silently go stale.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keyturn.db.queries import Query
from keyturn.sessions import decision, end, rotation
from keyturn.sessions.decision import StoredSession
from keyturn.sessions.refresh_token import RefreshToken, RefreshTokenCodec
from keyturn.sessions.rotation import Rotation

ROTATE, KEEP, HEAL = (rotation.SQL[name] for name in ("rotate", "keep", "heal"))
END = rotation.SQL["end_for_reuse"]


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` becomes `new` in the function `name` of `owner`, or in the text of a query."""

    title: str
    owner: Any
    name: str
    old: str
    new: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Plant the defect for the length of the block."""
        if isinstance(self.owner, Query):
            yield from self._in_query(self.owner)
        else:
            yield from self._in_function()

    def _in_query(self, query: Query) -> Iterator[None]:
        original = query.sql
        object.__setattr__(query, "sql", self._replaced(original))
        try:
            yield
        finally:
            object.__setattr__(query, "sql", original)

    def _in_function(self) -> Iterator[None]:
        original = getattr(self.owner, self.name)
        source = self._replaced(textwrap.dedent(inspect.getsource(original)))
        scope: dict[str, Any] = {}
        exec(compile(source, self.title, "exec"), original.__globals__, scope)
        places = [self.owner]
        # A function that another module imported by name is looked up there.
        places += [place for place in (rotation, end) if vars(place).get(self.name) is original]
        for place in places:
            setattr(place, self.name, scope[self.name])
        try:
            yield
        finally:
            for place in places:
                setattr(place, self.name, original)

    def _replaced(self, text: str) -> str:
        if text.count(self.old) != 1:
            raise LookupError(f"{self.title}: {self.old!r} stands {text.count(self.old)} times")
        return text.replace(self.old, self.new)


def _without(query: Query, condition: str) -> Mutation:
    """Take a condition out; its parameter, if it has one, is still mentioned to keep its type."""
    title = f"{query.name}: without `{condition}`"
    parameter = re.search(r"\$\d", condition)
    kind = "text" if "dpop_jkt" in condition else "text[]"
    new = f"({parameter[0]}::{kind} is null or true)" if parameter else "true"
    return Mutation(title, query, query.name, f"and {condition}\n", f"and {new}\n")


def _decides(title: str, name: str, old: str, new: str) -> Mutation:
    return Mutation(f"decision: {title}", decision, name, old, new)


def _rotates(title: str, name: str, old: str, new: str) -> Mutation:
    return Mutation(f"rotation: {title}", Rotation, name, old, new)


GRACE_CLAUSE = (
    "and (generation = 0 or rotated_at <= now() - $7::interval"
    " or rotated_at > now() + $7::interval)"
)

HAPPY_PATH = [
    *(
        _without(query, condition)
        for query in (ROTATE, KEEP)
        for condition in (
            "revoked_at is null",
            "idle_expires_at > now()",
            "expires_at > now()",
            "scopes @> $3",
            "audiences @> $4",
            "audiences && $5",
            "(dpop_jkt is null or dpop_jkt = $6)",
        )
    ),
    Mutation(
        "rotate: any token of the session will do",
        ROTATE,
        "rotate",
        "and token_hash = $2",
        "and $2::bytea is not null",
    ),
    Mutation(
        "keep: any token of the session will do",
        KEEP,
        "keep",
        "and token_hash = $2",
        "and $2::bytea is not null",
    ),
    Mutation("rotate: without `generation = 0`", ROTATE, "rotate", "generation = 0 or ", ""),
    Mutation(
        "rotate: without the grace before now",
        ROTATE,
        "rotate",
        "rotated_at <= now() - $7::interval or ",
        "",
    ),
    Mutation(
        "rotate: without the grace after now",
        ROTATE,
        "rotate",
        " or rotated_at > now() + $7::interval",
        "",
    ),
    Mutation(
        "rotate: without any grace",
        ROTATE,
        "rotate",
        GRACE_CLAUSE,
        "and $7::interval is not null",
    ),
    Mutation("rotate: `<` at the end of the grace", ROTATE, "rotate", "<= now() -", "< now() -"),
    Mutation(
        "rotate: `>=` at the far end of the grace",
        ROTATE,
        "rotate",
        "> now() + $7",
        ">= now() + $7",
    ),
    Mutation(
        "rotate: the idle expiry may pass the absolute one",
        ROTATE,
        "rotate",
        "least(now() + idle_lifetime, expires_at)",
        "now() + idle_lifetime",
    ),
    Mutation(
        "rotate: the time of rotation stays",
        ROTATE,
        "rotate",
        "rotated_at = now(),",
        "rotated_at = rotated_at,",
    ),
    _rotates(
        "what the client may have now is not asked",
        "_client_may_have",
        "return scopes <=",
        "return True or scopes <=",
    ),
    _rotates(
        "a client without rotation is rotated",
        "_advance",
        "if not client.rotation:",
        "if False:",
    ),
]

BEFORE_THE_DATABASE = [
    _rotates(
        "an id that has expired is looked up",
        "_present",
        "if token.session_id < session_id_floor(self.clock.now()):",
        "if False:",
    ),
    Mutation(
        "codec: the tag is not checked",
        RefreshTokenCodec,
        "decode",
        "if not equal(tag, self._tag(body, client_id)):",
        "if False:",
    ),
    Mutation(
        "codec: the client is not under the tag",
        RefreshTokenCodec,
        "_tag",
        " + client_id.encode()",
        "",
    ),
    Mutation(
        "codec: the session is not under the child's secret",
        RefreshToken,
        "child",
        "self.session_id.bytes + ",
        "",
    ),
    Mutation(
        "codec: the current secret derives every session's children",
        RefreshTokenCodec,
        "child",
        "(REFRESH_DERIVE, token.key_id)",
        "(REFRESH_DERIVE)",
    ),
]

CASES_1_AND_2 = [
    _decides("1: revoked is not asked", "decide", "if stored.revoked:", "if False:"),
    _decides(
        "1: the absolute expiry is not asked",
        "_is_over",
        "if session.expires_at <= now:",
        "if False:",
    ),
    _decides(
        "1: the idle expiry is not asked",
        "_is_over",
        "return session.idle_expires_at + spare <= now",
        "return False",
    ),
    _decides(
        "1: no exemption for a lost commit",
        "_is_over",
        "stored.idle_lifetime if is_next else timedelta(0)",
        "timedelta(0)",
    ),
    _decides(
        "1: the exemption is for every token",
        "_is_over",
        "stored.idle_lifetime if is_next else timedelta(0)",
        "stored.idle_lifetime",
    ),
    _decides(
        "2: the key is not asked",
        "decide",
        "if stored.session.dpop_jkt not in {None, presented.dpop_jkt}:",
        "if False:",
    ),
    _decides(
        "2: the key is asked of the current token only",
        "decide",
        "if stored.session.dpop_jkt not in {None, presented.dpop_jkt}:",
        "if equal(hash_, stored.token_hash)"
        " and stored.session.dpop_jkt not in {None, presented.dpop_jkt}:",
    ),
]

CASES_3_AND_4 = [
    _rotates(
        "3: scope and resource are not asked",
        "_decide",
        "self._check_granted(request, stored.session)",
        "pass",
    ),
    _rotates(
        "3: the client's own scopes are not asked",
        "_check_granted",
        "session.scopes & request.client.scopes",
        "session.scopes",
    ),
    _rotates("3: without a resource left", "_check_granted", "if not left or ", "if "),
    _decides(
        "3: the current token is never inside the grace",
        "decide",
        "return Case.CURRENT_IN_GRACE if within else Case.CURRENT",
        "return Case.CURRENT",
    ),
    _decides(
        "3: the current token is always inside the grace",
        "decide",
        "return Case.CURRENT_IN_GRACE if within else Case.CURRENT",
        "return Case.CURRENT_IN_GRACE",
    ),
    Mutation(
        "decision: the grace has no end",
        StoredSession,
        "is_within",
        "now - grace < self.rotated_at <=",
        "self.rotated_at <=",
    ),
    Mutation(
        "decision: the grace has no end after now",
        StoredSession,
        "is_within",
        "self.rotated_at <= now + grace",
        "self.rotated_at",
    ),
    Mutation(
        "decision: the start of a session counts as a rotation",
        StoredSession,
        "is_within",
        "self.generation > 0 and ",
        "",
    ),
    _rotates(
        "3: a lost race is not decided again",
        "_refresh",
        "for _ in range(ATTEMPTS):",
        "for _ in range(1):",
    ),
    _decides("4: a lost commit is not healed", "decide", "if is_next:", "if False:"),
    _rotates(
        "4: healing writes nothing",
        "_decide",
        "await self._heal(stored, token)",
        "stored.session",
    ),
    Mutation(
        "heal: without its guard",
        HEAL,
        "heal",
        "and next_hash = $3\n   and generation = $2",
        "and $2::int is not null and $3::bytea is not null",
    ),
    *(
        _without(HEAL, condition)
        for condition in (
            "revoked_at is null",
            "expires_at > now()",
            "idle_expires_at + idle_lifetime > now()",
        )
    ),
]

CASES_5_TO_7 = [
    _decides(
        "5: a parent is never in flight",
        "_among_ancestors",
        "return Case.PARENT if is_parent and in_flight else Case.SUPERSEDED",
        "return Case.SUPERSEDED",
    ),
    _decides(
        "5: a parent is always in flight",
        "_among_ancestors",
        "if is_parent and in_flight",
        "if is_parent",
    ),
    _decides(
        "5: every ancestor is in flight",
        "_among_ancestors",
        "if is_parent and in_flight",
        "if in_flight",
    ),
    _decides(
        "5: not inside the grace",
        "_among_ancestors",
        "stored.is_within(presented.grace)\n        or ",
        "",
    ),
    _decides(
        "5: not when the rotation lies in the future",
        "_among_ancestors",
        "or stored.rotated_at > stored.session.decided_at\n",
        "\n",
    ),
    _decides(
        "5: not at any time when bound to a key",
        "_among_ancestors",
        "or stored.session.dpop_jkt is not None\n",
        "\n",
    ),
    _rotates(
        "5: a replay gets its own token again",
        "_decide",
        "child = self.codec.child(token)",
        "child = token",
    ),
    _decides(
        "6: a superseded token is foreign",
        "_among_ancestors",
        "else Case.SUPERSEDED",
        "else Case.FOREIGN",
    ),
    _rotates(
        "6: reuse ends nothing",
        "_judge",
        "await self._end_for_reuse(stored)",
        "pass",
    ),
    _rotates(
        "6: the revocation is not written down",
        "_end_for_reuse",
        'await record.write(tx, "sid", [str(session.id)])',
        "pass",
    ),
    Mutation(
        "end_for_reuse: without its guard",
        END,
        "end_for_reuse",
        "and generation = $2\n   and token_hash = $3",
        "and $2::int is not null and $3::bytea is not null",
    ),
    _without(END, "revoked_at is null"),
    _decides(
        "6: followed without a bound",
        "_is_ancestor",
        "0 < steps <= MOST_STEPS",
        "0 < steps",
    ),
    _decides(
        "6: followed one step only",
        "_is_ancestor",
        "0 < steps <= MOST_STEPS",
        "0 < steps <= 1",
    ),
    _decides(
        "7: a forgery that looks older is a verdict",
        "_is_ancestor",
        "return equal(codec.descendant(token, stored.generation).hash, stored.token_hash)",
        "return True",
    ),
    _decides(
        "7: whatever is not ours is superseded",
        "_among_ancestors",
        "return Case.FOREIGN",
        "return Case.SUPERSEDED",
    ),
]

MUTATIONS = [
    *HAPPY_PATH,
    *BEFORE_THE_DATABASE,
    *CASES_1_AND_2,
    *CASES_3_AND_4,
    *CASES_5_TO_7,
]
