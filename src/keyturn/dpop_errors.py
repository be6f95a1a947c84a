"""Every way a proof of possession is refused (RFC 9449); `errors.InvalidDpopProof` is the first.

At the token endpoint, and where a session credential is shown, they are 400 (section 5). Where an
access token is shown they are 401 with a challenge of the scheme `DPoP` (section 7.1).
"""

from keyturn.errors import InvalidDpopProof, InvalidToken, Refusal


class UseDpopNonce(Refusal):
    """The proof lacks a nonce of this server's; the answer brings one (RFC 9449 section 8)."""

    code = "use_dpop_nonce"
    status = 400
    sentence = "The DPoP proof must carry the nonce of this answer."


class InvalidDpopProofAtResource(InvalidDpopProof):
    """The proof that came with an access token is none (RFC 9449 section 7.1)."""

    status = 401


class UseDpopNonceAtResource(UseDpopNonce):
    """The proof that came with an access token lacks a nonce (RFC 9449 section 9)."""

    status = 401


class NotPossessed(InvalidToken):
    """The access token is bound to a key and not shown so, or was shown as if it were."""


AT_RESOURCE = (InvalidDpopProofAtResource, UseDpopNonceAtResource, NotPossessed)
"""What is answered with a challenge of the scheme `DPoP`."""
