"""The access token we issue: a JWT in the profile of RFC 9068, signed RS256, checked offline.

Signed last, after every decision and every commit: a signature costs more than all the rest of
a refresh, and nobody who is refused may make us pay it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.errors import InvalidRequest, Unavailable
from keyturn.keys.keyring import Keyring
from keyturn.sessions.model import Session
from keyturn.status_lists.index import reference
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens import scope
from keyturn.tokens.exchange import Exchange

ACR_PASSWORD = "urn:keyturn:acr:password"  # noqa: S105 - a name
"""The person proved themselves by password, no longer than `step_up_max_age` ago."""
ACR_SESSION = "urn:keyturn:acr:session"
"""The person is still signed in; the proof is older."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token, its life in whole seconds, and its member `scope`, if it has scopes."""

    value: str
    expires_in: int
    scope: Mapping[str, str]
    jti: str
    token_type: Literal["Bearer", "DPoP"] = "Bearer"  # noqa: S105 - a kind


@dataclass(frozen=True, slots=True)
class _Grant:
    """What any token says, whoever it speaks for."""

    client: Client
    scopes: Iterable[str]
    audiences: tuple[str, ...]
    issued_at: datetime
    lifetime: timedelta
    dpop_jkt: str | None


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Makes access tokens for sessions and for machines."""

    keyring: Keyring
    metrics: Metrics
    clock: Clock
    issuer: str
    lifetime: timedelta
    client_credentials_lifetime: timedelta
    step_up_max_age: timedelta
    refers_to_lists: bool = True
    """Whether a session's token says where to look up whether the session has ended."""

    def require_key(self) -> None:
        """Raise `Unavailable` while nothing can be signed.

        Asked before a refresh token moves: a rotation whose answer cannot be given leaves the
        caller with a token that looks stolen once the grace is over.
        """
        if self.keyring.signing is None:
            raise Unavailable("keys: none may sign yet")

    def for_session(
        self,
        session: Session,
        client: Client,
        scopes: Iterable[str],
        audiences: tuple[str, ...],
        dpop_jkt: str | None = None,
    ) -> AccessToken:
        """Sign a token for a signed-in user; it never outlives the session.

        It is bound to the key of `dpop_jkt`, a proof that came with this request, or else to the
        session's key: a confidential client may prove another one each time (RFC 9449 section 5).
        Raises `Unavailable` while this replica has no usable signing key.
        """
        issued_at = session.decided_at
        lifetime = min(
            client.access_token_lifetime or self.lifetime, session.expires_at - issued_at
        )
        claims = {name: session.claims[name] for name in client.claims if name in session.claims}
        claims |= {
            "sub": str(session.user_id),
            "sid": str(session.id),
            "auth_time": int(session.auth_time.timestamp()),
            "acr": acr_of(session, self.step_up_max_age),
            "amr": session.amr,
        }
        if self.refers_to_lists and session.status_index is not None:
            claims["status"] = reference(self.issuer, session.status_index)
        jkt = dpop_jkt or session.dpop_jkt
        return self._sign(_Grant(client, scopes, audiences, issued_at, lifetime, jkt), claims)

    def for_client(
        self,
        client: Client,
        scopes: Iterable[str],
        audiences: tuple[str, ...],
        issued_at: datetime,
        dpop_jkt: str | None = None,
    ) -> AccessToken:
        """Sign a token for a machine: `sub` is the client id, and there is no session."""
        lifetime = client.access_token_lifetime or self.client_credentials_lifetime
        grant = _Grant(client, scopes, audiences, issued_at, lifetime, dpop_jkt)
        return self._sign(grant, {"sub": client.id})

    def for_exchange(self, exchange: Exchange, issued_at: datetime) -> AccessToken:
        """Sign a token for another one (RFC 8693); it never outlives that.

        Raises `InvalidRequest` when the other one has expired by now, `Unavailable`.
        """
        client, start = exchange.client, issued_at.replace(microsecond=0)
        left = timedelta(seconds=exchange.ends - int(start.timestamp()))
        if left <= timedelta():
            raise InvalidRequest("subject_token: expired meanwhile")
        lifetime = min(client.access_token_lifetime or self.lifetime, left)
        scopes, audiences = exchange.scopes, exchange.audiences
        grant = _Grant(client, scopes, audiences, start, lifetime, exchange.dpop_jkt)
        return self._sign(grant, dict(exchange.claims))

    def _sign(self, grant: _Grant, claims: dict[str, Any]) -> AccessToken:
        key = self.keyring.signing
        if key is None:
            raise Unavailable("keys: none may sign yet")
        seconds, start = int(grant.lifetime.total_seconds()), int(grant.issued_at.timestamp())
        scopes, audiences = scope.member(grant.scopes), grant.audiences
        claims |= {
            "iss": self.issuer,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "client_id": grant.client.id,
            "iat": start,
            "exp": start + seconds,
            "jti": opaque.token_urlsafe(16),
            **scopes,
        }
        if grant.dpop_jkt is not None:
            claims["cnf"] = {"jkt": grant.dpop_jkt}
        began = self.clock.monotonic()
        algorithm = grant.client.signing_algorithm
        value = key.sign(orjson.dumps(claims), algorithm=algorithm)
        self.metrics.signing[algorithm].observe(self.clock.monotonic() - began)
        kind: Literal["Bearer", "DPoP"] = "DPoP" if grant.dpop_jkt else "Bearer"
        return AccessToken(value, seconds, scopes, claims["jti"], kind)


def acr_of(session: Session, step_up_max_age: timedelta) -> str:
    """Return how well the person is proven at this moment: said by every kind of token."""
    fresh = session.decided_at - session.auth_time <= step_up_max_age
    return ACR_PASSWORD if fresh else ACR_SESSION
