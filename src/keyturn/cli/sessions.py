"""`keyturn sessions`: list where a person is signed in, and end sessions."""

from typing import Annotated
from uuid import UUID

import typer

from keyturn.admin.messages import SessionAnswer
from keyturn.admin.operation import Nothing
from keyturn.admin.shapes import EndedAnswer
from keyturn.cli.context import (
    WRONG,
    JsonOption,
    fail,
    moment,
    print_json,
    run,
)
from keyturn.cli.reach import Admin, every, reach
from keyturn.cli.where import Where, reachable
from keyturn.errors import NotFound

app = typer.Typer(help="List where a person is signed in, and end sessions.", no_args_is_help=True)

UserOption = Annotated[UUID | None, typer.Option("--user", help="A user's id.")]


@app.command(name="list")
@reachable
def list_(
    user: Annotated[UUID, typer.Argument(help="A user's id.")],
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """List the live sessions of a user, the latest first."""

    async def work() -> None:
        async with reach(where) as admin:
            found = await every(admin, "listSessions", SessionAnswer, {"user_id": str(user)})
        found.sort(key=lambda one: (one.created_at, one.id), reverse=True)
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
@reachable
def revoke(
    user: UserOption = None,
    client: Annotated[str | None, typer.Option(help="A client's id.")] = None,
    before: Annotated[
        str | None, typer.Option(help="ISO 8601: end every session that started before then.")
    ] = None,
    session: Annotated[UUID | None, typer.Option(help="One session's id.")] = None,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """End the sessions of a user, of a client, one, or all that started before a time.

    `--before` mends a promoted standby or a restored backup that forgot revocations.
    """
    chosen = [one for one in (user, client, before, session) if one is not None]
    if len(chosen) != 1:
        fail("name exactly one of --user, --client, --before, --session", WRONG)
    criterion: dict[str, str] = {}
    if user is not None:
        criterion = {"user_id": str(user)}
    elif client is not None:
        criterion = {"client_id": client}
    elif before is not None:
        criterion = {"before": moment("--before", before).isoformat()}

    async def work() -> None:
        async with reach(where) as admin:
            if session is not None:
                ended = await _end(admin, session)
            else:
                ended = (await admin.ask("revokeSessions", EndedAnswer, criterion)).ended
        print_json({"ended": ended}) if json else print(f"ended {ended}")

    run(work())


async def _end(admin: Admin, session: UUID) -> int:
    try:
        await admin.ask("revokeSession", Nothing, session_id=session)
    except NotFound:
        return 0
    return 1
