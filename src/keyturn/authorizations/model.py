"""What an application asked for, once checked; and that question while a person answers it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self
from uuid import UUID


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
