"""What an API says of itself, so that clients find its authorization server (RFC 9728)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from keyturn_verifier.challenges import Answer

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True)
class ProtectedResource:
    """An API as its callers know it. The middleware serves this document and points at it."""

    resource: str
    """The API's identifier, an https address: the audience of its tokens."""
    authorization_servers: Sequence[str]
    """Their issuers."""
    scopes: Sequence[str] = ()
    """What may be asked for."""
    dpop_algorithms: Sequence[str] = ()
    documentation: str | None = None
    """Where developers read about the API."""

    @property
    def path(self) -> str:
        """Where the document is: the well-known path, then the resource's own (section 3.1)."""
        return WELL_KNOWN + urlsplit(self.resource).path.rstrip("/")

    @property
    def url(self) -> str:
        """The document's address, as challenges name it."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}{self.path}"

    def document(self) -> dict[str, Any]:
        """Return the metadata (section 2); what is empty is left out."""
        members = {
            "resource": self.resource,
            "authorization_servers": list(self.authorization_servers),
            "bearer_methods_supported": ["header"],
            "scopes_supported": list(self.scopes),
            "dpop_signing_alg_values_supported": list(self.dpop_algorithms),
            "resource_documentation": self.documentation,
        }
        return {name: value for name, value in members.items() if value}

    def answer(self) -> Answer:
        """Return the document as it is served: to any page, for it is public."""
        body = json.dumps(self.document()).encode()
        headers = (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "public, max-age=3600"),
            ("Access-Control-Allow-Origin", "*"),
        )
        return Answer(200, headers, body)
