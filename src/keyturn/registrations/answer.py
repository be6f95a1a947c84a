"""What was registered, as it is told (RFC 7591 section 3.2.1, RFC 7592 section 3)."""

from typing import Any

from keyturn.clients.definition import ClientDefinition
from keyturn.registrations.metadata import FIELDS
from keyturn.registrations.model import Managed


def describe(managed: Managed, token: str, uri: str, secret: str | None = None) -> dict[str, Any]:
    """Return every member that is registered, whoever chose its value.

    `token` manages the client at `uri`; a secret is told when it is made, and never again.
    """
    definition = ClientDefinition.of(managed.client)
    by_code = "authorization_code" in definition.grant_types
    told: dict[str, Any] = {
        "client_id": definition.id,
        "client_id_issued_at": int(managed.created_at.timestamp()),
        "registration_access_token": token,
        "registration_client_uri": uri,
        "response_types": ["code"] if by_code else [],
        "scope": " ".join(definition.scopes),
        **managed.details,
    }
    if secret is not None:
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    values = {member: getattr(definition, field) for member, field in FIELDS.items()}
    return told | {member: value for member, value in values.items() if value not in (None, ())}
