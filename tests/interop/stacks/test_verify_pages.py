"""Each program, set up with the files of its page, answers as the table of its page says.

The issuer is a real one. Only addresses, ports and whom to trust are changed in the files.
"""

import asyncio
import time

import pytest

from support.apache import free_port
from support.stacks import apache_oauth2, envoy, golang, nginx, node
from support.stacks.page import Page
from support.stacks.world import AWAY, ENDED, REQUESTS, good

pytestmark = pytest.mark.interop

PATIENCE = 60.0
PROGRAMS = {
    "envoy": envoy.running,
    "nginx": nginx.running,
    "apache": apache_oauth2.running,
    "express": node.running,
    "fastify": node.running,
    "go": golang.running,
}


@pytest.fixture(scope="module", params=PROGRAMS)
async def program(request, world, tmp_path_factory):
    """A page, and the program it is about."""
    page = Page.named(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    async with PROGRAMS[request.param](page, world, folder) as stack:
        yield page, stack


async def test_it_goes_on_while_the_issuer_is_away(world, program):
    page, stack = program
    token = await good(world)
    assert await stack.status(token) == 200, stack.complaints()[-4000:]
    with world.away():
        assert not await world.is_reached()
        assert await stack.status(await good(world)) in page.answers[AWAY]


async def test_a_session_that_has_ended_is_refused_if_its_page_says_so(world, program):
    page, stack = program
    device = await world.device()
    assert await stack.status(device.access_token) == 200
    await world.end(device)
    if page.answers[ENDED] == {200}:
        assert await stack.status(device.access_token) == 200
        return
    deadline = time.monotonic() + PATIENCE
    while await stack.status(device.access_token) == 200:
        assert time.monotonic() < deadline, stack.complaints()[-4000:]
        await asyncio.sleep(0.1)
    assert {await stack.status(device.access_token)} == page.answers[ENDED]


@pytest.mark.parametrize("row", REQUESTS)
async def test_it_answers_as_its_page_says(world, program, row):
    page, stack = program
    token = await REQUESTS[row](world)
    assert await stack.status(token) in page.answers[row], stack.complaints()[-4000:]


async def test_nginx_says_503_when_the_program_it_asks_is_not_there(tmp_path):
    async with nginx.asking(Page.named("nginx"), free_port(), tmp_path) as stack:
        assert await stack.status("anything") == 503
