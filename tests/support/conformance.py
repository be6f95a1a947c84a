"""What the OpenID Foundation's conformance suite looks at in every module, worked out anew.

A `Run` is one run of one module: a person and a browser of its own, the plan's response mode, and
the warnings it would end with. It speaks HTTP as the suite does, with clients that send a nonce
and no PKCE; every answer goes through the checks of this page, whatever else a module wants.
Nothing here is the suite's code, and nothing that passes here is certified.
"""

import json
import math
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx2
from joserfc import jwt
from joserfc.jwk import KeySet

from support.api import Api, Person
from support.browserless import Browserless, challenge_of, forms_of
from support.forging import unb64
from support.replicas import AUDIENCE, ORIGIN

ResponseMode = Literal["query", "form_post"]

DISCOVERY = "/.well-known/openid-configuration"
CALLBACK = f"{ORIGIN}/callback"
SECOND_CALLBACK = f"{ORIGIN}/callback?dummy1=lorem&dummy2=ipsum"
"""The second client's, whose own query must come back untouched."""
GOODBYE = f"{ORIGIN}/post_logout_redirect"
CLIENT = {
    "kind": "confidential",
    "grant_types": ["authorization_code", "refresh_token"],
    "scopes": ["openid", "profile", "email", "address", "phone", "offline_access"],
    "audiences": [AUDIENCE],
    "post_logout_redirect_uris": [GOODBYE],
    "require_pkce": False,
}
"""As an operator registers a client for the plans, which send no PKCE."""

