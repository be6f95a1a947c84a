"""A replica that cannot sign yet: nothing moves there, so that nobody is left with an old token."""

import time
from contextlib import AsyncExitStack, contextmanager

from support import replicas
from support.api import api_of, joined

PATIENCE = 30


@contextmanager
def listening(environ):
    """A server that answers, ready or not."""
    one = replicas.start(environ)
    deadline = time.monotonic() + PATIENCE
    try:
        while not one.url:
            assert time.monotonic() < deadline, one.log.read_text()
            one._read_ports()
        yield one
    finally:
        one.kill()
        one.log.unlink()


async def test_F22_a_refresh_that_could_not_be_answered_does_not_rotate(
    databases, shared_redis_url
):
    """Its keys are sealed under a secret that this replica was not given."""
    async with databases.fresh() as url, AsyncExitStack() as stack:
        environ = replicas.settings(url, shared_redis_url, issuer="https://localhost:8448")
        (able,) = stack.enter_context(replicas.replicas(environ))
        api = await stack.enter_async_context(api_of(environ, [able]))
        person = await api.person()
        device = await api.sign_in(person)
        await api.sql.execute(
            "update signing_keys set private_sealed = set_byte(private_sealed, 0, 9)"
        )
        unable = stack.enter_context(listening(environ))
        there = await stack.enter_async_context(joined(api, unable))
        for answer in (
            await there.refresh(device),
            await there.post("/auth/refresh", device.credential),
            await there.login(person),
        ):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
        assert await api.sql.fetchval("select max(generation) from sessions") == 0
        assert await api.sql.fetchval("select count(*) from sessions") == 1
        assert (await api.refresh(device)).status_code == 200
