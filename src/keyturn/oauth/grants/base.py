"""What the token endpoint asks of a grant, and the parameters grants share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from keyturn.clients.model import Client
from keyturn.errors import InvalidTarget
from keyturn.tokens import scope
from keyturn.tokens.access_token import AccessToken


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request whose client is authenticated and may use the grant."""

    client: Client
    form: Mapping[str, str]
    dpop_jkt: str | None = None
    """Thumbprint of the key that a valid DPoP proof came from; None: none came."""

    @property
    def session_jkt(self) -> str | None:
        """The key a session is bound to that begins here.

        Only a public client's: a confidential one proves itself at each refresh anyway, and may
        have another key by then (RFC 9449 section 5).
        """
        return self.dpop_jkt if self.client.is_public else None

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes asked for; None when none are named (RFC 6749 section 3.3)."""
        return scope.parse(self.form.get("scope"))

    @property
    def audiences(self) -> tuple[str, ...] | None:
        """The resources asked for, each once; None when none is named (RFC 8707 section 2)."""
        lines = self.form.get("resource")
        return None if lines is None else tuple(dict.fromkeys(lines.split("\n")))


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a grant gives (RFC 6749 section 5.1)."""

    access_token: AccessToken
    refresh_token: str | None = None
    id_token: str | None = None
    """Only when `openid` was granted (OpenID Connect Core section 3.1.3.3)."""
    issued_token_type: str | None = None
    """Only of a token exchange (RFC 8693 section 2.2.1)."""


class Grant(Protocol):
    """One grant type."""

    @property
    def name(self) -> str:
        """The value of `grant_type`."""
        ...

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Give tokens or raise a refusal; whatever is signed is signed last."""
        ...


def audiences_for(asked: tuple[str, ...] | None, client: Client) -> tuple[str, ...]:
    """Return the resources a new token is for: those named, else the client's one default."""
    if asked is None:
        return (client.default_audience,)
    if not set(asked) <= set(client.audiences):
        raise InvalidTarget("resource: not allowed for this client")
    return asked
