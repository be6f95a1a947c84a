"""Who means harm, and who ends sessions from outside: a thief, an administrator, the dead.

A thief copies tokens of apps and presents them late: then the session must end. In another client's
name the same token must be rubbish, and the session must live. What has ended is tried again for a
while by whoever still has its tokens.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from chaos.apps import App
from chaos.front import Front, Session
from keyturn.errors import Unavailable
from keyturn.sessions.end import Ending

STEALS = (1.0, 3.0)
REVOKES = (3.0, 7.0)
"""Seconds between two deeds."""
HAUNTS = 25.0
"""Seconds for which the tokens of an ended session are tried: longer than every bound."""
HAUNTS_EVERY = 0.7
OTHER_CLIENT = "shop"


@dataclass
class Thief:
    """Presents tokens that their owner has left behind at least twice."""

    apps: list[App]
    front: Front
    rng: random.Random
    haunting: set[asyncio.Task[None]] = field(default_factory=set)
    name: str = "thief"
    stopped: bool = False

    async def live(self) -> None:
        """Every other theft is in another client's name."""
        while not self.stopped:
            await asyncio.sleep(self.rng.uniform(*STEALS))
            victims = [app for app in self.apps if app.session and len(app.session.seen) > 1]
            if victims:
                await self._rob(self.rng.choice(victims))

    async def _rob(self, victim: App) -> None:
        session = victim.session
        assert session is not None
        token = self.rng.choice(session.seen[:-1])
        if self.rng.random() < 0.5:
            await self.front.refresh("foreign", self.name, session, token, OTHER_CLIENT)
            return
        answer = await self.front.refresh("replay", self.name, session, token, victim.client)
        if answer.ends_the_session:
            self.haunt(victim, session)

    def haunt(self, app: App, session: Session) -> None:
        """Try for a while what has ended."""
        task = asyncio.create_task(self._haunt(app, session))
        self.haunting.add(task)
        task.add_done_callback(self.haunting.discard)

    async def _haunt(self, app: App, session: Session) -> None:
        ends_at = self.front.history.now + HAUNTS
        # At once, too: inside the grace of the last rotation both would be good, were it alive.
        tokens = [*session.seen[-1:], session.refresh]
        while self.front.history.now < ends_at:
            token = self.rng.choice(tokens)
            await self.front.refresh("posthumous", self.name, session, token, app.client)
            for _ in range(3):
                await self.front.introspect(self.name, session)
                await app.call(session)
                await asyncio.sleep(HAUNTS_EVERY)


@dataclass
class Administrator:
    """Ends a session now and then, as `keyturn sessions revoke --session` does."""

    apps: list[App]
    front: Front
    ending: Ending
    rng: random.Random
    on_end: Callable[[App, Session], None]
    stopped: bool = False

    async def live(self) -> None:
        """End one after the other."""
        while not self.stopped:
            await asyncio.sleep(self.rng.uniform(*REVOKES))
            living = [app for app in self.apps if app.session is not None]
            if living:
                await self._end(self.rng.choice(living))

    async def _end(self, app: App) -> None:
        session = app.session
        assert session is not None
        history = self.front.history
        began, said = history.now, {"status": 200}
        try:
            await self.ending.one(UUID(session.id))
        except Unavailable:
            said = {"status": 503, "error": "temporarily_unavailable"}
        history.append("revoke", began=began, app="admin", session=session.digest, **said)
        if said["status"] == 200:
            self.on_end(app, session)
