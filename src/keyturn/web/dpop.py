"""Proofs of possession as they arrive: the header `DPoP`, read and used up (RFC 9449).

Without the header nothing is done here at all: a refresh without a proof pays nothing for it.
"""

from dataclasses import dataclass

from starlette.requests import Request

from keyturn.clients.client_keys import algorithms_of
from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto.client_jws import ALGORITHMS
from keyturn.dpop_errors import (
    InvalidDpopProofAtResource,
    NotPossessed,
    UseDpopNonce,
    UseDpopNonceAtResource,
)
from keyturn.errors import InvalidDpopProof, InvalidRequest
from keyturn.replays.replays import Replays
from keyturn.tokens import dpop_proof
from keyturn.tokens.dpop_nonce import Nonces
from keyturn.tokens.dpop_proof import Wanted
from keyturn.web.request_notes import notes_of

KIND = "dpop"


@dataclass(frozen=True, slots=True)
class Dpop:
    """Checks the proof of a request, once."""

    replays: Replays
    clock: Clock
    issuer: str
    nonces: Nonces | None
    """None: proofs need no nonce."""

    async def proof(
        self, request: Request, htu_path: str, algorithms: tuple[str, ...] = ALGORITHMS
    ) -> str | None:
        """Return the thumbprint of the key that a request's proof is by; None: it has no proof.

        `htu_path` is where the request went, below the issuer. Raises `InvalidDpopProof`,
        `UseDpopNonce`, `Unavailable`. A proof that was let pass is never good again.
        """
        texts = proofs_of(request)
        if not texts:
            return None
        return await self._use(
            request, texts, Wanted(request.method, self.issuer + htu_path, algorithms)
        )

    async def demanded(self, request: Request, client: Client) -> str | None:
        """Return the same of a request that a client made for tokens, where it must have a proof.

        A client that needs one and sent none: `InvalidDpopProof` for a public one, whose grant is
        bound to the key; `InvalidRequest` for a confidential one, which is what it is to FAPI 2.0.
        """
        algorithms = algorithms_of(client)
        jkt = await self.proof(request, request.scope["path"], algorithms)
        if jkt is None and client.require_dpop:
            self._offer_nonce(request)
            refusal = InvalidDpopProof if client.is_public else InvalidRequest
            raise refusal("dpop: required of this client")
        return jkt

    async def possession(
        self, request: Request, client: Client, access_token: str, jkt: str
    ) -> None:
        """Demand a proof for a client's access token by the key `jkt` (RFC 9449 section 7).

        Raises `NotPossessed` without one, `InvalidDpopProofAtResource`, `UseDpopNonceAtResource`,
        `Unavailable`.
        """
        uri, algorithms = self.issuer + request.scope["path"], algorithms_of(client)
        wanted = Wanted(request.method, uri, algorithms, access_token, jkt)
        texts = proofs_of(request)
        if not texts:
            self._offer_nonce(request)
            raise NotPossessed("dpop: no proof")
        try:
            await self._use(request, texts, wanted)
        except InvalidDpopProof as refusal:
            raise InvalidDpopProofAtResource(refusal.detail) from None
        except UseDpopNonce as refusal:
            raise UseDpopNonceAtResource(refusal.detail) from None

    async def _use(self, request: Request, texts: list[str], wanted: Wanted) -> str:
        self._offer_nonce(request)
        if len(texts) > 1:
            raise InvalidDpopProof("dpop: more than one proof")
        proof = dpop_proof.check(texts[0], wanted, self.clock.now())
        if self.nonces is not None and not self.nonces.knows(proof.nonce):
            raise UseDpopNonce("dpop: nonce: missing, too old, or not ours")
        first = await self.replays.is_first(
            KIND, proof.jkt, wanted.uri, proof.jti, until=proof.until
        )
        if not first:
            raise InvalidDpopProof("dpop: jti: used before")
        return proof.jkt

    def _offer_nonce(self, request: Request) -> None:
        if self.nonces is not None:
            notes_of(request.scope).dpop_nonce = self.nonces.current()


def proofs_of(request: Request) -> list[str]:
    """Return every `DPoP` header of a request."""
    headers = request.scope["headers"]
    return [value.decode("latin-1") for name, value in headers if name == b"dpop"]
