"""`keyturn registration-tokens`: who may register clients, how many, for how long."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from keyturn.cli.context import (
    ConfigOption,
    JsonOption,
    Opened,
    open_database,
    print_json,
    run,
)
from keyturn.registrations.initial_tokens import LONGEST, MOST_USES, InitialTokens
from keyturn.registrations.model import InitialToken

app = typer.Typer(help="Initial access tokens: who may register clients.", no_args_is_help=True)

WEEK = 7 * 86400


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whom it is for; shown in lists only.")],
    uses: Annotated[int, typer.Option(min=1, max=MOST_USES, help="Live clients it may have.")] = 1,
    expires_in: Annotated[
        int, typer.Option(min=1, max=int(LONGEST.total_seconds()), help="Seconds it may be used.")
    ] = WEEK,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="The most its clients may have; repeatable; default: the setting's."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a token; it is shown once, here."""

    async def work() -> None:
        async with open_database(config) as opened:
            lifetime = timedelta(seconds=expires_in)
            issued = await _tokens(opened).add(name, uses, lifetime, scope or None)
        if json:
            print_json({**_describe(issued.token), "token": issued.value})
            return
        print(f"{_line(issued.token)}\ntoken: {issued.value}\nIt is not shown again.")

    run(work())


@app.command(name="list")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List every token, the latest first, with how many live clients each has."""

    async def work() -> None:
        async with open_database(config) as opened:
            found = await _tokens(opened).list()
        if json:
            print_json({"tokens": [_describe(one) for one in found]})
            return
        for one in found:
            print(_line(one))

    run(work())


@app.command()
def revoke(
    token_id: Annotated[UUID, typer.Argument(help="A token's id.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """End a token at once; the clients it registered stay."""

    async def work() -> None:
        async with open_database(config) as opened:
            await _tokens(opened).revoke(token_id)
        print_json({"revoked": str(token_id)}) if json else print(f"revoked {token_id}")

    run(work())


def _tokens(opened: Opened) -> InitialTokens:
    return InitialTokens(opened.database, opened.settings.registration, opened.audit)


def _describe(token: InitialToken) -> dict[str, Any]:
    return {
        "id": str(token.id),
        "name": token.name,
        "uses": token.uses,
        "used": token.used,
        "scopes": None if token.scopes is None else list(token.scopes),
        "expiresAt": token.expires_at,
        "revokedAt": token.revoked_at,
        "createdAt": token.created_at,
    }


def _line(token: InitialToken) -> str:
    state = f"until {token.expires_at:%Y-%m-%d %H:%M}" if token.revoked_at is None else "revoked"
    return f"{token.id}  {token.used} of {token.uses}  {state}  {token.name}"
