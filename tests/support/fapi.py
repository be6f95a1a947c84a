"""A client of the FAPI 2.0 Security Profile, and runs of the conformance suite's modules with it.

It proves itself by an assertion, pushes what it asks for, and binds its tokens to a key of its own.
A `FapiRun` looks at everything a `Run` looks at; nothing here is the suite's code.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import httpx2

from support.api import Api
from support.assertions import Signer
from support.browserless import VERIFIER, challenge_of
from support.conformance import (
    CALLBACK,
    CLIENT,
    SECOND_CALLBACK,
    Client,
    Flow,
    Provider,
    Run,
    Visit,
    check_error,
    has_entropy,
)
from support.possession import Algorithm, Holder

FAPI_CLIENT = {
    **{name: value for name, value in CLIENT.items() if name != "require_pkce"},
    "profile": "fapi2",
}
"""As an operator registers a client of the profile: everything else follows from that."""
SCOPE = "openid email offline_access"
SOON = 600

Proofs: TypeAlias = str | list[str] | None
"""What goes into the header `DPoP`; None leaves it out."""


@dataclass(frozen=True)
class FapiClient(Client):
    """A client that holds two keys: one that proves it, one that its tokens are bound to."""

    signer: Signer = field(kw_only=True)
    holder: Holder = field(kw_only=True)

    @classmethod
    async def registered(cls, api: Api, alg: Algorithm, uri: str) -> "FapiClient":
        """Register one that signs so, its assertions and its proofs."""
        signer = await Signer.of(api.issuer, alg).registered(api, FAPI_CLIENT, redirect_uris=[uri])
        return cls(
            signer.client_id, "", "client_secret_post", uri, signer=signer, holder=Holder.of(alg)
        )


@dataclass(frozen=True)
class FapiProvider(Provider):
    """The server under test, and the plan's two clients."""

    banks: tuple[FapiClient, FapiClient] = field(kw_only=True)

    @classmethod
    async def over(cls, provider: Provider) -> "FapiProvider":
        """Register the plan's clients: RSA keys have one algorithm more to refuse."""
        first = await FapiClient.registered(provider.api, "PS256", CALLBACK)
        second = await FapiClient.registered(provider.api, "ES256", SECOND_CALLBACK)
        known = {name: getattr(provider, name) for name in Provider.__dataclass_fields__}
        return cls(**known, banks=(first, second))


