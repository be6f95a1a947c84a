"""Proof that the caller holds the key its access token is bound to (RFC 9449 section 7).

A stolen token is of no use to a thief without that key; this is where an API insists on it.

    dpop = Dpop(origin="https://api.example.com")

A proof is good for one request: `replays` remembers it as long as its `iat` would let it pass.
Each process remembers its own, so of N processes behind one address each takes a proof once that
was seen on the way. `nonces` shorten the time it can be used in; a `Replays` that all processes
share closes it.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from keyturn_verifier import dpop_jwt
from keyturn_verifier.clock import Clock, SystemClock
from keyturn_verifier.credentials import Headers, fields
from keyturn_verifier.dpop_jwt import ALGORITHMS, DpopJwt
from keyturn_verifier.dpop_memory import MemoryReplays, Nonces, Replays
from keyturn_verifier.errors import InvalidProof

WINDOW = 60
"""Seconds that `iat` may be off to either side: clocks of devices and slow lines, no more."""
LONGEST_JTI = 256
_DEFAULT_PORTS = {"http": 80, "https": 443}


class UseDpopNonce(InvalidProof):
    """The proof is to be made again with the nonce that the answer brings (RFC 9449 section 9)."""

    error = "use_dpop_nonce"


@dataclass
class Dpop:
    """Checks the proofs of the requests to one API."""

    origin: str
    """Scheme, host and port that callers see: `https://api.example.com`. Never taken from the
    request, whose `Host` a thief writes."""
    clock: Clock = field(default_factory=SystemClock)
    algorithms: tuple[str, ...] = ALGORITHMS
    replays: Replays | None = None
    """None: memory of this process."""
    nonces: Nonces | None = field(default=None, repr=False)
    """None: proofs need no nonce."""

    def __post_init__(self) -> None:
        unknown = set(self.algorithms) - set(ALGORITHMS)
        if unknown or not self.algorithms:
            raise ValueError(f"algorithms are some of {', '.join(ALGORITHMS)}")
        if _address(self.origin) is None or urlsplit(self.origin).path not in {"", "/"}:
            raise ValueError("origin is a scheme, a host and a port: https://api.example.com")
        self._replays = self.replays or MemoryReplays(self.clock)

    def check(self, headers: Headers, method: str, path: str, access_token: str) -> DpopJwt:
        """Return the proof of a request, good but for whether it came before.

        `path` is the decoded path the request went to. Raises `InvalidProof`, `UseDpopNonce`.
        """
        texts = fields(headers, b"dpop")
        if len(texts) != 1:
            raise InvalidProof(f"{len(texts)} proofs")
        proof = dpop_jwt.verify(texts[0], self.algorithms)
        claims = proof.claims
        if claims.get("htm") != method:
            raise InvalidProof("htm: another method")
        if _address(claims.get("htu")) != (*self._authority, path or "/"):
            raise InvalidProof("htu: another address")
        if claims.get("ath") != ath_of(access_token):
            raise InvalidProof("ath: of another access token")
        self._check_time(claims)
        if self.nonces is not None and not self.nonces.knows(claims.get("nonce")):
            raise UseDpopNonce("nonce: missing, too old, or not ours")
        return proof

    async def use(self, proof: DpopJwt) -> None:
        """Let a proof pass once. Raises `InvalidProof` when it came before, `Unavailable`."""
        jti = proof.claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI or not jti.isprintable():
            raise InvalidProof(f"jti: not 1 to {LONGEST_JTI} printable characters")
        if not await self._replays.is_first(proof.jkt, jti, proof.claims["iat"] + WINDOW):
            raise InvalidProof("jti: used before")

    @property
    def _authority(self) -> tuple[str, str, int | None]:
        scheme, host, port, _ = _address(self.origin) or ("", "", None, "")
        return scheme, host, port

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        issued_at, now = claims.get("iat"), self.clock.now()
        if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
            raise InvalidProof("iat: missing")
        if not now - WINDOW < issued_at < now + WINDOW:
            raise InvalidProof("iat: not about now")


def ath_of(access_token: str) -> str:
    """Return the `ath` of a token: its SHA-256, base64url (RFC 9449 section 4.2)."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _address(uri: object) -> tuple[str, str, int | None, str] | None:
    """Return what two spellings of one address share: query and fragment do not count.

    RFC 9449 section 4.3, step 9: normalised by RFC 3986 sections 6.2.2 and 6.2.3.
    """
    if not isinstance(uri, str) or not uri.isprintable():
        return None
    try:
        parts = urlsplit(uri)
        port = _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.hostname is None:
        return None
    return parts.scheme, parts.hostname, port, unquote(parts.path) or "/"
