"""What callers do all day, at one address, counted; nobody tries anything twice.

Apps refresh the chains they hold, people sign in, APIs fetch the keys and ask about tokens. A
request has failed when there was no answer, when the answer was 4xx or 5xx, or when an API was
told that a good token is none.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from support.api import PASSWORD, Api, memoryless
from support.transport import Lines

PATIENCE = 120.0
JWKS = "/.well-known/jwks.json"
PAUSES = {"refresh": 0.1, "login": 0.5, "keys": 0.1, "introspect": 0.1}
"""Seconds between two requests of one caller."""


@dataclass(slots=True)
class Person:
    """Somebody with an account, and the application they use."""

    email: str
    client_id: str
    password: str = PASSWORD
    access_token: str = ""
    refresh_token: str = ""
    rotations: int = 0


@dataclass(eq=False)
class Traffic:
    """All callers of one address; `reader` is an API's client id and secret."""

    url: str
    people: Sequence[Person]
    reader: tuple[str, str]
    sent: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    _over: bool = False
    _caller: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        """Connections are kept, as every caller keeps them."""
        self._caller = httpx2.AsyncClient(
            base_url=self.url, cookies=memoryless(), timeout=60, transport=Lines(idle=2)
        )

    @classmethod
    async def of(cls, api: Api, url: str, size: int = 6) -> "Traffic":
        """Make accounts; every other person's app rotates its token with every use."""
        hasty = await api.client(grace=0)
        people = []
        for number in range(size):
            one = await api.person()
            people.append(Person(one.email, "app" if number % 2 else hasty))
        return cls(url, people, ("reader", api.secrets["reader"] or ""))

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator["Traffic"]:
        """Sign everybody in; then everything goes on at once for as long as the block takes."""
        await self.sign_everybody_in()
        assert not self.failed, self.failed
        callers = [asyncio.create_task(self._use(person)) for person in self.people]
        callers += [
            asyncio.create_task(self._again("login", self._come_back)),
            asyncio.create_task(self._again("keys", self._fetch_keys)),
            asyncio.create_task(self._again("introspect", self._ask)),
        ]
        try:
            yield self
        finally:
            self._over = True
            await asyncio.gather(*callers)
            await self._caller.aclose()

    async def sign_everybody_in(self) -> None:
        """Begin a session for each person, which their app goes on with."""
        for person in self.people:
            await self._sign_in(person)

    async def go_on(self, requests: int = 60) -> None:
        """Wait until so many more have been answered, some of each kind."""
        until = self.total + requests
        kinds = Counter({kind: self.sent[kind] + 2 for kind in PAUSES})
        deadline = time.monotonic() + PATIENCE
        while self.total < until or not kinds <= self.sent:
            assert time.monotonic() < deadline, f"{self.sent} of {until}, {kinds}"
            await asyncio.sleep(0.05)

    @property
    def total(self) -> int:
        """Requests so far."""
        return self.sent.total()

    def report(self, what: str) -> str:
        """Print and return the count of everything."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.sent.items()))
        said = f"{what}: requests sent {self.total} ({kinds}), failed {len(self.failed)}"
        print(said)
        return said

    async def _again(self, kind: str, act: Callable[[], Awaitable[object]]) -> None:
        while not self._over:
            await act()
            await asyncio.sleep(PAUSES[kind])

    async def _use(self, person: Person) -> None:
        """Refresh for ever; whoever fails signs in again, and that is counted, too."""
        while not self._over:
            form = {
                "grant_type": "refresh_token",
                "client_id": person.client_id,
                "refresh_token": person.refresh_token,
            }
            answer = await self._send("refresh", "/oauth2/token", data=form)
            if answer is None:
                await self._sign_in(person)
            else:
                given = answer.json()
                person.rotations += given["refresh_token"] != person.refresh_token
                person.refresh_token = given["refresh_token"]
                person.access_token = given["access_token"]
            await asyncio.sleep(PAUSES["refresh"])

    async def _sign_in(self, person: Person) -> None:
        answer = await self._log_in(person)
        if answer is not None:
            given = answer.json()
            person.access_token = given["accessToken"]
            person.refresh_token = given["refreshToken"]

    async def _come_back(self) -> None:
        """Somebody signs in on one more device, and forgets it."""
        await self._log_in(self.people[self.sent["login"] % len(self.people)])

    async def _log_in(self, person: Person) -> httpx2.Response | None:
        body = {"email": person.email, "password": person.password}
        named = {"x-keyturn-client": person.client_id}
        return await self._send("login", "/auth/login", json=body, headers=named)

    async def _fetch_keys(self) -> None:
        await self._send("keys", JWKS, method="GET")

    async def _ask(self) -> None:
        """Ask about the newest token of somebody, which is a moment old."""
        person = self.people[self.sent["introspect"] % len(self.people)]
        form = {"token": person.access_token}
        answer = await self._send("introspect", "/oauth2/introspect", data=form, auth=self.reader)
        if answer is not None and not answer.json()["active"]:
            self.failed.append(f"introspect: inactive, {answer.headers['x-request-id']}")

    async def _send(
        self, kind: str, path: str, *, method: str = "POST", **options: object
    ) -> httpx2.Response | None:
        """Send once and count; None when that failed."""
        self.sent[kind] += 1
        try:
            answer = await self._caller.request(method, path, **options)  # type: ignore[arg-type]
        except httpx2.TransportError as error:
            self.failed.append(f"{kind}: {type(error).__name__} {error}")
            return None
        if answer.status_code >= 400:
            self.failed.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer
