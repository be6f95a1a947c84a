"""What a thief with a copy of the database and of Redis can try: every value, at every door.

No master secret is in either; so whatever is found is taken as it stands, spelt as tokens are
spelt, and put into tokens of the right form.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx2

from support.api import GATEWAY, Api, Person
from support.browserless import CALLBACK, VERIFIER, Browserless, forms_of
from support.forging import generation_zero, tagged
from support.redis_topologies import connect
from support.replicas import ORIGIN
from support.television import DEVICE_CODE

LEAST, MOST = 8, 2000
"""Characters: shorter ones are numbers and states, longer ones no credential."""

TABLES = (
    "select format('%I.%I', schemaname, tablename) as name from pg_tables"
    " where schemaname not in ('pg_catalog', 'information_schema')"
)
Present = Callable[[str], Awaitable[bool]]
"""Present one value; return whether it was accepted."""


async def database_values(sql: asyncpg.Pool) -> set[bytes]:
    """Return every value of every column of every table."""
    found: set[bytes] = set()
    for (table,) in await sql.fetch(TABLES):
        for row in await sql.fetch(f"select * from {table}"):
            found |= {one for value in row.values() for one in _leaves(value)}
    return found


def _leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, str | UUID):
        yield str(value).encode()


async def redis_values(url: str) -> set[bytes]:
    """Return every key, its parts, and whatever is under it."""
    found: set[bytes] = set()
    async with connect(url) as client:
        async for key in client.scan_iter(count=1000):
            found |= {key, *key.split(b":")}
            kind = await client.type(key)
            if kind == b"string":
                found.add(await client.get(key) or b"")
            elif kind == b"hash":
                found |= {one for pair in (await client.hgetall(key)).items() for one in pair}
            elif kind == b"zset":
                found |= set(await client.zrange(key, 0, -1))
    return found


def spelt(value: bytes) -> Iterator[str]:
    """Yield a value as a caller may send it."""
    text = value.decode("utf-8", "replace")
    if text.isprintable() and text.isascii():
        yield text
        yield from text.split(":")
    short = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    yield from (value.hex(), short, f"krt1_{short}", f"kts_{value.hex()}")


def candidates(values: set[bytes]) -> list[str]:
    """Return every text to present, in an order that is always the same."""
    texts = {text for value in values for text in spelt(value)}
    return sorted(text for text in texts if LEAST <= len(text) <= MOST)


async def forged(sql: asyncpg.Pool) -> AsyncIterator[str]:
    """Yield refresh tokens of live sessions, made of what their rows hold and tagged with it."""
    rows = await sql.fetch(
        "select id, token_hash, next_hash from sessions where revoked_at is null"
    )
    for row in rows:
        for secret in (row["token_hash"], row["next_hash"]):
            for key in (secret, bytes(32), hashlib.sha256(secret).digest()):
                for client in ("app", ""):
                    yield tagged(generation_zero(row["id"], secret), client, key)


@dataclass
class Doors:
    """Whoever takes a credential, and how one is shown there."""

    api: Api
    management: httpx2.AsyncClient
    person: Person
    clients: dict[str, str]
    """Ids of a registered client by what it is for."""
    user_code_page: httpx2.Response
    signed_in: Browserless

    def all(self) -> dict[str, Present]:
        """Name every door."""
        bearers = {
            f"bearer at {path}": self._bearer(path, caller)
            for path, caller in (
                ("/auth/me", self.api.callers[0]),
                ("/oauth2/userinfo", self.api.callers[0]),
                (f"/oauth2/register/{self.clients['registered']}", self.api.callers[0]),
                ("/admin/v1/users", self.management),
            )
        }
        secrets = {
            f"secret of {client}": self._secret(client)
            for client in ("machine", "poster", "reader")
        }
        return {
            "refresh": self.refresh, "refresh by JSON": self.refresh_by_json,
            "cookie": self.session_cookie, "browser login": self.login_cookie,
            "password": self.password, "authorization code": self.code,
            "device code": self.device_code, "request_uri": self.request_uri,
            "user code": self.user_code, "subject token": self.subject_token,
            "initial access token": self.initial_access_token,
            "introspection": self.introspection, **bearers, **secrets,
        }  # fmt: skip

    async def refresh(self, value: str) -> bool:
        form = {"grant_type": "refresh_token", "refresh_token": value}
        return (await self.api.token("app", **form)).is_success

    async def refresh_by_json(self, value: str) -> bool:
        return (await self.api.post("/auth/refresh", {"refreshToken": value})).is_success

    async def session_cookie(self, value: str) -> bool:
        sent = {"origin": ORIGIN, "cookie": f"{self.api.cookie_name('app')}={value}"}
        return (await self.api.post("/auth/refresh", headers=sent)).is_success

    async def login_cookie(self, value: str) -> bool:
        names = [name for name in self.signed_in.cookies if "kt_login" in name]
        browser = Browserless(self.api, cookies={names[0]: value})
        page = await browser.open("/account")
        return page.is_success and "login" not in forms_of(page)

    async def password(self, value: str) -> bool:
        return (await self.api.login(Person(self.person.id, self.person.email, value))).is_success

    async def code(self, value: str) -> bool:
        form = {"grant_type": "authorization_code", "code": value, "redirect_uri": CALLBACK}
        return (
            await self.api.token(self.clients["spa"], **form, code_verifier=VERIFIER)
        ).is_success

    async def device_code(self, value: str) -> bool:
        form = {"grant_type": DEVICE_CODE, "device_code": value}
        return (await self.api.token(self.clients["television"], **form)).is_success

    async def request_uri(self, value: str) -> bool:
        uri = f"urn:ietf:params:oauth:request_uri:{value}"
        asked = {"client_id": self.clients["spa"], "request_uri": uri}
        answer = await Browserless(self.api).send("GET", "/oauth2/authorize", params=asked)
        return answer.status_code < 400

    async def user_code(self, value: str) -> bool:
        page = await self.signed_in.submit(self.user_code_page, "device-code", user_code=value)
        return "device" in forms_of(page)

    async def subject_token(self, value: str) -> bool:
        kind = "urn:ietf:params:oauth:token-type:access_token"
        form = {"subject_token": value, "subject_token_type": kind}
        grant = GATEWAY["grant_types"][0]
        return (await self.api.token(self.clients["gateway"], grant_type=grant, **form)).is_success

    async def initial_access_token(self, value: str) -> bool:
        answer = await self.api.callers[0].post(
            "/oauth2/register",
            json={"redirect_uris": ["https://a.example/cb"]},
            headers={"authorization": f"Bearer {value}"},
        )
        return answer.is_success

    async def introspection(self, value: str) -> bool:
        answer = await self.api.form("/oauth2/introspect", "reader", token=value)
        return bool(answer.is_success and answer.json()["active"])

    def _bearer(self, path: str, caller: httpx2.AsyncClient) -> Present:
        async def present(value: str) -> bool:
            return (await caller.get(path, headers={"authorization": f"Bearer {value}"})).is_success

        return present

    def _secret(self, client: str) -> Present:
        async def present(value: str) -> bool:
            form = {"grant_type": "client_credentials", "token": "x"}
            path = "/oauth2/introspect" if client == "reader" else "/oauth2/token"
            if client == "poster":
                proof = {"data": {**form, "client_id": client, "client_secret": value}}
            else:
                proof = {"data": form, "auth": (client, value)}
            return (await self.api.callers[0].post(path, **proof)).is_success

        return present
