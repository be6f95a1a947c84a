"""The issuer's keys: what a rotation, an outage, a hang, a flood and a broken answer do. Nothing."""

import asyncio
import json

import pytest
from documents import OAUTH, Counting, Documents, settle
from issuing import ISSUER, JWKS_URI, claims, jwk, jwks, metadata, rsa, signed, token

from keyturn_verifier import InvalidToken, Reason, Response, Unavailable
from keyturn_verifier.observer import Silent

HOUR = 3600
OPENID = f"{ISSUER}/.well-known/openid-configuration"
NEXT = rsa("two")


async def refused(verifier, text):
    with pytest.raises(InvalidToken) as refusal:
        await verifier.verify(text)
    return refusal.value.reason


async def test_nothing_is_fetched_before_the_first_token_and_once_for_many():
    documents = Documents()
    async with documents.verifier() as verifier:
        assert documents.asked == []
        await asyncio.gather(*(verifier.verify(token(jti=f"{n}")) for n in range(50)))
    assert documents.asked == [OAUTH, JWKS_URI]


async def test_a_warmed_up_verifier_asks_nobody():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.warmup()
        asked = list(documents.asked)
        await verifier.verify(token())
    assert documents.asked == asked == [OAUTH, JWKS_URI]


async def test_an_issuer_that_is_away_at_the_start_is_no_fault_of_the_token():
    documents = Documents()
    documents.away = True
    async with documents.verifier(observer=(counting := Counting())) as verifier:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await verifier.verify(token())
        with pytest.raises(Unavailable):
            await verifier.warmup()
        documents.away = False
        await documents.pass_time(31)
        assert await verifier.verify(token())
    assert counting.nothing_said == 3
    assert counting.jwks[0] == (False, None)
    assert counting.jwks[-1] == (True, 0.0)


async def test_an_hours_outage_and_a_rotation_before_it_fail_no_request():
    """One token a minute, by the key of the day; keyturn publishes `next` before it signs."""
    documents = Documents(rsa(), NEXT)
    async with documents.verifier() as verifier:
        assert await verifier.verify(token())
        await documents.pass_time(60)
        documents.away = True
        for minute in range(60):
            await documents.pass_time(60, step=5)
            now = documents.clock.now()
            key = rsa() if minute < 30 else NEXT
            assert await verifier.verify(token(now, key, jti=f"{minute}"))
        assert verifier.jwks_age > 0.9 * HOUR
        documents.away = False
        await documents.pass_time(60, step=5)
        assert verifier.jwks_age < 60


async def test_keys_that_could_not_be_renewed_for_a_day_are_given_up():
    documents = Documents()
    async with documents.verifier() as verifier:
        text = token(exp=2_000_000_000)
        assert await verifier.verify(text)
        documents.away = True
        await documents.pass_time(23 * HOUR, step=600)
        assert await verifier.verify(text)
        await documents.pass_time(HOUR + 600, step=600)
        with pytest.raises(Unavailable):
            await verifier.verify(text)


async def test_keys_are_fetched_again_before_they_are_stale():
    documents = Documents()
    documents.answers[JWKS_URI] = fresh = Response(
        200, {"cache-control": "public, max-age=100"}, jwks(rsa()).encode()
    )
    async with documents.verifier() as verifier:
        await verifier.verify(token())
        await documents.pass_time(79)
        assert documents.asked_for(JWKS_URI) == 1
        await documents.pass_time(2)
        assert documents.asked_for(JWKS_URI) == 2
        documents.answers[JWKS_URI] = Response(200, {"cache-control": "max-age=0"}, fresh.body)
        await documents.pass_time(81)
        asked = documents.asked_for(JWKS_URI)
        await documents.pass_time(60)
        assert documents.asked_for(JWKS_URI) - asked <= 5
    assert documents.asked_for(OAUTH) == 1


