"""Metadata (RFC 8414 section 3, OpenID Connect Discovery section 4): what exists here, and where.

`GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server` answer the
same bytes, made once from the configured issuer: no header of a request can change a URL in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.crypto import opaque
from keyturn.web.public_document import public_document

CONFIDENTIAL = ("client_secret_basic", "client_secret_post")
ANY_CLIENT = ("none", *CONFIDENTIAL)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Both metadata endpoints."""

    body: bytes
    etag: str
    max_age: int

    @classmethod
    def of(cls, issuer: str, max_age: int) -> Self:
        """Describe this server. Raises `ValueError` when the document breaks RFC 8414."""
        document = describe(issuer)
        validate(document)
        body = orjson.dumps(document)
        return cls(body, f'"{opaque.sha256(body).hex()[:32]}"', max_age)

    async def get(self, request: Request) -> Response:
        """Return the document."""
        return public_document(request, self.body, self.etag, self.max_age)


def describe(issuer: str) -> dict[str, Any]:
    """Return the members: only what this release answers.

    There is no authorization endpoint, so `response_types_supported` is empty: RFC 8414 requires
    the member in section 2 and omits empty lists in section 3.2, and clients break when it is
    missing. What Discovery requires of ID tokens is absent, because none are issued.
    """
    return {
        "issuer": issuer,
        "token_endpoint": issuer + paths.TOKEN,
        "jwks_uri": issuer + paths.JWKS,
        "revocation_endpoint": issuer + paths.REVOKE,
        "introspection_endpoint": issuer + paths.INTROSPECT,
        "response_types_supported": [],
        "grant_types_supported": ["refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": list(ANY_CLIENT),
        "revocation_endpoint_auth_methods_supported": list(ANY_CLIENT),
        "introspection_endpoint_auth_methods_supported": list(CONFIDENTIAL),
    }


def validate(document: Mapping[str, Any]) -> None:
    """Check the document with Authlib's validators of RFC 8414, member by member.

    Two rules are ours. An http issuer is for loopback only, as the settings have made sure, so
    addresses are checked as if it were https. And Authlib refuses the empty
    `response_types_supported` of a server without an authorization endpoint: here the list is
    empty exactly when there is no such endpoint.
    """
    checked = AuthorizationServerMetadata({k: _as_https(v) for k, v in document.items()})
    issuer, types = document["issuer"], document.get("response_types_supported")
    if not isinstance(types, list) or bool(types) != ("authorization_endpoint" in document):
        raise ValueError("response_types_supported does not fit the authorization endpoint")
    for member in AuthorizationServerMetadata.REGISTRY_KEYS:
        if member != "response_types_supported":
            getattr(checked, f"validate_{member}")()
    for member, value in document.items():
        if member.endswith(("_endpoint", "_uri")) and not value.startswith(f"{issuer}/"):
            raise ValueError(f"{member} is not below the issuer")


def _as_https(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("http://"):
        return "https://" + value.removeprefix("http://")
    return value
