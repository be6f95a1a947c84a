"""Authorization codes that wait to be redeemed, made directly in the database.

Each is of a person of its own, whose browser is signed in: what a redemption locks, nobody else
waits for. They live for a day, and not for the minute that the server gives its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

import seed
from keyturn.clients.definition import ClientDefinition
from keyturn.crypto import opaque, pkce

BROWSER = "benchmark-browser"
REDIRECT_URI = "https://app.benchmark.example/callback"
SCOPES = ("openid", *seed.SCOPES)
CLIENT = ClientDefinition(
    id=BROWSER,
    kind="public",
    grant_types=("authorization_code", "refresh_token"),
    redirect_uris=(REDIRECT_URI,),
    scopes=SCOPES,
    audiences=(seed.AUDIENCE,),
)
LIFETIME = timedelta(days=1)

LOGINS = (
    *("id", "user_id", "value_hash", "auth_time", "amr", "remembered", "idle_lifetime"),
    *("idle_expires_at", "expires_at"),
)
CODES = (
    *("code_hash", "client_id", "redirect_uri", "code_challenge", "user_id", "login_id", "scopes"),
    *("audiences", "id_token_claims", "auth_time", "amr", "remembered", "expires_at"),
)


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes, and what whoever redeems them has to show."""

    values: list[str] = field(repr=False)
    verifier: str = field(repr=False)


async def make(url: str, count: int) -> Codes:
    """Make so many people, with a login and a code each; the client must be registered."""
    codes = Codes([opaque.token_urlsafe() for _ in range(count)], opaque.token_urlsafe())
    connection = await asyncpg.connect(url)
    try:
        now = await connection.fetchval("select now()")
        people = [seed.person() for _ in codes.values]
        logins = [_login(user_id, now) for user_id, _ in people]
        tables = (
            ("users", seed.USERS, [row for _, row in people]),
            ("logins", LOGINS, logins),
            ("authorization_codes", CODES, list(_codes(codes, logins))),
        )
        for table, columns, rows in tables:
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        await connection.execute("analyze users, logins, authorization_codes")
    finally:
        await connection.close()
    return codes


def _login(user_id: UUID, now: datetime) -> tuple[Any, ...]:
    value_hash = opaque.digest(opaque.token_urlsafe())
    until = now + LIFETIME
    return opaque.random_uuid(), user_id, value_hash, now, ["pwd"], True, LIFETIME, until, until


def _codes(codes: Codes, logins: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    challenge = pkce.challenge_of(codes.verifier)
    for code, (login_id, user_id, _, now, *_rest) in zip(codes.values, logins, strict=True):
        yield (
            *(opaque.digest(code), BROWSER, REDIRECT_URI, challenge, user_id, login_id),
            *(list(SCOPES), [seed.AUDIENCE], [], now, ["pwd"], True, now + LIFETIME),
        )
