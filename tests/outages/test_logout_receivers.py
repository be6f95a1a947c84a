"""F27: a client that is told of logouts is dead or slow; nobody who signs out notices."""

import asyncio
import json
import time

import pytest

from keyturn.logouts.receivers import SHARE
from support import replicas
from support.api import APP
from support.receiver import black_hole, hearing

QUEUED = """
insert into logout_deliveries (session_id, client_id, user_id)
select gen_random_uuid(), $1, gen_random_uuid() from generate_series(1, $2)
"""


@pytest.fixture(scope="module")
async def heard(databases, shared_redis_url):
    """Two replicas, and a receiver of which every test has a path of its own."""
    async with hearing(databases, shared_redis_url, count=2) as running:
        yield running


async def signs_out(heard, client_id, person):
    """Sign in and out at a client; return how many seconds the signing out took."""
    device = await heard.api.sign_in(person, client=client_id)
    began = time.monotonic()
    answer = await heard.api.post("/auth/logout", device.credential, client=client_id)
    assert answer.status_code == 204
    return time.monotonic() - began


async def unused_port():
    """Return a port nobody listens on."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_F27_with_a_black_hole_signing_out_is_quick_and_the_logout_stays_queued(heard):
    heard.receiver.answers["/hole"] = black_hole
    client_id, deaf = await heard.client("/hole", APP), await heard.api.client()
    person = await heard.api.person()
    without = sorted([await signs_out(heard, deaf, person) for _ in range(7)])
    told = sorted([await signs_out(heard, client_id, person) for _ in range(7)])
    assert told[3] < 1, told
    assert told[3] < without[3] + 0.25, (told, without)
    await heard.receiver.told("/hole")
    assert len(await heard.waiting(client_id)) == 7


async def test_F27_a_dead_receiver_hears_of_it_once_it_is_back(heard):
    heard.receiver.answers["/dead"] = 503
    client_id = await heard.client("/dead", APP)
    await signs_out(heard, client_id, await heard.api.person())
    await heard.receiver.told("/dead")
    heard.receiver.answers["/dead"] = 200
    await heard.hurry(client_id)
    await heard.forgotten(client_id)
    assert len(heard.receiver.at("/dead")) == 2


async def test_F27_a_dead_receiver_with_a_long_queue_keeps_nobody_else_waiting(heard):
    heard.receiver.answers["/full"] = black_hole
    dead, alive = await heard.client("/full", APP), await heard.client("/alive", APP)
    await heard.api.sql.execute(QUEUED, dead, 2000)
    await heard.receiver.told("/full", count=SHARE)
    person = await heard.api.person()
    for number in range(1, 4):
        await signs_out(heard, alive, person)
        began = time.monotonic()
        await heard.receiver.told("/alive", count=number)
        assert time.monotonic() - began < 4, "a call to the dead one lasts 5 s"
    # Each replica calls it a few times until it knows better, then once in a while.
    assert len(heard.receiver.at("/full")) <= 2 * (SHARE + 2)
    assert len(await heard.waiting(dead)) == 2000
    await heard.api.sql.execute("delete from logout_deliveries where client_id = $1", dead)


async def test_F27_thousands_at_a_receiver_that_answers_are_told_by_all_replicas(heard):
    client_id = await heard.client("/busy", APP)
    await heard.api.sql.execute(QUEUED, client_id, 300)
    async with asyncio.timeout(60):
        while await heard.waiting(client_id):
            await asyncio.sleep(0.1)
    assert len(heard.receiver.at("/busy")) == 300
    by_each = [
        one.metric("keyturn_logout_deliveries_total", result="delivered")
        for one in heard.api.replicas
    ]
    assert min(by_each) > 30, by_each


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_F27_a_server_that_ends_in_the_middle_of_a_call_leaves_it_to_another(
    databases, shared_redis_url, end
):
    async with hearing(databases, shared_redis_url) as heard:
        heard.receiver.answers["/logout"] = black_hole
        client_id = await heard.client(raw=APP)
        await heard.api.sql.execute(QUEUED, client_id, 1)
        await heard.receiver.told()
        (one,) = heard.api.replicas
        code = await asyncio.to_thread(getattr(one, end))
        assert code == {"kill": None, "terminate": 0}[end]
        assert "job_broken" not in one.log.read_text()
        [row] = await heard.waiting(client_id)
        assert row["attempts"] == 1
        heard.receiver.answers["/logout"] = 200
        with replicas.replicas(heard.api.settings):
            await heard.hurry(client_id)
            await heard.forgotten(client_id)
        assert len(heard.receiver.at("/logout")) == 2


async def test_a_receiver_nobody_listens_for_is_told_of_once_in_the_log(heard):
    port = await unused_port()
    client_id = await heard.api.client(APP)
    uri = f"https://localhost:{port}/x"
    settings = {**heard.api.settings, "KEYTURN_OUTGOING__PRIVATE_HOSTS": f"localhost:{port}"}
    await heard.api.sql.execute(
        "update clients set backchannel_logout_uri = $2 where id = $1", client_id, uri
    )
    with replicas.replicas(settings) as (one,):
        await heard.api.sql.execute(QUEUED, client_id, 5)
        async with asyncio.timeout(30):
            while one.metric("keyturn_logout_deliveries_total", result="failed") < 3:
                await heard.hurry(client_id)
                await asyncio.sleep(0.1)
        lines = [json.loads(line) for line in one.log.read_text().splitlines()]
    failing = [line for line in lines if line["event"] == "logout_receiver_failing"]
    [told] = [line for line in failing if line["client_id"] == client_id]
    assert told["reason"].startswith("connection: ")
    await heard.api.sql.execute("delete from logout_deliveries where client_id = $1", client_id)
