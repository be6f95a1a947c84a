"""Notes a creation in its own transaction: it is made and noted, or neither."""

from dataclasses import dataclass, field

from keyturn.creations.once import SALT_SIZE, Once
from keyturn.crypto import opaque
from keyturn.db.pool import Statements
from keyturn.db.queries import load_queries
from keyturn.errors import Unavailable
from keyturn.request_errors import IdempotencyKeyReused

SQL = load_queries(__package__, "creations.sql")


@dataclass(frozen=True, slots=True)
class Creation:
    """What came of a request."""

    resource: str
    """The id of what was made."""
    again: bool
    """It had been made before."""
    secret: str = field(repr=False)
    """256 bits that its secret is made of, the same each time, as base64url."""


async def note(tx: Statements, once: Once, resource: str) -> Creation:
    """Note that this request makes `resource`, or return what it made before.

    The first one to come wins, and whoever comes meanwhile waits for its commit. Raises
    `IdempotencyKeyReused` when the key was used for another request.
    """
    secret_id, salt = once.secrets.current_id, opaque.token_bytes(SALT_SIZE)
    fingerprint = once.fingerprint(secret_id)
    if await tx.execute(SQL["note"], once.id, fingerprint, secret_id, salt, resource):
        return Creation(resource, again=False, secret=once.secret(secret_id, salt))
    return await _recalled(tx, once)


async def _recalled(tx: Statements, once: Once) -> Creation:
    row = await tx.fetch_row(SQL["recall"], once.id)
    if row is None:
        raise Unavailable("creations: purged at this moment")
    secret_id: int = row["secret_id"]
    if not once.secrets.knows(secret_id):
        # Nobody can say any more whether it is the same request: better none than a second one.
        raise IdempotencyKeyReused("creations: noted under a secret that is listed no longer")
    if not opaque.equal(once.fingerprint(secret_id), row["fingerprint"]):
        raise IdempotencyKeyReused("creations: the key belongs to another request")
    return Creation(row["resource"], again=True, secret=once.secret(secret_id, row["salt"]))


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` notes that are a day old; return how many."""
    return await database.execute(SQL["purge"], limit)
