"""Each program, set up with the files of its page, answers as the table of its page says.

The issuer is a real one. Only addresses, ports and whom to trust are changed in the files.
"""

import asyncio
import time
from types import SimpleNamespace

import httpx2
import pytest

from keyturn_verifier.testing import FakeIssuer
from support.apache import free_port
from support.stacks import apache_oauth2, envoy, golang, nginx, node
from support.stacks.page import Page
from support.stacks.world import AWAY, ENDED, REQUESTS, ROTATING, good

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


@pytest.fixture(scope="module")
async def ended(world, program):
    """A token that was good, and whose session ended before the other rows: no test waits for it."""
    _, stack = program
    device = await world.device()
    assert await stack.status(device.access_token) == 200, stack.complaints()[-4000:]
    await world.end(device)
    return device.access_token


@pytest.mark.usefixtures("ended")
async def test_it_goes_on_while_the_issuer_is_away(world, program):
    page, stack = program
    token = await good(world)
    assert await stack.status(token) == 200, stack.complaints()[-4000:]
    with world.away():
        assert not await world.is_reached()
        assert await stack.status(await good(world)) in page.answers[AWAY]


@pytest.mark.parametrize("row", [row for row in REQUESTS if row not in ROTATING])
async def test_it_answers_as_its_page_says(world, program, row):
    page, stack = program
    token = await REQUESTS[row](world)
    assert await stack.status(token) in page.answers[row], stack.complaints()[-4000:]


async def test_a_session_that_has_ended_is_refused_if_its_page_says_so(program, ended):
    page, stack = program
    deadline = time.monotonic() + PATIENCE
    while await stack.status(ended) not in page.answers[ENDED]:
        assert time.monotonic() < deadline, stack.complaints()[-4000:]
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("row", ROTATING)
async def test_it_knows_a_key_as_its_page_says(world, program, row):
    """After everything else: whoever asks for keys seldom, as Node's jose, is behind for a while."""
    await test_it_answers_as_its_page_says(world, program, row)


async def test_nginx_says_503_when_the_program_it_asks_is_not_there(tmp_path):
    async with nginx.asking(Page.named("nginx"), free_port(), tmp_path) as stack:
        assert await stack.status("anything") == 503


async def test_nginx_says_503_when_the_program_it_asks_has_no_keys(tmp_path):
    """The issuer is not there: its tokens are neither good nor bad, and callers are told when."""
    nobody = SimpleNamespace(issuer=f"http://127.0.0.1:{free_port()}", authority="")
    token, asked = (
        FakeIssuer(nobody.issuer, "https://api.example.com").token("orders.read"),
        free_port(),
    )
    async with (
        nginx.verifying(nobody, tmp_path, asked),
        nginx.asking(Page.named("nginx"), asked, tmp_path) as stack,
    ):
        async with httpx2.AsyncClient() as client:
            answer = await client.get(stack.url, headers={"Authorization": f"Bearer {token}"})
        assert await stack.status(None) == 401
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
