"""Which errors of the driver are trouble with the server, and which are mistakes of ours.

Trouble is 503 and never 4xx: whoever reads 4xx throws a good token away.
"""

import ssl

import asyncpg

TROUBLE = (
    OSError,
    TimeoutError,
    ssl.SSLError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.PostgresIOError,
)
"""What is the server's state and not our statement's fault."""

HARMLESS = (
    asyncpg.UndefinedTableError,  # not migrated yet: somebody else is about to
    asyncpg.UndefinedColumnError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TransactionRollbackError,
)
"""Trouble after which the connection itself is as good as before."""


def is_ours(error: BaseException) -> bool:
    """Whether a statement or a value of ours was refused, by the server or by the driver."""
    if isinstance(error, asyncpg.PostgresError):
        return not isinstance(error, (*TROUBLE, *HARMLESS))
    # The driver's DataError: a value it could not encode; nothing was sent.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
