"""The statements that read and write clients, shared by all who do."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.db.pool import Database, Row, Statements
from keyturn.db.queries import load_queries

SQL = load_queries(__package__, "clients.sql")

LOCK = 0x6B74636C
"""The advisory lock of everything that writes clients: writers are rare, and see each other."""

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before the first client anywhere."""

PAGE = 500


@asynccontextmanager
async def writing(database: Database) -> AsyncIterator[Statements]:
    """Open a transaction in which nobody else writes clients."""
    async with database.transaction() as tx:
        await tx.fetch_row(SQL["lock_writes"], LOCK)
        yield tx


async def changed_since(source: Statements, moment: datetime) -> AsyncIterator[list[Row]]:
    """Yield, page by page, the clients written after `moment`; `EVER` means all of them.

    A page is small: it arrives within the deadline of a statement, and turning it into clients
    does not keep the event loop from its requests. A client that changes meanwhile comes twice.
    """
    last = (moment, "")
    while True:
        page = await source.fetch(SQL["changed_since"], *last, PAGE)
        if page:
            yield page
        if len(page) < PAGE:
            return
        last = (page[-1]["updated_at"], page[-1]["id"])


async def registrations(source: Statements) -> dict[str, Registration]:
    """Return every registration by its id, disabled ones too."""
    pages = changed_since(source, EVER)
    return {row["id"]: Registration.from_row(row) async for page in pages for row in page}


async def page(source: Statements, after: str, limit: int) -> list[Registration]:
    """Return up to `limit` registrations in the order of their ids, beyond `after`."""
    return [Registration.from_row(row) for row in await source.fetch(SQL["page"], after, limit)]


async def find(source: Statements, client_id: str) -> Registration | None:
    """Return a registration, disabled or not."""
    row = await source.fetch_row(SQL["find"], client_id)
    return None if row is None else Registration.from_row(row)


async def insert(
    tx: Statements, definition: ClientDefinition, *, self_registered: bool = False
) -> bool:
    """Register a complete definition; False when the id was ever taken."""
    return await tx.execute(SQL["insert"], *_columns(definition), self_registered) == 1


async def redefine(tx: Statements, definition: ClientDefinition) -> None:
    """Write a complete definition over the registered one."""
    await tx.execute(SQL["redefine"], *_columns(definition))


async def set_secret(
    tx: Statements, client_id: str, secret_hash: bytes, previous_for: timedelta | None
) -> None:
    """Make a secret the current one; the one before it ends after `previous_for` (None: never)."""
    await tx.execute(SQL["rotate_secret"], client_id, secret_hash, previous_for)


async def drop_previous_secret(tx: Statements, client_id: str) -> None:
    """End the secret before the current one."""
    await tx.execute(SQL["drop_previous_secret"], client_id)


async def disable(tx: Statements, client_id: str) -> None:
    """Close a client."""
    await tx.execute(SQL["disable"], client_id)


async def announce(tx: Statements, client_ids: Iterable[str]) -> None:
    """Tell every process at commit that these clients have changed."""
    await tx.fetch(SQL["announce"], list(client_ids))


def _columns(definition: ClientDefinition) -> tuple[Any, ...]:
    return (
        definition.id,
        definition.name,
        definition.kind,
        definition.auth_method,
        definition.grant_types,
        definition.scopes,
        definition.audiences,
        definition.session_api,
        definition.origins,
        definition.claims,
        definition.introspects,
        _duration(definition.grace),
        definition.rotation,
        definition.require_dpop,
        _duration(definition.access_token_lifetime),
        _duration(definition.idle_lifetime),
        _duration(definition.absolute_lifetime),
        definition.redirect_uris,
        definition.post_logout_redirect_uris,
        definition.require_pkce,
        definition.skip_consent,
        definition.response_modes,
        definition.id_token_claims,
        definition.backchannel_logout_uri,
        definition.jwks,
        definition.jwks_uri,
        definition.require_par,
        definition.require_signed_request_object,
        definition.profile,
        None if definition.token_exchange is None else definition.token_exchange.model_dump(),
        definition.client_uri,
        definition.logo_uri,
        definition.policy_uri,
        definition.tos_uri,
    )


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
