"""What the claim that names a status list costs each access token: bytes, and CPU time to make."""

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.clock import SystemClock
from keyturn.crypto.jose import SigningKey
from keyturn.sessions.model import Session
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens.access_token import AccessTokens
from limits import Signer

ISSUER = "https://id.example.com"
AUDIENCE = "https://api.example.com"
ROUNDS, BLOCK = 60, 25


@dataclass(frozen=True, slots=True)
class _Keys:
    """A keyring of one key, for good."""

    signing: SigningKey


def cost_of_the_claim() -> str:
    """Sign tokens with and without it, in turns; return one line."""
    key = Signer().key
    with_claim, without = _signer(key, refers=True), _signer(key, refers=False)
    made = [
        (_microseconds(without), _microseconds(with_claim), _microseconds(without))
        for _ in range(ROUNDS)
    ]
    plain = statistics.median(min(one[0], one[2]) for one in made)
    more = statistics.median(one[1] - (one[0] + one[2]) / 2 for one in made)
    noise = statistics.median(abs(one[0] - one[2]) for one in made)
    longer = len(_token(with_claim)) - len(_token(without))
    return (
        f"\nthe claim: {longer} bytes of a token of {len(_token(with_claim))};"
        f" {more:.1f} us more than the {plain:.0f} us of making one"
        f" (two rounds of the same differ by {noise:.1f} us)"
    )


def _signer(key: SigningKey, *, refers: bool) -> AccessTokens:
    return AccessTokens(
        keyring=_Keys(key),  # type: ignore[arg-type]
        metrics=Metrics(),
        clock=SystemClock(),
        issuer=ISSUER,
        lifetime=timedelta(minutes=10),
        client_credentials_lifetime=timedelta(minutes=5),
        step_up_max_age=timedelta(minutes=5),
        refers_to_lists=refers,
    )


def _token(tokens: AccessTokens) -> str:
    return tokens.for_session(_SESSION, _CLIENT, _CLIENT.scopes, (AUDIENCE,)).value


def _microseconds(tokens: AccessTokens) -> float:
    began = time.thread_time()
    for _ in range(BLOCK):
        _token(tokens)
    return (time.thread_time() - began) / BLOCK * 1e6


_NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
_CLIENT = Client(
    id="web",
    name="Web",
    kind="public",
    grant_types=frozenset({"refresh_token"}),
    scopes=frozenset({"orders.read", "orders.write"}),
    audiences=(AUDIENCE,),
)
_SESSION = Session(
    id=UUID(int=1),
    user_id=UUID(int=2),
    client_id="web",
    scopes=_CLIENT.scopes,
    audiences=(AUDIENCE,),
    claims={},
    auth_time=_NOW,
    acr=None,
    amr=("pwd",),
    dpop_jkt=None,
    remembered=None,
    idle_expires_at=_NOW + timedelta(days=1),
    expires_at=_NOW + timedelta(days=1),
    decided_at=_NOW,
    status_index=734_512,
)
