"""Apps as the guide has them: one refresh at a time, a token kept until a newer one came.

What an app does about trouble is what docs/rotation.md asks of a client: send the same token again;
keep an answer's token only if what is stored is still what was sent; give up on `invalid_grant`
alone. Its API calls are checked offline, by `keyturn_verifier`.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from chaos.front import Answer, Front, Session
from keyturn_verifier import InvalidToken, Unavailable, Verifier
from support.api import Person

Tabs = Literal["one", "sharing", "copied"]
PAUSE = (0.3, 1.0)
"""Seconds between two looks at what there is to do."""
AGAIN = (0.2, 0.6)
"""Seconds before the same token is sent again, unless the server wants to be left alone longer."""
LONGEST_WAIT = 5.0
"""Seconds that an app obeys a server that wants to be left alone: the grace goes on meanwhile."""
LAST = 60.0
"""Seconds an app tries to be answered when everything is whole; after them it never is."""
LATE = 3.0
"""Seconds that a copied tab may lie asleep before it uses its copy: well within the grace."""
LEAVES, LEAVES_EVERYWHERE, INTROSPECTS = 0.012, 0.003, 0.2
"""Chances, each time an app has something to do."""


@dataclass(eq=False)
class Household:
    """One person, and the apps they are signed in to."""

    person: Person
    apps: list["App"] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Nobody signs in while everything is being ended: whether that would last is a toss."""

    @property
    def sessions(self) -> list[Session]:
        """All that are known to live."""
        return [app.session for app in self.apps if app.session is not None]


@dataclass(eq=False)
class App:
    """One app of one person, with a tab or two."""

    name: str
    household: Household
    front: Front
    api: Verifier
    rng: random.Random
    tabs: Tabs = "one"
    as_json: bool = False
    """Whether it speaks the session API; else the protocol."""
    client: str = "app"
    session: Session | None = None
    on_end: Callable[["App", Session], None] = lambda _app, _session: None
    """Hears of sessions that have ended for sure."""
    stopped: bool = False

    async def live(self) -> None:
        """Do what an app does, until it is stopped."""
        while not self.stopped:
            if self.session is None:
                await self.sign_in()
            else:
                await self._use(self.session)
            await asyncio.sleep(self.rng.uniform(*PAUSE))

    async def sign_in(self) -> None:
        """Let the person sign in again."""
        async with self.household.turn:
            person = self.household.person
            self.session = await self.front.sign_in(self.name, person, self.client)

    async def settle(self) -> None:
        """When everything is over and whole: refresh or sign in, until there is an answer.

        Whoever gets none in all that time is the judge's.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                if self.session is not None:
                    await self._renew(self.session, last=True)
                while self.session is None:
                    await self.sign_in()
                    await asyncio.sleep(self.rng.uniform(*AGAIN))

    async def _use(self, session: Session) -> None:
        if self.front.history.now >= session.due:
            await self._renew_in_tabs(session)
        if self.stopped:
            return
        if self.session is session and self.front.history.now < session.over:
            await self.call(session)
            if self.rng.random() < INTROSPECTS:
                await self.front.introspect(self.name, session)
        chance = self.rng.random()
        if self.session is session and chance < LEAVES:
            await self._leave_everywhere() if chance < LEAVES_EVERYWHERE else await self._leave()

    async def _renew_in_tabs(self, session: Session) -> None:
        tabs = [self._renew(session)]
        if self.tabs == "sharing":
            tabs.append(self._renew(session))
        elif self.tabs == "copied":
            tabs.append(self._use_copy(session, session.refresh))
        await asyncio.gather(*tabs)

    async def _renew(self, session: Session, *, last: bool = False) -> None:
        """Send the stored token until there is an answer, or another tab was faster."""
        sent = session.refresh
        while (last or not self.stopped) and self._holds(session, sent):
            answer = await self._refresh(session, sent)
            self._keep(session, sent, answer)
            if answer.is_good:
                return
            await self._wait(answer)

    async def _wait(self, answer: Answer) -> None:
        """Leave the server alone before it is asked again."""
        wanted = min(answer.retry_after, LONGEST_WAIT)
        await asyncio.sleep(max(wanted, self.rng.uniform(*AGAIN)))

    def _holds(self, session: Session, token: str) -> bool:
        """Whether this is what is stored."""
        return self.session is session and session.refresh == token

    async def _use_copy(self, session: Session, sent: str) -> None:
        """A tab that was asleep uses what it copied, once; the store may have moved meanwhile."""
        await asyncio.sleep(self.rng.uniform(0, LATE))
        if self.session is session:
            self._keep(session, sent, await self._refresh(session, sent))

    async def _refresh(self, session: Session, token: str) -> Answer:
        if self.as_json:
            return await self.front.refresh_as_json(self.name, session, token, self.client)
        return await self.front.refresh("refresh", self.name, session, token, self.client)

    def _keep(self, session: Session, sent: str, answer: Answer) -> None:
        if not self._holds(session, sent):
            return
        if answer.is_good:
            self.front.renewed(session, answer)
        elif answer.ends_the_session:
            self.session = None

    async def call(self, session: Session) -> None:
        """Call an API with the access token: it asks nobody."""
        history = self.front.history
        began, said = history.now, {"status": 200}
        try:
            await self.api.verify(session.access)
        except InvalidToken as refusal:
            said = {"status": 401, "error": refusal.reason.value}
        except Unavailable:
            said = {"status": 503, "error": "status_list"}
        history.append("call", began=began, app=self.name, session=session.digest, **said)

    async def _leave(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            token = session.refresh
            await self._insist(
                [session],
                lambda: self.front.end("log_out", self.name, [session], token, self.client),
            )

    async def _leave_everywhere(self) -> None:
        async with self.household.turn:
            mine = self.session
            if mine is not None:
                ending = [mine, *(one for one in self.household.sessions if one is not mine)]
                await self._insist(
                    ending,
                    lambda: self.front.end(
                        "log_out_all", self.name, ending, mine.refresh, self.client
                    ),
                )

    async def _insist(self, ending: list[Session], ask: Callable) -> None:
        """Ask for the end until somebody says that it is done, or that nothing was left to end."""
        while not self.stopped:
            answer = await ask()
            if answer.is_good:
                for session in ending:
                    self.on_end(self, session)
            if answer.is_good or answer.ends_the_session:
                return
            await self._wait(answer)
