"""A JWT that the issuer signed: the header's checks, the key, the signature, in this order."""

from collections.abc import Mapping
from typing import Any

from keyturn_verifier import compact
from keyturn_verifier.checks import HEADER_CHECKS, Expected
from keyturn_verifier.errors import InvalidToken, Reason
from keyturn_verifier.jwks import Jwks
from keyturn_verifier.public_key import PublicKey


async def require_signed(
    text: str, expected: Expected, keys: Jwks, limit: int = compact.MOST_CHARACTERS
) -> tuple[Mapping[str, Any], PublicKey]:
    """Return the claims of a JWT and the key that signed it; nothing is known of the claims yet.

    Raises `InvalidToken`, or `Unavailable` when the key cannot be had.
    """
    jws = compact.parse(text, limit)
    for check in HEADER_CHECKS:
        check(jws.header, expected)
    key = await keys.require(jws.header["kid"])
    verify = key.verifies.get(jws.header["alg"])
    if verify is None:
        raise InvalidToken(Reason.ALGORITHM, "not of this key")
    if not verify(jws.signing_input, jws.signature):
        raise InvalidToken(Reason.SIGNATURE)
    return jws.claims(), key
