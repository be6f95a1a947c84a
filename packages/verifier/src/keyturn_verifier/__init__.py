"""Checks access tokens in an API: offline, asynchronously, and refused within seconds once revoked.

    verifier = Verifier("https://id.example.com", audience="https://api.example.com")
    token = await verifier.verify(raw)
    token.require_scopes("orders:read")

The rooms: `verifier` is the front door; `checks` what is asked of a token, in order, after
`compact` and `strict_json` took it apart and `signed` found its signature good; `claims` makes the
`access_token` of it; `errors` is how a bad one is refused; `verified` remembers good ones.
`jwks` keeps the issuer's keys (`key_set`, `public_key`) at hand, `status_lists` what it revoked
(`status_list`), both by a `refresher`; `metadata` finds addresses, `origin` says which may be
asked, `fetch` asks. It, `clock` and `observer` are the `surroundings`, and handed in.

Around the front door, each imported only by who uses it: `asgi`, `fastapi` and `sync` are for
applications, `forward_auth` for a proxy. `credentials` reads the header that a token comes in,
`authentication` makes a token of it, `challenges` words the answer to who is refused, and
`resource_metadata` tells where tokens come from. `dpop` checks proofs of possession (`dpop_jwt`,
`dpop_memory`), `step_up` how long ago somebody signed in. `metrics` counts; `testing` is an issuer
for your own tests.
"""

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.clock import Clock, FixedClock, SystemClock
from keyturn_verifier.errors import (
    InsufficientScope,
    InvalidProof,
    InvalidToken,
    Reason,
    Refused,
    StepUpRequired,
    Unavailable,
)
from keyturn_verifier.fetch import Fetch, FetchFailed, Response, UrllibFetch
from keyturn_verifier.observer import Observer
from keyturn_verifier.status_lists import StatusPolicy
from keyturn_verifier.verifier import Verifier

__all__ = [
    "AccessToken",
    "Clock",
    "Fetch",
    "FetchFailed",
    "FixedClock",
    "InsufficientScope",
    "InvalidProof",
    "InvalidToken",
    "Observer",
    "Reason",
    "Refused",
    "Response",
    "StatusPolicy",
    "StepUpRequired",
    "SystemClock",
    "Unavailable",
    "UrllibFetch",
    "Verifier",
]