async def test_a_new_key_is_found_when_its_first_token_comes():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.verify(token())
        documents.answers[JWKS_URI] = jwks(rsa(), NEXT)
        await asyncio.gather(*(verifier.verify(token(key=NEXT, jti=f"{n}")) for n in range(20)))
        assert await verifier.verify(token())
    assert documents.asked_for(JWKS_URI) == 2


async def test_a_key_that_is_gone_is_accepted_no_more_not_even_from_the_cache():
    documents = Documents(rsa(), NEXT)
    async with documents.verifier() as verifier:
        old, new = token(exp=2_000_000_000), token(key=NEXT, exp=2_000_000_000)
        assert await verifier.verify(old)
        assert await verifier.verify(new)
        documents.answers[JWKS_URI] = jwks(NEXT)
        await documents.pass_time(300)
        assert await refused(verifier, old) == Reason.UNKNOWN_KEY
        assert await verifier.verify(new)


async def test_a_key_replaced_under_its_name_is_another_key():
    documents = Documents()
    async with documents.verifier() as verifier:
        text = token(exp=2_000_000_000)
        assert await verifier.verify(text)
        documents.answers[JWKS_URI] = jwks(jwk(NEXT, kid="one"))
        await documents.pass_time(300)
        assert await refused(verifier, text) == Reason.SIGNATURE


async def test_a_flood_of_unknown_keys_makes_one_fetch_a_cool_down():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.warmup()
        documents.asked.clear()
        for second in range(60):
            flood = [signed(claims(), NEXT, kid=f"{second}-{n}") for n in range(3)]
            for reason in await asyncio.gather(*(refused(verifier, text) for text in flood)):
                assert reason == Reason.UNKNOWN_KEY
            assert await verifier.verify(token(documents.clock.now(), jti=f"{second}"))
            await documents.pass_time(1)
    assert 5 <= documents.asked_for(JWKS_URI) <= 7


async def test_a_name_nobody_has_is_not_asked_for_again_at_once():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.warmup()
        documents.asked.clear()
        for _ in range(29):
            assert await refused(verifier, signed(claims(), NEXT)) == Reason.UNKNOWN_KEY
            await documents.pass_time(1)
        assert documents.asked_for(JWKS_URI) == 1
        documents.answers[JWKS_URI] = jwks(rsa(), NEXT)
        await documents.pass_time(2)
        assert await verifier.verify(token(key=NEXT))


async def test_names_nobody_has_fill_no_memory():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.warmup()
        for n in range(1100):
            verifier._keys._remember_missing(f"{n}")
        assert len(verifier._keys._missing) == 1000
        assert "1099" in verifier._keys._missing


async def test_an_unknown_key_is_nobodys_fault_while_the_issuer_is_away():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.warmup()
        documents.away = True
        for _ in range(3):
            with pytest.raises(Unavailable):
                await verifier.verify(token(key=NEXT))


async def test_a_hanging_issuer_delays_no_token_with_a_known_key():
    documents = Documents()
    async with documents.verifier() as verifier:
        await verifier.verify(token())
        documents.answering.clear()
        await documents.pass_time(250)
        waiting = asyncio.ensure_future(verifier.verify(token(key=NEXT)))
        await settle()
        assert documents.asked_for(JWKS_URI) == 2, "invalid: no fetch hangs"
        for n in range(20):
            # Nothing on the way waits for anything: one step of the coroutine is all it takes.
            with pytest.raises(StopIteration) as done:
                verifier.verify(token(jti=f"{n}")).send(None)
            assert done.value.value.token_id == f"{n}"
        documents.answers[JWKS_URI] = jwks(rsa(), NEXT)
        documents.answering.set()
        assert (await waiting).token_id == "token-1"
    assert documents.asked_for(JWKS_URI) == 2


