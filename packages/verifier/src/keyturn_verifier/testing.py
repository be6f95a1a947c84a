"""An issuer for your own tests: tokens without a server, without a network, without waiting.

    @pytest.fixture
    def issuer():
        return FakeIssuer()

    async def test_orders_need_a_scope(issuer):
        app = AuthMiddleware(api, issuer.verifier())
        headers = {"Authorization": f"Bearer {issuer.token('orders:read')}"}
        ...

It signs real tokens, serves real documents to the real `Verifier` and lives by its own clock:
`rotate` its keys, `revoke` a session, let it `go_away` or `hang`, let time `pass_time`. Nothing is
left out of the verification, so a test that passes has seen the checks that production makes.
`ProofKey` makes the DPoP proofs of a caller.
"""

import asyncio
import base64
import hashlib
import itertools
import json
import zlib
from collections.abc import Mapping
from typing import Any, Literal

from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from keyturn_verifier.clock import Clock, FixedClock
from keyturn_verifier.fetch import FetchFailed, Response
from keyturn_verifier.metadata import addresses
from keyturn_verifier.verifier import Verifier

STATUS_TTL = 10
"""Seconds within which a revoked token is refused."""
_INDICES = 2**20
_ROUNDS = 20
"""How often everybody gets a turn when time passes."""


