"""The ID token: who signed in, when and how, for the client alone (OpenID Connect Core section 2).

Its `typ` is not an access token's and its `aud` is the client, so that no API and no endpoint of
ours takes one for the other. It comes back as `id_token_hint`: a hint, never a proof.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import orjson

from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import jose, opaque
from keyturn.crypto.jose import InvalidJws
from keyturn.errors import Unavailable
from keyturn.keys.keyring import Keyring
from keyturn.sessions.model import Session
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens.access_token import acr_of

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_HALF: Final = 16


@dataclass(frozen=True, slots=True)
class HintedIdentity:
    """Whom a genuine ID token of ours, of whatever age, was about, and for whom."""

    sub: str
    client_id: str
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class IdTokens:
    """Makes ID tokens, and knows its own again."""

    keyring: Keyring
    metrics: Metrics
    clock: Clock
    issuer: str
    lifetime: timedelta
    step_up_max_age: timedelta

    def for_session(
        self,
        session: Session,
        client: Client,
        *,
        access_token: str,
        nonce: str | None = None,
        claims: Mapping[str, Any] = NOTHING,
    ) -> str:
        """Sign the ID token that goes with an access token; it never outlives the session.

        Raises `Unavailable` while this replica has no usable signing key.
        """
        key = self.keyring.signing
        if key is None:
            raise Unavailable("keys: none may sign yet")
        told: dict[str, Any] = {**claims}
        if nonce is not None:
            told["nonce"] = nonce
        told |= self._always(session, client) | {"at_hash": _half_hash(access_token)}
        began = self.clock.monotonic()
        value = key.sign(orjson.dumps(told), jose.ID_JWT, client.signing_algorithm)
        self.metrics.signing[client.signing_algorithm].observe(self.clock.monotonic() - began)
        return value

    def verify_hint(self, token: str) -> HintedIdentity | None:
        """Return whom an ID token of ours is about, expired or not; None for anything else.

        An access token is no hint, nor is what another key, or none, has signed.
        """
        try:
            claims = jose.verify(token, jose.ID_JWT, self.keyring.find)
        except InvalidJws:
            return None
        sub, client_id, sid = claims.get("sub"), claims.get("aud"), claims.get("sid")
        if claims.get("iss") != self.issuer:
            return None
        if not isinstance(sub, str) or not isinstance(client_id, str):
            return None
        return HintedIdentity(sub, client_id, sid if isinstance(sid, str) else None)

    def _always(self, session: Session, client: Client) -> dict[str, Any]:
        issued_at = session.decided_at
        lifetime = min(
            client.access_token_lifetime or self.lifetime, session.expires_at - issued_at
        )
        start = int(issued_at.timestamp())
        return {
            "iss": self.issuer,
            "sub": str(session.user_id),
            "aud": client.id,
            "sid": str(session.id),
            "iat": start,
            "exp": start + int(lifetime.total_seconds()),
            "auth_time": int(session.auth_time.timestamp()),
            "acr": acr_of(session, self.step_up_max_age),
            "amr": session.amr,
        }


def _half_hash(access_token: str) -> str:
    """Return `at_hash`: this access token, and no other, came with it (section 3.1.3.6)."""
    half = opaque.sha256(access_token.encode())[:_HALF]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()
