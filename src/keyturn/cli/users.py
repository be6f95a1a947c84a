"""`keyturn users`: accounts, on the database directly.

Exit codes: 0 done, 1 refused (for `import`: at least one line was), 2 wrong usage or settings,
3 the database is away. A password is read from stdin or a prompt, or made here and printed once;
it never stands on the command line, where every user of the machine can read it.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer

from keyturn.cli.context import (
    REFUSED,
    WRONG,
    ConfigOption,
    JsonOption,
    fail,
    open_database,
    print_json,
    run,
)
from keyturn.crypto.opaque import token_urlsafe
from keyturn.errors import NotFound
from keyturn.users.accounts import Accounts
from keyturn.users.hash_pool import HashPool
from keyturn.users.import_users import ImportCount, Importer, LineReport, bounded_lines
from keyturn.users.model import NewUser, User
from keyturn.users.passwords import Passwords

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
def add(
    email: Annotated[str, typer.Argument(help="The address people sign in with.")],
    name: Annotated[str | None, typer.Option(help="Shown to the person.")] = None,
    verified: Annotated[bool, typer.Option(help="The address is known to be theirs.")] = False,
    user_id: Annotated[UUID | None, typer.Option("--id", help="Keep this id.")] = None,
    password_stdin: StdinOption = False,
    prompt: PromptOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Add an account; without --password-stdin or --prompt a password is made, printed once."""
    password, made = _password(stdin=password_stdin, prompt=prompt)

    async def work() -> None:
        async with _accounts(config) as accounts:
            user = await accounts.add(NewUser(email, name, password, verified, user_id))
            # Still inside: should the audit write fail now, nobody could read the password again.
            if json:
                print_json(_described(user) | ({"password": password} if made else {}))
                return
            print(f"added {user.email} ({user.id})")
            if made:
                print(f"password: {password}")

    run(work())


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most accounts to show.")] = 100,
    after: Annotated[str | None, typer.Option(help="The last e-mail address seen.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List accounts in the order of their e-mail addresses; page on with --after."""

    async def work() -> None:
        async with _accounts(config) as accounts:
            users = await accounts.page(limit, after)
        following = users[-1].email if len(users) == limit else None
        if json:
            print_json({"users": [_described(user) for user in users], "after": following})
            return
        for user in users:
            state = "active" if user.is_active else "disabled"
            print(f"{user.id}  {state:8}  {user.email}  {user.name or ''}".rstrip())
        if following:
            print(f"more: --after {following}", file=sys.stderr)

    run(work())


@app.command()
def disable(user: UserArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Close an account and end its sessions."""

    async def work() -> None:
        async with _accounts(config) as accounts:
            ended = await accounts.disable(await _resolve(accounts, user))
        _tell_ended("disabled", ended, json=json)

    run(work())


@app.command()
def enable(user: UserArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Open a disabled account again; its ended sessions stay ended."""

    async def work() -> None:
        async with _accounts(config) as accounts:
            enabled = await accounts.enable(await _resolve(accounts, user))
        if json:
            print_json(_described(enabled))
        else:
            print(f"enabled {enabled.email}")

    run(work())


@app.command()
def set_password(
    user: UserArgument,
    password_stdin: StdinOption = False,
    prompt: PromptOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Set a password and end every session; without an option one is made, printed once."""
    password, made = _password(stdin=password_stdin, prompt=prompt)

    async def work() -> None:
        async with _accounts(config) as accounts:
            ended = await accounts.set_password(await _resolve(accounts, user), password)
            if json:
                print_json({"ended": ended} | ({"password": password} if made else {}))
                return
            print(f"password set; ended {ended} sessions")
            if made:
                print(f"password: {password}")

    run(work())


@app.command()
def delete(
    user: UserArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Erase an account for good; its id is never given to anybody else."""
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Erase {user} for good?", err=True)):
        fail("not erased; confirm with --yes", WRONG)

    async def work() -> None:
        async with _accounts(config) as accounts:
            ended = await accounts.delete(await _resolve(accounts, user))
        _tell_ended("erased", ended, json=json)

    run(work())


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines; - reads stdin.", allow_dash=True)],
    strict: Annotated[bool, typer.Option(help="Write nothing unless every line is good.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Import accounts: {id?, email, name?, password_hash, email_verified?} a line.

    Accepted hashes: argon2, bcrypt, pbkdf2-sha256 (passlib, Django) and scrypt, within bounds of
    cost. What exists is skipped, so an import can be repeated; what is wrong is told by line.
    """
    reports: list[LineReport] = []

    def tell(report: LineReport) -> None:
        if json:
            reports.append(report)
        elif report.outcome == "refused":
            print(f"line {report.line}: refused: {report.reason}", file=sys.stderr)

    async def work() -> None:
        async with open_database(config) as opened:
            importer = Importer(opened.database, opened.audit, tell, _show_progress)
            with _stream(file) as stream:
                count = await importer.run(bounded_lines(stream.readline), strict=strict)
        _tell_import(count, reports, json=json)

    run(work())


@asynccontextmanager
async def _accounts(config: Path | None) -> AsyncIterator[Accounts]:
    async with open_database(config) as opened:
        settings = opened.settings.passwords
        pool = HashPool(settings, opened.metrics, opened.clock)
        passwords = Passwords(settings, pool)
        try:
            yield Accounts(opened.database, passwords, opened.ending, opened.audit)
        finally:
            await pool.close()


def _stream(file: Path) -> BinaryIO:
    if str(file) == "-":
        return sys.stdin.buffer
    try:
        return file.open("rb")
    except OSError as error:
        fail(f"{file}: {error.strerror}", WRONG)


async def _resolve(accounts: Accounts, text: str) -> UUID:
    """Return the id of the account that an id or an e-mail address names."""
    if "@" not in text:
        try:
            return UUID(text)
        except ValueError:
            raise NotFound("account: name it by its id or its e-mail address") from None
    user = await accounts.find_by_email(text)
    if user is None:
        raise NotFound("account: no such e-mail address")
    return user.id


def _password(*, stdin: bool, prompt: bool) -> tuple[str, bool]:
    """Return a password, and whether it was made here and must be shown."""
    if stdin and prompt:
        fail("choose one of --password-stdin and --prompt", WRONG)
    if stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if prompt:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True)), False
    return token_urlsafe(GENERATED_SIZE), True


def _described(user: User) -> dict[str, object]:
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