class FakeIssuer:
    """Issues tokens as keyturn does, and serves what a verifier fetches."""

    def __init__(
        self,
        issuer: str = "https://id.example.test",
        audience: str = "https://api.example.test",
        clock: Clock | None = None,
        algorithm: Literal["ES256", "RS256"] = "ES256",
    ) -> None:
        """Make the first key. Without a `clock` time stands still until `pass_time`.

        `algorithm`: keyturn signs RS256 unless told otherwise; making such a key takes longer than
        most tests.
        """
        self.issuer = issuer
        self.audience = audience
        self.clock = clock or FixedClock(1_800_000_000.0)
        self.fetched: list[str] = []
        """Every address a verifier has asked for."""
        self._algorithm = algorithm
        self._keys: list[RSAKey | ECKey] = []
        self._sessions: dict[str, int] = {}
        self._revoked: set[str] = set()
        self._present = asyncio.Event()
        self._present.set()
        self._away = False
        self._numbers = itertools.count(1)
        self.rotate()

    def verifier(self, **options: Any) -> Verifier:
        """Return a `Verifier` of these tokens; `options` are its own."""
        return Verifier(
            self.issuer,
            self.audience,
            **{"clock": self.clock, "fetch": self.fetch, "jitter": lambda: 0.0, **options},
        )

    def token(
        self,
        *scopes: str,
        subject: str = "user-1",
        session: str | None = "session-1",
        lifetime: int = 600,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Sign an access token of a person's session; `session=None`: of a client itself.

        `claims` and `header` are put over what is usual, as `{"auth_time": ...}` or
        `{"cnf": {"jkt": key.jkt}}`; a value of None takes a member out.
        """
        now = int(self.clock.now())
        usual: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "client_id": "app",
            "scope": " ".join(scopes) or None,
            "iat": now,
            "exp": now + lifetime,
            "jti": f"token-{next(self._numbers)}",
            **({} if session is None else self._session_claims(session, now)),
        }
        return self._sign({"typ": "at+jwt", **(header or {})}, {**usual, **(claims or {})})

    def rotate(self, keep: int = 2) -> None:
        """Sign with a new key from now on, and publish only the `keep` latest ones."""
        by_rsa = self._algorithm == "RS256"
        key = RSAKey.generate_key(2048) if by_rsa else ECKey.generate_key("P-256")
        self._keys = [key, *self._keys][:keep]

    def revoke(self, session: str) -> None:
        """End a session: its tokens are refused once the verifier has the next status list."""
        self._index_of(session)
        self._revoked.add(session)

    def go_away(self) -> None:
        """Refuse every connection, until `come_back`."""
        self._away = True
        self._present.set()

    def hang(self) -> None:
        """Accept connections and never answer, until `come_back`."""
        self._away = False
        self._present.clear()

    def come_back(self) -> None:
        """Answer again, those who wait as well."""
        self._away = False
        self._present.set()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock on, at most a second at a time, and let whoever waited for it work."""
        if not isinstance(self.clock, FixedClock):
            raise TypeError("this issuer lives by a clock that moves by itself")
        while seconds > 0:
            step = min(seconds, 1.0)
            self.clock.advance(step)
            seconds -= step
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)

    async def fetch(self, url: str, headers: Mapping[str, str], /) -> Response:
        """Answer a verifier, as `Verifier(..., fetch=...)` wants it."""
        self.fetched.append(url)
        await self._present.wait()
        if self._away:
            raise FetchFailed(f"{url}: connection refused")
        body = self._document(url)
        if body is None:
            return Response(404, {}, b"")
        said = {"etag": self._etag(), "cache-control": "public, max-age=300"}
        if headers.get("If-None-Match") == said["etag"]:
            return Response(304, said, b"")
        return Response(200, said, body)

    @property
    def jwks_uri(self) -> str:
        """Where the keys are."""
        return f"{self.issuer}/.well-known/jwks.json"

    @property
    def status_uri(self) -> str:
        """Where the one status list is."""
        return f"{self.issuer}/oauth2/status/0"

    def _document(self, url: str) -> bytes | None:
        if url in addresses(self.issuer):
            return json.dumps({"issuer": self.issuer, "jwks_uri": self.jwks_uri}).encode()
        if url == self.jwks_uri:
            return json.dumps({"keys": [_published(key) for key in self._keys]}).encode()
        return self._status_list().encode() if url == self.status_uri else None

    def _etag(self) -> str:
        """Return what changes with anything that is published, time alone left out."""
        state = [key.thumbprint() for key in self._keys] + sorted(self._revoked)
        return f'"{hashlib.sha256(repr(state).encode()).hexdigest()}"'

    def _session_claims(self, session: str, now: int) -> dict[str, Any]:
        listed = {"idx": self._index_of(session), "uri": self.status_uri}
        return {
            "sid": session,
            "auth_time": now,
            "acr": "urn:keyturn:acr:password",
            "amr": ["pwd"],
            "status": {"status_list": listed},
        }

    def _index_of(self, session: str) -> int:
        return self._sessions.setdefault(session, len(self._sessions))

    def _status_list(self) -> str:
        bitmap = bytearray(_INDICES // 8)
        for session in self._revoked:
            byte, bit = divmod(self._sessions[session], 8)
            bitmap[byte] |= 1 << bit
        now = int(self.clock.now())
        claims = {
            "iss": self.issuer,
            "sub": self.status_uri,
            "iat": now,
            "exp": now + 10 * STATUS_TTL,
            "ttl": STATUS_TTL,
            "status_list": {"bits": 1, "lst": _b64(zlib.compress(bytes(bitmap), 9))},
        }
        return self._sign({"typ": "statuslist+jwt"}, claims)

    def _sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        key = self._keys[0]
        said = {"alg": self._algorithm, "kid": key.thumbprint(), **header}
        return _signed(_present(said), _present(claims), key)


class ProofKey:
    """The key a caller's tokens are bound to (RFC 9449)."""

    def __init__(self, clock: Clock) -> None:
        """Make a key; `clock` is the issuer's."""
        self._clock = clock
        self._key = ECKey.generate_key("P-256")
        self._numbers = itertools.count(1)

    @property
    def jkt(self) -> str:
        """Its thumbprint, for `claims={"cnf": {"jkt": key.jkt}}`."""
        return self._key.thumbprint()

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public half."""
        return dict(self._key.as_dict(private=False))

    def proof(
        self,
        method: str,
        url: str,
        token: str,
        *,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Sign a proof for one request; `header` and `claims` are put over what is usual."""
        ath = _b64(hashlib.sha256(token.encode()).digest())
        usual = {"htm": method, "htu": url, "iat": int(self._clock.now()), "ath": ath}
        usual["jti"] = f"proof-{next(self._numbers)}"
        said = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk, **(header or {})}
        return _signed(_present(said), _present({**usual, **claims}), self._key)


def _published(key: RSAKey | ECKey) -> dict[str, Any]:
    """Return a key as a JWKS holds it."""
    public = key.as_dict(private=False)
    return {**public, "kid": key.thumbprint(), "use": "sig", "alg": _algorithm_of(key)}


def _algorithm_of(key: RSAKey | ECKey) -> str:
    return "RS256" if isinstance(key, RSAKey) else "ES256"


def _signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: RSAKey | ECKey) -> str:
    """Sign with the key's own algorithm, whatever the header says: tests say wrong things."""
    text = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
    algorithm = JWSRegistry.algorithms[_algorithm_of(key)]
    return f"{text}.{_b64(algorithm.sign(text.encode(), key))}"


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
