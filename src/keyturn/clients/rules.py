"""Which descriptions of a client are safe and make sense: the one place that decides it.

`clients add`, `clients apply` and whatever registers clients later come through `complete`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import TOKEN_EXCHANGE, AuthMethod
from keyturn.errors import InvalidClientMetadata, Problem
from keyturn.outgoing.destination import Destination
from keyturn.outgoing.policy import NOTHING_PRIVATE, Policy
from keyturn.settings import SHORTEST_LIFETIME, Settings

ADMIN_SCOPES = frozenset({"keyturn.admin.read", "keyturn.admin.write"})
RESERVED = "keyturn."
"""Scopes that start so are ours: an application's own cannot be mistaken for power over us."""

ADMIN_PATH = "/admin"

FAPI2: Mapping[str, bool] = MappingProxyType({"require_dpop": True, "rotation": False})
"""What the profile `fapi2` sets, whatever else is said (FAPI 2.0 Security Profile section 5.3.2):
tokens are bound to a key there, and a refresh token that stays survives every lost answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say about clients."""

    issuer: str
    shortest_lifetime: int = SHORTEST_LIFETIME
    outgoing: Policy = NOTHING_PRIVATE

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Read them from the settings; development allows lifetimes down to 1 s."""
        shortest = 1 if settings.development else SHORTEST_LIFETIME
        return cls(settings.issuer, shortest, Policy.of(settings))


def complete(definition: ClientDefinition, limits: Limits, path: str = "") -> ClientDefinition:
    """Fill in what was left open, and check everything together.

    Raises `InvalidClientMetadata` that lists every problem; paths start with `path`.
    """
    filled = _filled(definition, limits)
    prefix = f"{path}." if path else ""
    problems = [
        Problem(prefix + found.path, found.sentence)
        for rule in RULES
        for found in rule(filled, limits)
    ]
    if problems:
        raise InvalidClientMetadata(*problems)
    return filled


def _filled(definition: ClientDefinition, limits: Limits) -> ClientDefinition:
    administers = bool(definition.scopes) and ADMIN_SCOPES.issuperset(definition.scopes)
    default_audiences = (limits.issuer + ADMIN_PATH,) if administers else ()
    return definition.model_copy(
        update={
            "name": definition.name or definition.id,
            "auth_method": definition.auth_method or _usual_method(definition),
            "grant_types": tuple(sorted(definition.grant_types)),
            "scopes": tuple(sorted(definition.scopes)),
            "audiences": definition.audiences or default_audiences,
            "origins": tuple(sorted(definition.origins)),
            "claims": tuple(sorted(definition.claims)),
            "id_token_claims": tuple(sorted(definition.id_token_claims)),
            "introspects": tuple(sorted(definition.introspects)),
            "redirect_uris": tuple(sorted(definition.redirect_uris)),
            "post_logout_redirect_uris": tuple(sorted(definition.post_logout_redirect_uris)),
            "response_modes": tuple(sorted(definition.response_modes)),
            **_profiled(definition),
        }
    )


def _profiled(definition: ClientDefinition) -> dict[str, bool]:
    if definition.profile is None:
        return {}
    return {**FAPI2, "require_par": "authorization_code" in definition.grant_types}


def _usual_method(definition: ClientDefinition) -> AuthMethod:
    if definition.kind == "public":
        return "none"
    return "client_secret_basic" if definition.profile is None else "private_key_jwt"


def _purpose(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    gets_tokens = bool(client.grant_types) or client.session_api
    if not gets_tokens and not client.introspects:
        yield Problem("grant_types", "name a grant, or set session_api, or introspects")
    if gets_tokens and not client.audiences:
        yield Problem("audiences", "name the API its tokens are for; the first is the default")


def _kind(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    if client.kind == "public":
        if client.auth_method != "none":
            yield Problem("auth_method", "a public client holds no secret: leave it out")
        if "client_credentials" in client.grant_types:
            yield Problem("grant_types", "client_credentials is for confidential clients")
        if client.introspects:
            yield Problem("introspects", "only a confidential client can prove who is asking")
        return
    if client.auth_method == "none":
        yield Problem("auth_method", "a confidential client authenticates")
    if client.session_api:
        yield Problem("session_api", "is for public first-party clients")


def _rotation(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    # A public client's token is all a thief needs: rotation is what notices the theft.
    if not client.rotation and client.kind == "public" and not client.require_dpop:
        yield Problem("rotation", "off is for confidential clients, and with require_dpop")


def _fapi(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    if client.profile is None:
        return
    if client.auth_method != "private_key_jwt":
        yield Problem("profile", "fapi2 is for confidential clients with private_key_jwt")
    if not client.require_pkce:
        yield Problem("require_pkce", "the profile fapi2 demands it")
    if not all(uri.lower().startswith("https:") for uri in client.redirect_uris):
        yield Problem("redirect_uris", "the profile fapi2 takes https only")


def _code_flow(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    by_code = "authorization_code" in client.grant_types
    if by_code and not client.redirect_uris:
        yield Problem("redirect_uris", "name where authorization_code sends the browser back to")
    if client.redirect_uris and not by_code:
        yield Problem("grant_types", "redirect_uris go with the grant authorization_code")
    # Whoever steals a public client's code needs nothing else, were it not for the verifier.
    if not client.require_pkce and client.kind == "public":
        yield Problem("require_pkce", "off is for confidential clients")
    if not client.response_modes:
        yield Problem("response_modes", "name query, form_post or both")


def _id_token_claims(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    if client.id_token_claims and "openid" not in client.scopes:
        yield Problem("id_token_claims", "go with the scope openid: without it no ID token is made")


def _keys(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    if client.jwks is not None and client.jwks_uri is not None:
        yield Problem("jwks", "its public keys, or jwks_uri where they are: not both")
    has_none = client.jwks is None and client.jwks_uri is None
    if client.auth_method == "private_key_jwt" and has_none:
        yield Problem("jwks", "private_key_jwt needs its public keys, or jwks_uri where they are")


def _called(client: ClientDefinition, limits: Limits) -> Iterator[Problem]:
    # Said at once where the text alone shows it; a name is judged when it is called.
    for field in ("backchannel_logout_uri", "jwks_uri"):
        uri = getattr(client, field)
        objection = None if uri is None else limits.outgoing.objection(Destination.parse(uri))
        if objection is not None:
            yield Problem(field, objection)


def _pushed_requests(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    by_code = "authorization_code" in client.grant_types
    for field in ("require_par", "require_signed_request_object"):
        if getattr(client, field) and not by_code:
            yield Problem(field, "goes with the grant authorization_code")
    if client.require_signed_request_object and client.jwks is None and client.jwks_uri is None:
        yield Problem("require_signed_request_object", "needs its public keys: jwks or jwks_uri")


def _scopes(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    ours = [scope for scope in client.scopes if scope.startswith(RESERVED)]
    if set(ours) - ADMIN_SCOPES:
        known = ", ".join(sorted(ADMIN_SCOPES))
        yield Problem("scopes", f"{RESERVED}* is reserved; there are {known}")
    if ours and client.grant_types != ("client_credentials",):
        yield Problem("scopes", "keyturn.admin.* goes with the grant client_credentials alone")


def _audiences(client: ClientDefinition, limits: Limits) -> Iterator[Problem]:
    # Our own endpoints demand the issuer as audience, and take `sub` for a person.
    if "client_credentials" in client.grant_types and limits.issuer in client.audiences:
        yield Problem("audiences", "the issuer is an audience of people's tokens only")


def _token_exchange(client: ClientDefinition, _: Limits) -> Iterator[Problem]:
    policy, exchanges = client.token_exchange, TOKEN_EXCHANGE in client.grant_types
    if exchanges and client.kind == "public":
        yield Problem("grant_types", "token exchange is for confidential clients")
    if exchanges != (policy is not None):
        yield Problem("token_exchange", "goes with its grant, and the grant with it")
    if policy is not None and not policy.subject_clients:
        yield Problem("token_exchange.subject_clients", "name whose tokens it may exchange")
    if policy is not None and not policy.delegation and not policy.impersonation:
        yield Problem("token_exchange", "allow delegation, impersonation or both")


def _lifetimes(client: ClientDefinition, limits: Limits) -> Iterator[Problem]:
    for field in ("access_token_lifetime", "idle_lifetime", "absolute_lifetime"):
        seconds = getattr(client, field)
        if seconds is not None and seconds < limits.shortest_lifetime:
            yield Problem(field, f"at least {limits.shortest_lifetime} s")
    idle, absolute = client.idle_lifetime, client.absolute_lifetime
    if idle is not None and absolute is not None and idle > absolute:
        yield Problem("idle_lifetime", "is longer than absolute_lifetime")


RULES: tuple[Callable[[ClientDefinition, Limits], Iterator[Problem]], ...] = (
    _purpose,
    _kind,
    _rotation,
    _fapi,
    _code_flow,
    _id_token_claims,
    _keys,
    _called,
    _pushed_requests,
    _scopes,
    _audiences,
    _token_exchange,
    _lifetimes,
)
