"""Valid requests to the management port: health, metrics, and everything that operators do."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from attacks.grammar import Draft, draft
from attacks.seeds_protocol import bearer, document
from attacks.stock import KINDS, Stock
from keyturn import paths


def user(stock: Stock, door: str) -> str:
    """Return whom a call is about: who is closed is nobody for the others."""
    if door == f"DELETE {paths.ADMIN_USER}":
        return str(stock.closed.id)
    ends = {f"POST {paths.ADMIN_USER_END_SESSIONS}", f"POST {paths.ADMIN_USER_PASSWORD}"}
    return str((stock.doomed if door in ends else stock.victim).id)


def call(
    stock: Stock,
    *,
    door: str,
    body: Callable[[Stock], Any] | None = None,
    query: Callable[[Stock], dict[str, str]] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Draft:
    """Return a call of an operator's program, about the victim."""
    ids = {
        "user_id": user(stock, door),
        "client_id": stock.clients["victim"],
        "session_id": str(stock.session("token").session_id),
        "token_id": stock.held["token_id"],
    }
    path = re.sub(r"{(\w+)}", lambda found: ids[found[1]], door.partition(" ")[2])
    return draft(
        door,
        path,
        query=[*query(stock).items()] if query else [],
        json=body(stock) if body else None,
        headers=[bearer(stock.held["ops"]), *headers],
    )


def new_user(_: Stock) -> dict[str, Any]:
    """An account."""
    password = "another battery staple"
    return {
        "email": f"{uuid4().hex}@example.com",
        "name": "Grace",
        "password": password,
        "email_verified": True,
    }


def new_client(_: Stock) -> dict[str, Any]:
    """A client."""
    return {
        **KINDS["site"],
        "id": f"made-{uuid4().hex[:9]}",
        "claims": ["email"],
        "absolute_lifetime": 3600,
    }


def declared() -> dict[str, Any]:
    """A client as a file names it."""
    return {**KINDS["television"], "id": f"declared-{uuid4().hex[:9]}"}


def replaced(stock: Stock) -> dict[str, Any]:
    """The victim, described anew."""
    return {**KINDS["victim"], "id": stock.clients["victim"]}


def filters(stock: Stock) -> dict[str, str]:
    """What a list is narrowed by."""
    return {"user_id": str(stock.victim.id), "client_id": stock.clients["app"], "limit": "10"}


def events(stock: Stock) -> dict[str, str]:
    """What the audit trail is narrowed by."""
    return {
        **filters(stock), "type": "sign_in,logout_all", "since": "2026-01-01T00:00:00Z", "result": "ok",
        "ip": "127.0.0.0/8", "actor": "cli", "session_id": str(uuid4()),
    }  # fmt: skip


ANY = (("If-Match", "*"),)
CALLS: dict[str, dict[str, Any]] = {
    f"GET {paths.ADMIN_USERS}": {"query": lambda _: {"after_email": "a@b.example", "limit": "5"}},
    f"POST {paths.ADMIN_USERS}": {"body": new_user, "headers": (("Idempotency-Key", "once"),)},
    f"GET {paths.ADMIN_USER}": {},
    f"PATCH {paths.ADMIN_USER}": {"body": lambda _: {"name": "Grace"}, "headers": ANY},
    f"POST {paths.ADMIN_USER_PASSWORD}": {"body": lambda _: {"password": "a new battery staple"}},
    f"POST {paths.ADMIN_USER_END_SESSIONS}": {},
    f"GET {paths.ADMIN_CLIENTS}": {"query": lambda _: {"limit": "5"}},
    f"POST {paths.ADMIN_CLIENTS}": {"body": new_client},
    f"GET {paths.ADMIN_CLIENT}": {},
    f"PUT {paths.ADMIN_CLIENT}": {"body": replaced, "headers": ANY},
    f"POST {paths.ADMIN_CLIENT_DISABLE}": {},
    f"POST {paths.ADMIN_CLIENT_ENABLE}": {},
    f"POST {paths.ADMIN_CLIENT_ROTATE_SECRET}": {"body": lambda _: {"old_expires_in": 60}},
    f"POST {paths.ADMIN_CLIENT_DROP_SECRET}": {},
    f"GET {paths.ADMIN_REGISTRATION_TOKENS}": {"query": lambda _: {"limit": "5"}},
    f"POST {paths.ADMIN_REGISTRATION_TOKENS}": {
        "body": lambda _: {"name": "b", "uses": 2, "expires_in": 60, "scopes": ["openid"]}
    },
    f"DELETE {paths.ADMIN_REGISTRATION_TOKEN}": {},
    f"POST {paths.ADMIN_APPLY_CLIENTS}": {"body": lambda _: {"clients": [declared()]}},
    f"GET {paths.ADMIN_SESSIONS}": {"query": filters},
    f"POST {paths.ADMIN_REVOKE_SESSIONS}": {
        "body": lambda stock: {"user_id": str(stock.doomed.id)}
    },
    f"GET {paths.ADMIN_SESSION}": {},
    f"DELETE {paths.ADMIN_SESSION}": {},
    f"GET {paths.ADMIN_KEYS}": {},
    f"POST {paths.ADMIN_KEYS_ROTATE}": {"body": lambda _: {"only_due": True}},
    f"GET {paths.ADMIN_AUDIT_EVENTS}": {"query": events},
    f"DELETE {paths.ADMIN_USER}": {"headers": ANY},
}
OPEN_TO_ALL = (
    paths.LIVE, paths.STARTED, paths.READY, paths.DEPENDENCIES, paths.METRICS, paths.ADMIN_OPENAPI,
)  # fmt: skip
SEEDS = {
    **{door: (partial(call, door=door, **parts),) for door, parts in CALLS.items()},
    **{f"GET {path}": (partial(document, template=path),) for path in OPEN_TO_ALL},
}