@dataclass
class FapiRun(Run):
    """One run of one module of the plan."""

    provider: FapiProvider
    algorithm: ClassVar[str] = "PS256"
    token_type: ClassVar[str] = "dpop"

    # -- what a client sends ---------------------------------------------------------------

    def proof(self, client: FapiClient, member: str, method: str = "POST", **changes: Any) -> str:
        """Return a good proof for an endpoint that discovery names."""
        return client.holder.proof(method, self.provider.document[member], **changes)

    async def send(
        self,
        member: str,
        fields: Mapping[str, str | None],
        proofs: Proofs = None,
        method: str = "POST",
    ) -> httpx2.Response:
        """Send a form to an endpoint."""
        headers = [("dpop", one) for one in ([proofs] if isinstance(proofs, str) else proofs or [])]
        form = {name: value for name, value in fields.items() if value is not None}
        path = self.provider.path(member)
        return await self.provider.api.callers[0].request(method, path, data=form, headers=headers)

    def asked(self, client: FapiClient, **changes: str | None) -> dict[str, str]:
        """Return the request every module starts from; a parameter changed to None is out."""
        pkce = {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        return self.request(client, **{**pkce, "scope": SCOPE, **changes})

    async def push(
        self,
        client: FapiClient,
        asked: Mapping[str, str],
        proofs: Proofs = None,
        method: str = "POST",
        **claims: Any,
    ) -> httpx2.Response:
        """Push a request; `claims` change those of the assertion."""
        fields = {**asked, **client.signer.form(**claims)}
        return await self.send("pushed_authorization_request_endpoint", fields, proofs, method)

    def pushed(self, answer: httpx2.Response) -> str:
        """Check the answer to a push (RFC 9126 section 2.2) and return the `request_uri`."""
        assert answer.status_code == 201, answer.text
        assert answer.headers["cache-control"] == "no-store"
        given = answer.json()
        assert 0 < given["expires_in"] < SOON
        assert has_entropy(given["request_uri"])
        uri: str = given["request_uri"]
        return uri

    async def redeem(
        self,
        client: FapiClient,
        code: str,
        *,
        proofs: Any = ...,
        assertion: Mapping[str, str] | None = None,
        **changes: str | None,
    ) -> httpx2.Response:
        """Redeem a code with a good assertion and a good proof, unless told otherwise."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": VERIFIER,
            **(client.signer.form() if assertion is None else assertion),
            **changes,
        }
        sent = self.proof(client, "token_endpoint") if proofs is ... else proofs
        return await self.send("token_endpoint", fields, sent)

    async def refresh(
        self, client: FapiClient, token: str, *, proofs: Any = ..., **changes: str | None
    ) -> httpx2.Response:
        """Refresh with a good assertion and a good proof, unless told otherwise."""
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": token,
            **client.signer.form(),
            **changes,
        }
        sent = self.proof(client, "token_endpoint") if proofs is ... else proofs
        return await self.send("token_endpoint", fields, sent)

    # -- the browser -----------------------------------------------------------------------

    async def visit(
        self,
        client: FapiClient,
        *,
        proofs: Proofs = None,
        outside: Mapping[str, str] | None = None,
        stop_at: str | None = None,
        **changes: str | None,
    ) -> Visit:
        """Push a request and send the browser behind it; the person says yes to everything."""
        asked = self.asked(client, **changes)
        uri = self.pushed(await self.push(client, asked, proofs))
        return await self.come(client, uri, asked, outside=outside, stop_at=stop_at)

    async def come(
        self,
        client: FapiClient,
        uri: str,
        asked: Mapping[str, str],
        *,
        outside: Mapping[str, str] | None = None,
        stop_at: str | None = None,
    ) -> Visit:
        """Come with a `request_uri`; `outside` is what the browser brings besides."""
        brought = {"client_id": client.id, "request_uri": uri, **(outside or {})}
        page = await self.browser.open(self.provider.path("authorization_endpoint"), brought)
        return await self.on(Visit(client, asked, [], page), stop_at=stop_at)

    # -- resources -------------------------------------------------------------------------

    async def resource(
        self,
        client: FapiClient,
        token: str,
        *,
        scheme: str = "DPoP",
        proofs: Any = ...,
        name: str = "dpop",
        **options: Any,
    ) -> httpx2.Response:
        """Show an access token at the resource the plan is given: userinfo."""
        if proofs is ...:
            proofs = self.proof(client, "userinfo_endpoint", "GET", token=token)
        shown = [("authorization", f"{scheme} {token}")]
        headers = shown + [
            (name, one) for one in ([proofs] if isinstance(proofs, str) else proofs or [])
        ]
        path = self.provider.path("userinfo_endpoint")
        return await self.provider.api.callers[0].get(path, headers=headers, **options)

    def good(self, answer: httpx2.Response, sub: str) -> dict[str, Any]:
        """Check a resource's answer and return it."""
        assert "date" in answer.headers
        return self.told_of(answer, sub)

    # -- the whole flow --------------------------------------------------------------------

    def code(self, visit: Visit) -> str:
        """Check an authorization response that brings a code, and return the code."""
        said = self.told(visit)
        assert set(said) <= {"code", "state", "iss"}
        assert has_entropy(said["code"])
        return said["code"]

    async def flow(self, client: FapiClient | None = None, **changes: Any) -> Flow:
        """Push, sign in, redeem, ask userinfo; every step is checked."""
        return await self.finish(await self.visit(client or self.provider.banks[0], **changes))

    async def finish(self, visit: Visit, *, proofs: Any = ..., **shown: Any) -> Flow:
        """Take a flow from the authorization response to its end."""
        client, code = visit.client, self.code(visit)
        tokens = self.tokens(await self.redeem(client, code, proofs=proofs))
        header, claims = self.identity(tokens["id_token"], client)
        assert claims.get("nonce") == visit.asked.get("nonce")
        answer = await self.resource(client, tokens["access_token"], **shown)
        userinfo = self.good(answer, claims["sub"])
        return Flow(client, visit.pages, code, tokens, header, claims, userinfo)


def in_seconds(seconds: float) -> int:
    """Return a NumericDate so far from now."""
    return int(time.time() + seconds)


def error_of(answer: httpx2.Response, *codes: str) -> str:
    """Check an error in JSON: `invalid_client` may be a 401, everything else is a 400."""
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    said = answer.json()
    check_error(said)
    assert said["error"] in codes, said
    statuses = {400, 401} if said["error"] == "invalid_client" else {400}
    assert answer.status_code in statuses
    code: str = said["error"]
    return code
