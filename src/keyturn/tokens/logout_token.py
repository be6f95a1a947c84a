"""The logout token: a session of this person at this client has ended (Back-Channel Logout 2.4).

Its `typ` is its own and its `aud` the client: nobody takes it for an ID token, and no door of ours
takes it at all. It says who and which session, always both, so that no client need ask for either.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson

from keyturn.clients.model import algorithm_of
from keyturn.clock import Clock
from keyturn.crypto import jose, opaque
from keyturn.errors import Unavailable
from keyturn.keys.keyring import Keyring
from keyturn.logouts.model import Delivery
from keyturn.telemetry.metrics import Metrics

LIFETIME: Final = timedelta(minutes=2)
"""Each attempt has a token of its own, so this covers a clock that is wrong, not a retry."""

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class LogoutTokens:
    """Makes logout tokens."""

    keyring: Keyring
    metrics: Metrics
    clock: Clock
    issuer: str

    def for_delivery(self, delivery: Delivery) -> str:
        """Sign the token of one attempt; its `jti` is new each time.

        Raises `Unavailable` while this replica has no usable signing key.
        """
        key = self.keyring.signing
        if key is None:
            raise Unavailable("keys: none may sign yet")
        issued_at = int(delivery.claimed_at.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": delivery.client_id,
            "sub": str(delivery.user_id),
            "sid": str(delivery.session_id),
            "iat": issued_at,
            "exp": issued_at + int(LIFETIME.total_seconds()),
            "jti": opaque.token_urlsafe(16),
            "events": {EVENT: {}},
        }
        began = self.clock.monotonic()
        algorithm = algorithm_of(delivery.profile)
        value = key.sign(orjson.dumps(claims), jose.LOGOUT_JWT, algorithm)
        self.metrics.signing[algorithm].observe(self.clock.monotonic() - began)
        return value
