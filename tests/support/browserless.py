"""A browser without a screen: follows redirects, keeps cookies, fills plain forms by their ids.

It obeys what the answers say, as a browser without scripts does: 303 is followed by GET, a form is
sent as it stands but for what a person types, cookies are kept by name until they are taken back.
Where an answer leads away from the issuer, it stops: that is the application's address.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from support.api import Api, Person, set_cookies
from support.forging import b64
from support.replicas import AUDIENCE, ORIGIN

CALLBACK = f"{ORIGIN}/callback"
GOODBYE = f"{ORIGIN}/goodbye"
VERIFIER = "a-verifier-that-has-the-43-characters-it-needs"
STANDARD = ["openid", "profile", "email", "offline_access"]
SITE = {
    "kind": "confidential",
    "grant_types": ["authorization_code", "refresh_token"],
    "scopes": [*STANDARD, "orders.read", "orders.write"],
    "audiences": [AUDIENCE],
    "origins": [ORIGIN],
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [GOODBYE],
}
SPA = {**SITE, "kind": "public", "skip_consent": True}
MOST_REDIRECTS = 8


@dataclass
class Form:
    """One form of a page, as it would be sent untouched."""

    id: str
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.inside = False

    def handle_starttag(self, tag, attributes):
        got = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.inside = True
            self.found.append(Form(got["id"], got["action"], got["method"]))
        elif self.inside and tag == "input" and got.get("type") not in {"checkbox", "submit"}:
            self.found[-1].fields[got["name"]] = got.get("value", "")
        elif self.inside and tag == "button":
            self.found[-1].buttons[got["id"]] = (got.get("name", ""), got.get("value", ""))

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "form"


def forms_of(page: httpx2.Response) -> dict[str, Form]:
    """Return the forms of a page by id."""
    parser = _Forms()
    parser.feed(page.text)
    return {one.id: one for one in parser.found}


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge (RFC 7636 section 4.2), worked out here."""
    return b64(hashlib.sha256(verifier.encode()).digest())


def request_of(client_id: str, **changes: str | None) -> dict[str, str]:
    """Return a good authorization request; a parameter changed to None is left out."""
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "st-1",
        "nonce": "n-1",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def told(answer: httpx2.Response, callback: str = CALLBACK) -> dict[str, str]:
    """Return what an answer brings to the application: by redirect, or in a form to post."""
    if answer.status_code == 200:
        form = forms_of(answer)["answer"]
        assert (form.method, form.action) == ("post", callback)
        return form.fields
    assert answer.status_code == 303, (answer.status_code, answer.text)
    where = urlsplit(answer.headers["location"])
    assert answer.headers["location"].startswith(callback), answer.headers["location"]
    assert where.fragment == ""
    pairs = parse_qsl(where.query, keep_blank_values=True)
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@dataclass
class Browserless:
    """One browser of one person; `headers` go with every request."""

    api: Api
    on: int = 0
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request and keep the cookies of its answer."""
        headers = {**self.headers, **options.pop("headers", {})}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.api.callers[self.on].request(method, path, headers=headers, **options)
        for name, value, attributes in set_cookies(answer):
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def follow(self, answer: httpx2.Response) -> httpx2.Response:
        """Follow redirects as long as they stay at the issuer."""
        for _ in range(MOST_REDIRECTS):
            location = answer.headers.get("location", "")
            path = location.removeprefix(self.api.issuer)
            if answer.status_code != 303 or not path.startswith("/"):
                return answer
            answer = await self.send("GET", path)
        raise AssertionError("redirected in circles")

    async def open(self, path: str, parameters: Mapping[str, str] | None = None) -> httpx2.Response:
        """Go to an address of the issuer, and where it leads."""
        return await self.follow(await self.send("GET", path, params=parameters))

    async def submit(
        self, page: httpx2.Response, form_id: str, button: str = "", **typed: str
    ) -> httpx2.Response:
        """Type into a form of a page, press one of its buttons, and see where it leads."""
        return await self.follow(await self.press(page, form_id, button, **typed))

    async def press(
        self, page: httpx2.Response, form_id: str, button: str = "", **typed: str
    ) -> httpx2.Response:
        """Send a form of a page and return the very answer."""
        form = forms_of(page)[form_id]
        fields = {**form.fields, **typed}
        if button:
            name, value = form.buttons[button]
            fields |= {name: value} if name else {}
        return await self.send(form.method.upper(), form.action, data=fields)

    async def authorize(self, client_id: str, **changes: str | None) -> httpx2.Response:
        """Come from the application."""
        return await self.open("/oauth2/authorize", request_of(client_id, **changes))

    async def sign_in(self, page: httpx2.Response, person: Person) -> httpx2.Response:
        """Fill in the sign-in page."""
        return await self.submit(page, "login", email=person.email, password=person.password)

    async def granted(
        self, client_id: str, person: Person, **changes: str | None
    ) -> httpx2.Response:
        """Come from the application and do whatever the pages ask for; return the last answer."""
        return await self.through(await self.authorize(client_id, **changes), person)

    async def through(self, page: httpx2.Response, person: Person) -> httpx2.Response:
        """Do whatever the pages ask for, from this one on; return the last answer."""
        for _ in range(4):
            forms = forms_of(page) if page.status_code == 200 else {}
            if "login" in forms:
                page = await self.sign_in(page, person)
            elif "consent" in forms:
                page = await self.submit(page, "consent", "allow")
            else:
                return page
        raise AssertionError("asked again and again")

    async def code(self, client_id: str, person: Person, **changes: str | None) -> str:
        """Return a code for this person."""
        answer = await self.granted(client_id, person, **changes)
        return told(answer, changes.get("redirect_uri") or CALLBACK)["code"]

    async def redeem(self, client_id: str, code: str, **changes: str | None) -> httpx2.Response:
        """Redeem a code as its client; a field changed to None is left out."""
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        sent = {name: value for name, value in fields.items() if value is not None}
        return await self.api.token(client_id, on=self.on, **sent)

    async def tokens(self, client_id: str, person: Person, **changes: str | None) -> dict[str, Any]:
        """Sign in, consent, redeem; return the token answer."""
        answer = await self.redeem(client_id, await self.code(client_id, person, **changes))
        assert answer.status_code == 200, answer.text
        given: dict[str, Any] = answer.json()
        return given
