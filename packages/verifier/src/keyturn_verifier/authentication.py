"""From a request's headers to a verified access token; shared by everything that meets HTTP."""

import logging
from dataclasses import dataclass

from keyturn_verifier import credentials
from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.challenges import Answer, Challenges
from keyturn_verifier.credentials import Credentials, Headers
from keyturn_verifier.dpop import Dpop
from keyturn_verifier.errors import Refused, Unavailable
from keyturn_verifier.resource_metadata import ProtectedResource
from keyturn_verifier.verifier import Verifier

_log = logging.getLogger("keyturn_verifier")


@dataclass(frozen=True)
class Authentication:
    """Verifies the token of a request, and its proof where it is bound to a key."""

    verifier: Verifier
    dpop: Dpop | None = None
    """None: tokens of the scheme DPoP are refused, and bound ones with them."""
    resource: ProtectedResource | None = None

    async def token_of(self, headers: Headers, method: str, path: str) -> AccessToken | None:
        """Return the verified token of a request; None: it has none.

        `path` is the decoded path that callers know. Raises `InvalidRequest`, `InvalidToken`,
        `InvalidProof`, `UseDpopNonce`, `Unavailable`.
        """
        headers = tuple(headers)
        shown = credentials.read(headers)
        if shown is None or (shown.scheme == "DPoP" and self.dpop is None):
            return None
        if shown.scheme == "DPoP" and self.dpop is not None:
            return await self._possessed(self.dpop, shown, headers, (method, path))
        return await self.verifier.verify(shown.token)

    async def _possessed(
        self, dpop: Dpop, shown: Credentials, headers: Headers, target: tuple[str, str]
    ) -> AccessToken:
        proof = dpop.check(headers, *target, shown.token)
        token = await self.verifier.verify(shown.token, bound_to=proof.jkt)
        # Remembered last: nobody without a good token can fill the memory.
        await dpop.use(proof)
        return token

    def answer(self, refusal: Refused | Unavailable, headers: Headers) -> Answer:
        """Return what to say to a refused request, and log why."""
        reason = refusal.reason.value if isinstance(refusal, Refused) else "unavailable"
        _log.info("request refused: %s: %s", reason, refusal)
        answer = self._challenges.answer(refusal, scheme_of(headers))
        return Answer(answer.status, answer.headers + self.nonce(headers), answer.body)

    def nonce(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        """Return the header that brings the next nonce, for a caller that uses proofs."""
        if self.dpop is None or self.dpop.nonces is None or scheme_of(headers) != "DPoP":
            return ()
        return (("DPoP-Nonce", self.dpop.nonces.current()),)

    @property
    def _challenges(self) -> Challenges:
        algorithms = () if self.dpop is None else self.dpop.algorithms
        return Challenges(algorithms, None if self.resource is None else self.resource.url)


def scheme_of(headers: Headers) -> credentials.Scheme:
    """Return the scheme that a challenge answers to, whatever else is wrong with the request."""
    values = credentials.fields(headers, b"authorization")
    return "DPoP" if values and values[0][:5].lower() == "dpop " else "Bearer"
