"""Status lists: a revoked token is refused within `ttl`, and an issuer that is away stops nobody."""

import asyncio
import tracemalloc
import zlib

import pytest
from documents import Counting, Documents, settle
from issuing import (
    ISSUER,
    JWKS_URI,
    LIST_URI,
    NOW,
    b64,
    claims,
    jwk,
    jwks,
    listed,
    rsa,
    signed,
    status_list,
    token,
)

from keyturn_verifier import InvalidToken, Reason, Response, StatusPolicy, Unavailable
from keyturn_verifier.status_list import unpack

REVOKED = status_list(bytes([0b00001000]) + bytes(127))
CLOSED = {"status": StatusPolicy(fail_closed_after=60)}


def of_session(index=3, jti="token-1", exp=2_000_000_000, uri=LIST_URI):
    return token(status=listed(index, uri), jti=jti, exp=exp)


async def refused(verifier, text):
    with pytest.raises(InvalidToken) as refusal:
        await verifier.verify(text)
    return refusal.value.reason


async def test_a_revoked_token_is_refused_within_half_a_ttl_from_the_cache_too():
    documents = Documents()
    async with documents.verifier() as verifier:
        revoked, other = of_session(3), of_session(4)
        assert await verifier.verify(revoked)
        documents.answers[LIST_URI] = REVOKED
        await documents.pass_time(5)
        assert await refused(verifier, revoked) == Reason.REVOKED
        assert len(verifier._cache) == 0
        assert await verifier.verify(other)


async def test_the_first_token_of_a_list_waits_for_it_and_all_share_one_fetch():
    documents = Documents()
    documents.answers[LIST_URI] = REVOKED
    async with documents.verifier() as verifier:
        reasons = await asyncio.gather(*(refused(verifier, of_session()) for _ in range(20)))
    assert set(reasons) == {Reason.REVOKED}
    assert documents.asked_for(LIST_URI) == 1


async def test_a_list_that_did_not_change_is_not_sent_again():
    documents = Documents()
    documents.answers[LIST_URI] = Response(200, {"etag": '"1"'}, status_list().encode())
    async with documents.verifier(observer=(counting := Counting()), **CLOSED) as verifier:
        assert await verifier.verify(of_session())
        documents.answers[LIST_URI] = Response(304, {"etag": '"1"'}, b"")
        await documents.pass_time(300)
        assert await verifier.verify(of_session(jti="another"))
        assert verifier.status_list_age <= 5
    asked = [
        said
        for url, said in zip(documents.asked, documents.headers, strict=True)
        if url == LIST_URI
    ]
    assert "If-None-Match" not in asked[0]
    assert {said["If-None-Match"] for said in asked[1:]} == {'"1"'}
    assert len(asked) == 61
    assert set(counting.lists) == {(True, 0.0)}


async def test_an_expired_list_cannot_be_confirmed():
    documents = Documents()
    short = status_list(exp=int(NOW) + 20)
    documents.answers[LIST_URI] = Response(200, {"etag": '"1"'}, short.encode())
    async with documents.verifier(leeway=0, **CLOSED) as verifier:
        assert await verifier.verify(of_session())
        documents.answers[LIST_URI] = Response(304, {}, b"")
        await documents.pass_time(26)
        with pytest.raises(Unavailable):
            await verifier.verify(of_session())
        assert "If-None-Match" not in documents.headers[-1]


@pytest.mark.parametrize(
    ("bits", "statuses", "index", "good"),
    [
        (1, b"\xb9\xa3", 0, False),
        (1, b"\xb9\xa3", 1, True),
        (1, b"\xb9\xa3", 7, False),
        (1, b"\xb9\xa3", 8, False),
        (1, b"\xb9\xa3", 10, True),
        (2, b"\xc9\x44\xf9", 0, False),
        (2, b"\xc9\x44\xf9", 2, True),
        (2, b"\xc9\x44\xf9", 4, True),
        (2, b"\xc9\x44\xf9", 11, False),
        (4, b"\x10\x02", 0, True),
        (4, b"\x10\x02", 1, False),
        (4, b"\x10\x02", 2, False),
        (4, b"\x10\x02", 3, True),
        (8, b"\x00\x03", 0, True),
        (8, b"\x00\x03", 1, False),
    ],
)
async def test_bits_are_read_from_the_least_significant(bits, statuses, index, good):
    """The first two byte strings are the standard's own examples (section 4)."""
    documents = Documents()
    documents.answers[LIST_URI] = status_list(statuses, bits=bits)
    async with documents.verifier() as verifier:
        if good:
            assert await verifier.verify(of_session(index))
        else:
            assert await refused(verifier, of_session(index)) == Reason.REVOKED


