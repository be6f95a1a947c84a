"""Who means harm, and who ends sessions from outside: a thief, an administrator, the dead.

A thief copies tokens of apps and presents them late: then the session must end. In another client's
name the same token must be rubbish, and the session must live. What has ended is tried again for a
while by whoever still has its tokens.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
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
BEYOND = 0.5
"""Seconds after the grace in which a direct parent is let be: the app may have been told late."""


@dataclass
class Thief:
    """Presents tokens that their owner has left behind: twice at least, or for longer than a grace."""

    apps: list[App]
    front: Front
    rng: random.Random
    grace: float
    haunting: set[asyncio.Task[None]] = field(default_factory=set)
    name: str = "thief"
    stopped: bool = False

    async def live(self) -> None:
        """Every third theft is of a direct parent, if one is old enough."""
        for turn in count():
            await asyncio.sleep(self.rng.uniform(*STEALS))
            if self.stopped:
                return
            if turn % 3 != 2 or not await self._steal_a_parent():
                await self._steal_an_ancestor()

    async def _steal_a_parent(self) -> bool:
        """Its grace is over, and until its owner refreshes nothing but time says so."""
        last = self.front.history.now - self.grace - BEYOND
        victims = [
            (app, session)
            for app in self.apps
            if (session := app.session) and session.seen and session.moved_at < last
        ]
        if victims:
            victim, session = self.rng.choice(victims)
            await self._replay(victim, session, session.seen[-1])
        return bool(victims)

    async def _steal_an_ancestor(self) -> None:
        """Every other time it is presented in another client's name."""
        victims = [
            (app, session)
            for app in self.apps
            if (session := app.session) and len(session.seen) > 1
        ]
        if not victims:
            return
        victim, session = self.rng.choice(victims)
        token = self.rng.choice(session.seen[:-1])
        if self.rng.random() < 0.5:
            await self.front.refresh("foreign", self.name, session, token, OTHER_CLIENT)
        else:
            await self._replay(victim, session, token)

    async def _replay(self, victim: App, session: Session, token: str) -> None:
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
