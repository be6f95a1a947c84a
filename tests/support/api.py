"""The service as an app, an API and an operator meet it: real replicas, spoken to over HTTP.

`Api` holds the replicas of one issuer. What it changes behind their back it changes as an
operator would, through the rules that `keyturn users` and `keyturn clients` call, or by SQL where
a test would otherwise have to wait. Refusals hide their reason from callers, so `refusal` reads
it in the log of the replica that answered.
"""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2

from keyturn.app import Parts
from keyturn.clients import clients_file, declarative
from keyturn.clients.administration import Administration
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.rules import Limits
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.start import SessionRequest
from keyturn.users.model import NewUser
from support import pooled, starts
from support.replicas import AUDIENCE, ORIGIN, Replica
from support.transport import Lines
from support.withheld import Withheld

OTHER_AUDIENCE = "https://billing.example.com"
OTHER_ORIGIN = "https://shop.example.com"
FOREIGN_ORIGIN = "https://evil.example.net"
PASSWORD = "correct horse battery"
DEVICE = "Firefox on a test bench"
AT_ONCE = 6.0 if pooled.WANTED else 1.0
"""Seconds until every replica acts on what an operator has changed; a pooler passes nothing on."""
PATIENCE = 30.0

APP = {
    "kind": "public",
    "session_api": True,
    "grant_types": ["refresh_token"],
    "scopes": ["orders.read", "orders.write"],
    "audiences": [AUDIENCE],
    "origins": [ORIGIN],
}
MACHINE = {
    "kind": "confidential",
    "grant_types": ["client_credentials"],
    "scopes": ["orders.read", "stock.read"],
    "audiences": [AUDIENCE, OTHER_AUDIENCE],
}
GATEWAY = {
    "kind": "confidential",
    "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"],
    "scopes": ["orders.read", "stock.read"],
    "audiences": [OTHER_AUDIENCE, AUDIENCE],
    "introspects": [AUDIENCE],
    "token_exchange": {"subject_clients": ["app", "machine"]},
}
"""It exchanges the tokens of `app` and `machine`, as far as they are for `AUDIENCE`."""
CLIENTS = {
    "app": APP,
    "shop": {**APP, "origins": [OTHER_ORIGIN], "scopes": ["orders.read"]},
    "machine": MACHINE,
    "poster": {**MACHINE, "auth_method": "client_secret_post"},
    "backend": {**MACHINE, "grant_types": ["refresh_token", "client_credentials"]},
    "steady": {**MACHINE, "grant_types": ["refresh_token"], "rotation": False},
    "reader": {"kind": "confidential", "introspects": [AUDIENCE]},
    "billing": {"kind": "confidential", "introspects": [OTHER_AUDIENCE]},
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in."""

    id: UUID
    email: str
    password: str = PASSWORD
    name: str = "Ada Lovelace"


@dataclass(slots=True)
class SignedIn:
    """One device of one person, as its app keeps it."""

    client_id: str
    access_token: str
    refresh_token: str
    session_id: UUID

    @property
    def bearer(self) -> dict[str, str]:
        """The header that shows the access token."""
        return {"authorization": f"Bearer {self.access_token}"}

    @property
    def credential(self) -> dict[str, str]:
        """The session credential as a body."""
        return {"refreshToken": self.refresh_token}


@dataclass(slots=True)
class RequestLines:
    """The request lines of one replica's log, by request id."""

    path: Path
    _read: int = 0
    _lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def of(self, request_id: str) -> dict[str, Any]:
        """Return the line of one request: it is written when the answer has gone."""
        deadline = time.monotonic() + PATIENCE
        while request_id not in self._lines:
            assert time.monotonic() < deadline, f"no log line of request {request_id}"
            self._read_on()
            await asyncio.sleep(0.002)
        return self._lines[request_id]

    def _read_on(self) -> None:
        with self.path.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for raw in whole.splitlines():
            if b'"event":"request"' in raw:
                line = json.loads(raw)
                self._lines[line["request_id"]] = line


@dataclass(frozen=True, repr=False)
class Api:
    """The replicas of one issuer, callers with no memory of cookies, and the operator."""

    issuer: str
    replicas: Sequence[Replica]
    callers: Sequence[httpx2.AsyncClient]
    operator: Parts
    sql: asyncpg.Pool
    secrets: dict[str, str | None]
    logs: Mapping[int, RequestLines]
    password_hash: str
    settings: Mapping[str, str]
    sentences: dict[tuple[bool, str], str] = field(default_factory=dict)
    """What callers have been told so far, by door and code."""

    # -- speaking -------------------------------------------------------------------------

    async def get(self, path: str, *, on: int = 0, **options: Any) -> httpx2.Response:
        """GET."""
        return await self.callers[on].get(path, **options)

    async def post(
        self,
        path: str,
        members: Mapping[str, Any] | None = None,
        *,
        client: str | None = "app",
        on: int = 0,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send JSON to the session API, naming the client."""
        named = {} if client is None else {"x-keyturn-client": client}
        return await self.callers[on].request(
            method, path, json=dict(members or {}), headers={**named, **(headers or {})}
        )

    async def form(
        self,
        path: str,
        client: str | None,
        *,
        on: int = 0,
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> httpx2.Response:
        """Send a form to the protocol as this client, proven by Basic if it has a secret."""
        secret = self.secrets.get(client or "")
        auth = (client, secret) if client and secret else None
        if client and not secret:
            fields["client_id"] = client
        return await self.callers[on].post(path, data=fields, auth=auth, headers=headers)

    async def token(self, client: str | None, *, on: int = 0, **fields: str) -> httpx2.Response:
        """POST /oauth2/token."""
        return await self.form("/oauth2/token", client, on=on, **fields)

    async def refresh(
        self, device: SignedIn, token: str | None = None, *, on: int = 0, **fields: str
    ) -> httpx2.Response:
        """Use a refresh token at the protocol's door; the device keeps what it had."""
        presented = device.refresh_token if token is None else token
        return await self.token(
            device.client_id,
            on=on,
            grant_type="refresh_token",
            refresh_token=presented,
            **fields,
        )

    async def rotated(self, device: SignedIn, *, on: int = 0) -> SignedIn:
        """Refresh, outside of the grace of what was before, and keep the answer."""
        await self.age(device)
        answer = await self.refresh(device, on=on)
        assert answer.status_code == 200, answer.text
        given = answer.json()
        assert given["refresh_token"] != device.refresh_token
        return SignedIn(
            device.client_id, given["access_token"], given["refresh_token"], device.session_id
        )

    async def login(
        self,
        person: Person,
        *,
        client: str | None = "app",
        on: int = 0,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> httpx2.Response:
        """POST /auth/login."""
        body = {"email": person.email, "password": person.password, **members}
        sent = {"user-agent": DEVICE, **(headers or {})}
        return await self.post("/auth/login", body, client=client, on=on, headers=sent)

    async def sign_in(self, person: Person, *, client: str = "app", **options: Any) -> SignedIn:
        """Sign a person in, the token in the body."""
        answer = await self.login(person, client=client, **options)
        assert answer.status_code == 200, answer.text
        given = answer.json()
        return SignedIn(
            client, given["accessToken"], given["refreshToken"], UUID(given["sessionId"])
        )

    async def is_active(self, token: str, caller: str = "reader", *, on: int = 0) -> bool:
        """Ask as an API whether an access token is good."""
        answer = await self.form("/oauth2/introspect", caller, on=on, token=token)
        assert answer.status_code == 200, answer.text
        active: bool = answer.json()["active"]
        return active

    async def goes_inactive(self, token: str, *, on: int = 0) -> bool:
        """Return whether an access token is refused at once: a lost copy to Redis costs 0.5 s."""
        began, withheld, asked = time.monotonic(), Withheld(*self.replicas), 0.0
        while await self.is_active(token, on=on):
            if asked > AT_ONCE + withheld.seconds:
                return False
            asked = time.monotonic() - began
        return True

    # -- what only the log says -----------------------------------------------------------

    async def line(self, answer: httpx2.Response) -> dict[str, Any]:
        """Return the log line of the request that got this answer."""
        return await self.logs[answer.url.port].of(answer.headers["x-request-id"])

    async def refusal(self, answer: httpx2.Response) -> tuple[int, str, str]:
        """Return status, code and hidden reason of a refusal, having checked its shape."""
        said = answer.json()
        session_api = answer.url.path.startswith("/auth/")
        assert set(said) == {
            "error",
            "error_description",
            *(("requestId",) if session_api else ()),
        }
        if session_api:
            assert said["requestId"] == answer.headers["x-request-id"]
        headers = answer.headers
        assert headers["content-type"] == "application/json"
        assert headers["cache-control"] == "no-store"
        assert headers["pragma"] == "no-cache"
        assert ("retry-after" in headers) == (answer.status_code in {429, 503})
        assert "set-cookie" not in headers
        assert not set(said["error_description"]) & {'"', "\\"}
        assert said["error_description"].isascii()
        line = await self.line(answer)
        assert (line["status"], line["error"]) == (answer.status_code, said["error"])
        sentence = self.sentences.setdefault(
            (session_api, said["error"]), said["error_description"]
        )
        assert said["error_description"] == sentence, "one code, one sentence, whatever the reason"
        return answer.status_code, said["error"], line["detail"]

    # -- the operator ---------------------------------------------------------------------

    async def person(self, **members: Any) -> Person:
        """Add an account; its password is `PASSWORD`, hashed once for everybody."""
        new = NewUser(email=f"{uuid4().hex}@example.com", name="Ada Lovelace", **members)
        user = await self.operator.accounts.add(new)
        await self.sql.execute(
            "update users set password_hash = $2 where id = $1", user.id, self.password_hash
        )
        return Person(user.id, user.email)

    @property
    def clients(self) -> Administration:
        """What `keyturn clients` calls."""
        limits = Limits.of(self.operator.settings)
        return Administration(self.operator.database, limits, self.operator.audit)

    async def client(self, raw: Mapping[str, Any] = APP, **changes: Any) -> str:
        """Register a client of a test's own and wait until every replica knows it."""
        client_id = f"client-{uuid4().hex[:8]}"
        definition = ClientDefinition.parse({**raw, "id": client_id, **changes})
        self.secrets[client_id] = (await self.clients.add(definition)).secret
        await self.settled()
        return client_id

    async def redefine(self, client_id: str, raw: Mapping[str, Any] = APP, **changes: Any) -> None:
        """Change a public client as `keyturn clients apply` does, and wait for the replicas."""
        entry = {**raw, "id": client_id, **changes}
        document = {"clients": [entry]}
        declared = clients_file.parse(document, Limits.of(self.operator.settings), Path())
        await declarative.apply(self.operator.database, declared, self.operator.audit)
        await self.settled()

    def keyturn(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as the operator does."""
        environ = {"PATH": os.environ["PATH"], **self.settings}
        done = starts.shared().run_now(environ, *arguments)
        return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)

    async def settled(self) -> None:
        """Wait until every replica has heard of all changes of clients so far."""
        marker = f"marker-{uuid4().hex[:8]}"
        await self.clients.add(ClientDefinition.parse({**APP, "id": marker}))
        for on in range(len(self.replicas)):
            await self._hears_of(marker, on)

    async def _hears_of(self, client_id: str, on: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while (await self.token(client_id, on=on)).status_code != 400:
            assert time.monotonic() < deadline, "a replica never heard of a new client"
            await asyncio.sleep(0.005)

    async def seed(self, client_id: str, person: Person, **changes: Any) -> SignedIn:
        """Begin a session of a client that people cannot sign in to yet."""
        parts = self.operator
        parts.registry.invalidate()
        client = await parts.registry.get(client_id)
        assert client is not None
        day = timedelta(days=1)
        request = {
            "user_id": person.id,
            "client": client,
            "scopes": client.scopes,
            "audiences": client.audiences,
            "lifetimes": Lifetimes(absolute=day, idle=day, remembered=None),
            "proof_time": await self.sql.fetchval("select now()"),
        }
        started = await parts.starter.start(SessionRequest(**{**request, **changes}))
        return SignedIn(client_id, "", started.refresh_token, started.session.id)

    # -- the database, where a test would have to wait --------------------------------------

    async def row(self, device: SignedIn) -> asyncpg.Record:
        """Return the session's row."""
        found = await self.sql.fetchrow("select * from sessions where id = $1", device.session_id)
        assert found is not None
        return found

    async def set(self, device: SignedIn, assignments: str, *values: Any) -> None:
        """Change the session's row: `api.set(device, "idle_expires_at = now()")`."""
        await self.sql.execute(
            f"update sessions set {assignments} where id = $1", device.session_id, *values
        )

    async def age(self, device: SignedIn, seconds: float = 60) -> None:
        """Let the last rotation lie further back: the grace is over."""
        past = timedelta(seconds=seconds)
        await self.set(device, "rotated_at = rotated_at - $2::interval", past)

    async def events(self, type_: str, **wanted: Any) -> list[asyncpg.Record]:
        """Return audit events of one type with these columns; they are written in batches."""
        columns = " and ".join(f"{name} = ${number}" for number, name in enumerate(wanted, 2))
        query = f"select * from audit_events where type = $1 and {columns}"
        deadline = time.monotonic() + PATIENCE
        while not (found := await self.sql.fetch(query, type_, *wanted.values())):
            assert time.monotonic() < deadline, f"no audit event {type_} with {wanted}"
            await asyncio.sleep(0.01)
        return found

    def metric(self, name: str, **labels: str) -> float:
        """Return a counter summed over the replicas."""
        return sum(replica.metric(name, **labels) for replica in self.replicas)

    def cookie_name(self, client_id: str, prefix: str = "__Host-") -> str:
        """Return the name of a client's cookie, worked out here from the documents."""
        digest = sha256(f"{self.issuer}\n{client_id}".encode()).hexdigest()
        return f"{prefix}kt_{digest[:8]}"


def memoryless() -> CookieJar:
    """Return a jar that keeps nothing: a test sends the cookies it means to send."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


def caller_of(replica: Replica) -> httpx2.AsyncClient:
    """Return a caller of one replica."""
    # Gone before the server hangs up (`server.idle_timeout`): else the two of them race.
    return httpx2.AsyncClient(
        base_url=replica.url, cookies=memoryless(), timeout=60, transport=Lines(idle=2)
    )


@asynccontextmanager
async def api_of(environ: Mapping[str, str], started: Sequence[Replica]) -> AsyncIterator[Api]:
    """Attach an operator and callers to the replicas of one issuer; register `CLIENTS`."""
    settings = load_settings(dict(environ))
    parts = Parts.of(settings, SystemClock())
    callers = [caller_of(one) for one in started]
    # A pool, so that a test may kill PostgreSQL and go on when it is back.
    sql = await asyncpg.create_pool(settings.postgres.direct().dsn(), min_size=0, max_size=2)
    try:
        await parts.keyring.load()
        api = Api(
            issuer=settings.issuer,
            replicas=started,
            callers=callers,
            operator=parts,
            sql=sql,
            secrets={},
            logs={httpx2.URL(one.url).port: RequestLines(one.log) for one in started},
            password_hash=await parts.passwords.hash(PASSWORD),
            settings=environ,
        )
        for client_id, raw in CLIENTS.items():
            definition = ClientDefinition.parse({**raw, "id": client_id})
            api.secrets[client_id] = (await api.clients.add(definition)).secret
        await api.settled()
        yield api
    finally:
        for caller in callers:
            await caller.aclose()
        await sql.close()
        await parts.close()


@asynccontextmanager
async def joined(api: Api, one: Replica) -> AsyncIterator[Api]:
    """Speak to another replica of the same issuer, started later or set up differently."""
    async with caller_of(one) as caller:
        port = httpx2.URL(one.url).port
        yield Api(
            **{
                **api.__dict__,
                "replicas": [one],
                "callers": [caller],
                "logs": {port: RequestLines(one.log)},
            }
        )


def claims_of(token: str) -> dict[str, Any]:
    """Return what an access token says, unverified."""
    from base64 import urlsafe_b64decode

    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def set_cookies(answer: httpx2.Response) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield name, value and attributes of each cookie an answer sets."""
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        yield name, value, frozenset(attributes)
