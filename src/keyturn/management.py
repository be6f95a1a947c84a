"""The doors of the management port with their routes: health, metrics, administration."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.routing import Route

from keyturn import paths
from keyturn.admin.audit_events import AuditEvents
from keyturn.admin.bearer import Bearer
from keyturn.admin.clients import Clients
from keyturn.admin.cursors import Cursors
from keyturn.admin.declared_clients import DeclaredClients
from keyturn.admin.gate import Gate
from keyturn.admin.keys import Keys
from keyturn.admin.openapi import describe
from keyturn.admin.operation import AnyOperation
from keyturn.admin.registration_tokens import RegistrationTokens
from keyturn.admin.sessions import Sessions
from keyturn.admin.users import Users
from keyturn.audit.trail import Trail
from keyturn.clients.administration import Administration
from keyturn.clients.rules import Limits
from keyturn.ops.health import Health, Pulse
from keyturn.ops.metrics import MetricsPage
from keyturn.parts import Parts
from keyturn.registrations.initial_tokens import InitialTokens
from keyturn.sessions.inventory import Inventory
from keyturn.users.changes import AccountChanges
from keyturn.web.body import BodyLimits
from keyturn.web.json_body import JsonBodies
from keyturn.web.openapi import OpenApi


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: this process, or it and others that answer beside it."""

    pulse: Pulse
    metrics: MetricsPage

    @classmethod
    def alone(cls, parts: Parts) -> "Watched":
        """Watch this process."""
        return cls(parts.vitals, MetricsPage(parts.metrics.registry))


def management_routes(parts: Parts, watched: Watched | None = None) -> Sequence[Route]:
    """Everything operators and orchestrators may call."""
    return [*ops_routes(parts, watched or Watched.alone(parts)), *admin_routes(parts)]


def ops_routes(parts: Parts, watched: Watched) -> Sequence[Route]:
    """Health and metrics."""
    health = Health(watched.pulse, parts.clock)
    return [
        Route(paths.LIVE, health.live),
        Route(paths.READY, health.ready),
        Route(paths.STARTED, health.started),
        Route(paths.DEPENDENCIES, health.dependencies),
        Route(paths.METRICS, watched.metrics.get),
    ]


def admin_routes(parts: Parts) -> Sequence[Route]:
    """The admin API, behind its gate; only the document that describes it is open."""
    settings, operations = parts.settings, admin_operations(parts)
    limits = BodyLimits(settings.server.max_body_bytes, settings.server.body_timeout)
    gate = Gate(
        bearer=Bearer(parts.verifier, parts.registry, settings.issuer),
        bodies=JsonBodies(limits),
        secrets=parts.secrets,
        audit=parts.audit,
        address=parts.address,
    )
    document = OpenApi.of(lambda: describe(settings.issuer, operations))
    return [Route(paths.ADMIN_OPENAPI, document.get), *gate.routes(operations)]


def admin_operations(parts: Parts) -> Sequence[AnyOperation]:
    """Every request of the admin API."""
    cursors, accounts = Cursors(parts.secrets), parts.accounts
    administration = Administration(parts.database, Limits.of(parts.settings), parts.audit)
    inventory = Inventory(parts.database, parts.clock)
    tokens = InitialTokens(parts.database, parts.settings.registration, parts.audit)
    return [
        *Users(accounts, AccountChanges(accounts), cursors).operations(),
        *Clients(administration, cursors).operations(),
        *DeclaredClients(administration).operations(),
        *RegistrationTokens(tokens, cursors).operations(),
        *Sessions(inventory, parts.ending, cursors).operations(),
        *Keys(parts.key_rotation).operations(),
        *AuditEvents(Trail(parts.database), cursors, parts.clock, parts.vitals).operations(),
    ]
