"""Metadata (RFC 8414 section 3, OpenID Connect Discovery section 4): what exists here, and where.

`GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server` answer the
same bytes, made once from the configured issuer: no header of a request can change a URL in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from authlib.oidc.discovery import OpenIDProviderMetadata
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.clients.model import TOKEN_EXCHANGE
from keyturn.crypto import client_jws, opaque, pkce
from keyturn.crypto.jose import ALGORITHM, PSS_ALGORITHM
from keyturn.oauth.authorize.checks import PROMPTS
from keyturn.oauth.authorize.decision import REACHABLE
from keyturn.oauth.grants.device_code import DeviceCodeGrant
from keyturn.tokens.claims import STANDARD_SCOPES, shown
from keyturn.web.public_document import public_document

CLAIMS = (
    *("iss", "sub", "aud", "exp", "iat", "sid", "nonce", "at_hash", "auth_time", "acr", "amr"),
    *sorted(shown(STANDARD_SCOPES)),
)
LOCALES = ("en", "de")
DISPLAYS = ("page",)
"""Every `display` is answered, and by this one."""
GRANT_TYPES = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    DeviceCodeGrant.name,
    TOKEN_EXCHANGE,
)
CONFIDENTIAL = ("client_secret_basic", "client_secret_post", "private_key_jwt")
ANY_CLIENT = ("none", *CONFIDENTIAL)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Both metadata endpoints."""

    body: bytes
    etag: str
    max_age: int

    @classmethod
    def of(
        cls, issuer: str, max_age: int, *, require_par: bool = False, registers: bool = False
    ) -> Self:
        """Describe this server; `registers`: whether clients may register themselves.

        Raises `ValueError` when the document breaks a standard.
        """
        document = describe(issuer, require_par=require_par, registers=registers)
        validate(document)
        body = orjson.dumps(document)
        return cls(body, f'"{opaque.sha256(body).hex()[:32]}"', max_age)

    async def get(self, request: Request) -> Response:
        """Return the document."""
        return public_document(request, self.body, self.etag, self.max_age)


def describe(issuer: str, *, require_par: bool = False, registers: bool = False) -> dict[str, Any]:
    """Return the members: only what this server answers."""
    return {
        **({"registration_endpoint": issuer + paths.REGISTER} if registers else {}),
        "issuer": issuer,
        "authorization_endpoint": issuer + paths.AUTHORIZE,
        "pushed_authorization_request_endpoint": issuer + paths.PAR,
        "require_pushed_authorization_requests": require_par,
        "token_endpoint": issuer + paths.TOKEN,
        "jwks_uri": issuer + paths.JWKS,
        "revocation_endpoint": issuer + paths.REVOKE,
        "introspection_endpoint": issuer + paths.INTROSPECT,
        "device_authorization_endpoint": issuer + paths.DEVICE_AUTHORIZATION,
        "userinfo_endpoint": issuer + paths.USERINFO,
        "end_session_endpoint": issuer + paths.END_SESSION,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": [pkce.METHOD],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": sorted(STANDARD_SCOPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM, PSS_ALGORITHM],
        "acr_values_supported": sorted(REACHABLE),
        "prompt_values_supported": sorted(PROMPTS),
        "display_values_supported": list(DISPLAYS),
        "claim_types_supported": ["normal"],
        "claims_supported": list(CLAIMS),
        "claims_parameter_supported": True,
        # At the authorization endpoint; what is pushed may well be a request object.
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "request_object_signing_alg_values_supported": list(client_jws.ALGORITHMS),
        "ui_locales_supported": list(LOCALES),
        "token_endpoint_auth_methods_supported": list(ANY_CLIENT),
        "revocation_endpoint_auth_methods_supported": list(ANY_CLIENT),
        "introspection_endpoint_auth_methods_supported": list(CONFIDENTIAL),
        "token_endpoint_auth_signing_alg_values_supported": list(client_jws.ALGORITHMS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(client_jws.ALGORITHMS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(client_jws.ALGORITHMS),
        "dpop_signing_alg_values_supported": list(client_jws.ALGORITHMS),
    }


def validate(document: Mapping[str, Any]) -> None:
    """Check the document with Authlib's validators of RFC 8414 and OpenID Connect Discovery.

    An http issuer is for loopback only, as the settings have made sure, so addresses are checked
    as if it were https.
    """
    checked = OpenIDProviderMetadata({k: _as_https(v) for k, v in document.items()})
    checked.validate()  # type: ignore[no-untyped-call]
    issuer = document["issuer"]
    for member, value in document.items():
        if member.endswith(("_endpoint", "_uri")) and not value.startswith(f"{issuer}/"):
            raise ValueError(f"{member} is not below the issuer")


def _as_https(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("http://"):
        return "https://" + value.removeprefix("http://")
    return value
