"""`keyturn registration-tokens`: who may register clients, how many, for how long."""

from typing import Annotated, Any
from uuid import UUID

import typer

from keyturn.admin.operation import Nothing
from keyturn.admin.registration_tokens import WEEK, IssuedTokenAnswer, TokenAnswer
from keyturn.cli.context import JsonOption, print_json, run
from keyturn.cli.reach import every, reach
from keyturn.cli.where import Where, reachable
from keyturn.registrations.initial_tokens import LONGEST, MOST_USES

app = typer.Typer(help="Initial access tokens: who may register clients.", no_args_is_help=True)


@app.command()
@reachable
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
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Make a token; it is shown once, here."""

    async def work() -> None:
        new = {"name": name, "uses": uses, "expires_in": expires_in, "scopes": scope or None}
        async with reach(where) as admin:
            issued = await admin.ask("createRegistrationToken", IssuedTokenAnswer, new)
            # Still inside: should the audit write fail now, nobody could read it again.
            if json:
                print_json({**_describe(issued), "token": issued.token})
                return
            print(f"{_line(issued)}\ntoken: {issued.token}\nIt is not shown again.")

    run(work())


@app.command(name="list")
@reachable
def list_(json: JsonOption = False, *, where: Where) -> None:
    """List every token, the latest first, with how many live clients each has."""

    async def work() -> None:
        async with reach(where) as admin:
            found = await every(admin, "listRegistrationTokens", TokenAnswer)
        if json:
            print_json({"tokens": [_describe(one) for one in found]})
            return
        for one in found:
            print(_line(one))

    run(work())


@app.command()
@reachable
def revoke(
    token_id: Annotated[UUID, typer.Argument(help="A token's id.")],
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """End a token at once; the clients it registered stay."""

    async def work() -> None:
        async with reach(where) as admin:
            await admin.ask("revokeRegistrationToken", Nothing, token_id=token_id)
        print_json({"revoked": str(token_id)}) if json else print(f"revoked {token_id}")

    run(work())


def _describe(token: TokenAnswer) -> dict[str, Any]:
    return {
        "id": str(token.id),
        "name": token.name,
        "uses": token.uses,
        "used": token.used,
        "scopes": token.scopes,
        "expiresAt": token.expires_at,
        "revokedAt": token.revoked_at,
        "createdAt": token.created_at,
    }


def _line(token: TokenAnswer) -> str:
    state = f"until {token.expires_at:%Y-%m-%d %H:%M}" if token.revoked_at is None else "revoked"
    return f"{token.id}  {token.used} of {token.uses}  {state}  {token.name}"
