"""The status list while PostgreSQL is away: no old one is shown as if it were new."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clock import FixedClock
from keyturn.db.migrate import migrate
from keyturn.errors import Unavailable
from keyturn.status_lists.published import MAX_AGE, RETRY
from support import status_lists
from support.protocol import protocol
from support.servers import private_postgres


async def test_a_list_is_503_while_postgresql_is_away_and_complete_when_it_is_back():
    clock = FixedClock(datetime.now(UTC))
    async with private_postgres() as server:
        await migrate(server.url)
        async with protocol(server.url, None, clock) as app:
            (_, token), (ended, other) = await app.sign_in(), await app.sign_in()
            await app.parts.ending.one(ended.session.id)

            async def ask():
                return await app.caller.get("/oauth2/status/0")

            assert status_lists.status((await ask()).text, other) == 1
            await server.stop()

            clock.advance(timedelta(seconds=MAX_AGE))
            assert (await ask()).status_code == 200
            for _ in range(2):
                clock.advance(timedelta(seconds=RETRY + 0.001))
                answer = await ask()
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.headers["cache-control"] == "no-store"
            with pytest.raises(Unavailable, match="just now"):
                await app.parts.status_lists.get(0)

            await server.start()
            clock.advance(timedelta(seconds=RETRY))
            back = (await ask()).text
            assert (status_lists.status(back, other), status_lists.status(back, token)) == (1, 0)
