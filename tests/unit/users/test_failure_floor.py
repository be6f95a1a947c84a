"""No failed check of a password tells by its time whose hash it was (CR-4)."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import argon2
import pytest
from passlib.handlers.bcrypt import bcrypt

from keyturn.clock import FixedClock
from keyturn.errors import Unavailable
from keyturn.settings_credentials import PasswordsSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users import foreign_hashes
from keyturn.users.hash_pool import HashPool
from keyturn.users.passwords import Passwords
from support.people import CHEAP

DEAR = 0.1
WEAKER = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("right horse")
IMPORTED = bcrypt.using(rounds=4).hash("right horse")


@pytest.fixture
def clock():
    """It stands still but for what a foreign hash is said to take: our own take no time here."""
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def make_passwords(clock):
    pools = []

    def make(**settings) -> Passwords:
        costs = PasswordsSettings(
            memory_kib=CHEAP.memory_kib, time_cost=CHEAP.time_cost, **settings
        )
        pools.append(HashPool(costs, Metrics(), clock))
        return Passwords(costs, pools[-1])

    yield make
    for pool in pools:
        await pool.close()


def foreign_hashes_take(monkeypatch, clock, seconds):
    real = foreign_hashes.verify

    def verify(stored, password):
        clock.advance(timedelta(seconds=seconds))
        return real(stored, password)

    monkeypatch.setattr(foreign_hashes, "verify", verify)


async def took(passwords, stored, password="wrong horse") -> float:
    began = time.perf_counter()
    assert (await passwords.verify(stored, password)).ok is (password == "right horse")
    return time.perf_counter() - began


async def test_every_failure_takes_as_long_as_the_dearest_foreign_hash_did_and_a_success_does_not(
    make_passwords, monkeypatch, clock
):
    passwords = make_passwords()
    ours = await passwords.hash("right horse")
    foreign_hashes_take(monkeypatch, clock, DEAR)
    await took(passwords, IMPORTED)
    for stored in (None, ours):
        assert await took(passwords, stored) >= DEAR
    passwords._floor.raise_to(60.0)
    async with asyncio.timeout(30):
        await took(passwords, ours, "right horse")


async def test_a_dear_hash_that_matches_is_a_measure_too(make_passwords, monkeypatch, clock):
    passwords = make_passwords()
    foreign_hashes_take(monkeypatch, clock, DEAR)
    await took(passwords, IMPORTED, "right horse")
    assert await took(passwords, None) >= DEAR


async def test_our_own_hashes_raise_no_floor(make_passwords, monkeypatch, clock):
    """Else one slow moment of the machine would slow every failure down for good."""
    passwords = make_passwords()
    real, delays = argon2.PasswordHasher.verify, [0, 3600]

    def verify(self, *args):
        clock.advance(timedelta(seconds=delays.pop() if delays else 0))
        return real(self, *args)

    ours = await passwords.hash("right horse")
    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    async with asyncio.timeout(30):
        for stored in (ours, None, ours):
            await took(passwords, stored)


@pytest.mark.parametrize("stored", [IMPORTED, WEAKER], ids=["bcrypt", "weaker argon2"])
async def test_a_foreign_hash_that_is_cheap_costs_what_ours_costs(
    make_passwords, monkeypatch, stored
):
    passwords, compared = make_passwords(), []
    real = argon2.PasswordHasher.verify

    def verify(self, hash_, password):
        compared.append(hash_)
        return real(self, hash_, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    await took(passwords, stored)
    assert compared[-1] == passwords._dummy


async def test_who_waits_for_the_floor_keeps_nobody_from_hashing(
    make_passwords, monkeypatch, clock
):
    passwords = make_passwords(workers=1, queue_limit=1)
    passwords._floor.raise_to(60.0)
    waiting = [asyncio.create_task(passwords.verify(None, "wrong horse")) for _ in range(2)]
    checked = "keyturn_password_hash_duration_seconds_count", {"algorithm": "argon2"}
    async with asyncio.timeout(30):
        while passwords.pool.metrics.registry.get_sample_value(*checked) < 2:
            await asyncio.sleep(0.001)
        stored = await passwords.hash("right horse")
        assert (await passwords.verify(stored, "right horse")).ok
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_check_that_was_given_up_raises_no_floor(make_passwords, monkeypatch, clock):
    """A machine that froze for an hour in the middle of a hash does not make everybody wait one."""
    passwords, over = make_passwords(deadline=0.02), threading.Event()

    def verify(stored, password):
        assert over.wait(10)
        clock.advance(timedelta(hours=1))
        return False

    monkeypatch.setattr(foreign_hashes, "verify", verify)
    with pytest.raises(Unavailable):
        await passwords.verify(IMPORTED, "wrong horse")
    over.set()
    await passwords.pool.close()
    assert passwords._floor.slowest == 0.0
