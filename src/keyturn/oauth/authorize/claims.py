"""The parameter `claims` (OpenID Connect Core section 5.5): where a claim is wanted, and which acr.

A claim asked for by name is a question for the scope that shows it (`checks` puts it so), because
a person is asked about scopes and about nothing else. Userinfo then shows it; in the ID token it
stands when it is asked for there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyturn.crypto.strict_json import parse_object
from keyturn.errors import InvalidRequest
from keyturn.tokens.claims import CLAIMS_OF, shown

CLAIMS: Final = shown(CLAIMS_OF)
"""Every claim about a person that there is to ask for here; others are ignored (section 5.5.1)."""


@dataclass(frozen=True, slots=True)
class ClaimsParameter:
    """What the parameter asks for, as far as this server understands it."""

    id_token: tuple[str, ...] = ()
    """The claims about a person that the ID token shall carry."""
    asked: frozenset[str] = frozenset()
    """The claims about a person that are wanted at all, wherever, essential or not."""
    essential_acr: frozenset[str] = frozenset()
    subject: str | None = None
    """The one person who may be signed in (section 5.5.1)."""


def parse(text: str | None) -> ClaimsParameter:
    """Read the parameter. Raises `InvalidRequest` for what is not an object of objects."""
    if text is None:
        return ClaimsParameter()
    try:
        wanted = parse_object(text.encode())
    except ValueError:
        raise InvalidRequest("claims: not one JSON object") from None
    id_token, userinfo = _members(wanted, "id_token"), _members(wanted, "userinfo")
    return ClaimsParameter(
        id_token=tuple(sorted(CLAIMS.intersection(id_token))),
        asked=CLAIMS.intersection({*id_token, *userinfo}),
        essential_acr=_essential_acr(id_token.get("acr")),
        subject=_subject(id_token.get("sub")) or _subject(userinfo.get("sub")),
    )


def _members(wanted: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    members = wanted.get(where)
    if members is None:
        return {}
    if not isinstance(members, dict):
        raise InvalidRequest(f"claims: {where} is not an object")
    if not all(one is None or isinstance(one, dict) for one in members.values()):
        raise InvalidRequest(f"claims: {where} asks for a claim by something else")
    return members


def _essential_acr(asked: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the values one of which must be reached, or none at all (section 5.5.1.1)."""
    if not asked or asked.get("essential") is not True:
        return frozenset()
    values = asked.get("values", [asked["value"]] if "value" in asked else [])
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise InvalidRequest("claims: acr is asked for by something else than strings")
    return frozenset(values)


def _subject(asked: Mapping[str, Any] | None) -> str | None:
    value = asked.get("value") if asked else None
    if value is not None and not isinstance(value, str):
        raise InvalidRequest("claims: sub is not a string")
    return value
