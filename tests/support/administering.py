"""The admin API as an operator's program calls it: over HTTP, described by its own document."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from support.api import Api
from support.transport import Lines

READ, WRITE = "keyturn.admin.read", "keyturn.admin.write"
OPS = {
    "kind": "confidential",
    "grant_types": ["client_credentials"],
    "scopes": [READ, WRITE],
}
IDS = {
    "user_id": str(UUID(int=7)),
    "session_id": str(UUID(int=7)),
    "token_id": str(UUID(int=7)),
    "client_id": "client-nobody",
}
"""Ids of nothing."""


@dataclass(frozen=True)
class Described:
    """One operation of the document."""

    name: str
    method: str
    path: str
    said: Mapping[str, Any]

    @property
    def scope(self) -> str:
        """The one scope that it demands."""
        ((scope,),) = (one["admin"] for one in self.said["security"])
        return str(scope)

    @property
    def about_nothing(self) -> str:
        """Its path with ids of nothing."""
        return re.sub(r"{(\w+)}", lambda found: IDS[found[1]], self.path)


@dataclass(frozen=True)
class Administered:
    """An operator's program, with a token for reading and one for writing."""

    api: Api
    caller: httpx2.AsyncClient
    client_id: str
    tokens: Mapping[str, str]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = WRITE,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """Send a request; `token` is a scope of ours, or any text, or None for no token."""
        shown = (
            {} if token is None else {"authorization": f"Bearer {self.tokens.get(token, token)}"}
        )
        sent = {**shown, **(headers or {})}
        if body is not None:
            options["json"] = body
        return await self.caller.request(method, f"/admin/v1{path}", headers=sent, **options)

    async def get(self, path: str, **options: Any) -> Any:
        """Return what a GET answers."""
        answer = await self.call("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def pages(self, path: str, **params: Any) -> Any:
        """Return every item of a list."""
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, params={**params, **cursor})
            assert len(page["items"]) <= params.get("limit", 50)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    async def operations(self) -> list[Described]:
        """Read the document."""
        answer = await self.caller.get("/admin/v1/openapi.json")
        return list(_described(answer.json()))

    async def members(self, model: str) -> list[str]:
        """Return the members of a message of the document."""
        document = (await self.caller.get("/admin/v1/openapi.json")).json()
        return list(document["components"]["schemas"][model]["properties"])


def _described(document: Mapping[str, Any]) -> Iterator[Described]:
    for path, ways in document["paths"].items():
        for method, said in ways.items():
            yield Described(
                said["operationId"], method.upper(), path.removeprefix("/admin/v1"), said
            )


def problem(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal, having checked its shape (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    said = answer.json()
    assert set(said) == {
        "type", "title", "status", "detail", "instance", "code", "request_id", "errors",
    }  # fmt: skip
    assert said["type"] == f"urn:keyturn:problem:{said['code']}"
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["instance"] == f"urn:keyturn:request:{said['request_id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (said["status"] in {401, 403})
    assert ("retry-after" in answer.headers) == (said["status"] in {429, 503})
    assert said["status"] == answer.status_code
    return answer.status_code, said["code"]


@asynccontextmanager
async def administered(api: Api, on: int = 0) -> AsyncIterator[Administered]:
    """Register an operator's client, and call one replica."""
    client_id = await api.client(OPS)
    tokens = {
        scope: (await api.token(client_id, grant_type="client_credentials", scope=scope)).json()
        for scope in (READ, WRITE)
    }
    base = api.replicas[on].management_url
    async with httpx2.AsyncClient(base_url=base, timeout=40, transport=Lines(idle=2)) as caller:
        given = {scope: token["access_token"] for scope, token in tokens.items()}
        yield Administered(api, caller, client_id, given)
