"""Who is calling, and from where: what the audit trail says of every event of a request.

The outermost layer notes the address. Who it is, whoever finds out notes: the check of a client's
secret, of a token, of a cookie or a password. Until then it is nobody known.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it; `str` gives `user:<id>`, `client:<id>`, `anonymous`, `cli` or `server`."""

    kind: Literal["user", "client", "anonymous", "cli", "server"]
    id: str | None = None

    def __str__(self) -> str:
        return self.kind if self.id is None else f"{self.kind}:{self.id}"

    @classmethod
    def user(cls, user_id: UUID) -> "Actor":
        """Return the person who did it, known by a password, a token or a cookie."""
        return cls("user", str(user_id))

    @classmethod
    def client(cls, client_id: str) -> "Actor":
        """Return the client that did it; a public one has only named itself."""
        return cls("client", client_id)


ANONYMOUS = Actor("anonymous")
"""A caller who has not shown who they are."""

CLI = Actor("cli")
"""Somebody at the command line, straight on the database."""

SERVER = Actor("server")
"""The server by itself: what time does, and what its settings say."""


@dataclass(slots=True, eq=False)
class Caller:
    """Whoever sent the request that this task answers."""

    ip: str | None
    actor: Actor = ANONYMOUS


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """Return who called this task; None where nobody did: in jobs and commands."""
    return _caller.get()


def enter_call(ip: str) -> Token[Caller | None]:
    """Begin to answer somebody at this address, in this task."""
    return _caller.set(Caller(ip))


def leave_call(token: Token[Caller | None]) -> None:
    """End what `enter_call` began."""
    _caller.reset(token)


def acts(actor: Actor) -> None:
    """Note who is calling, now that they have shown it; whoever shows it last counts."""
    caller = _caller.get()
    if caller is not None:
        caller.actor = actor


def acts_unless_known(actor: Actor) -> None:
    """Note who is calling, unless they have shown it already."""
    caller = _caller.get()
    if caller is not None and caller.actor is ANONYMOUS:
        caller.actor = actor


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Have the events of this block, in this task, say that `actor` did it."""
    caller = _caller.get()
    token = _caller.set(Caller(None if caller is None else caller.ip, actor))
    try:
        yield
    finally:
        _caller.reset(token)
