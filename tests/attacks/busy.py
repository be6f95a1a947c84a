"""Everybody at work on one server: every endpoint is used well, and then as badly as can be."""

import random
import re
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from uuid import uuid4

import httpx2

from attacks.canaries import MEMBERS, TEMPLATES, Recorder
from keyturn.users.model import NewUser
from support.administering import Administered
from support.api import MACHINE, Api, Person
from support.browserless import GOODBYE, SITE, Browserless, forms_of
from support.pushing import pushed
from support.replicas import ORIGIN
from support.secret_day import Day
from support.television import TELEVISION, Television

STYLESHEET = re.compile(r'href="(?:https://[^/"]+)?(/static/[^"]+)"')
SCOPE = "openid profile email offline_access orders.read"


@dataclass
class Busy:
    """A day's server, its operator, and who listens to all of it."""

    day: Day
    admin: Administered
    recorder: Recorder
    chance: random.Random

    @property
    def api(self) -> Api:
        """How the server is spoken to."""
        return self.day.api

    async def person(self) -> Person:
        """Add somebody with a password nobody else has."""
        password, email = token_urlsafe(18), f"{uuid4().hex}@example.com"
        self.recorder.keep("password", password)
        user = await self.api.operator.accounts.add(NewUser(email, password=password))
        return Person(user.id, email, password)

    # -- well -----------------------------------------------------------------------------

    async def work(self) -> None:
        """Use every endpoint as it is meant."""
        person = await self.person()
        await self._read()
        await self._use_the_code_flow(person)
        await self._use_the_session_api(person)
        await pushed(self.api, await self.api.client(SITE))
        await Television.begun(self.api, await self.api.client(TELEVISION))
        await self._register()
        await self._administer()

    async def _read(self) -> None:
        async with httpx2.AsyncClient(base_url=self.api.replicas[0].management_url) as watching:
            self.recorder.watch(watching)
            for path in (
                "/health/live",
                "/health/ready",
                "/health/started",
                "/health/dependencies",
            ):
                await watching.get(path)
            await watching.get("/metrics")
        for path in (
            "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
            "/.well-known/jwks.json", "/auth/openapi.json", "/oauth2/status/0",
        ):  # fmt: skip
            await self.api.get(path)
        page = await Browserless(self.api).open("/account")
        await self.api.get(STYLESHEET.findall(page.text)[0])

    async def _use_the_code_flow(self, person: Person) -> None:
        api, browser = self.api, Browserless(self.api)
        client = await api.client(SITE)
        given = await browser.tokens(client, person, scope=SCOPE)
        bearer = {"authorization": f"Bearer {given['access_token']}"}
        for method in ("GET", "POST"):
            await api.callers[0].request(method, "/oauth2/userinfo", headers=bearer)
        await api.form("/oauth2/introspect", "reader", token=given["access_token"])
        await browser.open("/account")
        await browser.open("/device")
        await api.form("/oauth2/revoke", client, token=given["refresh_token"])
        asked = {"id_token_hint": given["id_token"], "post_logout_redirect_uri": GOODBYE}
        page = await browser.open("/oauth2/logout", asked)
        if page.status_code == 200 and (forms := forms_of(page)):
            await browser.submit(page, next(iter(forms)))
        await browser.open("/logout")

    async def _use_the_session_api(self, person: Person) -> None:
        api = self.api
        one, two = [await api.sign_in(person) for _ in range(2)]
        await api.get("/auth/me", headers=one.bearer)
        await api.get("/auth/sessions", headers=one.bearer)
        path = f"/auth/sessions/{two.session_id}"
        await api.post(path, one.credential, method="DELETE")
        await api.post("/auth/refresh", one.credential)
        await api.post("/auth/reauthenticate", {**one.credential, "password": person.password})
        new = token_urlsafe(18)
        await api.post("/auth/password", {**one.credential, "newPassword": new})
        origin = {"origin": ORIGIN}
        answer = await api.login(
            Person(person.id, person.email, new), transport="cookie", headers=origin
        )
        cookie = {"cookie": f"{api.cookie_name('app')}={answer.cookies[api.cookie_name('app')]}"}
        await api.post("/auth/logout", headers={**origin, **cookie})
        await api.post("/auth/logout-all", one.credential)

    async def _register(self) -> None:
        made = await self.admin.call("POST", "/registration-tokens", {"name": "busy", "uses": 3})
        caller, members = self.api.callers[0], {"redirect_uris": ["https://a.example/cb"]}
        shown = {"authorization": f"Bearer {made.json()['token']}"}
        said = (await caller.post("/oauth2/register", json=members, headers=shown)).json()
        at = f"/oauth2/register/{said['client_id']}"
        token = {"authorization": f"Bearer {said['registration_access_token']}"}
        await caller.get(at, headers=token)
        await caller.delete(at, headers=token)

    async def _administer(self) -> None:
        admin, password = self.admin, token_urlsafe(18)
        made = await admin.call(
            "POST", "/users", {"email": f"{uuid4().hex}@example.com", "password": password}
        )
        user = f"/users/{made.json()['id']}"
        await admin.call("POST", f"{user}/password", {"password": token_urlsafe(18)})
        await admin.call("POST", f"{user}/end-sessions")
        client = {**MACHINE, "id": f"client-{uuid4().hex[:8]}"}
        await admin.call("POST", "/clients", client)
        at = f"/clients/{client['id']}"
        await admin.call("POST", f"{at}/rotate-secret", {})
        for step in ("drop-previous-secret", "disable", "enable"):
            await admin.call("POST", f"{at}/{step}")
        secret = f"kts_{uuid4().hex}"
        self.recorder.keep("client_secret", secret)
        entry = {
            **client,
            "id": f"{client['id']}-2",
            "secret_hash": sha256(secret.encode()).hexdigest(),
        }
        declared = {"clients": [entry]}
        await admin.call("POST", "/apply-clients", declared)
        signed_in = await self.api.sign_in(await self.person())
        for path in (
            user, at, f"/sessions/{signed_in.session_id}", "/registration-tokens", "/users",
            "/clients", "/sessions", "/keys", "/audit-events", "/openapi.json",
        ):  # fmt: skip
            await admin.call("GET", path)
        tokens = (await admin.call("GET", "/registration-tokens")).json()["items"]
        await admin.call("DELETE", f"/registration-tokens/{tokens[0]['id']}")
        await admin.call("POST", "/revoke-sessions", {"user_id": str(uuid4())})
        await admin.call("POST", "/keys/rotate", {"compromised": True})

    # -- badly ----------------------------------------------------------------------------

    def secret(self) -> str:
        """Return any secret at all."""
        return self.chance.choice(list(self.recorder.kept.values())).decode("latin-1")

    async def misplace(self, caller: httpx2.AsyncClient, path: str) -> None:
        """Put secrets everywhere in requests to one address where they do not belong."""
        for method in ("GET", "POST", "PUT", "DELETE"):
            await caller.request(method, f"{path}/{self.secret()[:64]}", headers=self._headers())
            named = {name: self.secret() for name in self.chance.sample(sorted(MEMBERS), 4)}
            await caller.request(method, path, params=named, headers=self._headers())
        everything = {name: self.secret() for name in sorted({*MEMBERS, "client_id", "grant_type"})}
        for name in ("scope", "email", "username", "resource", "audience", "redirect_uri"):
            everything[name] = self.secret()
        for body in ({"data": everything}, {"json": everything}, {"json": {self.secret(): 1}}):
            await caller.post(path, **body, headers=self._headers())
        await caller.post(path, content=f'{{"password": "{self.secret()}"', headers=JSON)

    def _headers(self) -> dict[str, str]:
        """Return headers of which each carries a secret; of no use as a credential anywhere."""
        names = ("user-agent", "referer", "x-request-id", "traceparent", "accept-language", "via")
        return {name: self.secret() for name in names} | {"x-keyturn-client": self.secret()}

    async def misplace_everywhere(self) -> None:
        """Do so at every address of both ports."""
        for template in TEMPLATES:
            path = template.replace("{", "").replace("}", "")
            management = path.startswith(("/admin", "/health", "/metrics"))
            await self.misplace(self.admin.caller if management else self.api.callers[0], path)


JSON = {"content-type": "application/json"}
