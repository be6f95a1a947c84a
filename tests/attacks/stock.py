"""One of everything that a valid request needs, made anew for each batch: mutants use it up.

Whoever plays the attacker here holds it all: the best that mutants can begin with. What may end
everything of a person is aimed at people of their own: the victim, the doomed, the closed.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Self
from uuid import uuid4

import httpx2

from keyturn.clients.definition import ClientDefinition
from support.administering import OPS, WRITE
from support.api import APP, GATEWAY, MACHINE, PASSWORD, Api, Person, SignedIn, set_cookies
from support.assertions import Signer
from support.browserless import CALLBACK, SITE, SPA, Browserless, forms_of, request_of, told
from support.possession import Holder
from support.pushing import pushed
from support.replicas import AUDIENCE, ORIGIN
from support.signing import RequestSigner, jwks, key_for
from support.television import DEVICE_CODE, TELEVISION, Television

(EXCHANGE,) = GATEWAY["grant_types"]
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SOME = 6
"""How many of what a valid request uses up."""
KEY = key_for("ES256")
KEEPER = {**MACHINE, "introspects": [AUDIENCE]}
KINDS: dict[str, dict[str, Any]] = {
    "spa": {**SPA, "jwks": jwks(KEY), "grant_types": [*SPA["grant_types"], DEVICE_CODE]},
    "site": SITE,
    "app": APP,
    "machine": KEEPER,
    "poster": {**KEEPER, "auth_method": "client_secret_post"},
    "signer": {**KEEPER, "auth_method": "private_key_jwt", "jwks": jwks(KEY)},
    "fapi": {**SITE, "profile": "fapi2", "auth_method": "private_key_jwt", "jwks": jwks(KEY)},
    "television": TELEVISION,
    "gateway": {**GATEWAY, "token_exchange": {"subject_clients": []}},
    "ops": OPS,
    "victim": MACHINE,
}
"""One client of every kind and way to prove itself."""
CREDENTIAL_DOORS = (
    "refresh",
    "logout",
    "logout-all",
    "reauthenticate",
    "password",
    "token",
    "revoke",
    "end",
)


@dataclass
class Stock:
    """What a batch begins with; `secrets` is what must never be told or written down."""

    api: Api
    dice: Random
    holder: Holder = field(default_factory=Holder.of)
    clients: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    sessions: dict[str, list[SignedIn]] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)
    held: dict[str, Any] = field(default_factory=dict)
    browser: Browserless = field(init=False)
    person: Person = field(init=False)
    victim: Person = field(init=False)
    doomed: Person = field(init=False)
    closed: Person = field(init=False)

    @classmethod
    async def made(cls, api: Api, dice: Random) -> Self:
        """Make one of everything."""
        stock = cls(api, dice)
        stock.person, stock.victim, stock.doomed = [await api.person() for _ in range(3)]
        stock.closed = await api.person()
        stock.keep("password", PASSWORD)
        await stock._register()
        await stock._sign_in()
        await stock._begin_sessions()
        await stock._show_pages()
        await stock._connect()
        await stock._administer()
        return stock

    def keep(self, name: str, secret: str) -> str:
        """Remember a secret; return it."""
        self.secrets[f"{name} {len(self.secrets)}"] = secret.encode()
        return secret

    def signer(self, kind: str) -> Signer:
        """Return who proves itself as this client."""
        return Signer(self.api.issuer, kid=KEY.kid, key=KEY, client_id=self.clients[kind])

    def request_signer(self, kind: str) -> RequestSigner:
        """Return who signs requests as this client."""
        return RequestSigner(self.clients[kind], self.api.issuer, KEY)

    def session(self, door: str) -> SignedIn:
        """Return one of the sessions of a door."""
        return self.dice.choice(self.sessions[door])

    async def _register(self) -> None:
        for kind, raw in KINDS.items():
            client_id = f"{kind}-{uuid4().hex[:12]}"
            policy = (
                {"token_exchange": {"subject_clients": [self.clients["spa"]]}}
                if kind == "gateway"
                else {}
            )
            definition = ClientDefinition.parse({**raw, **policy, "id": client_id})
            secret = (await self.api.clients.add(definition)).secret
            self.clients[kind], self.api.secrets[client_id] = client_id, secret
            if secret:
                self.keep("client secret", secret)
        await self.api.settled()

    async def _sign_in(self) -> None:
        """Be a person in a browser, with an application and with the session API."""
        self.browser, spa = Browserless(self.api), self.clients["spa"]
        scope = "openid profile email offline_access orders.read"
        given = await self.browser.tokens(spa, self.person, scope=scope)
        for name in ("access_token", "refresh_token", "id_token"):
            self.held[name] = self.keep(name, given[name])
        for name, value in self.browser.cookies.items():
            if "login" in name:
                self.keep("login cookie", value)
        for _ in range(SOME):
            self.codes.append(self.keep("code", told(await self.browser.authorize(spa))["code"]))
        device = await self.api.sign_in(self.person, client=self.clients["app"])
        self.held["app"] = device
        self.keep("access token", device.access_token)
        self.keep("refresh token", device.refresh_token)
        origin = {"origin": ORIGIN}
        cooked = await self.api.login(
            self.person, client=self.clients["app"], transport="cookie", headers=origin
        )
        (self.held["cookie"],) = [pair[:2] for pair in set_cookies(cooked)]
        self.keep("cookie", self.held["cookie"][1])

    async def _begin_sessions(self) -> None:
        """Begin sessions for each door that takes, and perhaps ends, them."""
        for door in CREDENTIAL_DOORS:
            kind = "spa" if door in {"token", "revoke"} else "app"
            who = await self.api.person() if door in {"logout-all", "password"} else self.person
            self.sessions[door] = [
                await self.api.seed(self.clients[kind], who) for _ in range(SOME)
            ]
            for one in self.sessions[door]:
                self.keep("refresh token", one.refresh_token)

    async def _show_pages(self) -> None:
        """Open every page with a form; keep what a browser would send."""
        stranger = Browserless(self.api)
        self.held["stranger"] = stranger
        other = Browserless(self.api)
        await other.tokens(self.clients["spa"], await self.api.person())
        self.held["other"] = other
        self.held["login form"] = [
            forms_of(await stranger.authorize(self.clients["spa"]))["login"] for _ in range(SOME)
        ]
        for form, page in {
            "consent": await self.browser.authorize(self.clients["site"]),
            "end-others": await other.open("/account"),
            "device-code": await self.browser.open("/device"),
            "logout": await self.browser.open("/oauth2/logout"),
        }.items():
            self.held[f"{form} form"] = [forms_of(page)[form]]
        uri = await pushed(self.api, self.clients["spa"])
        self.held["request_uri"] = self.keep("request_uri", uri)

    async def _connect(self) -> None:
        """Begin to connect a device; its person comes to the question."""
        device = await Television.begun(self.api, self.clients["television"])
        self.held["device_code"] = self.keep("device code", device.told["device_code"])
        self.held["user_code"] = device.code
        page = await self.browser.open("/device", {"user_code": device.code})
        page = await self.browser.submit(page, "device-code")
        self.held["device form"] = [forms_of(page)["device"]]

    async def _administer(self) -> None:
        """Have tokens of machines, an operator's among them, and what registers clients."""
        for kind, scope in (("machine", "orders.read"), ("ops", WRITE)):
            answer = await self.api.token(
                self.clients[kind], grant_type="client_credentials", scope=scope
            )
            self.held[kind] = self.keep("access token", answer.json()["access_token"])
        self.held["token_id"] = (await self._initial_token())["id"]
        made = await self._initial_token()
        self.held["initial"] = self.keep("initial access token", made["token"])
        for method in ("GET", "PUT", "DELETE"):
            self.held[f"registered for {method}"] = await self._register_itself()

    async def _register_itself(self) -> Any:
        answer = await self.api.callers[0].post(
            "/oauth2/register",
            json={"redirect_uris": [CALLBACK]},
            headers={"authorization": f"Bearer {self.held['initial']}"},
        )
        self.keep("registration token", answer.json()["registration_access_token"])
        self.keep("client secret", answer.json()["client_secret"])
        return answer.json()

    async def _initial_token(self) -> Any:
        async with httpx2.AsyncClient(base_url=self.api.replicas[0].management_url) as caller:
            answer = await caller.post(
                "/admin/v1/registration-tokens",
                json={"name": "attacks", "uses": 1000},
                headers={"authorization": f"Bearer {self.held['ops']}"},
            )
        return answer.json()

    def authorization(self, kind: str = "spa", **changes: str | None) -> dict[str, str]:
        """Return a good request for authorization."""
        return request_of(self.clients[kind], **changes)
