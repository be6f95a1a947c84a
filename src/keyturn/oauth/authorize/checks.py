"""Everything a request must be, once it is known where its answer goes.

`CHECKS` is the whole list, in the order in which it is decided; each check reads its own
parameters and returns the members of the `AuthorizationRequest` they become, or refuses.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from keyturn.authorization_errors import (
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
)
from keyturn.authorizations.model import AuthorizationRequest
from keyturn.crypto import pkce
from keyturn.errors import InvalidRequest, UnauthorizedClient
from keyturn.oauth.authorize import claims
from keyturn.oauth.authorize.addressed import Addressed
from keyturn.oauth.grants.base import audiences_for
from keyturn.tokens import scope
from keyturn.tokens.claims import CLAIMS_OF, OPENID, STANDARD_SCOPES

LONGEST: Final = 2048
"""Characters of a parameter. A longer one is refused: cut, it would mean something else."""
LONG: Final = frozenset({"claims", "id_token_hint", "resource"})
"""Parameters that may be longer, each bounded by whoever reads it."""
MOST_SECONDS: Final = 10**9

PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")

Members = Mapping[str, Any]


def check(
    request: Addressed, issuer: str, subject_of: Callable[[str], str]
) -> AuthorizationRequest:
    """Return the request as it is kept and decided. Raises a refusal, all for the client.

    `subject_of` reads the `sub` of a genuine `id_token_hint` and raises `InvalidRequest` for
    every other one.
    """
    members: dict[str, Any] = {
        "client_id": request.client.id,
        "redirect_uri": request.redirect_uri,
        "response_mode": request.response_mode,
        "state": request.state,
    }
    for one in CHECKS:
        members |= one(request)
    asked = members.pop("asked_claims")
    if OPENID in members["scopes"]:
        members["scopes"] |= _scopes_that_show(asked, request)
    members["hinted_subject"] = _hinted_subject(request, members.pop("subject"), subject_of)
    if OPENID in members["scopes"] and issuer not in members["audiences"]:
        members["audiences"] += (issuer,)
    return AuthorizationRequest(**members)


def _once(request: Addressed) -> Members:
    if request.asked.repeated:
        raise InvalidRequest("parameters: one is repeated")
    return {}


def _sizes(request: Addressed) -> Members:
    for name, value in request.asked.parameters.items():
        if len(value) > LONGEST and name not in LONG:
            raise InvalidRequest(f"parameters: longer than {LONGEST} characters")
    return {}


def _client(request: Addressed) -> Members:
    if "authorization_code" not in request.client.grant_types:
        raise UnauthorizedClient("client: has no grant authorization_code")
    return {}


def _request_objects(request: Addressed) -> Members:
    if request.get("request") is not None:
        raise RequestNotSupported("request: sent")
    if request.get("request_uri") is not None:
        raise RequestUriNotSupported("request_uri: sent")
    return {}


def _response_type(request: Addressed) -> Members:
    kind = request.get("response_type")
    if kind is None:
        raise InvalidRequest("response_type: missing")
    if kind != "code":
        raise UnsupportedResponseType("response_type: not code")
    return {}


def _response_mode(request: Addressed) -> Members:
    mode = request.get("response_mode")
    if mode is not None and mode not in request.client.response_modes:
        raise InvalidRequest("response_mode: not one of this client's")
    return {}


def _scopes(request: Addressed) -> Members:
    asked, allowed = scope.parse(request.get("scope")), request.client.scopes
    if asked is None:
        # What is about the person is given when it is named, never by default.
        return {"scopes": allowed - STANDARD_SCOPES}
    return {"scopes": scope.granted(asked, allowed)}


def _resources(request: Addressed) -> Members:
    lines = request.get("resource")
    asked = None if lines is None else tuple(dict.fromkeys(lines.split("\n")))
    return {"audiences": audiences_for(asked, request.client)}


def _nonce(request: Addressed) -> Members:
    return {"nonce": request.get("nonce")}


def _pkce(request: Addressed) -> Members:
    challenge, method = request.get("code_challenge"), request.get("code_challenge_method")
    if challenge is None and method is None and not request.client.require_pkce:
        _require_nonce(request)
        return {"code_challenge": None}
    if challenge is None or not pkce.is_challenge(challenge):
        raise InvalidRequest("code_challenge: missing, or not 43 characters of base64url")
    # Left out it means `plain`, and the code then travels beside the secret that guards it.
    if method != pkce.METHOD:
        raise InvalidRequest("code_challenge_method: not S256")
    return {"code_challenge": challenge}


def _require_nonce(request: Addressed) -> None:
    """Without PKCE only a nonce tells the client that a code was not injected (RFC 9700 2.1.1)."""
    asked = scope.parse(request.get("scope")) or frozenset()
    if OPENID in asked and request.get("nonce") is None:
        raise InvalidRequest("nonce: required of a client without PKCE")


def _dpop_jkt(request: Addressed) -> Members:
    jkt = request.get("dpop_jkt")
    if jkt is not None and not _THUMBPRINT.fullmatch(jkt):
        raise InvalidRequest("dpop_jkt: not 43 characters of base64url")
    return {"dpop_jkt": jkt}


def _prompt(request: Addressed) -> Members:
    prompt = frozenset((request.get("prompt") or "").split())
    if not prompt <= PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise InvalidRequest("prompt: unknown, or none with others")
    return {"prompt": prompt}


def _max_age(request: Addressed) -> Members:
    text = request.get("max_age")
    if text is None:
        return {"max_age": None}
    if not _SECONDS.fullmatch(text):
        raise InvalidRequest("max_age: not a number of seconds")
    return {"max_age": min(int(text), MOST_SECONDS)}


def _hints(request: Addressed) -> Members:
    return {
        "login_hint": request.get("login_hint"),
        "ui_locales": _words(request, "ui_locales"),
        "acr_values": _words(request, "acr_values"),
    }


def _claims(request: Addressed) -> Members:
    parameter = claims.parse(request.get("claims"))
    return {
        "id_token_claims": parameter.id_token,
        "asked_claims": parameter.asked,
        "essential_acr": parameter.essential_acr,
        "subject": parameter.subject,
    }


CHECKS: Final[tuple[Callable[[Addressed], Members], ...]] = (
    _once,
    _sizes,
    _client,
    _request_objects,
    _response_type,
    _response_mode,
    _scopes,
    _resources,
    _nonce,
    _pkce,
    _dpop_jkt,
    _prompt,
    _max_age,
    _hints,
    _claims,
)


def _scopes_that_show(asked: frozenset[str], request: Addressed) -> frozenset[str]:
    """Return the scopes that show these claims, as far as the client may have them.

    A person is asked about scopes and about nothing else, so a claim asked for by name is a
    question for its scope. What the client may not have is left out and no error (section 5.5.1).
    """
    shown_by = {one for one, names in CLAIMS_OF.items() if asked.intersection(names)}
    return request.client.scopes.intersection(shown_by)


def _words(request: Addressed, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((request.get(name) or "").split()))


def _hinted_subject(
    request: Addressed, claimed: str | None, subject_of: Callable[[str], str]
) -> str | None:
    """Return whom the request is about, when it says so: two who differ are nobody."""
    hint = request.get("id_token_hint")
    hinted = None if hint is None else subject_of(hint)
    if hinted and claimed and hinted != claimed:
        raise InvalidRequest("id_token_hint: of another person than claims asks for")
    return hinted or claimed
