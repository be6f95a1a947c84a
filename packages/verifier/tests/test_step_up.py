"""When a person must prove themselves again (RFC 9470)."""

import pytest

from keyturn_verifier import StepUpRequired
from keyturn_verifier.step_up import LEEWAY, require_acr, require_max_age
from keyturn_verifier.testing import FakeIssuer


@pytest.fixture
def issuer():
    return FakeIssuer()


async def read(issuer, **options):
    async with issuer.verifier() as verifier:
        return await verifier.verify(issuer.token(**options))


async def test_age_counts_from_the_proof_not_from_the_token(issuer):
    """A token that is a second old may speak of a proof that is an hour old."""
    now = int(issuer.clock.now())
    fresh = await read(issuer, claims={"auth_time": now - 300})
    require_max_age(fresh, 300, clock=issuer.clock)
    issuer.clock.advance(LEEWAY)
    require_max_age(fresh, 300, clock=issuer.clock)
    issuer.clock.advance(1)
    with pytest.raises(StepUpRequired) as refused:
        require_max_age(fresh, 300, clock=issuer.clock)
    assert (refused.value.max_age, refused.value.acr_values) == (300, ())


async def test_a_client_has_no_person_to_ask(issuer):
    own = await read(issuer, session=None)
    with pytest.raises(StepUpRequired):
        require_max_age(own, 10**9, clock=issuer.clock)
    with pytest.raises(StepUpRequired):
        require_acr(own, "urn:keyturn:acr:password")


async def test_one_way_of_proving_is_enough(issuer):
    token = await read(issuer, claims={"acr": "urn:silver"})
    require_acr(token, "urn:gold", "urn:silver")
    with pytest.raises(StepUpRequired) as refused:
        require_acr(token, "urn:gold", "urn:platinum")
    assert refused.value.acr_values == ("urn:gold", "urn:platinum")
