"""SIGTERM: not ready, drain, finish, close; no request behind an attentive balancer fails."""

import asyncio
import os
import signal

import httpx2
import pytest

from keyturn.web.server import Stopping
from support.site import RunningSite, running_site

GET_PATH = b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n"
GET_SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


async def ready_status(site: RunningSite) -> int:
    async with httpx2.AsyncClient() as client:
        url = f"http://127.0.0.1:{site.management_port}/health/ready"
        return (await client.get(url)).status_code


async def until(condition, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def refuses_connections(site: RunningSite) -> bool:
    """Whether nobody listens any more; whoever was in the queue at that moment is reset."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    writer.close()
    return False


async def test_while_draining_it_is_not_ready_but_answers_and_closes_connections():
    async with running_site(drain_seconds=30) as site:
        assert await ready_status(site) == 200
        kept = await site.say(GET_PATH)
        assert b"connection: close" not in await kept.answer()
        site.stopping.ask()
        await until(lambda: site.vitals.draining)
        assert await ready_status(site) == 503
        for conversation in (kept, await site.say()):
            await conversation.send(GET_PATH)
            answer = await conversation.rest()
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer
        assert not site.task.done()


async def test_a_request_in_flight_is_finished_before_the_server_goes():
    async with running_site(drain_seconds=0, grace_seconds=10) as site:
        slow = await site.say(GET_SLOW)
        await site.doors.entered.wait()
        site.stopping.ask()
        async with asyncio.timeout(30):
            while not await refuses_connections(site):
                await asyncio.sleep(0.02)
        assert not site.drained.is_set()
        site.doors.gate.set()
        answer = await slow.rest()
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b'{"slow":true}')
        await site.task
        assert site.drained.is_set()


async def test_a_request_whose_head_is_arriving_is_answered_too():
    async with running_site(drain_seconds=0, grace_seconds=10) as site:
        half = await site.say(GET_PATH)
        await half.answer()
        await half.send(GET_PATH[:10])
        # Answers on other connections show that the server has read what was sent before.
        for _ in range(3):
            await site.ask(b"GET /path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        site.stopping.ask()
        async with asyncio.timeout(30):
            while not await refuses_connections(site):
                await asyncio.sleep(0.02)
        await half.send(GET_PATH[10:])
        assert (await half.rest()).startswith(b"HTTP/1.1 200")
        await site.task


async def test_a_request_longer_than_the_grace_is_cut_off_and_the_server_goes():
    async with running_site(drain_seconds=0, grace_seconds=1) as site:
        slow = await site.say(GET_SLOW)
        await site.doors.entered.wait()
        site.stopping.ask()
        async with asyncio.timeout(30):
            await site.task
        assert not (await slow.rest()).startswith(b"HTTP/1.1 200")


async def test_a_second_signal_means_now():
    async with running_site(drain_seconds=60, grace_seconds=60) as site:
        await site.say(GET_SLOW)
        await site.doors.entered.wait()
        site.stopping.ask()
        await until(lambda: site.vitals.draining)
        site.stopping.ask()
        async with asyncio.timeout(30):
            await site.task


async def test_a_second_signal_does_not_wait_for_requests_in_flight():
    async with running_site(drain_seconds=0, grace_seconds=60) as site:
        await site.say(GET_SLOW)
        await site.doors.entered.wait()
        site.stopping.ask()
        async with asyncio.timeout(30):
            while not await refuses_connections(site):
                await asyncio.sleep(0.02)
        site.stopping.ask()
        async with asyncio.timeout(30):
            await site.task


async def test_the_management_port_answers_until_the_queues_are_flushed():
    async with running_site(drain_seconds=0) as site:
        site.flushed.clear()
        site.stopping.ask()
        await site.drained.wait()
        assert await refuses_connections(site)
        assert await ready_status(site) == 503
        site.flushed.set()
        await site.task
        with pytest.raises(httpx2.ConnectError):
            await ready_status(site)


async def test_a_second_signal_does_not_wait_for_the_queues():
    async with running_site(drain_seconds=0) as site:
        site.flushed.clear()
        site.stopping.ask()
        await site.drained.wait()
        site.stopping.ask()
        async with asyncio.timeout(30):
            await site.task


async def test_steady_callers_behind_a_balancer_that_honours_readiness_see_no_failure():
    """Eight callers reconnect whenever they are told to, and stop when the port is not ready."""
    async with running_site(drain_seconds=60) as site:
        answers: list[int] = []

        async def call() -> None:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{site.port}") as client:
                while not site.vitals.draining:
                    answers.append((await client.get("/path")).status_code)
                # The balancer needs a moment to notice; the port must still answer then.
                answers.extend([(await client.get("/path")).status_code for _ in range(5)])

        calling = [asyncio.create_task(call()) for _ in range(8)]
        await until(lambda: len(answers) > 100)
        site.stopping.ask()
        await asyncio.gather(*calling)
        site.stopping.ask()
        await site.task
        assert set(answers) == {200}


async def test_sigterm_and_sigint_are_wishes_to_stop():
    for number in (signal.SIGTERM, signal.SIGINT):
        stopping = Stopping()
        with stopping.on_signals():
            os.kill(os.getpid(), number)
            await asyncio.wait_for(stopping.wanted.wait(), 30)
            assert not stopping.forced.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(stopping.forced.wait(), 30)
