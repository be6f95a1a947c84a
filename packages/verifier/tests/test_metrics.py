"""What Prometheus reads of a verifier."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from keyturn_verifier import InvalidToken, Reason, Unavailable
from keyturn_verifier import metrics as page
from keyturn_verifier.metrics import PrometheusObserver
from keyturn_verifier.testing import FakeIssuer


@pytest.fixture
def issuer():
    return FakeIssuer()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def observer(registry, issuer):
    return PrometheusObserver(registry, issuer.clock)


def verifications(registry):
    metric = "keyturn_verifier_verifications_total"
    results = ("verified", "cached", "unavailable", *(one.value for one in Reason))
    counts = {one: registry.get_sample_value(metric, {"result": one}) for one in results}
    return {one: count for one, count in counts.items() if count}


async def test_every_token_is_counted_by_what_came_of_it(issuer, registry, observer):
    async with issuer.verifier(observer=observer) as verifier:
        good = issuer.token()
        for token in (good, good, good, issuer.token(session=None)):
            await verifier.verify(token)
        with pytest.raises(InvalidToken):
            await verifier.verify(issuer.token(lifetime=-60))
    assert verifications(registry) == {"verified": 2, "cached": 2, "expired": 1}


async def test_what_cannot_be_told_is_counted(issuer, registry, observer):
    issuer.go_away()
    async with issuer.verifier(observer=observer) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
    assert verifications(registry) == {"unavailable": 1}
    failed = registry.get_sample_value("keyturn_verifier_jwks_fetches_total", {"result": "failed"})
    assert failed >= 1


async def test_the_age_of_the_copies_can_be_read(issuer, registry, observer):
    started = issuer.clock.now()
    async with issuer.verifier(observer=observer) as verifier:
        await verifier.verify(issuer.token())
        issuer.go_away()
        await issuer.pass_time(600)
    for name in ("jwks", "status_list"):
        assert registry.get_sample_value(f"keyturn_verifier_{name}_timestamp_seconds") == started
        fetches = f"keyturn_verifier_{name}_fetches_total"
        assert registry.get_sample_value(fetches, {"result": "ok"}) == 1
        assert registry.get_sample_value(fetches, {"result": "failed"}) > 1


def test_every_metric_is_described_where_it_is_made(registry, observer):
    names = {
        line.split()[2] for line in generate_latest(registry).decode().splitlines()
        if line.startswith("# HELP") and not line.split()[2].endswith("_created")
    }  # fmt: skip
    assert names
    assert all(f"`{name}`" in page.__doc__ for name in names)
