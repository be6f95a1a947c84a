"""Keys read from a client's own server: how often, how old, how many at once, and what if not."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clients import published_keys
from keyturn.clients.client_keys import ClientKeys, matching
from keyturn.clients.model import Client
from keyturn.clients.published_keys import AGAIN, FRESH, MOST_CALLS, RETRY, STALE, PublishedKeys
from keyturn.clock import FixedClock
from keyturn.crypto import client_jws
from keyturn.crypto.jose import InvalidJws
from keyturn.errors import Unavailable
from keyturn.outgoing.client import Outgoing, trusting
from keyturn.outgoing.policy import Policy
from keyturn.telemetry.metrics import Metrics
from support.assertions import Signer
from support.receiver import black_hole, receiver, saying

OLD, NEW, THIRD = (Signer.of("https://id.example") for _ in range(3))
CLIENT = Client(
    id="bank",
    name="Bank",
    kind="confidential",
    grant_types=frozenset(),
    scopes=frozenset(),
    audiences=(),
    auth_method="private_key_jwt",
)


@pytest.fixture(scope="module")
async def server():
    async with receiver() as listening:
        yield listening


class Bench:
    """Published keys over a real server, and a clock that is moved."""

    def __init__(self, server):
        server.received.clear()
        server.answers.clear()
        self.server = server
        self.clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.metrics = Metrics()
        policy = Policy(frozenset({f"localhost:{server.port}"}))
        outgoing = Outgoing(policy, trusting(server.ca_file))
        self.published = PublishedKeys(outgoing, self.clock, self.metrics)
        self.keys = ClientKeys(self.published)
        self.client = replace(CLIENT, jwks_uri=server.uri("/jwks"))

    def says(self, *signers, path="/jwks"):
        self.server.answers[path] = saying({"keys": [one.jwk for one in signers]})

    def later(self, seconds):
        self.clock.advance(timedelta(seconds=seconds))

    async def accepts(self, signer, client=None, **header):
        token = client_jws.read(signer.signed(header), client_jws.ALGORITHMS)
        try:
            await self.keys.verify(client or self.client, token)
        except InvalidJws:
            return False
        return True

    @property
    def calls(self):
        return len(self.server.at("/jwks"))

    def counted(self, result):
        sample = "keyturn_client_key_reads_total"
        return self.metrics.registry.get_sample_value(sample, {"result": result})


@pytest.fixture
def bench(server):
    return Bench(server)


async def test_a_copy_is_used_while_it_is_fresh_and_a_withdrawn_key_ends_with_it(bench):
    bench.says(OLD)
    assert await bench.accepts(OLD)
    [got] = bench.server.received
    assert (got.method, got.body) == ("GET", b"")
    assert got.headers["accept"] == "application/jwk-set+json, application/json"
    bench.says(NEW)
    bench.later(FRESH - 1)
    assert await bench.accepts(OLD)
    assert bench.calls == 1
    bench.later(1)
    assert not await bench.accepts(OLD, kid=...)
    assert await bench.accepts(NEW)
    assert bench.calls <= 3


async def test_a_new_key_works_at_once_and_strangers_make_us_call_once_a_minute(bench):
    bench.says(OLD)
    assert await bench.accepts(OLD)
    bench.says(OLD, NEW)
    assert await bench.accepts(NEW)
    assert bench.calls == 2
    for kid in ("a", "b", "c"):
        assert not await bench.accepts(THIRD, kid=kid)
    assert not await bench.accepts(THIRD, kid=...)
    assert bench.calls == 2
    bench.says(THIRD)
    bench.later(AGAIN)
    assert await bench.accepts(THIRD)
    assert bench.calls == 3


async def test_a_new_key_without_a_name_works_at_once_too(bench):
    bench.says(OLD)
    assert await bench.accepts(OLD, kid=...)
    bench.says(NEW)
    assert await bench.accepts(NEW, kid=...)


async def test_a_bad_signature_under_a_known_name_asks_nobody(bench):
    bench.says(OLD)
    assert await bench.accepts(OLD)
    assert not await bench.accepts(NEW, kid=OLD.kid)
    assert bench.calls == 1


async def test_while_the_server_is_away_the_last_copy_serves_for_an_hour(bench):
    bench.says(OLD)
    assert await bench.accepts(OLD)
    bench.server.answers["/jwks"] = 500
    bench.later(FRESH)
    assert await bench.accepts(OLD)
    assert await bench.accepts(OLD)
    assert bench.calls == 2, "it was asked once, and then let alone"
    bench.later(RETRY)
    assert await bench.accepts(OLD)
    assert bench.calls == 3
    bench.later(STALE - FRESH - RETRY)
    with pytest.raises(Unavailable) as caught:
        await bench.accepts(OLD)
    assert caught.value.retry_after == RETRY
    bench.later(RETRY)
    bench.says(NEW)
    assert await bench.accepts(NEW)
    assert not await bench.accepts(OLD)


async def test_without_any_copy_nobody_knows_and_the_server_is_not_asked_again_at_once(bench):
    bench.server.answers["/jwks"] = 404
    for _ in range(3):
        with pytest.raises(Unavailable):
            await bench.accepts(OLD)
    assert bench.calls == 1
    assert bench.counted("unusable") == 1


async def test_an_empty_set_withdraws_every_key(bench):
    bench.says()
    assert not await bench.accepts(OLD)
    assert bench.counted("ok") == 2


async def test_what_cannot_be_used_of_a_set_is_passed_over(bench):
    private = OLD.key.as_dict(private=True)
    strange = [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-521"},
        {**THIRD.jwk, "use": "enc"},
        {**private, "kid": OLD.kid},
        {},
    ]
    bench.server.answers["/jwks"] = saying({"keys": [*strange, NEW.jwk], "more": 1})
    assert await bench.accepts(NEW)
    assert not await bench.accepts(THIRD)
    assert not await bench.accepts(OLD), "a private key that was published proves nothing"


async def test_all_who_wait_share_one_call_and_one_who_leaves_ends_it_for_nobody(bench):
    bench.says(OLD)
    leaving = asyncio.create_task(bench.accepts(OLD))
    waiting = [asyncio.create_task(bench.accepts(OLD)) for _ in range(20)]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(*waiting) == [True] * 20
    assert bench.calls == 1


async def test_slow_servers_of_strangers_hold_up_strangers_only(bench):
    """Nobody waits for a place: a copy serves, or it is 503."""
    bench.says(OLD)
    bench.server.answers["/slow"] = black_hole
    stranger = replace(CLIENT, jwks_uri=bench.server.uri("/slow"), self_registered=True)
    slow = [
        asyncio.create_task(bench.accepts(OLD, replace(stranger, id=f"stranger-{number}")))
        for number in range(MOST_CALLS)
    ]
    await bench.server.told("/slow", MOST_CALLS)
    with pytest.raises(Unavailable):
        await bench.accepts(OLD, replace(stranger, id="one-more"))
    assert bench.counted("busy") == 1
    assert await bench.accepts(OLD)
    reading = [copy.reading for copy in bench.published._copies.values() if copy.reading]
    for task in (*slow, *reading):
        task.cancel()
    await asyncio.gather(*slow, *reading, return_exceptions=True)
    assert not bench.published._calls[True]


async def test_so_many_clients_are_remembered_and_no_more(bench, monkeypatch):
    monkeypatch.setattr(published_keys, "MOST_CLIENTS", 2)
    bench.says(OLD)
    for name in ("a", "b", "a", "c"):
        assert await bench.accepts(OLD, replace(bench.client, id=name))
    assert list(bench.published._copies) == ["a", "c"]


async def test_another_address_is_another_copy(bench):
    bench.says(OLD)
    bench.says(NEW, path="/other")
    assert await bench.accepts(OLD)
    moved = replace(bench.client, jwks_uri=bench.server.uri("/other"))
    assert await bench.accepts(NEW, moved)
    assert not await bench.accepts(OLD, moved)


async def test_SS_1_a_name_that_leads_inside_is_not_asked_for_keys(server):
    """DNS rebinding: public when it was registered, inside when it is called."""
    asked = []

    class Rebound:
        async def addresses(self, host):
            asked.append(host)
            return ["127.0.0.1"]

    server.connections.clear()
    bench = Bench(server)
    bench.published.outgoing = Outgoing(Policy(), trusting(server.ca_file), Rebound())
    client = replace(CLIENT, jwks_uri=f"https://app.example:{server.port}/jwks")
    with pytest.raises(Unavailable):
        await bench.accepts(OLD, client)
    assert (asked, bench.counted("blocked")) == (["app.example"], 1)
    assert not server.connections


async def test_given_keys_are_imported_once_for_each_description(bench):
    given = replace(CLIENT, jwks=OLD.jwks)
    assert await bench.accepts(OLD, given)
    first = await bench.keys.of(given)
    assert await bench.keys.of(given) is first
    changed = replace(CLIENT, jwks=NEW.jwks)
    assert await bench.accepts(NEW, changed)
    assert not await bench.accepts(OLD, changed)
    assert await bench.keys.of(CLIENT) == ()


def test_keys_match_by_algorithm_and_by_a_name_if_there_is_one():
    keys = client_jws.keys_of({"keys": [OLD.jwk, Signer.of("x", "Ed25519").jwk]})
    assert matching(keys, None, "ES256") == matching(keys, OLD.kid, "ES256") == keys[:1]
    assert matching(keys, None, "EdDSA") == keys[1:]
    assert matching(keys, OLD.kid, "EdDSA") == matching(keys, "x", "ES256") == ()
