"""The access token we issue: a JWT in the profile of RFC 9068, signed RS256, checked offline.

Signed last, after every decision and every commit: a signature costs more than all the rest of
a refresh, and nobody who is refused may make us pay it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.errors import Unavailable
from keyturn.keys.keyring import Keyring
from keyturn.sessions.model import Session
from keyturn.telemetry.metrics import Metrics

ACR_PASSWORD = "urn:keyturn:acr:password"  # noqa: S105 - a name
"""The person proved themselves by password, no longer than `step_up_max_age` ago."""
ACR_SESSION = "urn:keyturn:acr:session"
"""The person is still signed in; the proof is older."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token and its life in whole seconds."""

    value: str
    expires_in: int


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

    def for_session(
        self, session: Session, client: Client, scopes: Iterable[str], audiences: tuple[str, ...]
    ) -> AccessToken:
        """Sign a token for a signed-in user; it never outlives the session.

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
            "acr": self._acr(session),
            "amr": session.amr,
        }
        if session.dpop_jkt is not None:
            claims["cnf"] = {"jkt": session.dpop_jkt}
        return self._sign(client, claims, (scopes, audiences), (issued_at, lifetime))

    def for_client(
        self, client: Client, scopes: Iterable[str], audiences: tuple[str, ...], issued_at: datetime
    ) -> AccessToken:
        """Sign a token for a machine: `sub` is the client id, and there is no session."""
        lifetime = client.access_token_lifetime or self.client_credentials_lifetime
        grant = (scopes, audiences)
        return self._sign(client, {"sub": client.id}, grant, (issued_at, lifetime))

    def _acr(self, session: Session) -> str:
        fresh = session.decided_at - session.auth_time <= self.step_up_max_age
        return ACR_PASSWORD if fresh else ACR_SESSION

    def _sign(
        self,
        client: Client,
        claims: dict[str, Any],
        grant: tuple[Iterable[str], tuple[str, ...]],
        life: tuple[datetime, timedelta],
    ) -> AccessToken:
        key = self.keyring.signing
        if key is None:
            raise Unavailable("keys: none may sign yet")
        (scopes, audiences), (issued_at, lifetime) = grant, life
        seconds = int(lifetime.total_seconds())
        start = int(issued_at.timestamp())
        claims |= {
            "iss": self.issuer,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "client_id": client.id,
            "iat": start,
            "exp": start + seconds,
            "jti": opaque.token_urlsafe(16),
            "scope": " ".join(sorted(scopes)),
        }
        began = self.clock.monotonic()
        value = key.sign(orjson.dumps(claims))
        self.metrics.signing.observe(self.clock.monotonic() - began)
        return AccessToken(value, seconds)
