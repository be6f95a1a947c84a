"""What a registered application is (RFC 6749 section 2), frozen as it is held in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from keyturn.crypto.jose import ALGORITHM, PSS_ALGORITHM
from keyturn.db.pool import Row

Kind = Literal["public", "confidential"]
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
ResponseMode = Literal["query", "form_post"]
Profile = Literal["fapi2"]

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name

RESPONSE_MODES: frozenset[str] = frozenset({"query", "form_post"})


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """An active secret: its SHA-256, and when it stops being accepted (None: never)."""

    hash: bytes = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """One client, as the registry hands it out."""

    id: str
    name: str
    kind: Kind
    grant_types: frozenset[str]
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    """Resources it may have tokens for (RFC 8707); the first one is the default."""
    secrets: tuple[ClientSecret, ...] = field(default=(), repr=False)
    """At most two: the current one, and the one before it until it is dropped or expires."""
    auth_method: AuthMethod = "none"
    """How it authenticates (`token_endpoint_auth_method` of RFC 7591)."""
    session_api: bool = False
    """May use `/auth`: first-party public clients only."""
    origins: frozenset[str] = frozenset()
    """Web origins whose pages may call on its behalf, exact."""
    claims: tuple[str, ...] = ()
    """User members copied into its access tokens; none by default (no PII)."""
    id_token_claims: frozenset[str] = frozenset()
    """User members its ID tokens always carry, as far as the granted scopes show them."""
    introspects: frozenset[str] = frozenset()
    """Audiences whose tokens it may introspect (RFC 7662 section 4)."""
    grace: timedelta | None = None
    """How long a superseded token is answered with its child; None: the server's default."""
    rotation: bool = True
    require_dpop: bool = False
    access_token_lifetime: timedelta | None = None
    idle_lifetime: timedelta | None = None
    absolute_lifetime: timedelta | None = None
    redirect_uris: frozenset[str] = frozenset()
    """Where an authorization response may go (`redirect_uris` compares them)."""
    post_logout_redirect_uris: frozenset[str] = frozenset()
    """Where a browser may go after logout, exact."""
    require_pkce: bool = True
    """Off for confidential clients only, which then send a nonce when they ask for `openid`."""
    skip_consent: bool = False
    """First party: whoever signs in is not asked whether it may have what it asks for."""
    response_modes: frozenset[str] = RESPONSE_MODES
    backchannel_logout_uri: str | None = None
    """Where it hears that a session has ended (Back-Channel Logout section 2.2)."""
    jwks: Mapping[str, Any] | None = field(default=None, hash=False)
    """Its public keys (RFC 7517), given when it was registered."""
    jwks_uri: str | None = None
    """Where its public keys are read from instead."""
    require_par: bool = False
    """Its requests come by `/oauth2/par` only (RFC 9126 section 6)."""
    require_signed_request_object: bool = False
    """And signed by one of its keys (RFC 9101 section 10.5)."""
    profile: Profile | None = None
    """`fapi2`: everything the FAPI 2.0 Security Profile demands of it and of us."""
    token_exchange: Mapping[str, Any] | None = field(default=None, hash=False)
    """Whose tokens it may exchange, and how (RFC 8693); None: nobody's."""
    client_uri: str | None = None
    """Links that people are shown, never fetched (RFC 7591 section 2)."""
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    self_registered: bool = False
    """It registered itself (RFC 7591): nobody here has ever looked at it."""
    disabled_at: datetime | None = None

    @property
    def is_public(self) -> bool:
        """Whether it holds no secret (RFC 6749 section 2.1)."""
        return self.kind == "public"

    @property
    def is_active(self) -> bool:
        """Whether it may be used at all."""
        return self.disabled_at is None

    @property
    def signing_algorithm(self) -> str:
        """What its tokens are signed with: the FAPI 2.0 profile allows no RS256."""
        return algorithm_of(self.profile)

    @property
    def default_audience(self) -> str:
        """The resource of a token when none is named."""
        return self.audiences[0]

    @classmethod
    def from_row(cls, row: Row) -> "Client":
        """Build a client from a row of `clients`."""
        return cls(
            id=row["id"],
            name=row["name"],
            kind=row["kind"],
            grant_types=frozenset(row["grant_types"]),
            scopes=frozenset(row["scopes"]),
            audiences=tuple(row["audiences"]),
            secrets=_secrets(row),
            auth_method=row["auth_method"],
            session_api=row["session_api"],
            origins=frozenset(row["origins"]),
            claims=tuple(row["claims"]),
            id_token_claims=frozenset(row["id_token_claims"]),
            introspects=frozenset(row["introspects"]),
            grace=row["grace"],
            rotation=row["rotation"],
            require_dpop=row["require_dpop"],
            access_token_lifetime=row["access_token_lifetime"],
            idle_lifetime=row["idle_lifetime"],
            absolute_lifetime=row["absolute_lifetime"],
            redirect_uris=frozenset(row["redirect_uris"]),
            post_logout_redirect_uris=frozenset(row["post_logout_redirect_uris"]),
            require_pkce=row["require_pkce"],
            skip_consent=row["skip_consent"],
            response_modes=frozenset(row["response_modes"]),
            backchannel_logout_uri=row["backchannel_logout_uri"],
            jwks=row["jwks"],
            jwks_uri=row["jwks_uri"],
            require_par=row["require_par"],
            require_signed_request_object=row["require_signed_request_object"],
            profile=row["profile"],
            token_exchange=row["token_exchange"],
            client_uri=row["client_uri"],
            logo_uri=row["logo_uri"],
            policy_uri=row["policy_uri"],
            tos_uri=row["tos_uri"],
            self_registered=row["self_registered"],
            disabled_at=row["disabled_at"],
        )


@dataclass(frozen=True, slots=True)
class Registration:
    """A client with what only its administration needs to know."""

    client: Client
    declared: bool
    """A clients file named it: `apply --prune` disables it once the file no longer does."""
    declared_secret_hash: bytes | None = field(repr=False)
    """The secret that file gave last; an unchanged file never brings a dropped one back."""
    secret_set_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: str
    """Another one after every change (`versions`)."""

    @classmethod
    def from_row(cls, row: Row) -> "Registration":
        """Build a registration from a row of `clients`."""
        return cls(
            client=Client.from_row(row),
            declared=row["declared"],
            declared_secret_hash=row["declared_secret_hash"],
            secret_set_at=row["secret_set_at"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            version=row["version"],
        )


def algorithm_of(profile: str | None) -> str:
    """Return what the tokens of a client with this profile are signed with."""
    return PSS_ALGORITHM if profile == "fapi2" else ALGORITHM


def _secrets(row: Row) -> tuple[ClientSecret, ...]:
    pairs = (
        (row["secret_hash"], None),
        (row["previous_secret_hash"], row["previous_secret_expires_at"]),
    )
    return tuple(ClientSecret(digest, expires_at) for digest, expires_at in pairs if digest)
