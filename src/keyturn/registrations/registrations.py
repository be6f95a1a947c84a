"""Clients register themselves, and read, replace and delete what they registered.

A registration access token is random, kept as a hash, and good for one client. It stays the same
when a registration is replaced: a new one whose answer was lost would lock its client out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyturn.clients import rules, secrets, statements
from keyturn.clients.definition import ClientDefinition
from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidToken, Throttled
from keyturn.registration_errors import TooManyClients, UnacceptableMetadata
from keyturn.registrations import metadata
from keyturn.registrations.initial_tokens import usable
from keyturn.registrations.metadata import REPLACED, Allowed, Wanted
from keyturn.registrations.model import InitialToken, Issued, Managed
from keyturn.registrations.quota import Standing, objection
from keyturn.sessions.end import Ending
from keyturn.settings_registration import RegistrationSettings
from keyturn.telemetry.audit import Audit, AuditEvent, Detail
from keyturn.telemetry.event_types import EventType
from keyturn.users.throttle import site_of

SQL = load_queries(__package__, "registrations.sql")

PREFIX: Final = "ktr_"
CLIENT: Final = "dyn-"
"""How ids begin that nobody here chose."""
ENDED: Final = "client_deleted"


@dataclass(frozen=True, slots=True)
class Registrations:
    """The clients of one database that registered themselves."""

    database: Database
    limits: rules.Limits
    settings: RegistrationSettings
    ending: Ending
    audit: Audit
    clock: Clock

    async def register(
        self, members: Mapping[str, Any], initial: str | None, address: str
    ) -> Issued:
        """Register a client; `initial` is an initial access token, `address` whoever asks.

        Raises `InvalidToken`, what `metadata.read` raises, `TooManyClients`, `Throttled`,
        `Unavailable`.
        """
        token = await self._initial(self.database, initial)
        client_id = CLIENT + opaque.token_urlsafe(16)
        wanted = self._wanted(members, client_id, token.scopes if token else None)
        try:
            issued = await self._write(wanted, initial, address)
        except (TooManyClients, Throttled) as refusal:
            self._record("registration_refused", None, {"reason": refusal.detail}, address)
            raise
        detail = {"invitation": str(token.id)} if token else {}
        self._record("client_registered", client_id, detail, address)
        return issued

    async def find(self, client_id: str, token: str) -> Managed:
        """Return the client that this token manages. Raises `InvalidToken`, `Unavailable`."""
        return await _managed(self.database, client_id, token)

    async def replace(self, client_id: str, token: str, members: Mapping[str, Any]) -> Issued:
        """Describe a client anew: what is left out is as if it had never been sent.

        Raises `InvalidToken`, what `metadata.read` raises, `Unavailable`.
        """
        async with statements.writing(self.database) as tx:
            managed = await _managed(tx, client_id, token)
            self._check_identity(managed, members)
            wanted = self._wanted(members, client_id, managed.scopes, managed)
            await statements.redefine(tx, wanted.definition)
            await tx.execute(SQL["replace_details"], client_id, wanted.details)
            secret = None
            if wanted.definition.holds_secret and not _holds_secret(managed):
                secret = await _new_secret(tx, client_id)
            await statements.announce(tx, [client_id])
            issued = Issued(await _managed(tx, client_id, token), token, secret)
        self._record("client_updated", client_id)
        return issued

    async def delete(self, client_id: str, token: str) -> None:
        """Close a client for good; its sessions end. Raises `InvalidToken`, `Unavailable`."""
        async with statements.writing(self.database) as tx:
            managed = await _managed(tx, client_id, token)
            await tx.execute(SQL["finish"], client_id)
            await statements.disable(tx, client_id)
            await statements.announce(tx, [client_id])
        self._record("client_deleted", client_id)
        # Who never had a token has no session: a stranger must not start a walk through all of
        # them. From here on none can be used; ended they are gone from people's accounts, too.
        if managed.is_used:
            await self.ending.all_of_client(client_id, ENDED)

    async def _initial(self, source: Statements, value: str | None) -> InitialToken | None:
        if value is None and self.settings.mode == "open":
            return None
        token = None if value is None else await usable(source, value)
        if token is None:
            raise InvalidToken("initial access token: none, or not good (any more)")
        return token

    def _wanted(
        self,
        members: Mapping[str, Any],
        client_id: str,
        scopes: tuple[str, ...] | None,
        managed: Managed | None = None,
    ) -> Wanted:
        allowed = Allowed.of(self.settings, self.limits.issuer).narrowed(scopes)
        wanted = metadata.read(members, client_id, allowed)
        definition = wanted.definition
        if managed is not None:
            definition = _replaced(managed, definition)
        return Wanted(metadata.complete(definition, self.limits), wanted.details)

    async def _write(self, wanted: Wanted, initial: str | None, address: str) -> Issued:
        client_id, value = wanted.definition.id, PREFIX + opaque.token_urlsafe()
        # One writer of clients at a time: what is counted here is still so at the commit.
        async with statements.writing(self.database) as tx:
            token = await self._initial(tx, initial)
            row = await tx.fetch_row(SQL["standing"], site_of(address))
            refusal = objection(Standing(**dict(row or {})), self.settings, token)
            if refusal is not None:
                raise refusal
            await statements.insert(tx, wanted.definition, self_registered=True)
            await tx.execute(
                SQL["register"],
                client_id,
                opaque.digest(value),
                token.id if token else None,
                site_of(address),
                wanted.details,
            )
            holds = wanted.definition.holds_secret
            secret = await _new_secret(tx, client_id) if holds else None
            await statements.announce(tx, [client_id])
            return Issued(await _managed(tx, client_id, value), value, secret)

    def _check_identity(self, managed: Managed, members: Mapping[str, Any]) -> None:
        """Hold an update against who sends it (RFC 7592 section 2.2)."""
        client, secret = managed.client, members.get("client_secret")
        if members.get("client_id") != client.id:
            raise UnacceptableMetadata("client_id: not that of the address", "client_id")
        if secret is not None and not (
            isinstance(secret, str)
            and secret.isascii()
            and secrets.matches(secret, client.secrets, self.clock.now())
        ):
            raise UnacceptableMetadata("client_secret: not this client's", "client_secret")

    def _record(
        self,
        event: EventType,
        client_id: str | None,
        detail: Detail | None = None,
        address: str | None = None,
    ) -> None:
        self.audit.record(
            AuditEvent(
                event,
                client_id=client_id,
                ip=address,
                result="failed" if client_id is None else "ok",
                detail=detail or {},
            )
        )


def _replaced(managed: Managed, described: ClientDefinition) -> ClientDefinition:
    """Return a client with a new description; what operators decide stays as it is."""
    current = ClientDefinition.of(managed.client)
    if described.kind != current.kind:
        # Sessions and secrets of the one kind are not safe with the other.
        member = "token_endpoint_auth_method"
        raise UnacceptableMetadata("kind: public stays public", member)
    return current.model_copy(update={name: getattr(described, name) for name in REPLACED})


def _holds_secret(managed: Managed) -> bool:
    return ClientDefinition.of(managed.client).holds_secret


async def _new_secret(tx: Statements, client_id: str) -> str:
    """Make the only secret of a client."""
    secret = secrets.generate()
    await statements.set_secret(tx, client_id, secrets.digest(secret), None)
    await statements.drop_previous_secret(tx, client_id)
    return secret


async def _managed(source: Statements, client_id: str, token: str) -> Managed:
    # Unknown, closed, somebody else's: one answer, and one query whichever it is.
    digest = opaque.sha256(token.encode("utf-8", "surrogatepass"))
    row = await source.fetch_row(SQL["managed"], client_id, digest)
    registration = None if row is None else await statements.find(source, client_id)
    if row is None or registration is None:
        raise InvalidToken("registration access token: not of this client, or the client is gone")
    return Managed(client=registration.client, **dict(row))
