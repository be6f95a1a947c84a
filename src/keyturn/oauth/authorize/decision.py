"""What happens next to a request for authorization: one pure function, asked again at every visit.

The pages change what is known (somebody signed in, somebody agreed) and send the browser back;
nothing but this decides whether that was enough.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal
from uuid import UUID

from keyturn.authorization_errors import (
    AccessDenied,
    ConsentRequired,
    LoginRequired,
    UnmetAuthenticationRequirements,
)
from keyturn.authorizations.model import AuthorizationRequest
from keyturn.clients.model import Client
from keyturn.logins.model import Login
from keyturn.oauth.authorize import redirect
from keyturn.tokens.access_token import ACR_PASSWORD, ACR_SESSION

REACHABLE = frozenset({ACR_PASSWORD, ACR_SESSION})


class Step(Enum):
    """Who has to do something before the client gets its answer."""

    SIGN_IN = "the person shows who they are"
    CONSENT = "the person agrees"
    CODE = "nobody: the client gets its code"


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known when a request is decided."""

    request: AuthorizationRequest
    client: Client
    login: Login | None
    granted: frozenset[str]
    """The scopes this person has let this client have before."""
    step_up_max_age: timedelta
    """How long a proof counts as fresh (`urn:keyturn:acr:password`)."""
    proven: UUID | None = None
    """The login that was proven for this very request."""
    answer: Literal["agreed", "denied"] | None = None
    """What the person said to this very request."""

    @property
    def is_silent(self) -> bool:
        """Whether no page may be shown."""
        return "none" in self.request.prompt


def decide(visit: Visit) -> Step:
    """Say what happens next.

    Raises `LoginRequired`, `ConsentRequired`, `UnmetAuthenticationRequirements`, `AccessDenied`.
    """
    essential = visit.request.essential_acr
    if essential and not essential & REACHABLE:
        raise UnmetAuthenticationRequirements("acr: an essential one that nobody reaches here")
    if visit.answer == "denied":
        raise AccessDenied("consent: denied")
    if visit.login is None or _wants_proof(visit, visit.login):
        if visit.is_silent:
            raise LoginRequired("prompt: none, and nobody is signed in recently enough")
        return Step.SIGN_IN
    hinted = visit.request.hinted_subject
    if hinted is not None and hinted != str(visit.login.user_id):
        # Never another person in silence, and never a switch of accounts by somebody's link.
        raise LoginRequired("id_token_hint: somebody else is signed in")
    if _wants_consent(visit):
        if visit.is_silent:
            raise ConsentRequired("prompt: none, and the person has not agreed")
        return Step.CONSENT
    return Step.CODE


def _wants_proof(visit: Visit, login: Login) -> bool:
    """Whether this login is not enough, however live it is."""
    if visit.proven == login.id:
        return False
    request, age = visit.request, _age(login, login.decided_at)
    if request.prompt & {"login", "select_account"}:
        return True
    if request.max_age is not None and age > timedelta(seconds=request.max_age):
        return True
    return age > visit.step_up_max_age and _wants_fresh(visit)


def _wants_fresh(visit: Visit) -> bool:
    """Whether an acr is wanted that only a fresh proof gives (RFC 9470 section 4)."""
    request = visit.request
    if request.essential_acr:
        return ACR_SESSION not in request.essential_acr
    # A wish, not a condition: in silence it is not worth an error.
    return request.acr_values[:1] == (ACR_PASSWORD,) and not visit.is_silent


def _wants_consent(visit: Visit) -> bool:
    if visit.answer == "agreed" and visit.request.scopes <= visit.granted:
        return False
    if "consent" in visit.request.prompt:
        return True
    if visit.client.skip_consent:
        return False
    # Another app of the same device may have sent this in the name of the client it imitates.
    by_anybody = visit.client.is_public and redirect.is_unverified(visit.request.redirect_uri)
    return by_anybody or not visit.request.scopes <= visit.granted


def _age(login: Login, now: datetime) -> timedelta:
    return now - login.auth_time