CLAIMS_OF = {
    "profile": (
        *("name", "family_name", "given_name", "middle_name", "nickname", "preferred_username"),
        *("profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale"),
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
"""What OpenID Connect Core section 5.4 lets each scope ask for."""
TYPES = {
    "email_verified": bool,
    "phone_number_verified": bool,
    "updated_at": int,
    "address": dict,
}
"""The standard claims that are no strings (section 5.1)."""

NEEDS_A_PERSON = {
    *("login_required", "interaction_required", "consent_required"),
    "account_selection_required",
}
DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")
PERMITTED = re.compile(r"[\x20-\x7E]+")
SKEW, A_YEAR = 300, 366 * 86400
MOST_PAGES = 6


# -- rules that need nothing but what they look at ---------------------------------------------


def has_entropy(value: str) -> bool:
    """Whether a credential is long enough, and its characters are varied enough."""
    share = [count / len(value) for count in Counter(value).values()]
    bits = -sum(one * math.log2(one) for one in share) * len(value)
    return len(value) * 8 >= 128 and bits >= 96


def check_error(said: Mapping[str, str]) -> None:
    """Check what an error says (RFC 6749 sections 4.1.2.1 and 5.2)."""
    assert "code" not in said
    assert PERMITTED.fullmatch(said["error"])
    assert DESCRIPTION.fullmatch(said.get("error_description", "x")), said
    assert urlsplit(said.get("error_uri", "https://x")).scheme == "https"


def check_claims(claims: Mapping[str, Any]) -> None:
    """Check that each standard claim that is there has its JSON type."""
    for name in {name for names in CLAIMS_OF.values() for name in names} & set(claims):
        assert isinstance(claims[name], TYPES.get(name, str)), (name, claims[name])
        assert claims[name] != "", name


def check_keys(jwks: Mapping[str, Any]) -> None:
    """Check a JWKS: public signing keys, each with an id of its own (RFC 7517)."""
    keys = jwks["keys"]
    assert keys
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert not set(key) & {"d", "p", "q", "dp", "dq", "qi", "k"}
        assert (key["kty"], key["use"]) == ("RSA", "sig")
        assert key["alg"] in {"RS256", "PS256"}
        assert len(unb64(key["n"])) * 8 >= 2048


def token_error(answer: httpx2.Response) -> str:
    """Check an error of the token endpoint (RFC 6749 section 5.2) and return its code."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    check_error(answer.json())
    code: str = answer.json()["error"]
    return code


# -- the parties -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Client:
    """One client of a plan, as its operator wrote it into the plan's configuration."""

    id: str
    secret: str
    method: Literal["client_secret_basic", "client_secret_post"]
    redirect_uri: str


@dataclass(frozen=True)
class Provider:
    """The server under test: what discovery says of it, and the plan's clients."""

    api: Api
    document: Mapping[str, Any]
    keys: KeySet
    basic: tuple[Client, Client]
    post: tuple[Client, Client]

    @classmethod
    async def of(cls, api: Api, **changes: Any) -> "Provider":
        """Read discovery and keys, check them, and register two clients a method."""
        answer = await api.get(DISCOVERY)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        assert document["issuer"] == api.issuer
        jwks = await api.get(document["jwks_uri"].removeprefix(api.issuer))
        assert jwks.status_code == 200
        check_keys(jwks.json())
        pairs = {}
        for method in ("client_secret_basic", "client_secret_post"):
            assert method in document["token_endpoint_auth_methods_supported"]
            pairs[method] = tuple(
                [await _register(api, method, uri, changes) for uri in (CALLBACK, SECOND_CALLBACK)]
            )
        basic, post = pairs.values()
        return cls(api, document, KeySet.import_key_set(jwks.json()), basic, post)

    def path(self, member: str) -> str:
        """Return the path of an endpoint that discovery names: the proxy before it is ours."""
        address: str = self.document[member]
        assert address.startswith(f"{self.api.issuer}/"), address
        return address.removeprefix(self.api.issuer)


async def _register(api: Api, method: Any, uri: str, changes: Mapping[str, Any]) -> Client:
    raw = {**CLIENT, "auth_method": method, "redirect_uris": [uri], **changes}
    client_id = await api.client(raw)
    secret = api.secrets[client_id]
    assert secret is not None
    return Client(client_id, secret, method, uri)


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser sent to the authorization endpoint: what it was shown, and how it ended."""

    client: Client
    asked: Mapping[str, str]
    pages: list[str]
    end: httpx2.Response


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that went well, checked from end to end."""

    client: Client
    pages: list[str]
    code: str
    tokens: Mapping[str, Any]
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    userinfo: Mapping[str, Any]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that shows the access token."""
        return {"authorization": f"Bearer {self.tokens['access_token']}"}


@dataclass
class Run:
    """One run of one module."""

    provider: Provider
    response_mode: ResponseMode
    person: Person
    browser: Browserless
    warnings: list[str] = field(default_factory=list)
    algorithm: ClassVar[str] = "RS256"
    token_type: ClassVar[str] = "bearer"

    # -- the authorization endpoint --------------------------------------------------------

    def request(self, client: Client, **changes: str | None) -> dict[str, str]:
        """Return the request every module starts from; a parameter changed to None is out."""
        wanted: dict[str, str | None] = {
            "client_id": client.id,
            "redirect_uri": client.redirect_uri,
            "scope": "openid",
            "state": uuid4().hex,
            "nonce": uuid4().hex,
            "response_type": "code",
            "response_mode": None if self.response_mode == "query" else self.response_mode,
            **changes,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    async def visit(
        self,
        client: Client,
        *,
        method: str = "GET",
        stop_at: str | None = None,
        **changes: str | None,
    ) -> Visit:
        """Send the browser there; the person signs in and agrees whenever a page asks them to."""
        asked = self.request(client, **changes)
        how = {"params": asked} if method == "GET" else {"data": asked}
        path = self.provider.path("authorization_endpoint")
        page = await self.browser.follow(await self.browser.send(method, path, **how))
        return await self.on(Visit(client, asked, [], page), stop_at=stop_at)

    async def on(self, visit: Visit, *, stop_at: str | None = None) -> Visit:
        """Go on from a page, to the end or until a page asks for what `stop_at` names."""
        page, pages = visit.end, list(visit.pages)
        while form := self._asking(page):
            assert len(pages) < MOST_PAGES, pages
            if form == stop_at:
                break
            pages.append(form)
            if form == "login":
                page = await self.browser.sign_in(page, self.person)
            else:
                page = await self.browser.submit(page, "consent", "allow")
        return Visit(visit.client, visit.asked, pages, page)

    def _asking(self, page: httpx2.Response) -> str | None:
        forms = forms_of(page) if page.status_code == 200 else {}
        return next((name for name in ("login", "consent") if name in forms), None)

    def told(self, visit: Visit) -> dict[str, str]:
        """Check an authorization response and return what it brings, by the mode asked for."""
        end, uri = visit.end, visit.client.redirect_uri
        if visit.asked.get("response_mode") == "form_post":
            # What the browser makes of it: POST, form-urlencoded, nothing added to the URL.
            assert (end.status_code, "location" in end.headers) == (200, False), end.text
            assert end.headers["content-type"].startswith("text/html")
            form = forms_of(end)["answer"]
            assert (form.method, form.action) == ("post", uri)
            assert "enctype" not in end.text
            return self._checked(visit, list(form.fields.items()))
        assert end.status_code in {302, 303}, (end.status_code, end.text)
        there, registered = urlsplit(end.headers["location"]), urlsplit(uri)
        assert there[:3] == registered[:3], end.headers["location"]
        assert there.fragment == ""
        pairs = parse_qsl(there.query, keep_blank_values=True, strict_parsing=True)
        for own in parse_qsl(registered.query):
            pairs.remove(own)
        return self._checked(visit, pairs)

    def _checked(self, visit: Visit, pairs: list[tuple[str, str]]) -> dict[str, str]:
        said = dict(pairs)
        assert len(said) == len(pairs), "a parameter comes twice"
        assert said["iss"] == self.provider.document["issuer"]
        assert said.get("state") == visit.asked.get("state")
        return said

    def error(self, visit: Visit) -> str:
        """Check an error response of the authorization endpoint and return its code."""
        said = self.told(visit)
        assert set(said) <= {"error", "error_description", "error_uri", "state", "iss"}
        check_error(said)
        return said["error"]

    # -- the whole flow --------------------------------------------------------------------

    async def flow(
        self,
        client: Client | None = None,
        *,
        method: str = "GET",
        verifier: str | None = None,
        **changes: str | None,
    ) -> Flow:
        """Get a code, redeem it, ask userinfo; every step is checked."""
        client = client or self.provider.basic[0]
        if verifier is not None:
            challenge = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
            changes = {**changes, **challenge}
        visit = await self.visit(client, method=method, **changes)
        return await self.finish(visit, verifier=verifier)

    async def finish(self, visit: Visit, *, verifier: str | None = None) -> Flow:
        """Take a flow from the authorization response to its end."""
        said = self.told(visit)
        assert "error" not in said, said
        assert has_entropy(said["code"])
        redeemed = await self.redeem(visit.client, said["code"], verifier=verifier)
        tokens = self.tokens(redeemed)
        header, claims = self.identity(tokens["id_token"], visit.client)
        assert claims.get("nonce") == visit.asked.get("nonce")
        answer = await self.userinfo(tokens["access_token"])
        return Flow(
            visit.client,
            visit.pages,
            said["code"],
            tokens,
            header,
            claims,
            self.told_of(answer, claims["sub"]),
        )

    # -- the token endpoint ----------------------------------------------------------------

    async def token(self, client: Client, **fields: str) -> httpx2.Response:
        """Ask for tokens as this client, proven by its method."""
        auth = None
        if client.method == "client_secret_basic":
            auth = (client.id, client.secret)
        else:
            fields |= {"client_id": client.id, "client_secret": client.secret}
        path = self.provider.path("token_endpoint")
        return await self.provider.api.callers[0].post(path, data=fields, auth=auth)

    async def redeem(
        self, client: Client, code: str, *, verifier: str | None = None
    ) -> httpx2.Response:
        """Redeem a code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
        }
        if verifier is not None:
            fields["code_verifier"] = verifier
        return await self.token(client, **fields)

    def tokens(self, answer: httpx2.Response) -> dict[str, Any]:
        """Check a token response (RFC 6749 section 5.1) and return it."""
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].split(";")[0] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        given: dict[str, Any] = answer.json()
        assert given["token_type"].lower() == self.token_type
        assert isinstance(given["expires_in"], int)
        assert given["expires_in"] > 0
        for name in {"access_token", "refresh_token"} & set(given):
            assert has_entropy(given[name]), name
            assert PERMITTED.fullmatch(given[name]), name
        return given

    # -- who it was ------------------------------------------------------------------------

    def identity(self, id_token: str, client: Client) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check an ID token (OpenID Connect Core sections 2 and 3.1.3.7); return its halves."""
        header: dict[str, Any] = json.loads(unb64(id_token.split(".", 1)[0]))
        assert header["kid"] in {key.kid for key in self.provider.keys.keys}
        claims = jwt.decode(id_token, self.provider.keys, algorithms=[self.algorithm]).claims
        now = time.time()
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        assert claims["iss"] == self.provider.document["issuer"]
        assert client.id in audiences
        assert claims.get("azp", client.id) == client.id
        assert now < claims["exp"] < now + 50 * A_YEAR
        assert abs(now - claims["iat"]) < SKEW
        assert now - A_YEAR < claims["auth_time"] < now + SKEW
        assert claims["acr"]
        assert claims["sub"]
        assert claims["sub"].isascii()
        assert len(claims["sub"]) <= 255
        check_claims(claims)
        return header, claims

    async def userinfo(
        self, access_token: str, method: str = "GET", **options: Any
    ) -> httpx2.Response:
        """Ask who it is, with the token in the header."""
        headers = {"authorization": f"Bearer {access_token}"}
        path = self.provider.path("userinfo_endpoint")
        return await self.provider.api.callers[0].request(method, path, headers=headers, **options)

    def told_of(self, answer: httpx2.Response, sub: str) -> dict[str, Any]:
        """Check a userinfo response (section 5.3.2) and return it."""
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].split(";")[0] == "application/json"
        said: dict[str, Any] = answer.json()
        assert said["sub"] == sub
        check_claims(said)
        return said

    # -- what a module ends with -----------------------------------------------------------

    def warn(self, sentence: str) -> None:
        """Note what the suite would warn of: no failure, and not to be passed over either."""
        self.warnings.append(sentence)

    async def age_login(self, seconds: int) -> None:
        """Let the person have signed in so much earlier: the suite waits instead."""
        await self.provider.api.sql.execute(
            "update logins set auth_time = auth_time - make_interval(secs => $2)"
            " where user_id = $1 and ended_at is null",
            self.person.id,
            seconds,
        )
