"""The protocol's doors as the server wires them, in this process: real stores, real keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx2
from starlette.applications import Starlette

from keyturn.clients.administration import Administration
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Client
from keyturn.clients.rules import Limits
from keyturn.clock import Clock, SystemClock
from keyturn.configuration import load_settings
from keyturn.db.queries import Query
from keyturn.parts import Parts
from keyturn.routes import oauth_routes
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.model import Started
from keyturn.sessions.start import SessionRequest
from keyturn.web.responses import error_handlers
from support import replicas
from support.replicas import AUDIENCE

OTHER_AUDIENCE = "https://billing.example.com"
APP = {
    "kind": "public",
    "session_api": True,
    "grant_types": ["refresh_token"],
    "audiences": [AUDIENCE],
}
CLIENTS = (
    {**APP, "id": "web"},
    {**APP, "id": "mobile"},
    {
        "id": "machine",
        "kind": "confidential",
        "grant_types": ["client_credentials"],
        "audiences": [AUDIENCE],
    },
    {"id": "api", "kind": "confidential", "introspects": [AUDIENCE]},
    {"id": "billing", "kind": "confidential", "introspects": [OTHER_AUDIENCE]},
    {
        "id": "curious",
        "kind": "confidential",
        "grant_types": ["client_credentials"],
        "audiences": [OTHER_AUDIENCE],
    },
)
LIFETIMES = Lifetimes(absolute=timedelta(days=1), idle=timedelta(days=1), remembered=None)


@dataclass(frozen=True)
class Protocol:
    """One process's doors, somebody to knock on them, and who may."""

    parts: Parts
    caller: httpx2.AsyncClient
    secrets: dict[str, str | None]
    user_id: UUID

    async def post(self, path: str, client_id: str | None, **form: str) -> httpx2.Response:
        """Send a form as this client, proven if it has a secret."""
        secret = self.secrets.get(client_id or "")
        auth = (client_id, secret) if client_id and secret else None
        if client_id and not secret:
            form["client_id"] = client_id
        return await self.caller.post(path, data=form, auth=auth)

    async def client(self, client_id: str) -> Client:
        """Return the registered client."""
        found = await self.parts.registry.find(client_id)
        assert found is not None
        return found

    async def sign_in(self, client_id: str = "web") -> tuple[Started, str]:
        """Start a session; return it and its first access token."""
        client = await self.client(client_id)
        parts = self.parts
        started = await parts.starter.start(
            SessionRequest(
                user_id=self.user_id,
                client=client,
                scopes=frozenset(),
                audiences=(AUDIENCE,),
                lifetimes=LIFETIMES,
                proof_time=datetime.now(UTC),
            )
        )
        token = parts.access_tokens.for_session(started.session, client, (), (AUDIENCE,))
        return started, token.value

    async def machine_token(self, client_id: str = "machine") -> str:
        """Return a token a machine got for itself."""
        answer = await self.post("/oauth2/token", client_id, grant_type="client_credentials")
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def refresh(self, client_id: str, token: str) -> httpx2.Response:
        """Use a refresh token."""
        return await self.post(
            "/oauth2/token", client_id, grant_type="refresh_token", refresh_token=token
        )

    async def is_active(self, token: str, caller: str = "api") -> bool:
        """Ask as an API."""
        answer = await self.post("/oauth2/introspect", caller, token=token)
        assert answer.status_code == 200, answer.text
        active: bool = answer.json()["active"]
        return active


@asynccontextmanager
async def protocol(
    database_url: str, redis_url: str | None, clock: Clock | None = None
) -> AsyncIterator[Protocol]:
    """Build the doors on these stores, with the clients above and one user."""
    settings = load_settings(replicas.settings(database_url, redis_url))
    parts = Parts.of(settings, clock or SystemClock())
    try:
        await parts.key_rotation.run_due()
        await parts.keyring.load()
        administration = Administration(parts.database, Limits(settings.issuer), parts.audit)
        secrets = {
            one["id"]: (await administration.add(ClientDefinition.parse(one))).secret
            for one in CLIENTS
        }
        user_id = uuid4()
        await parts.database.execute(
            Query("user", "", "insert into users (id, email, email_key) values ($1, 'a', 'a')"),
            user_id,
        )
        app = Starlette(routes=oauth_routes(parts), exception_handlers=error_handlers())
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as caller:
            yield Protocol(parts, caller, secrets, user_id)
    finally:
        await parts.close()
