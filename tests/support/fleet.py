"""Apps as they are in the field: one refresh at a time, and a token is kept until a newer one came.

Each holds one session and never gives up on trouble; what it never survives is a refusal.
"""

import asyncio
import time
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import asyncpg
import httpx2

from support.api import Api, SignedIn, memoryless
from support.transport import Lines

PATIENCE = 60.0
"""Seconds an app tries again on trouble before the test calls its sign-in lost."""
PAUSE = 0.02


class LostSignIn(AssertionError):
    """An app was refused, or nobody answered it any more: a person has to sign in again."""


@dataclass
class App:
    """One app with one session; `answered` says whether its last attempt got an answer."""

    device: SignedIn
    caller: httpx2.AsyncClient
    url: str
    generation: int = 0
    parent: str = ""
    answered: bool = True
    statuses: list[int] = field(default_factory=list)

    async def attempt(self) -> bool:
        """Refresh once; return whether there was an answer. 503 and a cut line are none."""
        self.answered = False
        sent = self.device.refresh_token
        form = {
            "grant_type": "refresh_token",
            "client_id": self.device.client_id,
            "refresh_token": sent,
        }
        try:
            answer = await self.caller.post(f"{self.url}/oauth2/token", data=form)
        except httpx2.TransportError:
            return False
        self.statuses.append(answer.status_code)
        if answer.status_code == 503:
            assert answer.json()["error"] == "temporarily_unavailable"
            return False
        if answer.status_code != 200:
            raise LostSignIn(f"generation {self.generation}: {answer.text}")
        self._keep(sent, answer.json()["refresh_token"])
        return True

    def _keep(self, sent: str, given: str) -> None:
        if given != sent:
            self.parent = sent
            self.device.refresh_token = given
        self.generation = generation_of(given)
        self.answered = True

    async def refresh(self) -> None:
        """Try until there is an answer."""
        deadline = time.monotonic() + PATIENCE
        while not await self.attempt():
            if time.monotonic() > deadline:
                raise LostSignIn("nobody answers any more")
            await asyncio.sleep(PAUSE)


@dataclass
class Fleet:
    """Several apps; `sql` is for what they could only wait for."""

    apps: Sequence[App]
    sql: Any

    @classmethod
    async def of(cls, api: Api, size: int) -> "Fleet":
        """Sign `size` people in at the first replica of `api`."""
        caller = httpx2.AsyncClient(cookies=memoryless(), timeout=60, transport=Lines())
        apps = []
        for _ in range(size):
            device = await api.seed("app", await api.person())
            apps.append(App(device, caller, api.replicas[0].url))
        return cls(apps, api.sql)

    def go_to(self, url: str) -> None:
        """Send every app to another replica, as a balancer would."""
        for app in self.apps:
            app.url = url

    async def refresh(self) -> None:
        """Have every app refresh, all at once, until each has an answer."""
        await asyncio.gather(*(app.refresh() for app in self.apps))

    def attempts(self) -> list[asyncio.Task[bool]]:
        """Start one attempt of every app."""
        return [asyncio.create_task(app.attempt()) for app in self.apps]

    async def outlive_the_grace(self) -> None:
        """Let every last rotation lie a minute back, durably, so that the next refresh rotates."""
        await self.sql.execute("update sessions set rotated_at = rotated_at - interval '60 s'")

    async def rows(self) -> list[asyncpg.Record]:
        """Return the rows of the sessions, in the order of the apps."""
        ids = [app.device.session_id for app in self.apps]
        found = await self.sql.fetch("select * from sessions where id = any($1::uuid[])", ids)
        by_id = {row["id"]: row for row in found}
        return [by_id[one] for one in ids]

    async def generations(self) -> list[int]:
        """Return how often each session was rotated, as the database has it."""
        return [row["generation"] for row in await self.rows()]

    async def check_one_lineage(self) -> None:
        """What each app holds is the one live token of its session, by the stored hash."""
        for app, row in zip(self.apps, await self.rows(), strict=True):
            assert row["revoked_at"] is None, row["revoke_reason"]
            assert row["generation"] == app.generation
            assert row["token_hash"] == hash_of(app.device.refresh_token)

    async def close(self) -> None:
        """Hang up."""
        await self.apps[0].caller.aclose()


def parts_of(token: str) -> tuple[bytes, bytes, bytes, bytes]:
    """Return key id, session id, generation and secret of a token, read by the wire format."""
    text = token.removeprefix("krt1_")
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert len(raw) == 69
    return raw[:1], raw[1:17], raw[17:21], raw[21:53]


def generation_of(token: str) -> int:
    """Return the generation a refresh token names."""
    return int.from_bytes(parts_of(token)[2], "big")


def hash_of(token: str) -> bytes:
    """Return the hash that the row of a live token has."""
    return sha256(b"".join(parts_of(token))).digest()
