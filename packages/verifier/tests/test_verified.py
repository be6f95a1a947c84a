"""Tokens that were good: remembered by their hash, never beyond what their goodness hangs on."""

import hashlib

import pytest
from documents import Counting, Documents
from issuing import NOW, rsa, token

from keyturn_verifier import InvalidToken, Reason
from keyturn_verifier.verified import VerifiedTokens


async def test_a_token_leaves_when_it_expires():
    documents = Documents()
    async with documents.verifier(observer=(counting := Counting())) as verifier:
        text = token(exp=int(NOW) + 100)
        await verifier.verify(text)
        await documents.pass_time(159)
        await verifier.verify(text)
        await documents.pass_time(1)
        with pytest.raises(InvalidToken) as refused:
            await verifier.verify(text)
        assert len(verifier._cache) == 0
    assert refused.value.reason == Reason.EXPIRED
    assert counting.verifications == [False, True]


async def test_a_refused_token_is_not_remembered_and_none_is_kept():
    async with Documents().verifier() as verifier:
        text = token()
        await verifier.verify(text)
        with pytest.raises(InvalidToken):
            await verifier.verify(token(key=rsa("two")))
        assert list(verifier._cache._found) == [hashlib.sha256(text.encode()).digest()]


async def test_without_a_cache_every_token_is_checked():
    async with Documents().verifier(observer=(counting := Counting()), cache_size=0) as verifier:
        await verifier.verify(token())
        await verifier.verify(token())
    assert counting.verifications == [False, False]


def test_the_least_used_makes_room():
    remembered = VerifiedTokens(2)
    for name in (b"a", b"b"):
        remembered.put(name, name)
    assert remembered.get(b"a") == b"a"
    remembered.put(b"c", b"c")
    assert (len(remembered), remembered.get(b"b")) == (2, None)
    assert remembered.get(b"a") == b"a"
    remembered.drop(b"a")
    remembered.drop(b"a")
    assert remembered.get(b"a") is None
