"""When an issuer is asked again: not by everybody together, never too late, and not before it likes."""

import itertools
import random

import pytest
from documents import Documents
from issuing import JWKS_URI, LIST_URI, claims, listed, rsa, signed, token

from keyturn_verifier import InvalidToken, Response, Unavailable

EXP = 2_000_000_000
SESSION = token(status=listed(), exp=EXP)
NEXT = rsa("two")


class Moments(Documents):
    """Documents that note when they were asked for."""

    def __init__(self):
        super().__init__()
        self.moments = []

    async def __call__(self, url, headers, /):
        if url == LIST_URI:
            self.moments.append(round(self.clock.ticks, 1))
        return await super().__call__(url, headers)

    def waits(self):
        return [after - before for before, after in itertools.pairwise(self.moments)]


async def test_apis_that_were_started_together_do_not_ask_together():
    documents = Moments()
    verifiers = [documents.verifier(jitter=random.Random(n).random) for n in range(20)]
    for verifier in verifiers:
        assert await verifier.verify(SESSION)
    assert documents.moments == [0.0] * 20
    await documents.pass_time(60, step=0.1)
    second = documents.moments[20:40]
    assert min(second) >= 2.5
    assert max(second) <= 5.1
    assert max(map(documents.moments.count, second)) <= 5
    for verifier in verifiers:
        await verifier.aclose()


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 5.0), (0.5, 3.8), (0.9999, 2.6)])
async def test_a_list_is_asked_for_between_a_quarter_and_half_of_its_ttl(jitter, wait):
    documents = Moments()
    async with documents.verifier(jitter=lambda: jitter) as verifier:
        assert await verifier.verify(SESSION)
        await documents.pass_time(60, step=0.1)
    assert documents.waits() == pytest.approx([wait] * len(documents.waits()), abs=0.11)
    assert len(documents.waits()) >= 11


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("4", 4, 6),
        ("20", 5, 6),
        ("9999", 5, 6),
        ("9" * 400, 5, 6),
        ("1", 2, 6),
        ("0", 2, 6),
        ("-5", 2, 6),
        ("٣٠", 2, 6),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 2, 6),
        ("", 2, 6),
    ],
)
@pytest.mark.parametrize("jitter", [0.0, 0.9999])
async def test_a_list_is_asked_for_when_the_issuer_wants_and_within_half_its_ttl(
    said, least, most, jitter
):
    documents = Moments()
    async with documents.verifier(jitter=lambda: jitter) as verifier:
        assert await verifier.verify(SESSION)
        documents.answers[LIST_URI] = Response(503, {"retry-after": said}, b"")
        await documents.pass_time(150)
        assert await verifier.verify(SESSION)
    _, *waits = documents.waits()
    assert waits
    assert least <= min(waits) <= max(waits) <= most


async def test_nor_are_keys_not_even_for_unknown_ones():
    documents = Documents()
    async with documents.verifier() as verifier:
        assert await verifier.verify(token(exp=EXP))
        documents.answers[JWKS_URI] = Response(503, {"retry-after": "25"}, b"")
        with pytest.raises(Unavailable):
            await verifier.verify(signed(claims(), NEXT))
        asked = documents.asked_for(JWKS_URI)
        for n in range(24):
            await documents.pass_time(1)
            with pytest.raises(Unavailable):
                await verifier.verify(signed(claims(), NEXT, kid=f"{n}"))
        assert documents.asked_for(JWKS_URI) == asked
        assert await verifier.verify(token(exp=EXP))
        await documents.pass_time(1)
        with pytest.raises(Unavailable):
            await verifier.verify(signed(claims(), NEXT))
        assert documents.asked_for(JWKS_URI) == asked + 1


async def test_keys_are_asked_for_sooner_by_jitter_and_never_later():
    documents = Documents()
    async with documents.verifier(jitter=lambda: 0.9999) as verifier:
        await verifier.warmup()
        await documents.pass_time(119)
        assert documents.asked_for(JWKS_URI) == 1
        await documents.pass_time(2)
        assert documents.asked_for(JWKS_URI) == 2


async def test_an_issuer_without_metadata_is_as_patient():
    documents = Documents()
    documents.answers = dict.fromkeys(documents.answers, Response(503, {"retry-after": "25"}, b""))
    async with documents.verifier() as verifier:
        with pytest.raises(Unavailable):
            await verifier.warmup()
        asked = len(documents.asked)
        await documents.pass_time(24)
        assert len(documents.asked) == asked
        documents.answers |= Documents().answers
        await documents.pass_time(15)
        assert await verifier.verify(token(exp=EXP))
        with pytest.raises(InvalidToken):
            await verifier.verify(signed(claims(), NEXT))
