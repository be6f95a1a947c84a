"""`keyturn sessions`: list where a person is signed in, and end sessions."""

from typing import Annotated
from uuid import UUID

import typer

from keyturn.cli.context import (
    WRONG,
    ConfigOption,
    JsonOption,
    fail,
    moment,
    open_database,
    print_json,
    run,
)
from keyturn.sessions.active import ActiveSessions

app = typer.Typer(help="List where a person is signed in, and end sessions.", no_args_is_help=True)

UserOption = Annotated[UUID | None, typer.Option("--user", help="A user's id.")]


@app.command(name="list")
def list_(
    user: Annotated[UUID, typer.Argument(help="A user's id.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the live sessions of a user, the latest first."""

    async def work() -> None:
        async with open_database(config) as context:
            found = await ActiveSessions(context.database).of_user(user)
        for one in found if not json else []:
            print(f"{one.id}  {one.client_id}  {one.last_used_at:%Y-%m-%d %H:%M}  {one.device}")
        if json:
            print_json(
                {
                    "sessions": [
                        {
                            "id": str(one.id),
                            "clientId": one.client_id,
                            "device": one.device,
                            "ip": one.ip,
                            "createdAt": one.created_at,
                            "lastUsedAt": one.last_used_at,
                        }
                        for one in found
                    ]
                }
            )

    run(work())


@app.command()
def revoke(
    user: UserOption = None,
    client: Annotated[str | None, typer.Option(help="A client's id.")] = None,
    before: Annotated[
        str | None, typer.Option(help="ISO 8601: end every session that started before then.")
    ] = None,
    session: Annotated[UUID | None, typer.Option(help="One session's id.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """End the sessions of a user, of a client, one, or all that started before a time.

    `--before` mends a promoted standby or a restored backup that forgot revocations.
    """
    chosen = [one for one in (user, client, before, session) if one is not None]
    if len(chosen) != 1:
        fail("name exactly one of --user, --client, --before, --session", WRONG)

    async def work() -> None:
        async with open_database(config) as context:
            ending = context.ending
            if user is not None:
                ended = await ending.all_of_user(user)
            elif client is not None:
                ended = await ending.all_of_client(client)
            elif session is not None:
                ended = await ending.one(session)
            else:
                ended = await ending.all_before(moment("--before", before or ""))
        print_json({"ended": ended}) if json else print(f"ended {ended}")

    run(work())
