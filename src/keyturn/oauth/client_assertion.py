"""`private_key_jwt`: a client proves itself by a JWT that one of its keys signed (RFC 7523).

Checked in the order of what a check costs: size, form and claims; the key and the signature; last
whether the assertion was used before, which asks PostgreSQL. Each is good once and for minutes, so
one that leaks from a log or a proxy is worth nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from keyturn import paths
from keyturn.clients.client_keys import ClientKeys
from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import client_jws
from keyturn.crypto.client_jws import ALGORITHMS, FAPI_ALGORITHMS, Unverified
from keyturn.crypto.jose import InvalidJws
from keyturn.errors import InvalidClient
from keyturn.replays.replays import Replays

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST: Final = 300
"""Seconds an assertion may be good for from now on."""
LEEWAY: Final = 30
"""Seconds a client's clock may be off: 10 must do, 60 must not (FAPI 2.0 section 5.3.2.1)."""

_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
_REPLAY: Final = "client_assertion"


def read(form: Mapping[str, str]) -> tuple[str, Unverified]:
    """Return who an assertion says it is from, and the assertion; nothing of it is proven.

    Raises `InvalidClient`.
    """
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise InvalidClient("client: assertion of another type, or none")
    try:
        assertion = client_jws.read(form["client_assertion"], ALGORITHMS)
        client_id = _text(assertion.claims, "sub")
    except InvalidJws as error:
        raise InvalidClient(f"client: assertion {error}") from error
    if form.get("client_id", client_id) != client_id:
        raise InvalidClient("client: the form names another client than the assertion")
    return client_id, assertion


@dataclass(frozen=True, slots=True)
class ClientAssertions:
    """Checks what clients have signed to prove themselves."""

    keys: ClientKeys
    replays: Replays
    clock: Clock
    issuer: str

    async def reason_to_refuse(
        self, assertion: Unverified, client: Client | None, path: str
    ) -> str | None:
        """Say what is wrong with an assertion sent to `path`; None uses it up.

        Without a client that may prove itself so, it takes as long as a wrong signature. Raises
        `Unavailable`.
        """
        is_fapi = client is not None and client.profile == "fapi2"
        try:
            self._check_claims(assertion, path, is_fapi=is_fapi)
            if client is None:
                client_jws.verify(assertion, client_jws.nobody_s_key(assertion.alg))
                return "nobody's"
            await self.keys.verify(client, assertion)
        except InvalidJws as error:
            return f"assertion {error}"
        until = datetime.fromtimestamp(assertion.claims["exp"] + LEEWAY, UTC)
        jti = assertion.claims["jti"]
        first = await self.replays.is_first(_REPLAY, client.id, jti, until=until)
        return None if first else "assertion jti: used before"

    def _check_claims(self, assertion: Unverified, path: str, *, is_fapi: bool) -> None:
        claims = assertion.claims
        typ = assertion.header.get("typ", "JWT")
        if not isinstance(typ, str) or typ.lower() not in _TYPES:
            raise InvalidJws("typ: another kind of token")
        if is_fapi and assertion.alg not in FAPI_ALGORITHMS:
            raise InvalidJws("alg: not allowed by the profile")
        if _text(claims, "iss") != claims["sub"]:
            raise InvalidJws("iss: not the client")
        if not self._is_for_us(claims.get("aud"), path, is_fapi=is_fapi):
            raise InvalidJws("aud: not this server")
        _check_times(claims, self.clock.now().timestamp())
        _text(claims, "jti")

    def _is_for_us(self, aud: object, path: str, *, is_fapi: bool) -> bool:
        # The issuer alone names this server and no other (RFC 7523bis). Older clients name the
        # token endpoint, or the one they call: addresses that the issuer's metadata told them.
        if aud == self.issuer:
            return True
        if is_fapi:
            return False
        if isinstance(aud, list) and len(aud) == 1:
            [aud] = aud
        return aud in (self.issuer, self.issuer + paths.TOKEN, self.issuer + path)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires = client_jws.moment(claims, "exp")
    if expires is None or expires <= now - LEEWAY:
        raise InvalidJws("exp: missing or over")
    if expires > now + LONGEST + LEEWAY:
        raise InvalidJws(f"exp: more than {LONGEST} s ahead")
    for name in ("iat", "nbf"):
        begins = client_jws.moment(claims, name)
        if begins is not None and begins > now + LEEWAY:
            raise InvalidJws(f"{name}: in the future")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    # What cannot be printed could not be stored either: half of a surrogate pair, NUL.
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InvalidJws(f"{name}: missing or not text")
    return value
