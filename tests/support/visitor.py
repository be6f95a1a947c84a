"""A person's browser without scripts: one jar, forms as they stand on the page, redirects followed.

It keeps cookies as a browser on https would, although a test speaks to the replica behind the TLS
proxy, and sends what browsers send with a navigation: `Sec-Fetch-Site`, and with a form `Origin`,
which our referrer policy makes `null`.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import httpx2

from support.api import PASSWORD, Api, Person, set_cookies
from support.replicas import AUDIENCE

CALLBACK = "https://rp.example.com/callback"
WEB = {
    "kind": "public",
    "name": "Orders & Co",
    "grant_types": ["authorization_code", "refresh_token"],
    "scopes": ["openid", "profile", "email", "offline_access", "orders.read"],
    "audiences": [AUDIENCE],
    "redirect_uris": [CALLBACK],
}
"""A third party's web app."""
VERIFIER = "a-verifier-of-more-than-forty-three-characters-123"
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
OWN_FORM = {"sec-fetch-site": "same-origin", "origin": "null"}


@dataclass
class Form:
    """One form of a page: where it goes, what is in it, by the names of its controls."""

    id: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    controls: dict[str, dict[str, str | None]] = field(default_factory=dict)


class Reader(HTMLParser):
    """Reads forms, links, ids and headings out of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.elements.append((tag, told))
        if tag == "form":
            self.forms.append(Form(told.get("id") or "", told.get("action") or ""))
        elif tag in {"input", "button"} and self.forms:
            form = self.forms[-1]
            if told.get("id"):
                form.controls[str(told["id"])] = told
            if tag == "input" and told.get("type") != "checkbox" and told.get("name"):
                form.fields[str(told["name"])] = told.get("value") or ""

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def by_id(self, wanted: str) -> dict[str, str | None] | None:
        return next((told for _, told in self.elements if told.get("id") == wanted), None)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(answer: httpx2.Response) -> Reader:
    return Reader(answer.text)


def form_of(answer: httpx2.Response, wanted: str) -> Form:
    """Return a form of a page by its id."""
    found = [one for one in read(answer).forms if one.id == wanted]
    assert found, f"no form {wanted} on {answer.url}: {answer.status_code} {answer.text[:500]}"
    return found[0]


def location(answer: httpx2.Response) -> dict[str, str]:
    """Return the parameters of the address an answer sends to."""
    query = urlsplit(answer.headers["location"]).query
    return {name: values[0] for name, values in parse_qs(query).items()}


@dataclass
class Visitor:
    """One browser with one jar."""

    api: Api
    on: int = 0
    jar: dict[str, str] = field(default_factory=dict)
    language: str = "en"

    async def get(self, address: str, **headers: str) -> httpx2.Response:
        """Open an address; follow redirects until a page, or another server, comes."""
        return await self.send("GET", address, None, headers)

    async def submit(
        self, form: Form, headers: dict[str, str] | None = None, **fields: str
    ) -> httpx2.Response:
        """Send a form as it stands, with what a person types or presses."""
        sent = OWN_FORM if headers is None else headers
        return await self.send("POST", form.action, {**form.fields, **fields}, sent)

    async def send(
        self,
        method: str,
        address: str,
        fields: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        answer = await self.once(method, address, fields, headers)
        while answer.status_code in {302, 303} and self._is_ours(answer.headers["location"]):
            answer = await self.once("GET", answer.headers["location"])
        return answer

    async def once(
        self,
        method: str,
        address: str,
        fields: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """Send one request and follow nothing."""
        sent = {"accept-language": self.language, **NAVIGATION, **(headers or {})}
        if self.jar:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        answer = await self.api.callers[self.on].request(
            method,
            address.removeprefix(self.api.issuer),
            data=fields,
            headers=sent,
            follow_redirects=False,
        )
        for name, value, attributes in set_cookies(answer):
            if "Max-Age=0" in attributes:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return answer

    def _is_ours(self, address: str) -> bool:
        return address.startswith((self.api.issuer + "/", "/"))

    # -- the way in -------------------------------------------------------------------------

    async def ask(self, client: str, **parameters: Any) -> httpx2.Response:
        """Come from an application that wants to know who this is."""
        return await self.get(authorization(client, **parameters))

    async def sign_in(
        self, page: httpx2.Response, person: Person, password: str = PASSWORD, **fields: str
    ) -> httpx2.Response:
        """Fill in the sign-in form of a page."""
        typed = {"email": person.email, "password": password, **fields}
        return await self.submit(form_of(page, "login"), **typed)

    def cookie(self, kind: str) -> str | None:
        """Return the value of one of the pages' cookies."""
        return next((v for n, v in self.jar.items() if f"kt_{kind}_" in n), None)


def authorization(client: str, **parameters: Any) -> str:
    """Return the address an application sends a browser to."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": CALLBACK,
        "scope": "openid orders.read",
        "state": uuid4().hex,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        **parameters,
    }
    return f"/oauth2/authorize?{urlencode(asked)}"
