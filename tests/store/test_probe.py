"""The probe against real servers: what `/health/dependencies` will say."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.cache.client import Cache
from keyturn.clock import Clock, FixedClock, SystemClock
from keyturn.db.pool import Database
from keyturn.jobs.probe import Probe
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.vitals import Vitals
from support.patience import patient


def a_probe(postgres: str, redis: str | None, clock: Clock | None = None) -> Probe:
    clock, metrics = clock or SystemClock(), Metrics()
    database = Database(patient(postgres), metrics)
    cache = Cache(RedisSettings(url=redis, timeout=2.0), metrics, clock)
    return Probe(database, cache, Vitals(clock, metrics, lambda: True), metrics)


async def closed(probe: Probe) -> None:
    await probe.database.close()
    await probe.cache.close()


async def test_what_answers_is_up(database_url, redis_url):
    probe = a_probe(database_url, redis_url)
    await probe.ask()
    found = probe.vitals.dependencies
    await closed(probe)
    assert {name: one.up for name, one in found.items()} == {"postgres": True, "redis": True}
    assert probe.metrics.dependency_up.labels("redis")._value.get() == 1


async def test_what_does_not_answer_is_down_for_a_reason():
    probe = a_probe("postgresql://nobody@127.0.0.1:9/none", "redis://127.0.0.1:9")
    await probe.ask()
    found = probe.vitals.dependencies
    await closed(probe)
    assert [(one.up, bool(one.reason)) for one in found.values()] == [(False, True)] * 2
    assert probe.metrics.dependency_up.labels("postgres")._value.get() == 0


async def test_a_cache_nobody_configured_is_not_asked(database_url):
    probe = a_probe(database_url, None)
    await probe.ask()
    await closed(probe)
    assert list(probe.vitals.dependencies) == ["postgres"]


class Late(FixedClock):
    """A clock that is six seconds further each time it is read."""

    def now(self) -> datetime:
        self.advance(timedelta(seconds=6))
        return self.at


@pytest.mark.parametrize(
    ("kind", "ahead", "skew"),
    [(FixedClock, -3600, 3600), (FixedClock, 3600, -3600), (Late, 91, -100)],
    ids=["behind", "ahead", "half of the way there and back"],
)
async def test_rel_6_the_process_says_how_far_its_clock_is_from_the_database_s(
    database_url, kind, ahead, skew
):
    probe = a_probe(database_url, None, kind(datetime.now(UTC) + timedelta(seconds=ahead)))
    await probe.ask()
    await closed(probe)
    assert abs(probe.metrics.clock_skew._value.get() - skew) < 2.5
