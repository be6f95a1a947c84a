"""The members a client may describe itself by (RFC 7591 section 2), and what they become.

An allow-list: each member below becomes one field of a `ClientDefinition`, which is checked by
the same rules as an operator's. Whatever else is sent is ignored, as the standard wants it, so
that nothing which is added to clients later can be set from outside by accident.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from keyturn.clients import rules, syntax
from keyturn.clients.definition import ClientDefinition
from keyturn.errors import InvalidClientMetadata, Problem
from keyturn.outgoing.destination import Destination
from keyturn.registration_errors import (
    InvalidRedirectUri,
    UnacceptableMetadata,
    UnapprovedSoftwareStatement,
)
from keyturn.settings_registration import RegistrationSettings

FIELDS: Final[Mapping[str, str]] = {
    "client_name": "name",
    "token_endpoint_auth_method": "auth_method",
    "grant_types": "grant_types",
    "redirect_uris": "redirect_uris",
    "post_logout_redirect_uris": "post_logout_redirect_uris",
    "backchannel_logout_uri": "backchannel_logout_uri",
    "response_modes": "response_modes",
    "jwks": "jwks",
    "jwks_uri": "jwks_uri",
    "client_uri": "client_uri",
    "logo_uri": "logo_uri",
    "policy_uri": "policy_uri",
    "tos_uri": "tos_uri",
    "dpop_bound_access_tokens": "require_dpop",
    "require_pushed_authorization_requests": "require_par",
    "require_signed_request_object": "require_signed_request_object",
}
"""Members, and the field of a client that each one is."""

REPLACED: Final = (*FIELDS.values(), "scopes", "origins", "skip_consent", "session_api")
"""What an update puts anew. An operator's trust in what the client was goes, too."""

FIXED: Final = {"subject_type": "public", "id_token_signed_response_alg": "RS256"}
"""Members of OpenID Connect Registration that have one value here: another is not ignored."""

_MEMBERS = {field: member for member, field in FIELDS.items()} | {
    "kind": "token_endpoint_auth_method",
    "scopes": "scope",
}


def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("printable characters")
    return value


_Text = Annotated[str, Field(max_length=320), AfterValidator(_text)]


class _Described(ClientDefinition):
    """A definition with what is kept beside the client: for who looks after it, never shown."""

    contacts: Annotated[tuple[_Text, ...], Field(max_length=10)] = ()
    software_id: _Text | None = None
    software_version: _Text | None = None


DETAILS: Final = ("contacts", "software_id", "software_version")


