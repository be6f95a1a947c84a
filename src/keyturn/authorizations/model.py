"""What an application asked for, that question while a person answers it, and a code's terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.crypto import pkce
from keyturn.db.pool import Row
from keyturn.logins.model import Login
from keyturn.sessions.model import Started


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request that has passed every check (RFC 6749 4.1.1, OpenID 3.1.2.1)."""

    client_id: str
    redirect_uri: str
    response_mode: Literal["query", "form_post"]
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    essential_acr: frozenset[str] = frozenset()
    login_hint: str | None = None
    ui_locales: tuple[str, ...] = ()
    hinted_subject: str | None = None
    """The `sub` of a genuine `id_token_hint`."""
    id_token_claims: tuple[str, ...] = ()
    dpop_jkt: str | None = None
    """The key that whoever redeems the code must prove (RFC 9449 section 10)."""
    pushed: str | None = None
    """Which pushed request this is (a hash, in hex): whoever answers it uses that one up."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data without what is as usual; sets come in alphabetical order."""
        told = ((one.name, getattr(self, one.name), one.default) for one in fields(self))
        return {name: _plain(value) for name, value, usual in told if value != usual}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from what `as_json` made; a member of another release is left out."""
        known = {one.name: one for one in fields(cls)}
        return cls(**{name: _typed(name, data[name]) for name in known if name in data})


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits for a person, found by the browser that brought it."""

    handle: str
    request: AuthorizationRequest
    proven_login_id: UUID | None
    """The login that was proven for this very request: that satisfies `prompt=login`."""
    answer: Literal["agreed", "denied"] | None = None
    """What the person said to this very request (`Requests.answer(handle, "agreed")`): agreeing
    satisfies `prompt=consent`, denying ends in `access_denied`."""


_SETS = frozenset({"scopes", "prompt", "essential_acr"})


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


def _typed(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return frozenset(value) if name in _SETS else tuple(value)


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """What a person granted: the request, their login, the scopes they agreed to."""

    request: AuthorizationRequest
    login: Login
    scopes: frozenset[str]
    proven: bool = False
    """They proved themselves for this very request."""
    device: str | None = None
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class Redemption:
    """What an authenticated client brings to the token endpoint."""

    client: Client
    code: str = field(repr=False)
    redirect_uri: str | None
    code_verifier: str | None = field(repr=False)
    audiences: tuple[str, ...] | None = None
    """The resources it wants a token for; None: all that were granted (RFC 8707 section 2.2)."""
    dpop_jkt: str | None = None
    """The key of the proof that came along."""

    @property
    def session_jkt(self) -> str | None:
        """The key the session is bound to: a public client's (RFC 9449 section 5)."""
        return self.dpop_jkt if self.client.is_public else None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The session a code gave, and what its ID token says besides."""

    started: Started
    nonce: str | None
    id_token_claims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredCode:
    """What a code is bound to; nothing of it ever changes."""

    client_id: str
    redirect_uri: str
    code_challenge: str | None
    nonce: str | None
    user_id: UUID
    login_id: UUID
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    id_token_claims: tuple[str, ...]
    auth_time: datetime
    amr: tuple[str, ...]
    proven: bool
    remembered: bool
    device: str | None
    ip: str | None
    dpop_jkt: str | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from the row of the query `read_code`."""
        return cls(
            client_id=row["client_id"],
            redirect_uri=row["redirect_uri"],
            code_challenge=row["code_challenge"],
            nonce=row["nonce"],
            user_id=row["user_id"],
            login_id=row["login_id"],
            scopes=frozenset(row["scopes"]),
            audiences=tuple(row["audiences"]),
            id_token_claims=tuple(row["id_token_claims"]),
            auth_time=row["auth_time"],
            amr=tuple(row["amr"]),
            proven=row["proven"],
            remembered=row["remembered"],
            device=row["device"],
            ip=row["ip"],
            dpop_jkt=row["dpop_jkt"],
        )

    def refuses(self, redemption: Redemption) -> str | None:
        """Say what the code is bound to and the redemption has not shown; None: everything."""
        if self.client_id != redemption.client.id:
            return "another client's"
        if self.redirect_uri != redemption.redirect_uri:
            return "the redirect URI is not that of the request"
        if not pkce.proves(redemption.code_verifier, self.code_challenge):
            return "the verifier is not that of the challenge"
        if self.dpop_jkt not in {None, redemption.dpop_jkt}:
            return "no proof by the key of the request"
        return None
