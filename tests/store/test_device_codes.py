"""Device codes on a real PostgreSQL: one decision, one redemption, whoever comes at once."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from keyturn.authorizations import device_codes, user_codes
from keyturn.authorizations.device_model import DeviceRedemption, DeviceRequest, IssuedCodes
from keyturn.authorizations.model import Redeemed
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.crypto.secrets import MasterSecrets
from keyturn.device_errors import (
    AuthorizationPending,
    DeviceDenied,
    ExpiredToken,
    SlowDown,
    UserCodeUnknown,
)
from keyturn.errors import InvalidGrant, Refusal, Unavailable
from keyturn.logins.model import Login
from keyturn.parts import Parts
from support import replicas
from support.replicas import AUDIENCE, MASTER
from support.signed_in import BANK, SHOP, SignedIn, signed_in

TV = replace(SHOP, id="tv", name="Television")
LIVE = "select count(*) from sessions where revoked_at is null"


@dataclass(frozen=True)
class Devices:
    """One process's devices, and who is signed in."""

    here: SignedIn
    login: Login

    @property
    def parts(self) -> Parts:
        return self.here.parts

    async def issue(self, **changes: Any) -> IssuedCodes:
        asked = DeviceRequest(TV, frozenset({"orders"}), (AUDIENCE,), "Television", "192.0.2.1")
        return await self.parts.device_codes.issue(replace(asked, **changes))

    async def redeem(self, issued: IssuedCodes, **changes: Any) -> Redeemed:
        brought = DeviceRedemption(TV, issued.device_code)
        return await self.parts.device_codes.redeem(replace(brought, **changes))

    async def approve(self, issued: IssuedCodes, login: Login | None = None) -> None:
        who, code = login or self.login, user_codes.read(issued.user_code)
        asked = await self.parts.device_approvals.find(code, who)
        await self.parts.device_approvals.approve(code, who, TV, asked)

    async def deny(self, issued: IssuedCodes, login: Login | None = None) -> None:
        who, code = login or self.login, user_codes.read(issued.user_code)
        asked = await self.parts.device_approvals.find(code, who)
        await self.parts.device_approvals.deny(code, who, asked)

    async def approved(self, login: Login | None = None) -> IssuedCodes:
        issued = await self.issue()
        await self.approve(issued, login)
        return issued

    async def set(self, assignments: str) -> None:
        await self.here.sql.execute(f"update device_authorizations set {assignments}")

    async def another_login(self) -> Login:
        return (await self.here.sign_in()).login


@pytest.fixture
async def devices(database_url):
    async with signed_in(database_url) as here:
        yield Devices(here, (await here.sign_in()).login)


async def outcomes(*asked):
    """Do all at once; return how often each kind of refusal came, and the results."""
    done = await asyncio.gather(*asked, return_exceptions=True)
    for one in done:
        assert not isinstance(one, BaseException) or isinstance(one, Refusal), one
    kinds = Counter(type(one) for one in done if isinstance(one, BaseException))
    return kinds, [one for one in done if not isinstance(one, BaseException)]


async def test_a_session_is_the_devices_and_hangs_on_no_login(devices):
    issued = await devices.approved()
    session = (await devices.redeem(issued, dpop_jkt="thumbprint")).started.session
    assert (session.user_id, session.client_id) == (devices.here.user_id, "tv")
    assert (session.scopes, session.audiences) == ({"orders"}, (AUDIENCE,))
    assert session.auth_time == devices.login.auth_time
    row = await devices.here.sql.fetchrow(
        "select login_id, offline, device, host(ip) as ip, dpop_jkt from sessions"
    )
    assert tuple(row) == (None, False, "Television", "192.0.2.1", "thumbprint")
    assert session.expires_at - session.decided_at == timedelta(days=7)
    events = ("device_code_issued", "device_approved", "device_redeemed", "consent_granted")
    assert devices.here.audited(*events) == [
        "device_code_issued", "consent_granted", "device_approved", "device_redeemed",
    ]  # fmt: skip