@dataclass(frozen=True, slots=True)
class Allowed:
    """The most a client that registers itself may have."""

    scopes: frozenset[str]
    audiences: tuple[str, ...]
    grant_types: frozenset[str]

    @classmethod
    def of(cls, settings: RegistrationSettings, issuer: str) -> "Allowed":
        """Read it from the settings; without an API, tokens are for this server alone."""
        return cls(
            frozenset(settings.scopes),
            settings.audiences or (issuer,),
            frozenset(settings.grant_types),
        )

    def narrowed(self, scopes: Iterable[str] | None) -> "Allowed":
        """Return the same with no more than these scopes; None narrows nothing."""
        kept = self.scopes if scopes is None else self.scopes.intersection(scopes)
        return Allowed(kept, self.audiences, self.grant_types)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client describes: its definition, and what is kept beside it."""

    definition: ClientDefinition
    details: dict[str, Any]


def read(members: Mapping[str, Any], client_id: str, allowed: Allowed) -> Wanted:
    """Return what `members` describe, as far as it is allowed.

    Scopes beyond what is allowed are left out, and the answer says so; everything else that may
    not be is refused. Raises `InvalidRedirectUri`, `UnacceptableMetadata`,
    `UnapprovedSoftwareStatement`.
    """
    given = {name: value for name, value in members.items() if value is not None}
    if "software_statement" in given:
        raise UnapprovedSoftwareStatement("software_statement: sent", "software_statement")
    method = given.setdefault("token_endpoint_auth_method", "client_secret_basic")
    grants = given.setdefault("grant_types", ["authorization_code"])
    _check_fixed(given, grants)
    raw: dict[str, Any] = {
        field: given[member] for member, field in FIELDS.items() if member in given
    }
    raw |= {name: given[name] for name in DETAILS if name in given}
    raw |= {
        "id": client_id,
        "kind": "public" if method == "none" else "confidential",
        "scopes": _scopes(given.get("scope"), allowed),
        "audiences": allowed.audiences,
    }
    described = _parsed(raw)
    if not allowed.grant_types.issuperset(described.grant_types):
        raise UnacceptableMetadata("grant_types: not allowed to who registers", "grant_types")
    definition = ClientDefinition.model_construct(
        **{name: getattr(described, name) for name in ClientDefinition.model_fields}
    ).model_copy(update={"origins": _origins(described)})
    return Wanted(definition, described.model_dump(include=set(DETAILS), exclude_defaults=True))


def complete(definition: ClientDefinition, limits: rules.Limits) -> ClientDefinition:
    """Check everything together, by the rules for every client. Raises as `read` does."""
    try:
        filled = rules.complete(definition, limits)
    except InvalidClientMetadata as refusal:
        raise _refusal(refusal.problems) from None
    problems = list(_keys(filled, limits))
    if problems:
        raise _refusal(problems)
    return filled


def _parsed(raw: Mapping[str, Any]) -> _Described:
    try:
        return _Described.parse(raw)
    except InvalidClientMetadata as refusal:
        raise _refusal(refusal.problems) from None


def _refusal(problems: Iterable[Problem]) -> InvalidRedirectUri | UnacceptableMetadata:
    listed = list(problems)
    detail = "; ".join(map(str, listed))
    fields = [re.split(r"[.\[]", one.path)[0] for one in listed]
    members = sorted({_MEMBERS.get(field, field) for field in fields})
    kind = InvalidRedirectUri if "redirect_uris" in members else UnacceptableMetadata
    return kind(detail, *members)


def _check_fixed(given: Mapping[str, Any], grants: Any) -> None:
    by_code = isinstance(grants, list) and "authorization_code" in grants
    if given.get("response_types", ["code"] if by_code else []) != (["code"] if by_code else []):
        raise UnacceptableMetadata("response_types: not code, or without its grant",
                                   "response_types")  # fmt: skip
    for member, value in FIXED.items():
        if given.get(member, value) != value:
            raise UnacceptableMetadata(f"{member}: not {value}", member)


def _scopes(text: Any, allowed: Allowed) -> tuple[str, ...]:
    if text is None:
        return tuple(sorted(allowed.scopes))
    if not isinstance(text, str):
        raise UnacceptableMetadata("scope: not a text", "scope")
    asked = set(text.split())
    if asked and not asked & allowed.scopes:
        raise UnacceptableMetadata("scope: nothing of it is allowed", "scope")
    return tuple(sorted(asked & allowed.scopes))


def _origins(described: ClientDefinition) -> tuple[str, ...]:
    """Return where pages of the application live: they redeem its codes, if it has no server."""
    if described.kind != "public":
        return ()
    parts = [urlsplit(uri) for uri in described.redirect_uris]
    return tuple(sorted({origin for one in parts if (origin := _origin(one.scheme, one.netloc))}))


def _origin(scheme: str, netloc: str) -> str | None:
    try:
        return syntax.origin(f"{scheme}://{netloc}".lower())
    except ValueError:
        return None


def _keys(definition: ClientDefinition, limits: rules.Limits) -> Iterable[Problem]:
    if definition.jwks is not None and definition.jwks_uri is not None:
        yield Problem("jwks", "goes without jwks_uri")
    has_keys = definition.jwks is not None or definition.jwks_uri is not None
    if definition.auth_method == "private_key_jwt" and not has_keys:
        yield Problem("jwks", "or jwks_uri goes with private_key_jwt")
    if definition.jwks_uri is not None:
        objection = limits.outgoing.objection(Destination.parse(definition.jwks_uri))
        if objection is not None:
            yield Problem("jwks_uri", objection)
