"""Access tokens presented to our own endpoints: all checks, in one order (RFC 9068 section 4).

Form, algorithm, type, key and signature are `crypto.jose`'s; then issuer, audience and times;
last whether the session or the token has been revoked, the only check that may ask a server.
APIs elsewhere check offline and learn of a revocation when the token expires; we do not wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from keyturn.clock import Clock
from keyturn.crypto import jose
from keyturn.crypto.jose import InvalidJws
from keyturn.errors import InvalidToken
from keyturn.keys.keyring import Keyring
from keyturn.revocation.revocations import Finding

NOT_FOR_CALLER: Final = "aud: not for this audience"
"""Detail of the refusal of a token that is ours, for somebody else."""

Kind = TypeVar("Kind", str, int)


class RevocationCheck(Protocol):
    """The one question asked of `revocation.revocations`."""

    async def look_up(self, sid: str | None, jti: str) -> Finding:
        """Return whether the session or the token has ended; `Unavailable` when nobody knows."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a good access token says."""

    sub: str
    client_id: str
    jti: str
    sid: str | None
    """None for a machine's token, which belongs to no session."""
    aud: tuple[str, ...]
    iat: int
    exp: int
    claims: Mapping[str, Any]
    """Every claim as signed."""


@dataclass(frozen=True, slots=True)
class AccessTokenVerifier:
    """Checks bearer tokens that this server issued."""

    keyring: Keyring
    revocations: RevocationCheck
    clock: Clock
    issuer: str
    skew: int
    """Seconds of leeway for `iat` and `nbf`: they are the database's time, not this process's."""

    async def verify(self, token: str, *audiences: str) -> VerifiedToken:
        """Return what the token says, when it is good now and for one of `audiences`.

        Raises `InvalidToken` (its detail names the check), `Unavailable`.
        """
        return await self._live(self.read(token, *audiences))

    def read(self, token: str, *audiences: str) -> VerifiedToken:
        """Return what the token says, good as far as it can tell by itself, revoked or not.

        Raises `InvalidToken`.
        """
        verified = self._signed_by_us(token)
        if not set(verified.aud).intersection(audiences):
            raise InvalidToken(NOT_FOR_CALLER)
        self._check_times(verified)
        return verified

    async def look_up(self, token: VerifiedToken) -> Finding:
        """Return whether a token was revoked, and what says so. Raises `Unavailable`."""
        return await self.revocations.look_up(token.sid, token.jti)

    async def verify_for_anyone(self, token: str) -> VerifiedToken:
        """Return what the token says, when it is good now, whoever it is for.

        For who decides by more than the audience whether it may be presented. Raises as `verify`.
        """
        verified = self._signed_by_us(token)
        self._check_times(verified)
        return await self._live(verified)

    def read_for_revocation(self, token: str) -> VerifiedToken:
        """Return what a token of ours says, expired or not (RFC 7009 section 2.1).

        Whoever revokes a token wants it dead, also when it is dead already. Raises `InvalidToken`
        for anything we did not sign.
        """
        return self._signed_by_us(token)

    def _signed_by_us(self, token: str) -> VerifiedToken:
        try:
            claims = jose.verify(token, jose.AT_JWT, self.keyring.find)
        except InvalidJws as error:
            raise InvalidToken(str(error)) from error
        if claims.get("iss") != self.issuer:
            raise InvalidToken("iss: another issuer")
        return _read(claims)

    async def _live(self, token: VerifiedToken) -> VerifiedToken:
        if (await self.look_up(token)).revoked:
            raise InvalidToken("revoked")
        return token

    def _check_times(self, token: VerifiedToken) -> None:
        now = self.clock.now().timestamp()
        # No leeway: `expires_in` has told everybody that the token ends here, and introspection
        # must not say otherwise. A clock that is ahead costs its callers an early refresh.
        if now >= token.exp:
            raise InvalidToken("exp: expired")
        if token.iat > now + self.skew:
            raise InvalidToken("iat: in the future")
        not_before = _optional(token.claims, "nbf", int)
        if not_before is not None and not_before > now + self.skew:
            raise InvalidToken("nbf: in the future")


def _read(claims: Mapping[str, Any]) -> VerifiedToken:
    return VerifiedToken(
        sub=_required(claims, "sub", str),
        client_id=_required(claims, "client_id", str),
        jti=_required(claims, "jti", str),
        sid=_optional(claims, "sid", str),
        aud=_audience(claims),
        iat=_required(claims, "iat", int),
        exp=_required(claims, "exp", int),
        claims=claims,
    )


def _required(claims: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    value = _optional(claims, name, kind)
    if value is None:
        raise InvalidToken(f"{name}: missing")
    return value


def _optional(claims: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind | None:
    value = claims.get(name)
    # `type`, not `isinstance`: to Python, true is the number 1, and would be a fine `exp`.
    if value is not None and type(value) is not kind:
        raise InvalidToken(f"{name}: not {kind.__name__}")
    return value


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `aud` as a tuple: one string or a list of them (RFC 7519 section 4.1.3)."""
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise InvalidToken("aud: missing or malformed")
    return tuple(values)
