"""What operators do with one client: add, list, show, disable, enable, rotate its secret.

Every change tells all processes in the transaction that makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from keyturn.clients import rules, secrets, statements
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.clients.statements import SQL
from keyturn.creations import creations
from keyturn.creations.creations import Creation
from keyturn.creations.once import Once
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import Query
from keyturn.errors import InvalidClientMetadata, NotFound, Problem
from keyturn.request_errors import PreconditionFailed
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.event_types import EventType
from keyturn.versions import Versions

SECRETLESS = "a public client holds none, nor does one with private_key_jwt"


@dataclass(frozen=True, slots=True)
class Issued:
    """A client as it now is, and the secret made for it: shown once, never again."""

    registration: Registration
    secret: str | None = field(repr=False)
    again: bool = False
    """It had been made before, by the same request."""


@dataclass(frozen=True, slots=True)
class Administration:
    """The clients of one database."""

    database: Database
    limits: rules.Limits
    audit: Audit

    async def add(
        self, definition: ClientDefinition, secret: str | None = None, once: Once | None = None
    ) -> Issued:
        """Register a client; a confidential one gets `secret`, or one is made.

        Asked again under the same `once`, it returns the client it made before. Raises
        `InvalidClientMetadata`, also when the id was ever taken; `IdempotencyKeyReused`.
        """
        complete = rules.complete(definition, self.limits)
        if secret is not None and not complete.holds_secret:
            raise InvalidClientMetadata(Problem("secret", SECRETLESS))
        async with statements.writing(self.database) as tx:
            made = None if once is None else await creations.note(tx, once, complete.id)
            if made is not None and made.again:
                return _again(await _found(tx, made.resource), made)
            if complete.holds_secret:
                secret = _secret(secret, made)
            if not await statements.insert(tx, complete):
                taken = "is taken, if only by a disabled client; ids are never given out again"
                raise InvalidClientMetadata(Problem("id", taken))
            if secret is not None:
                await statements.set_secret(tx, complete.id, secrets.digest(secret), None)
            await statements.announce(tx, [complete.id])
            issued = Issued(await _found(tx, complete.id), secret)
        self._record("client_added", complete.id)
        return issued

    async def redefine(self, definition: ClientDefinition, seen: Versions) -> Registration:
        """Give a client another description; its secrets, and whether it is disabled, stay.

        Raises `NotFound`, `PreconditionFailed`, `InvalidClientMetadata`, also for another kind:
        sessions and secrets of the one kind are not safe with the other.
        """
        complete = rules.complete(definition, self.limits)
        async with statements.writing(self.database) as tx:
            before = await _found(tx, complete.id, seen)
            if before.client.kind != complete.kind:
                kept = "a client keeps its kind; register another id"
                raise InvalidClientMetadata(Problem("kind", kept))
            await statements.redefine(tx, complete)
            await statements.announce(tx, [complete.id])
            after = await _found(tx, complete.id)
        self._record("client_changed", complete.id)
        return after

    async def page(self, after: str, limit: int) -> Sequence[Registration]:
        """Return up to `limit` clients by id, beyond `after`, disabled ones too."""
        return await statements.page(self.database, after, limit)

    async def list(self) -> tuple[Registration, ...]:
        """Return every client, disabled ones too, by id."""
        found = await statements.registrations(self.database)
        return tuple(found[client_id] for client_id in sorted(found))

    async def show(self, client_id: str) -> Registration:
        """Return one client; raise `NotFound`."""
        return await _found(self.database, client_id)

    async def disable(self, client_id: str, seen: Versions = None) -> Registration:
        """Close a client at once, everywhere; doing it again changes nothing.

        Its sessions stay: enabling it again brings them back, unless they were ended.
        """
        return await self._step(SQL["disable"], client_id, "client_disabled", seen)

    async def enable(self, client_id: str, seen: Versions = None) -> Registration:
        """Open a client again; doing it again changes nothing.

        Raises `InvalidClientMetadata` for one that registered itself and was deleted, or never
        used: whoever held it has been told that it is gone.
        """
        registration = await self._step(SQL["enable"], client_id, "client_enabled", seen)
        if not registration.client.is_active:
            raise InvalidClientMetadata(Problem("id", "its registration has ended for good"))
        return registration

    async def rotate_secret(
        self, client_id: str, previous_for: timedelta | None = None, seen: Versions = None
    ) -> Issued:
        """Make a new secret; the current one stays good for `previous_for` (None: until dropped).

        At most two are active: of three, the oldest ends. Zero ends the current one at once.
        Raises `NotFound`, `PreconditionFailed`, `InvalidClientMetadata` for a public client.
        """
        secret = secrets.generate()
        async with statements.writing(self.database) as tx:
            _confidential(await _found(tx, client_id, seen))
            await statements.set_secret(tx, client_id, secrets.digest(secret), previous_for)
            if previous_for == timedelta():
                await tx.execute(SQL["drop_previous_secret"], client_id)
            await statements.announce(tx, [client_id])
            issued = Issued(await _found(tx, client_id), secret)
        self._record("client_secret_rotated", client_id)
        return issued

    async def drop_previous_secret(self, client_id: str, seen: Versions = None) -> Registration:
        """End the secret before the current one; doing it again changes nothing."""
        _confidential(await _found(self.database, client_id))
        return await self._step(
            SQL["drop_previous_secret"], client_id, "client_secret_dropped", seen
        )

    async def _step(
        self, query: Query, client_id: str, event: EventType, seen: Versions
    ) -> Registration:
        async with statements.writing(self.database) as tx:
            await _found(tx, client_id, seen)
            changed = await tx.execute(query, client_id)
            registration = await _found(tx, client_id)
            if changed:
                await statements.announce(tx, [client_id])
        if changed:
            self._record(event, client_id)
        return registration

    def _record(self, event: EventType, client_id: str) -> None:
        self.audit.record(AuditEvent(event, client_id=client_id))


async def _found(source: Statements, client_id: str, seen: Versions = None) -> Registration:
    registration = await statements.find(source, client_id)
    if registration is None:
        raise NotFound(f"client: {client_id} is not registered")
    if seen is not None and registration.version not in seen:
        raise PreconditionFailed("client: in another version")
    return registration


def _confidential(registration: Registration) -> None:
    if not ClientDefinition.of(registration.client).holds_secret:
        raise InvalidClientMetadata(Problem("secret", SECRETLESS))


def _secret(given: str | None, made: Creation | None) -> str:
    if given is not None:
        return secrets.check_given(given)
    return secrets.generate() if made is None else secrets.of_bits(made.secret)


def _again(registration: Registration, made: Creation) -> Issued:
    """Return a client made before; with its secret, as long as that is still accepted."""
    secret = secrets.of_bits(made.secret)
    made_so = secrets.digest(secret)
    known = any(opaque.equal(made_so, one.hash) for one in registration.client.secrets)
    return Issued(registration, secret if known else None, again=True)
