"""What operators do with one client: add, list, show, disable, enable, rotate its secret.

Every change tells all processes in the transaction that makes it.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from keyturn.clients import rules, secrets, statements
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.clients.statements import SQL
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import Query
from keyturn.errors import InvalidClientMetadata, NotFound, Problem
from keyturn.telemetry.audit import Audit, AuditEvent, EventType

SECRETLESS = "a public client holds none, nor does one with private_key_jwt"


@dataclass(frozen=True, slots=True)
class Issued:
    """A client as it now is, and the secret made for it: shown once, never again."""

    registration: Registration
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Administration:
    """The clients of one database."""

    database: Database
    limits: rules.Limits
    audit: Audit

    async def add(self, definition: ClientDefinition, secret: str | None = None) -> Issued:
        """Register a client; a confidential one gets `secret`, or one is made.

        Raises `InvalidClientMetadata`, also when the id was ever taken.
        """
        complete = rules.complete(definition, self.limits)
        if secret is not None and not complete.holds_secret:
            raise InvalidClientMetadata(Problem("secret", SECRETLESS))
        if complete.holds_secret:
            secret = secrets.generate() if secret is None else secrets.check_given(secret)
        async with statements.writing(self.database) as tx:
            if not await statements.insert(tx, complete):
                taken = "is taken, if only by a disabled client; ids are never given out again"
                raise InvalidClientMetadata(Problem("id", taken))
            if secret is not None:
                await statements.set_secret(tx, complete.id, secrets.digest(secret), None)
            await statements.announce(tx, [complete.id])
            issued = Issued(await _found(tx, complete.id), secret)
        self._record("client_added", complete.id)
        return issued

    async def list(self) -> tuple[Registration, ...]:
        """Return every client, disabled ones too, by id."""
        found = await statements.registrations(self.database)
        return tuple(found[client_id] for client_id in sorted(found))

    async def show(self, client_id: str) -> Registration:
        """Return one client; raise `NotFound`."""
        return await _found(self.database, client_id)

    async def disable(self, client_id: str) -> Registration:
        """Close a client at once, everywhere; doing it again changes nothing.

        Its sessions stay: enabling it again brings them back, unless they were ended.
        """
        return await self._step(SQL["disable"], client_id, "client_disabled")

    async def enable(self, client_id: str) -> Registration:
        """Open a client again; doing it again changes nothing."""
        return await self._step(SQL["enable"], client_id, "client_enabled")

    async def rotate_secret(self, client_id: str, previous_for: timedelta | None = None) -> Issued:
        """Make a new secret; the current one stays good for `previous_for` (None: until dropped).

        At most two are active: of three, the oldest ends. Zero ends the current one at once.
        Raises `NotFound`, and `InvalidClientMetadata` for a public client.
        """
        secret = secrets.generate()
        async with statements.writing(self.database) as tx:
            await _confidential(tx, client_id)
            await statements.set_secret(tx, client_id, secrets.digest(secret), previous_for)
            if previous_for == timedelta():
                await tx.execute(SQL["drop_previous_secret"], client_id)
            await statements.announce(tx, [client_id])
            issued = Issued(await _found(tx, client_id), secret)
        self._record("client_secret_rotated", client_id)
        return issued

    async def drop_previous_secret(self, client_id: str) -> Registration:
        """End the secret before the current one; doing it again changes nothing."""
        await _confidential(self.database, client_id)
        return await self._step(SQL["drop_previous_secret"], client_id, "client_secret_dropped")

    async def _step(self, query: Query, client_id: str, event: EventType) -> Registration:
        async with statements.writing(self.database) as tx:
            changed = await tx.execute(query, client_id)
            registration = await _found(tx, client_id)
            if changed:
                await statements.announce(tx, [client_id])
        if changed:
            self._record(event, client_id)
        return registration

    def _record(self, event: EventType, client_id: str) -> None:
        self.audit.record(AuditEvent(event, client_id=client_id))


async def _found(source: Statements, client_id: str) -> Registration:
    registration = await statements.find(source, client_id)
    if registration is None:
        raise NotFound(f"client: {client_id} is not registered")
    return registration


async def _confidential(source: Statements, client_id: str) -> None:
    registration = await _found(source, client_id)
    if not ClientDefinition.of(registration.client).holds_secret:
        raise InvalidClientMetadata(Problem("secret", SECRETLESS))
