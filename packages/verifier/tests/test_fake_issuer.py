"""The test kit keeps its word: what it signs and serves goes through the real verifier."""

import asyncio

import pytest

from keyturn_verifier import InvalidToken, Reason, StatusPolicy, Unavailable
from keyturn_verifier.clock import SystemClock
from keyturn_verifier.testing import STATUS_TTL, FakeIssuer, ProofKey


@pytest.fixture
def issuer():
    return FakeIssuer()


async def reason(verifier, token, **options):
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(token, **options)
    return refused.value.reason


async def test_a_token_says_what_it_was_asked_to(issuer):
    async with issuer.verifier() as verifier:
        token = await verifier.verify(
            issuer.token("a", "b", subject="ada", session="s1", claims={"roles": ["admin"]})
        )
        assert (token.subject, token.scopes, token.session_id) == ("ada", {"a", "b"}, "s1")
        assert token.claims["roles"] == ["admin"]
        assert token.auth_time == token.issued_at == issuer.clock.now()
        own = await verifier.verify(issuer.token(subject="app", session=None))
        assert (own.session_id, own.status, own.auth_time) == (None, None, None)


async def test_it_signs_as_keyturn_does_when_asked():
    issuer = FakeIssuer(algorithm="RS256")
    async with issuer.verifier(algorithms=["RS256"]) as verifier:
        assert (await verifier.verify(issuer.token())).subject == "user-1"
        assert await reason(verifier, FakeIssuer().token()) == Reason.ALGORITHM


async def test_somebody_elses_tokens_are_not_this_issuers(issuer):
    async with issuer.verifier() as verifier:
        await verifier.verify(issuer.token())
        assert await reason(verifier, FakeIssuer().token()) == Reason.UNKNOWN_KEY


async def test_what_is_wrong_with_a_token_is_what_was_asked_for(issuer):
    async with issuer.verifier() as verifier:
        wrong = {
            Reason.AUDIENCE: issuer.token(claims={"aud": "https://other.test"}),
            Reason.ISSUER: issuer.token(claims={"iss": "https://other.test"}),
            Reason.CLAIMS: issuer.token(claims={"sub": None}),
            Reason.TYPE: issuer.token(header={"typ": "JWT"}),
            Reason.ALGORITHM: issuer.token(header={"alg": "none"}),
            Reason.CRITICAL: issuer.token(header={"crit": ["exp"]}),
            Reason.SIGNATURE: issuer.token()[:-8] + "AAAAAAAA",
            Reason.PROOF: issuer.token(claims={"cnf": {"jkt": ProofKey(issuer.clock).jkt}}),
            Reason.EXPIRED: issuer.token(lifetime=-60),
        }
        for why, token in wrong.items():
            assert await reason(verifier, token) == why


async def test_a_token_ends_when_time_has_passed(issuer):
    async with issuer.verifier(leeway=0) as verifier:
        token = issuer.token(lifetime=30)
        await verifier.verify(token)
        await issuer.pass_time(30)
        assert await reason(verifier, token) == Reason.EXPIRED


async def test_a_revoked_session_is_refused_within_ttl_and_no_other(issuer):
    async with issuer.verifier() as verifier:
        ended, going_on = issuer.token(session="one"), issuer.token(session="two")
        await verifier.verify(ended)
        await verifier.verify(going_on)
        issuer.revoke("one")
        await verifier.verify(ended)
        await issuer.pass_time(STATUS_TTL)
        assert await reason(verifier, ended) == Reason.REVOKED
        await verifier.verify(going_on)
        await verifier.verify(issuer.token(session="three"))


async def test_keys_rotate_without_a_failure(issuer):
    async with issuer.verifier() as verifier:
        before = issuer.token()
        await verifier.verify(before)
        issuer.rotate()
        await issuer.pass_time(11)
        await verifier.verify(issuer.token())
        await verifier.verify(before)
        issuer.rotate(keep=1)
        await issuer.pass_time(300)
        assert await reason(verifier, before) == Reason.UNKNOWN_KEY


async def test_an_hour_without_the_issuer_fails_no_request(issuer):
    async with issuer.verifier() as verifier:
        await verifier.verify(issuer.token())
        issuer.go_away()
        for _ in range(60):
            await issuer.pass_time(60)
            await verifier.verify(issuer.token())
        assert verifier.jwks_age > 3000
        issuer.come_back()
        await issuer.pass_time(60)
        assert verifier.jwks_age < 60


async def test_who_would_rather_refuse_than_not_know_can(issuer):
    async with issuer.verifier(status=StatusPolicy(fail_closed_after=30)) as verifier:
        await verifier.verify(issuer.token())
        issuer.go_away()
        await issuer.pass_time(31)
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
        await verifier.verify(issuer.token(session=None))


async def test_without_keys_nothing_can_be_said(issuer):
    issuer.go_away()
    async with issuer.verifier() as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())


async def test_a_hanging_issuer_holds_up_nobody_whose_key_is_known(issuer):
    async with issuer.verifier() as verifier:
        known = issuer.token()
        await verifier.verify(known)
        issuer.hang()
        issuer.rotate()
        await issuer.pass_time(300)
        waiting = asyncio.ensure_future(verifier.verify(issuer.token()))
        for _ in range(100):
            await verifier.verify(known)
            await asyncio.sleep(0)
        assert not waiting.done()
        issuer.come_back()
        assert (await waiting).subject == "user-1"


async def test_time_passes_only_where_it_stands_still():
    with pytest.raises(TypeError):
        await FakeIssuer(clock=SystemClock()).pass_time(1)
