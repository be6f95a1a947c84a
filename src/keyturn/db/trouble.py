"""Which errors of the driver are trouble with the server, and which are mistakes of ours.

Trouble is 503 and never 4xx: whoever reads 4xx throws a good token away.
"""

import asyncpg

from keyturn.errors import Unavailable

TROUBLE = (
    OSError,  # its subclasses include TimeoutError and SSLError
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What the driver raises; `is_ours` tells what of it is our mistake."""

OURS = ("22", "23", "42", "P0")
"""Classes of SQLSTATE that blame the statement or its values: data, constraints, syntax, raised."""

HARMLESS = (
    asyncpg.UndefinedTableError,  # not migrated yet: somebody else is about to
    asyncpg.UndefinedColumnError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TransactionRollbackError,
)
"""Trouble after which the connection itself is as good as before."""


class Interrupted(Unavailable):
    """The connection was lost under a statement, whose fate is unknown; another may do better.

    An administrator ended the session, or the server (or a pooler) hung up. Whoever may ask twice
    without harm can ask again at once; to everybody else it is `Unavailable`.
    """


LOST = (
    ConnectionError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.ConnectionFailureError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,  # it has heard the server's farewell, and not yet that it hung up
)
"""How the driver tells of a connection that is gone: the server hung up, or is about to."""

Taken = asyncpg.UniqueViolationError
"""What must be one of its kind is there already: the one mistake of values that rules foresee."""

NOT_OURS = (*HARMLESS, asyncpg.InsufficientPrivilegeError)


def is_ours(error: BaseException) -> bool:
    """Whether a statement or a value of ours was refused, by the server or by the driver."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in OURS and not isinstance(error, NOT_OURS)
    # The driver's DataError: a value it could not encode; nothing was sent.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def unavailable(what: str, error: BaseException) -> Unavailable:
    """Return what callers are told of trouble with the statement named `what`."""
    detail = f"{what}: {type(error).__name__}"
    return Interrupted(detail) if isinstance(error, LOST) else Unavailable(detail)