async def test_of_fifty_parallel_redemptions_one_gets_a_session_and_it_lives_on(devices):
    issued = await devices.approved()
    kinds, given = await outcomes(*(devices.redeem(issued) for _ in range(50)))
    assert kinds == {InvalidGrant: 49}
    (redeemed,) = given
    assert await devices.here.ended_by(redeemed.started.session.id) is None
    assert await devices.here.sql.fetchval(LIVE) == 1


async def test_of_thirty_parallel_questions_all_but_one_come_too_soon(devices):
    issued = await devices.issue()
    kinds, _ = await outcomes(*(devices.redeem(issued) for _ in range(30)))
    assert kinds == {AuthorizationPending: 1, SlowDown: 29}
    interval = await devices.here.sql.fetchval("select poll_interval from device_authorizations")
    assert interval == timedelta(seconds=5 + 29 * 5)


@pytest.mark.parametrize("round_", range(5))
async def test_a_yes_a_no_and_the_end_at_once_leave_one_of_them(devices, round_):
    issued, other = await devices.issue(), await devices.another_login()
    kinds, _ = await outcomes(
        devices.approve(issued),
        devices.deny(issued, replace(other, user_id=await devices.here.person())),
        devices.set("expires_at = clock_timestamp()"),
    )
    assert set(kinds) <= {UserCodeUnknown}
    decision = await devices.here.sql.fetchval("select decision from device_authorizations")
    assert (decision is None) == (kinds[UserCodeUnknown] == 2), "of two answers one is kept"
    kinds, given = await outcomes(devices.redeem(issued))
    assert not given, round_
    assert set(kinds) <= {DeviceDenied, ExpiredToken}
    assert (DeviceDenied in kinds) == (decision == "denied")


async def test_of_a_yes_and_a_no_of_two_people_the_device_hears_the_first(devices):
    heard = Counter()
    for _ in range(10):
        issued, stranger = await devices.issue(), await devices.here.person()
        somebody = replace(devices.login, user_id=stranger)
        kinds, _ = await outcomes(devices.approve(issued), devices.deny(issued, somebody))
        assert kinds == {UserCodeUnknown: 1}
        kinds, given = await outcomes(devices.redeem(issued))
        heard["yes" if given else "no"] += 1
        assert kinds in ({}, {DeviceDenied: 1})
    print(dict(heard))


@pytest.mark.parametrize("end", ["disable", "delete", "logout_everywhere", "elsewhere", "withdraw"])
async def test_closing_racing_with_redemptions_leaves_nothing_that_lives_and_nobody_waits(
    devices, end
):
    """Each takes its locks in the same order: a deadlock would be a 503."""
    here, other = devices.here, await devices.another_login()
    accounts = here.parts.accounts
    ends = {
        "disable": lambda: accounts.disable(here.user_id),
        "delete": lambda: accounts.delete(here.user_id),
        "logout_everywhere": lambda: accounts.logout_everywhere(here.user_id),
        "elsewhere": lambda: accounts.logout_elsewhere(other),
        "withdraw": lambda: here.consents.withdraw(here.user_id, TV.id),
    }
    issued = [await devices.approved() for _ in range(6)]
    waiting = [await devices.issue() for _ in range(3)]
    kinds, _ = await outcomes(
        *(devices.redeem(one) for one in issued[:3]),
        ends[end](),
        *(devices.redeem(one) for one in issued[3:]),
        *(devices.approve(one) for one in waiting),
    )
    assert set(kinds) <= {InvalidGrant, DeviceDenied, UserCodeUnknown}
    if end == "withdraw":
        return  # an answer given afterwards is a new consent
    kinds, given = await outcomes(*(devices.redeem(one) for one in (*issued, *waiting)))
    assert (given, await here.sql.fetchval(LIVE)) == ([], 0)


async def test_withdrawing_voids_what_was_approved_and_not_fetched(devices):
    issued = await devices.approved()
    await devices.here.consents.withdraw(devices.here.user_id, TV.id)
    with pytest.raises(DeviceDenied):
        await devices.redeem(issued)


