"""A JWT that the issuer signed: the header's checks, the key, the signature, in this order."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keyturn_verifier import compact
from keyturn_verifier.checks import HEADER_CHECKS, Expected
from keyturn_verifier.errors import InvalidToken, Reason
from keyturn_verifier.jwks import Jwks
from keyturn_verifier.public_key import PublicKey

MOST_HEADERS = 64


class Header(NamedTuple):
    """What is taken from a header that passed every check."""

    kid: str
    alg: str


class SignedJwts:
    """Checks the JWTs of one issuer that are meant for one purpose.

    An issuer writes the same few headers again and again. One whose checks passed is remembered by
    its text, which decides their outcome: but only once a signature over it held, so that strangers
    cannot fill the memory, and the latest `MOST_HEADERS` only, for an issuer that writes a new one
    each time. The key and the signature are looked at for every token.
    """

    def __init__(self, expected: Expected, keys: Jwks) -> None:
        self._expected = expected
        self._keys = keys
        self._headers: dict[str, Header] = {}

    async def require(
        self, text: str, limit: int = compact.MOST_CHARACTERS
    ) -> tuple[Mapping[str, Any], PublicKey]:
        """Return the claims of a JWT and the key that signed it; the claims are unchecked.

        Raises `InvalidToken`, or `Unavailable` when the key cannot be had.
        """
        jws = compact.parse(text, limit)
        header = self._headers.get(jws.encoded_header) or self._checked(jws.header())
        key = self._keys.find(header.kid) or await self._keys.require(header.kid)
        verify = key.verifies.get(header.alg)
        if verify is None:
            raise InvalidToken(Reason.ALGORITHM, "not of this key")
        if not verify(jws.signing_input, jws.signature):
            raise InvalidToken(Reason.SIGNATURE)
        self._remember(jws.encoded_header, header)
        return jws.claims(), key

    def _checked(self, members: Mapping[str, Any]) -> Header:
        for check in HEADER_CHECKS:
            check(members, self._expected)
        return Header(members["kid"], members["alg"])

    def _remember(self, text: str, header: Header) -> None:
        self._headers[text] = header
        if len(self._headers) > MOST_HEADERS:
            del self._headers[next(iter(self._headers))]