async def test_an_index_outside_its_list_is_refused():
    async with Documents().verifier() as verifier:
        assert await verifier.verify(of_session(128 * 8 - 1))
        assert await refused(verifier, of_session(128 * 8)) == Reason.CLAIMS


BOMB = b64(zlib.compress(bytes(200_000_000), 9))
NOT_THE_LIST = [
    status_list(typ="at+jwt"),
    status_list(typ="JWT"),
    status_list(iss="https://other.example.test"),
    status_list(sub=f"{ISSUER}/oauth2/status/1"),
    status_list(sub=None),
    status_list(iat=None),
    status_list(exp=int(NOW) - 61),
    status_list(ttl="10"),
    status_list(bits=3),
    status_list(bits=True),
    status_list(status_list=None),
    status_list(status_list={"bits": 1, "lst": BOMB}),
    status_list(status_list={"bits": 1, "lst": b64(b"not zlib")}),
    status_list(status_list={"bits": 1, "lst": b64(zlib.compress(bytes(99))[:-3])}),
    status_list(status_list={"bits": 1, "lst": b64(zlib.compress(bytes(9)) + b"more")}),
    status_list(status_list={"bits": 1, "lst": 1}),
    status_list(status_list={"bits": 1, "lst": "é"}),
    status_list(key=rsa("two")),
    signed(b"[]", typ="statuslist+jwt"),
    status_list()[:-8],
    "",
    "é",
    "x" * 3_000_000,
    Response(404, {}, b""),
    Response(503, {"retry-after": "1"}, b""),
    Response(304, {}, b""),
    RuntimeError("of a library of your own"),
]


def test_a_bomb_is_not_unpacked():
    bomb = zlib.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to too much"):
        unpack(bomb)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.parametrize("answer", NOT_THE_LIST, ids=range(len(NOT_THE_LIST)))
async def test_what_is_not_the_list_is_not_believed(answer):
    documents = Documents()
    documents.answers[LIST_URI] = answer
    async with documents.verifier(**CLOSED) as closed, documents.verifier() as opened:
        with pytest.raises(Unavailable):
            await closed.verify(of_session())
        assert await opened.verify(of_session())
        documents.answers[LIST_URI] = REVOKED
        await documents.pass_time(31)
        assert await refused(closed, of_session()) == Reason.REVOKED
        assert await refused(opened, of_session()) == Reason.REVOKED


@pytest.mark.parametrize("answer", NOT_THE_LIST, ids=range(len(NOT_THE_LIST)))
async def test_a_bad_answer_lets_no_revoked_token_in_again(answer):
    documents = Documents()
    documents.answers[LIST_URI] = REVOKED
    async with documents.verifier() as verifier:
        assert await refused(verifier, of_session()) == Reason.REVOKED
        documents.answers[LIST_URI] = answer
        await documents.pass_time(31)
        assert await refused(verifier, of_session()) == Reason.REVOKED


async def test_an_older_copy_lets_no_revoked_token_in_again():
    documents = Documents()
    documents.answers[LIST_URI] = status_list(bytes([8]), iat=int(NOW))
    async with documents.verifier() as verifier:
        assert await refused(verifier, of_session()) == Reason.REVOKED
        documents.answers[LIST_URI] = status_list(bytes(1), iat=int(NOW) - 61)
        await documents.pass_time(31)
        assert await refused(verifier, of_session()) == Reason.REVOKED


async def test_an_outage_of_an_hour_fails_no_request_and_revokes_nothing_less():
    documents = Documents()
    documents.answers[LIST_URI] = REVOKED
    async with documents.verifier(observer=(counting := Counting())) as verifier:
        assert await verifier.verify(of_session(4))
        documents.away = True
        for minute in range(60):
            await documents.pass_time(60, step=5)
            assert await verifier.verify(of_session(4))
            assert await verifier.verify(of_session(5, jti=f"{minute}"))
            assert await refused(verifier, of_session(3)) == Reason.REVOKED
        # Nor does a list of which nobody has heard: nobody waits twice for it.
        assert await verifier.verify(of_session(0, uri=f"{ISSUER}/oauth2/status/1"))
    assert counting.lists[0] == (True, 0.0)
    assert counting.lists[-1] == (False, None)