async def test_who_gives_up_waiting_ends_nothing_for_the_others():
    documents = Documents()
    documents.answering.clear()
    async with documents.verifier() as verifier:
        impatient = asyncio.ensure_future(verifier.verify(token()))
        patient = asyncio.ensure_future(verifier.verify(token()))
        await settle()
        impatient.cancel()
        await settle()
        documents.answering.set()
        assert await patient
        assert impatient.cancelled()
    assert documents.asked_for(JWKS_URI) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, {}, b"{}"),
        Response(404, {}, jwks(NEXT).encode()),
        Response(304, {}, b""),
        RuntimeError("of a library of your own"),
        "",
        "<html>",
        "[]",
        "{}",
        '{"keys": {}}',
        '{"keys": []}',
        '{"keys": [1, null, {"kid": "one"}]}',
        json.dumps({"keys": [{"kid": "one", "kty": "oct", "k": "c2VjcmV0"}]}),
        jwks(NEXT) + " " * 300_000,
    ],
    ids=range(13),
)
async def test_a_bad_answer_evicts_no_good_key(answer):
    documents = Documents()
    async with documents.verifier(observer=(counting := Counting())) as verifier:
        assert await verifier.verify(token())
        documents.answers[JWKS_URI] = answer
        await documents.pass_time(250)
        assert counting.jwks[1][0] is False
        assert await verifier.verify(token(jti="another"))
        documents.answers[JWKS_URI] = jwks(rsa(), NEXT)
        await documents.pass_time(60)
        assert await verifier.verify(token(key=NEXT))


@pytest.mark.parametrize(
    "answers",
    [
        {OAUTH: metadata(issuer="https://other.example.test")},
        {OAUTH: metadata(issuer=f"{ISSUER}/")},
        {OAUTH: metadata(jwks_uri="http://id.example.test/jwks")},
        {OAUTH: metadata(jwks_uri="file:///etc/passwd")},
        {OAUTH: metadata(jwks_uri=None)},
        {OAUTH: "not JSON"},
        {OAUTH: metadata(x="x" * 300_000)},
        {OAUTH: Response(404, {}, b"")},
    ],
    ids=range(8),
)
async def test_metadata_that_is_not_the_issuers_is_not_believed(answers):
    documents = Documents()
    documents.answers |= answers
    async with documents.verifier() as verifier:
        with pytest.raises(Unavailable):
            await verifier.warmup()
    assert documents.asked_for(JWKS_URI) == 0


async def test_metadata_may_be_openids_alone():
    documents = Documents()
    documents.answers[OPENID] = documents.answers.pop(OAUTH)
    async with documents.verifier() as verifier:
        assert await verifier.verify(token())
    assert documents.asked == [OAUTH, OPENID, JWKS_URI]


async def test_a_jwks_uri_that_is_given_needs_no_metadata():
    documents = Documents()
    async with documents.verifier(jwks_uri=JWKS_URI) as verifier:
        assert await verifier.verify(token())
    assert documents.asked == [JWKS_URI]


async def test_keys_that_have_moved_are_found_again():
    documents = Documents()
    moved = f"{ISSUER}/moved"
    async with documents.verifier() as verifier:
        await verifier.verify(token())
        documents.answers |= {OAUTH: metadata(jwks_uri=moved), moved: jwks(NEXT)}
        del documents.answers[JWKS_URI]
        await documents.pass_time(300)
        assert await verifier.verify(token(documents.clock.now(), key=NEXT))


def test_a_verifier_may_be_asked_by_one_event_loop_after_another():
    documents = Documents()
    verifier = documents.verifier()
    for n in range(3):
        assert asyncio.run(verifier.verify(token(jti=f"{n}")))
    assert documents.asked_for(JWKS_URI) == 1


class Defective(Silent):
    """What counts for the application, and fails."""

    def jwks_fetched(self, *, ok, age):
        raise RuntimeError("a metric was renamed")


async def test_a_defect_beside_the_fetch_does_not_flood_the_issuer_and_is_told(caplog):
    documents = Documents()
    async with documents.verifier(observer=Defective()) as verifier:
        assert await verifier.verify(token())
        for _ in range(10):
            await settle()
        assert documents.asked_for(JWKS_URI) == 1
        await documents.pass_time(60)
        assert 2 <= documents.asked_for(JWKS_URI) <= 13
    assert "a metric was renamed" in caplog.text
