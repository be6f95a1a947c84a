"""What the token endpoint asks of a grant, and the parameters grants share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from keyturn.clients.model import Client
from keyturn.errors import InvalidScope, InvalidTarget
from keyturn.tokens.access_token import AccessToken

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request whose client is authenticated and may use the grant."""

    client: Client
    form: Mapping[str, str]
    dpop_jkt: str | None = None

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes asked for; None when none are named (RFC 6749 section 3.3)."""
        text = self.form.get("scope")
        if text is None:
            return None
        if not _SCOPE.fullmatch(text):
            raise InvalidScope("scope: malformed")
        return frozenset(text.split(" "))

    @property
    def audiences(self) -> tuple[str, ...] | None:
        """The resource asked for; None when none is named (RFC 8707 section 2)."""
        resource = self.form.get("resource")
        return None if resource is None else (resource,)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a grant gives (RFC 6749 section 5.1)."""

    access_token: AccessToken
    scopes: frozenset[str]
    refresh_token: str | None = None


class Grant(Protocol):
    """One grant type."""

    @property
    def name(self) -> str:
        """The value of `grant_type`."""
        ...

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Give tokens or raise a refusal; whatever is signed is signed last."""
        ...


def granted(asked: frozenset[str] | None, allowed: frozenset[str]) -> frozenset[str]:
    """Return what is asked for, never more than is allowed; all of it when nothing is named."""
    if asked is None:
        return allowed
    if not asked <= allowed:
        raise InvalidScope("scope: not allowed for this client")
    return asked


def addressed(asked: tuple[str, ...] | None, client: Client) -> tuple[str, ...]:
    """Return the resources a new token is for: those named, else the client's one default."""
    if asked is None:
        return (client.default_audience,)
    if not set(asked) <= set(client.audiences):
        raise InvalidTarget("resource: not allowed for this client")
    return asked