async def test_whoever_must_know_is_told_that_nobody_knows_after_the_stated_age():
    documents = Documents()
    async with documents.verifier(**CLOSED) as verifier:
        assert await verifier.verify(of_session())
        documents.away = True
        await documents.pass_time(55)
        assert await verifier.verify(of_session())
        assert await verifier.verify(token(jti="without a status"))
        await documents.pass_time(10)
        with pytest.raises(Unavailable):
            await verifier.verify(of_session())
        assert await verifier.verify(token(jti="without a status"))
        documents.away = False
        await documents.pass_time(5)
        assert await verifier.verify(of_session())


async def test_a_copy_is_as_old_as_the_question_for_it_however_late_the_answer():
    documents = Documents()
    async with documents.verifier(**CLOSED) as verifier:
        assert await verifier.verify(of_session())
        documents.answering.clear()
        await documents.pass_time(9)  # asked for again after 5 s
        documents.answering.set()
        await settle()
        assert verifier.status_list_age == 4
        documents.away = True
        await documents.pass_time(55)
        assert await verifier.verify(of_session())
        await documents.pass_time(2)
        with pytest.raises(Unavailable):
            await verifier.verify(of_session())


async def test_a_list_that_hangs_delays_one_token_once():
    documents = Documents()
    async with documents.verifier(status=StatusPolicy(wait=0.01)) as verifier:
        await verifier.warmup()
        documents.answering.clear()
        assert await verifier.verify(of_session())
        for n in range(20):
            with pytest.raises(StopIteration):
                verifier.verify(of_session(jti=f"{n}")).send(None)
        documents.answers[LIST_URI] = REVOKED
        documents.answering.set()
        await settle()
        assert await refused(verifier, of_session()) == Reason.REVOKED


async def test_a_list_is_read_whatever_the_api_wants_tokens_signed_with():
    """A profile wants PS256 of tokens; the list is one for all, by another use of the same key."""
    key = rsa()
    documents = Documents(jwk(key, kid="one", alg="RS256"), jwk(key, kid="one.ps", alg="PS256"))
    documents.answers[LIST_URI] = REVOKED
    revoked = signed(claims(status=listed(3)), key, alg="PS256", kid="one.ps")
    async with documents.verifier(algorithms=["PS256"]) as verifier:
        assert await refused(verifier, revoked) == Reason.REVOKED
        assert await refused(verifier, of_session(4)) == Reason.ALGORITHM


async def test_a_list_that_was_never_had_is_asked_for_again_soon():
    """An API that starts while its issuer does goes by the list as soon as there is one."""
    documents = Documents()
    documents.answers[LIST_URI] = Response(503, {"retry-after": "1"}, b"")
    async with documents.verifier() as verifier:
        assert await verifier.verify(of_session())
        documents.answers[LIST_URI] = REVOKED
        await documents.pass_time(1)
        assert await refused(verifier, of_session()) == Reason.REVOKED


async def test_a_list_that_is_never_had_is_asked_for_less_and_less():
    documents = Documents()
    documents.answers[LIST_URI] = Response(404, {}, b"")
    async with documents.verifier() as verifier:
        for _ in range(10):
            assert await verifier.verify(of_session())
            await documents.pass_time(60)
    assert 15 <= documents.asked_for(LIST_URI) <= 26


async def test_a_list_that_no_token_names_any_more_is_forgotten():
    documents = Documents()
    async with documents.verifier(status=StatusPolicy(unused=60)) as verifier:
        assert await verifier.verify(of_session())
        await documents.pass_time(70, step=5)
        asked = documents.asked_for(LIST_URI)
        await documents.pass_time(600, step=5)
        assert documents.asked_for(LIST_URI) == asked
        assert verifier.status_list_age is None
        documents.answers[LIST_URI] = REVOKED
        assert await refused(verifier, of_session()) == Reason.REVOKED


async def test_a_list_signed_by_a_new_key_is_read_after_one_look_for_it():
    documents = Documents()
    async with documents.verifier() as verifier:
        assert await verifier.verify(of_session())
        documents.answers |= {
            JWKS_URI: jwks(rsa(), rsa("two")),
            LIST_URI: status_list(bytes([8]), key=rsa("two")),
        }
        await documents.pass_time(5)
        assert await refused(verifier, of_session()) == Reason.REVOKED
