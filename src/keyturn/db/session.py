"""What our sessions ask of the server, and how: at their start, or anew in each transaction.

A pooler of transactions hands one connection of the server to many of its clients in turn. What
one sets for its session would hold for the next, who may be another program; so there everything
is `set local`, in the round trip that begins the transaction, and ends with it. The same round
trip asks whether the server takes writes: it need not be the one that was asked before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.db.queries import load_queries
from keyturn.settings_postgres import PostgresSettings

SQL = load_queries(__package__, "session.sql")

TOLD = ("application_name", "timezone", "client_encoding")
"""What a pooler keeps for each of its clients (PgBouncer: its own list, and these are on it)."""


@dataclass(frozen=True, slots=True)
class Session:
    """Parameters of the start of a connection, and the words that begin a transaction."""

    at_start: Mapping[str, str]
    begin: str

    @classmethod
    def of(cls, settings: PostgresSettings, more: Mapping[str, str]) -> "Session":
        """Return what these settings ask for; `more` says more than they do, or otherwise."""
        wanted = _wanted(settings) | dict(more)
        if not settings.is_pooled:
            return cls(wanted, "begin")
        local = [f"set local {name} = '{wanted[name]}'" for name in wanted if name not in TOLD]
        words = "; ".join(("begin", *local, SQL["takes_writes"].sql))
        return cls({name: wanted[name] for name in TOLD}, words)


def _wanted(settings: PostgresSettings) -> dict[str, str]:
    milliseconds = int(settings.statement_timeout * 1000)
    return {
        "application_name": "keyturn",
        "statement_timeout": str(milliseconds),
        "lock_timeout": str(int(settings.lock_timeout * 1000)),
        "idle_in_transaction_session_timeout": str(2 * milliseconds),
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",  # generic plans look dear on a large table; compiling costs more
        "timezone": "UTC",
        # As the server spells it, not the driver: a pooler that sees two spellings of one thing
        # sets it again in every transaction.
        "client_encoding": "UTF8",
    }
