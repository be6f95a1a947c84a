"""`keyturn users`: accounts.

Exit codes: 0 done, 1 refused (for `import`: at least one line was), 2 wrong usage or settings,
3 the database, or the server, is away. A password is read from stdin or a prompt, or made here and
printed once; it never stands on the command line, where every user of the machine can read it.
"""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer

from keyturn.admin.messages import ChangedUserAnswer, UserAnswer
from keyturn.admin.shapes import EndedAnswer, Page
from keyturn.cli.context import (
    REFUSED,
    WRONG,
    JsonOption,
    fail,
    open_database,
    print_json,
    run,
)
from keyturn.cli.reach import Admin, every, on_database, reach
from keyturn.cli.where import Where, reachable
from keyturn.crypto.opaque import token_urlsafe
from keyturn.errors import NotFound
from keyturn.users.import_users import ImportCount, Importer, LineReport, bounded_lines

app = typer.Typer(
    help="Accounts: add, list, close, open, erase, import; a new password.", no_args_is_help=True
)

GENERATED_SIZE = 15
"""Random bytes of a password made here: 20 characters."""

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="An id or an e-mail address.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]
PromptOption = Annotated[bool, typer.Option("--prompt", help="Ask for the password.")]


@app.command()
@reachable
def add(
    email: Annotated[str, typer.Argument(help="The address people sign in with.")],
    name: Annotated[str | None, typer.Option(help="Shown to the person.")] = None,
    verified: Annotated[bool, typer.Option(help="The address is known to be theirs.")] = False,
    user_id: Annotated[UUID | None, typer.Option("--id", help="Keep this id.")] = None,
    password_stdin: StdinOption = False,
    prompt: PromptOption = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Add an account; without --password-stdin or --prompt a password is made, printed once."""
    password, made = _password(stdin=password_stdin, prompt=prompt)

    async def work() -> None:
        async with reach(where) as admin:
            new = {"email": email, "password": password, "email_verified": verified}
            given = {"name": name, "id": None if user_id is None else str(user_id)}
            user = await admin.ask("createUser", UserAnswer, new | given)
            # Still inside: should the audit write fail now, nobody could read the password again.
            if json:
                print_json(_described(user) | ({"password": password} if made else {}))
                return
            print(f"added {user.email} ({user.id})")
            if made:
                print(f"password: {password}")

    run(work())


@app.command("list")
@reachable
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most accounts to show.")] = 100,
    after: Annotated[str | None, typer.Option(help="The last e-mail address seen.")] = None,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """List accounts in the order of their e-mail addresses; page on with --after."""

    async def work() -> None:
        async with reach(where) as admin:
            beyond = {"after_email": after or ""}
            users = await every(admin, "listUsers", UserAnswer, beyond, limit)
        following = users[-1].email if len(users) == limit else None
        if json:
            print_json({"users": [_described(user) for user in users], "after": following})
            return
        for user in users:
            state = "active" if user.disabled_at is None else "disabled"
            print(f"{user.id}  {state:8}  {user.email}  {user.name or ''}".rstrip())
        if following:
            print(f"more: --after {following}", file=sys.stderr)

    run(work())


@app.command()
@reachable
def disable(user: UserArgument, json: JsonOption = False, *, where: Where) -> None:
    """Close an account and end its sessions."""

    async def work() -> None:
        async with reach(where) as admin:
            changed = await _close(admin, user, disabled=True)
        _tell_ended("disabled", changed.ended, json=json)

    run(work())


@app.command()
@reachable
def enable(user: UserArgument, json: JsonOption = False, *, where: Where) -> None:
    """Open a disabled account again; its ended sessions stay ended."""

    async def work() -> None:
        async with reach(where) as admin:
            enabled = await _close(admin, user, disabled=False)
        if json:
            print_json(_described(enabled))
        else:
            print(f"enabled {enabled.email}")

    run(work())


@app.command()
@reachable
def set_password(
    user: UserArgument,
    password_stdin: StdinOption = False,
    prompt: PromptOption = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Set a password and end every session; without an option one is made, printed once."""
    password, made = _password(stdin=password_stdin, prompt=prompt)

    async def work() -> None:
        async with reach(where) as admin:
            user_id, body = await _resolve(admin, user), {"password": password}
            done = await admin.ask("setPassword", EndedAnswer, body, user_id=user_id)
            if json:
                print_json({"ended": done.ended} | ({"password": password} if made else {}))
                return
            print(f"password set; ended {done.ended} sessions")
            if made:
                print(f"password: {password}")

    run(work())


@app.command()
@reachable
def delete(
    user: UserArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Erase an account for good; its id is never given to anybody else."""
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Erase {user} for good?", err=True)):
        fail("not erased; confirm with --yes", WRONG)

    async def work() -> None:
        async with reach(where) as admin:
            user_id = await _resolve(admin, user)
            done = await admin.ask("deleteUser", EndedAnswer, user_id=user_id)
        _tell_ended("erased", done.ended, json=json)

    run(work())


@app.command("import")
@reachable
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines; - reads stdin.", allow_dash=True)],
    strict: Annotated[bool, typer.Option(help="Write nothing unless every line is good.")] = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Import accounts: {id?, email, name?, password_hash, email_verified?} a line.

    Accepted hashes: argon2, bcrypt, pbkdf2-sha256 (passlib, Django) and scrypt, within bounds of
    cost. What exists is skipped, so an import can be repeated; what is wrong is told by line. On
    the database only.
    """
    reports: list[LineReport] = []

    def tell(report: LineReport) -> None:
        if json:
            reports.append(report)
        elif report.outcome == "refused":
            print(f"line {report.line}: refused: {report.reason}", file=sys.stderr)

    config = on_database(where)

    async def work() -> None:
        async with open_database(config) as opened:
            importer = Importer(opened.database, opened.audit, tell, _show_progress)
            with _stream(file) as stream:
                count = await importer.run(bounded_lines(stream.readline), strict=strict)
        _tell_import(count, reports, json=json)

    run(work())


def _stream(file: Path) -> BinaryIO:
    if str(file) == "-":
        return sys.stdin.buffer
    try:
        return file.open("rb")
    except OSError as error:
        fail(f"{file}: {error.strerror}", WRONG)


async def _close(admin: Admin, user: str, *, disabled: bool) -> ChangedUserAnswer:
    user_id = await _resolve(admin, user)
    return await admin.ask("changeUser", ChangedUserAnswer, {"disabled": disabled}, user_id=user_id)


async def _resolve(admin: Admin, text: str) -> UUID:
    """Return the id of the account that an id or an e-mail address names."""
    if "@" not in text:
        try:
            return UUID(text)
        except ValueError:
            raise NotFound("account: name it by its id or its e-mail address") from None
    found = await admin.ask("listUsers", Page[UserAnswer], {"email": text})
    if not found.items:
        raise NotFound("account: no such e-mail address")
    return found.items[0].id


def _password(*, stdin: bool, prompt: bool) -> tuple[str, bool]:
    """Return a password, and whether it was made here and must be shown."""
    if stdin and prompt:
        fail("choose one of --password-stdin and --prompt", WRONG)
    if stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if prompt:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True)), False
    return token_urlsafe(GENERATED_SIZE), True


def _described(user: UserAnswer) -> dict[str, object]:
    return {
        "id": str(user.id),
        "email": user.email,
        "name": user.name,
        "emailVerified": user.email_verified,
        "disabledAt": user.disabled_at,
        "createdAt": user.created_at,
    }


def _tell_ended(what: str, ended: int, *, json: bool) -> None:
    if json:
        print_json({"ended": ended})
    else:
        print(f"{what}; ended {ended} sessions")


def _show_progress(count: ImportCount) -> None:
    print(f"added {count.added}, skipped {count.skipped}, refused {count.refused}", file=sys.stderr)


def _tell_import(count: ImportCount, reports: list[LineReport], *, json: bool) -> None:
    if json:
        lines = [
            {"line": one.line, "outcome": one.outcome, "reason": one.reason} for one in reports
        ]
        print_json(
            {
                "added": count.added,
                "skipped": count.skipped,
                "refused": count.refused,
                "lines": lines,
            }
        )
    else:
        print(f"added {count.added}, skipped {count.skipped}, refused {count.refused}")
    if count.refused:
        raise typer.Exit(REFUSED)
