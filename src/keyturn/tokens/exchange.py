"""What a token that was exchanged for another may say (RFC 8693): never more than the first one.

Pure rules. Whether the tokens that were presented are good, the grant has found out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyturn.clients.model import Client
from keyturn.clients.rules import ADMIN_PATH
from keyturn.errors import InvalidDpopProof, InvalidRequest, InvalidTarget
from keyturn.tokens import scope
from keyturn.tokens.claims import STANDARD_SCOPES
from keyturn.tokens.verify import VerifiedToken

MOST_ACTORS: Final = 4
"""How many may stand in one chain: a token must still fit into a header."""

CARRIED: Final = ("sub", "sid", "status", "auth_time", "acr", "amr", "may_act")
"""What the new token says exactly as the subject token does. By `sid` and `status`, which stand for
its session, both end together."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the request asks for."""

    scopes: frozenset[str] | None
    audiences: tuple[str, ...] | None
    dpop_jkt: str | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the new token will say."""

    client: Client
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    claims: Mapping[str, Any]
    actor: str | None
    """Who acts; None: the client does, and the token does not say so."""
    ends: int
    """Unix seconds: when the first of the presented tokens expires."""
    dpop_jkt: str | None


def decide(
    client: Client,
    subject: VerifiedToken,
    actor: VerifiedToken | None,
    wish: Wish,
    issuer: str,
) -> Exchange:
    """Return what `client` gets for `subject`, acting for itself or, with `actor`, for that one.

    Raises `InvalidRequest` where its policy, `may_act` or the chain's length forbids it,
    `InvalidScope`, `InvalidTarget`, `InvalidDpopProof`.
    """
    name = client.id if actor is None else actor.sub
    if not _may_act(subject.claims.get("may_act"), {"sub": name, "iss": issuer}):
        raise InvalidRequest("may_act: names somebody else")
    policy = client.token_exchange or {}
    impersonates = actor is None and bool(policy.get("impersonation"))
    if not impersonates and not policy.get("delegation"):
        raise InvalidRequest("actor_token: this client's policy has no delegation")
    # Who acted before is never forgotten, whoever leaves out that it acts now.
    before = subject.claims.get("act")
    act = before if impersonates else _longer(before, name)
    if "cnf" in subject.claims and wish.dpop_jkt is None:
        # The exchange must not be how a token gets rid of the key it is bound to.
        raise InvalidDpopProof("dpop: a bound token is exchanged for a bound one only")
    names = (*CARRIED, *client.claims)
    claims = {name: subject.claims[name] for name in names if name in subject.claims}
    return Exchange(
        client=client,
        scopes=_scopes(client, subject, wish.scopes),
        audiences=_audiences(client, subject, wish.audiences, issuer),
        claims={**claims, **({"act": act} if act else {})},
        actor=None if impersonates else name,
        ends=min(subject.exp, actor.exp if actor else subject.exp),
        dpop_jkt=wish.dpop_jkt,
    )


def _longer(before: Any, name: str) -> Mapping[str, Any]:
    """Return the claim `act` (section 4.1): who acts now, and inside it who acted before."""
    if _length(before) >= MOST_ACTORS:
        raise InvalidRequest("act: the chain of actors is too long")
    return {"sub": name, **({"act": before} if before else {})}


def _may_act(named: Any, actor: Mapping[str, str]) -> bool:
    """Whether the subject token lets this one act (section 4.4); all its members must fit."""
    if named is None:
        return True
    return isinstance(named, Mapping) and bool(named) and named.items() <= actor.items()


def _length(act: Any) -> int:
    length = 0
    while isinstance(act, Mapping):
        act, length = act.get("act"), length + 1
    return length


def _scopes(client: Client, subject: VerifiedToken, asked: frozenset[str] | None) -> frozenset[str]:
    held = frozenset(str(subject.claims.get("scope", "")).split())
    # Those of OpenID Connect open our own doors only, and there this token is no good.
    return scope.granted(asked, client.scopes & (held - STANDARD_SCOPES))


def _audiences(
    client: Client, subject: VerifiedToken, asked: tuple[str, ...] | None, issuer: str
) -> tuple[str, ...]:
    """Return the audiences named, else the client's first one that the subject token has, too."""
    ours = {issuer, issuer + ADMIN_PATH}
    allowed = [one for one in client.audiences if one in subject.aud and one not in ours]
    if not allowed or not set(asked or ()) <= set(allowed):
        raise InvalidTarget("resource: not of this client, or not of the subject token")
    return asked or (allowed[0],)
