"""A client as an operator describes it: the fields of `clients.yaml` and of `clients add`.

The names follow RFC 7591 where it has one. Durations are whole seconds. What fields must be
together stands in `rules`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from keyturn.clients import syntax
from keyturn.clients.model import AuthMethod, Client, Kind, Profile, ResponseMode
from keyturn.errors import InvalidClientMetadata, Problem
from keyturn.settings import LONGEST_ACCESS_TOKEN
from keyturn.settings_syntax import LONGEST_LIFETIME

MOST_MEMBERS = 100

GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
Claim = Literal["email", "email_verified", "name"]
ClientId = Annotated[str, AfterValidator(syntax.client_id)]
Name = Annotated[str, AfterValidator(syntax.name)]
Scope = Annotated[str, AfterValidator(syntax.scope)]
Audience = Annotated[str, AfterValidator(syntax.audience)]
Origin = Annotated[str, AfterValidator(syntax.origin)]
RedirectUri = Annotated[str, AfterValidator(syntax.redirect_uri)]
Jwks = Annotated[dict[str, Any], AfterValidator(syntax.jwks)]
Link = Annotated[str, AfterValidator(syntax.link)]
ServerUri = Annotated[str, AfterValidator(syntax.server_uri)]
Flag = Annotated[bool, Field(strict=True)]
Lifetime = Annotated[int, Field(strict=True, ge=1, le=LONGEST_LIFETIME)]


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("names something twice")
    return values


_Listed = (Field(max_length=MOST_MEMBERS), AfterValidator(_distinct))


class TokenExchange(BaseModel):
    """Whose tokens a client may exchange (RFC 8693), and what the new ones may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    subject_clients: Annotated[tuple[ClientId, ...], *_Listed]
    """Whose access tokens it may present."""
    impersonation: Flag = False
    """It may act as the person: the new token does not say who acts."""
    delegation: Flag = True
    """It may act for the person: the new token names the actor (`act`)."""


class ClientDefinition(BaseModel):
    """What a client shall be; secrets are not part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: ClientId
    name: Name | None = None
    kind: Kind
    auth_method: AuthMethod | None = None
    grant_types: Annotated[tuple[GrantType, ...], *_Listed] = ()
    scopes: Annotated[tuple[Scope, ...], *_Listed] = ()
    audiences: Annotated[tuple[Audience, ...], *_Listed] = ()
    session_api: Flag = False
    origins: Annotated[tuple[Origin, ...], *_Listed] = ()
    claims: Annotated[tuple[Claim, ...], *_Listed] = ()
    id_token_claims: Annotated[tuple[Claim, ...], *_Listed] = ()
    introspects: Annotated[tuple[Audience, ...], *_Listed] = ()
    grace: Annotated[int, Field(strict=True, ge=0, le=60)] | None = None
    rotation: Flag = True
    require_dpop: Flag = False
    access_token_lifetime: (
        Annotated[int, Field(strict=True, ge=1, le=LONGEST_ACCESS_TOKEN)] | None
    ) = None
    idle_lifetime: Lifetime | None = None
    absolute_lifetime: Lifetime | None = None
    redirect_uris: Annotated[tuple[RedirectUri, ...], *_Listed] = ()
    post_logout_redirect_uris: Annotated[tuple[RedirectUri, ...], *_Listed] = ()
    require_pkce: Flag = True
    skip_consent: Flag = False
    response_modes: Annotated[tuple[ResponseMode, ...], *_Listed] = ("form_post", "query")
    backchannel_logout_uri: ServerUri | None = None
    jwks: Jwks | None = None
    jwks_uri: ServerUri | None = None
    require_par: Flag = False
    require_signed_request_object: Flag = False
    profile: Profile | None = None
    token_exchange: TokenExchange | None = None
    client_uri: Link | None = None
    logo_uri: Link | None = None
    policy_uri: Link | None = None
    tos_uri: Link | None = None

    @property
    def holds_secret(self) -> bool:
        """Whether it proves itself by a secret it shares with us."""
        return self.kind == "confidential" and self.auth_method != "private_key_jwt"

    @classmethod
    def parse(cls, raw: Any, path: str = "") -> Self:
        """Read a definition from plain data.

        Raises `InvalidClientMetadata` that lists every field's problem; paths start with `path`.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise InvalidClientMetadata(*_problems(error, path)) from None

    @classmethod
    def of(cls, client: Client) -> "ClientDefinition":
        """Describe a registered client; sets come in alphabetical order."""
        return ClientDefinition.model_construct(
            id=client.id,
            name=client.name,
            kind=client.kind,
            auth_method=client.auth_method,
            grant_types=_sorted(client.grant_types),
            scopes=_sorted(client.scopes),
            audiences=client.audiences,
            session_api=client.session_api,
            origins=_sorted(client.origins),
            claims=_sorted(client.claims),
            id_token_claims=_sorted(client.id_token_claims),
            introspects=_sorted(client.introspects),
            grace=_seconds(client.grace),
            rotation=client.rotation,
            require_dpop=client.require_dpop,
            access_token_lifetime=_seconds(client.access_token_lifetime),
            idle_lifetime=_seconds(client.idle_lifetime),
            absolute_lifetime=_seconds(client.absolute_lifetime),
            redirect_uris=_sorted(client.redirect_uris),
            post_logout_redirect_uris=_sorted(client.post_logout_redirect_uris),
            require_pkce=client.require_pkce,
            skip_consent=client.skip_consent,
            response_modes=_sorted(client.response_modes),
            backchannel_logout_uri=client.backchannel_logout_uri,
            jwks=None if client.jwks is None else dict(client.jwks),
            jwks_uri=client.jwks_uri,
            require_par=client.require_par,
            require_signed_request_object=client.require_signed_request_object,
            profile=client.profile,
            token_exchange=_exchange(client.token_exchange),
            client_uri=client.client_uri,
            logo_uri=client.logo_uri,
            policy_uri=client.policy_uri,
            tos_uri=client.tos_uri,
        )


def _sorted(values: Iterable[str]) -> tuple[Any, ...]:
    return tuple(sorted(values))


def _exchange(policy: Mapping[str, Any] | None) -> TokenExchange | None:
    return None if policy is None else TokenExchange.model_validate(policy)


def _seconds(duration: Any) -> int | None:
    return None if duration is None else int(duration.total_seconds())


def _problems(error: ValidationError, path: str) -> Iterator[Problem]:
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        place = path
        for step in problem["loc"]:
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else str(step)
        yield Problem(place, _sentence(problem["type"], problem["msg"]))


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "no such field"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")
