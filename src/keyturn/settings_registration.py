"""Settings of dynamic registration: who may register clients, how many, and the most they get."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from keyturn.settings_syntax import Section

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
_AUDIENCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?@!$&'()+,;=%\[\]-]{1,500}")
_OURS = "keyturn."


def _scope(value: str) -> str:
    # Power over this server is an operator's to give, whatever a setting says.
    if not _SCOPE.fullmatch(value) or value.startswith(_OURS):
        raise ValueError(f"a scope is printable ASCII without space, and no {_OURS}*")
    return value


def _audience(value: str) -> str:
    if not _AUDIENCE.fullmatch(value):
        raise ValueError("an absolute URI without fragment, such as https://api.example")
    return value


RegisteredScope = Annotated[str, AfterValidator(_scope)]
RegisteredAudience = Annotated[str, AfterValidator(_audience)]
RegisteredGrant = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
]
"""Never token exchange: whose tokens a client may exchange, an operator says."""


class RegistrationSettings(Section):
    """Clients that register themselves (RFC 7591), and the most each of them may have."""

    mode: Literal["off", "token", "open"] = Field(
        "off", description="off, token (an initial access token is needed) or open (anybody)."
    )
    scopes: tuple[RegisteredScope, ...] = Field(
        ("openid", "profile", "email", "offline_access"), description="The most they may have."
    )
    audiences: tuple[RegisteredAudience, ...] = Field(
        (), description="APIs of their tokens, the first by default; none: this server alone."
    )
    grant_types: tuple[RegisteredGrant, ...] = Field(
        ("authorization_code", "refresh_token"), description="The most they may use."
    )
    most_clients: int = Field(1000, ge=1, le=100_000, description="Live ones altogether.")
    most_per_day: int = Field(200, ge=1, le=100_000, description="Registrations in 24 hours.")
    most_per_address: int = Field(
        10, ge=1, le=100_000, description="Of those from one address, when open."
    )
    unused_expires: int = Field(
        30 * 86400, ge=60, le=400 * 86400, description="A client never used so long is closed."
    )

    @model_validator(mode="after")
    def _machines_have_an_api(self) -> Self:
        # Our own endpoints take the `sub` of a token for them for a person.
        if "client_credentials" in self.grant_types and not self.audiences:
            raise ValueError("client_credentials in registration.grant_types needs an audience")
        return self

    @field_validator("mode", mode="before")
    @classmethod
    def _yaml_off(cls, value: Any) -> Any:
        # A bare `off` is a boolean to YAML.
        return "off" if value is False else value

    @field_validator("scopes", "audiences", "grant_types", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]
