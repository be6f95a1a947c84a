"""The one seam between commands and what they work on.

A command asks for an operation of the admin API by its name and is given the answer. Who carries
it out, it does not know: `Direct` does so in this process, by the rows that the server's routes
are made of, on the database; `remote.Remote` sends it to a server. So both ways have the same
rules, the same refusals and the same answers, and a command is written once.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from keyturn.admin.operation import AnyOperation, Call
from keyturn.admin.shapes import MOST_ITEMS, Page
from keyturn.cli.context import WRONG, fail, open_database
from keyturn.cli.credentials import credentials
from keyturn.cli.remote import Remote
from keyturn.cli.where import Where
from keyturn.management import admin_operations
from keyturn.web.json_body import check

Answered = TypeVar("Answered", bound=BaseModel)
Item = TypeVar("Item", bound=BaseModel)


class Admin(Protocol):
    """What carries operations out."""

    async def ask(
        self,
        name: str,
        answers: type[Answered],
        members: Mapping[str, Any] | None = None,
        **ids: object,
    ) -> Answered:
        """Carry out an operation of the admin API; `members` are its body, or its query.

        `ids` are those in its path. Raises `Refusal`, or `ServerRefused` for what a server said.
        """


@dataclass(frozen=True, slots=True)
class Direct:
    """Carries operations out in this process, on the database."""

    operations: Mapping[str, AnyOperation]

    async def ask(
        self,
        name: str,
        answers: type[Answered],
        members: Mapping[str, Any] | None = None,
        **ids: object,
    ) -> Answered:
        """Carry out an operation. Raises `Refusal`."""
        operation = self.operations[name]
        asked = check(members or {}, operation.reads, name)
        path = {key: str(value) for key, value in ids.items()}
        done = await operation.act(Call(path=path, seen=None, once=None), asked)
        return answers.model_validate({} if done.message is None else done.message)


@asynccontextmanager
async def reach(where: Where) -> AsyncIterator[Admin]:
    """Hold what carries operations out, for the block."""
    if where.server:
        yield remote(where)
        return
    async with open_database(where.config) as parts:
        yield Direct({one.name: one for one in admin_operations(parts)})


def on_database(where: Where) -> Path | None:
    """Return the settings of a command that no server carries out. Leaves when it was to."""
    if where.server:
        fail("this works on the database only: leave out --server, and KEYTURN_SERVER", WRONG)
    return where.config


def remote(where: Where) -> Remote:
    """Return the server that was named. Leaves when what was said makes no sense."""
    if where.config is not None:
        fail("choose one of --server and --config: a server has its own settings", WRONG)
    return Remote.of(where.server or "", where.issuer, credentials(where.client_id))


async def every(
    admin: Admin,
    name: str,
    item: type[Item],
    members: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> list[Item]:
    """Return what a list holds, page by page; up to `most` of it."""
    found: list[Item] = []
    cursor: dict[str, str] = {}
    while True:
        wanted = MOST_ITEMS if most is None else min(MOST_ITEMS, most - len(found))
        query = {**(members or {}), **cursor, "limit": wanted}
        page = await admin.ask(name, Page[item], query)  # type: ignore[valid-type]
        found += page.items
        if page.next_cursor is None or len(found) == most:
            return found
        cursor = {"cursor": page.next_cursor}