async def test_an_answer_after_the_login_has_ended_is_none(devices):
    issued = await devices.issue()
    await devices.here.logins.end(devices.login.id, "browser_logout")
    with pytest.raises(UserCodeUnknown):
        await devices.approve(issued)
    assert not await devices.here.consents.granted(devices.here.user_id, TV.id)


async def test_an_expired_answer_keeps_no_consent(devices):
    issued = await devices.issue()
    code = user_codes.read(issued.user_code)
    asked = await devices.parts.device_approvals.find(code, devices.login)
    await devices.set("expires_at = now()")
    with pytest.raises(UserCodeUnknown):
        await devices.parts.device_approvals.approve(code, devices.login, TV, asked)
    assert not await devices.here.consents.granted(devices.here.user_id, TV.id)


async def test_a_redemption_by_another_client_does_not_even_slow_the_device_down(devices):
    issued = await devices.issue()
    for _ in range(2):
        with pytest.raises(InvalidGrant, match="another client's"):
            await devices.redeem(issued, client=BANK)
    with pytest.raises(AuthorizationPending):
        await devices.redeem(issued)


async def test_a_user_code_that_is_taken_is_drawn_again(devices, monkeypatch):
    drawn = iter(["BBBBBBBB", "BBBBBBBB", "BBBBBBBB", "CCCCCCCC"])
    monkeypatch.setattr(user_codes, "new", lambda: next(drawn))
    assert (await devices.issue()).user_code == "BBBB-BBBB"
    assert (await devices.issue()).user_code == "CCCC-CCCC"
    monkeypatch.setattr(user_codes, "new", lambda: "BBBBBBBB")
    with pytest.raises(Unavailable):
        await devices.issue()
    kinds, given = await outcomes(*(devices.issue() for _ in range(5)))
    assert (kinds, given) == ({Unavailable: 5}, [])


async def test_codes_of_an_older_secret_are_found_and_not_given_twice(
    devices, database_url, monkeypatch
):
    issued = await devices.issue()
    newer = "2: 8mQ4xV1cZ7bN0kL5jH2gF9dS6aP3oI_uY-TrEwQzXcV"
    environ = replicas.settings(database_url, None, secrets=f"{newer}\n{MASTER}")
    rolled = Parts.of(load_settings(environ), SystemClock())
    try:
        after = replace(devices, here=replace(devices.here, parts=rolled))
        code = user_codes.read(issued.user_code)
        monkeypatch.setattr(user_codes, "new", lambda: code)
        with pytest.raises(Unavailable):
            await after.issue()
        await after.approve(issued)
        assert (await after.redeem(issued)).started.session.user_id == devices.here.user_id
    finally:
        await rolled.close()


async def test_the_purge_takes_what_devices_have_long_been_told(devices):
    gone, told, live = [await devices.issue() for _ in range(3)]
    for issued, age in ((gone, "11 minutes"), (told, "9 minutes")):
        await devices.here.sql.execute(
            "update device_authorizations set expires_at = now() - $2::interval"
            " where device_code_hash = $1",
            opaque.digest(issued.device_code),
            timedelta(minutes=int(age.split()[0])),
        )
    assert await device_codes.purge_expired(devices.parts.database, 10) == 1
    for issued, refusal in (
        (gone, InvalidGrant),
        (told, ExpiredToken),
        (live, AuthorizationPending),
    ):
        with pytest.raises(refusal):
            await devices.redeem(issued)


async def test_polling_changes_no_index(devices):
    """A row that is asked about for ten minutes does not grow the table."""
    issued = await devices.issue()
    for _ in range(30):
        await devices.set("polled_at = null")
        with pytest.raises(AuthorizationPending):
            await devices.redeem(issued)
    sizes = "select pg_relation_size('device_authorizations')"
    assert await devices.here.sql.fetchval(sizes) <= 2 * 8192


def test_a_keyed_hash_is_another_one_with_another_secret():
    one, two = MasterSecrets({1: b"a" * 32}), MasterSecrets({2: b"b" * 32, 1: b"a" * 32})
    assert user_codes.hashes("BBBBBBBB", one) == user_codes.hashes("BBBBBBBB", two)[1:]
    assert len(set(user_codes.hashes("BBBBBBBB", two))) == 2
