"""Headers that are remembered: by whom, how many, and what is looked at all the same."""

import pytest
from documents import Documents
from issuing import claims, rsa, signed, token

from keyturn_verifier import InvalidToken, Reason

STRANGER = rsa("stranger")


async def refused(verifier, text):
    with pytest.raises(InvalidToken) as refusal:
        await verifier.verify(text)
    return refusal.value.reason


async def test_a_stranger_puts_no_header_into_memory():
    async with Documents().verifier() as verifier:
        assert await refused(verifier, signed(claims(), STRANGER, kid="one")) == Reason.SIGNATURE
        assert verifier._signed._headers == {}
        assert await verifier.verify(token())
        assert len(verifier._signed._headers) == 1


async def test_an_issuer_with_ever_new_headers_fills_no_memory():
    async with Documents().verifier(cache_size=0) as verifier:
        for n in range(70):
            assert await verifier.verify(signed(claims(), x=n))
        assert len(verifier._signed._headers) == 64


async def test_under_a_header_that_is_known_everything_else_is_looked_at():
    async with Documents().verifier() as verifier:
        good = token()
        assert await verifier.verify(good)
        header, payload, _ = good.split(".")
        forged = signed(claims(sub="another"), STRANGER, kid="one")
        assert forged.startswith(f"{header}.")
        assert await refused(verifier, forged) == Reason.SIGNATURE
        assert await refused(verifier, f"{header}.{payload}.AAAA") == Reason.SIGNATURE
        assert await refused(verifier, token(aud="https://other.test")) == Reason.AUDIENCE
        assert await refused(verifier, signed(b"[]")) == Reason.MALFORMED
        assert await refused(verifier, signed(claims(), typ="JWT")) == Reason.TYPE
