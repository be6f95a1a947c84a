"""Who is calling: client authentication of the protocol endpoints (RFC 6749 section 2.3).

`Basic`, a secret in the form or a signed assertion prove a confidential client, `client_id` alone
names a public one; one method a request, and it is the one the client registered. Every failure
looks the same and takes the same time, or the answers would tell which client ids exist.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote_plus

from starlette.requests import Request

from keyturn.clients import secrets
from keyturn.clients.model import AuthMethod, Client
from keyturn.clients.registry import Registry
from keyturn.clock import Clock
from keyturn.crypto.client_jws import Unverified
from keyturn.errors import InvalidClient, InvalidRequest, Throttled
from keyturn.oauth import client_assertion
from keyturn.oauth.client_assertion import ClientAssertions
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.callers import Actor, acts
from keyturn.web.request_notes import note_client


class ClientThrottle(Protocol):
    """The limiter of failed authentications."""

    async def client_failed(self, client_id: str, address: str) -> None:
        """Count a failure. Raises `Throttled` when there were too many."""
        ...


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request says about who sends it; nothing of it is proven."""

    method: AuthMethod
    client_id: str
    secret: str = field(default="", repr=False)
    assertion: Unverified | None = None


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """Authenticates clients; only a failure costs a call to the limiter."""

    registry: Registry
    assertions: ClientAssertions
    throttle: ClientThrottle
    clock: Clock
    address_of: Callable[[Request], str]
    audit: Audit

    async def authenticate(self, request: Request, form: Mapping[str, str]) -> Client:
        """Return the client that sent this request, proven if it is confidential.

        Raises `InvalidRequest` for two methods at once, `InvalidClient` for every other
        failure, `Throttled`, `Unavailable`. (`web.forms` refuses credentials in the URL.)
        """
        presented = _presented(request.headers.getlist("authorization"), form)
        client = await self.registry.find(presented.client_id)
        reason = await self._reason_to_refuse(presented, client, request.scope["path"])
        if client is not None and reason is None:
            note_client(request.scope, client)
            acts(Actor.client(client.id))
            return client
        # Only failures are counted: a stranger who fails on purpose cannot lock a client out,
        # and no secret or signature can be guessed in any number of attempts.
        if presented.method != "none":
            await self._count(presented, request, client)
        basic = presented.method == "client_secret_basic"
        raise InvalidClient(f"client: {reason}", basic_challenge=basic)

    async def _count(self, presented: Presented, request: Request, client: Client | None) -> None:
        address = self.address_of(request)
        known = None if client is None else client.id
        try:
            await self.throttle.client_failed(presented.client_id, address)
        except Throttled:
            event = AuditEvent("client_authentication_throttled", client_id=known, result="failed")
            self.audit.record_seldom(event, known or "", address)
            raise
        if client is not None:
            self.audit.record(
                AuditEvent(
                    "client_authentication_failed", client_id=known, ip=address, result="failed"
                )
            )

    async def _reason_to_refuse(
        self, presented: Presented, client: Client | None, path: str
    ) -> str | None:
        if client is not None and _needs_no_proof(client, presented):
            return None
        # Proofs are checked whatever else is wrong: the time of a refusal tells nothing.
        wrong = _wrong_client(presented, client)
        if presented.assertion is not None:
            known = client if wrong is None else None
            reason = await self.assertions.reason_to_refuse(presented.assertion, known, path)
            return wrong or reason
        active = client.secrets if client else ()
        matches = secrets.matches(presented.secret, active, self.clock.now())
        return wrong or (None if matches else "wrong secret")


def _wrong_client(presented: Presented, client: Client | None) -> str | None:
    if client is None:
        return "unknown"
    if not client.is_active:
        return "disabled"
    if client.auth_method != presented.method:
        return f"registered for {client.auth_method}, not {presented.method}"
    return None


def _needs_no_proof(client: Client, presented: Presented) -> bool:
    """Whether a public client names itself: the most frequent caller, and it has no secret."""
    named = presented.method == "none" == client.auth_method
    return named and client.is_public and client.is_active


def _presented(authorization: list[str], form: Mapping[str, str]) -> Presented:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    assertion = "client_assertion" in form or "client_assertion_type" in form
    if len(authorization) + (secret is not None) + assertion > 1:
        raise InvalidRequest("client: more than one authentication method")
    if assertion:
        named, signed = client_assertion.read(form)
        return Presented("private_key_jwt", named, assertion=signed)
    if authorization:
        presented = _basic(authorization[0])
        if client_id not in {None, presented.client_id}:
            raise InvalidRequest("client: the form names another client than Basic")
        return presented
    if client_id is None:
        raise InvalidClient("client: not named")
    if secret is not None:
        return Presented("client_secret_post", client_id, secret)
    return Presented("none", client_id)


def _basic(header: str) -> Presented:
    """Read `Basic` credentials: each half form-urlencoded, then base64 (RFC 6749 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("client: not Basic", basic_challenge=True)
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        pair = (unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict"))
    except (binascii.Error, ValueError):
        raise InvalidClient("client: Basic is malformed", basic_challenge=True) from None
    if not colon:
        raise InvalidClient("client: Basic holds no colon", basic_challenge=True)
    return Presented("client_secret_basic", *pair)
