"""The request for authorization that a page belongs to, and the tokens of the forms on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorization_errors import RequestOver
from keyturn.authorizations.model import AuthorizationRequest, Pending
from keyturn.authorizations.requests import Requests
from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.logins.logins import Logins
from keyturn.logins.model import Login
from keyturn.pages.answers import CLIENT, Answers, hidden
from keyturn.pages.page import LANGUAGE
from keyturn.web.browser import BrowserCookies, Csrf
from keyturn.web.html import Sources
from keyturn.web.request_notes import note_again, note_client
from keyturn.web.responses import see_other

HANDLE: Final = "request"
OTHER_ACCOUNT: Final = "other"
"""Asks for an empty sign-in form, although somebody is signed in."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for the person in front of this browser."""

    pending: Pending
    client: Client
    browser: str

    @property
    def asked(self) -> AuthorizationRequest:
        """What the application asked for."""
        return self.pending.request

    @property
    def query(self) -> dict[str, str]:
        """What names it in a link or a form of a page."""
        return {HANDLE: self.pending.handle, CLIENT: self.client.id}

    @property
    def sources(self) -> Sources:
        """Where its forms lead: back to the application, in the end."""
        return Sources(form_targets=(self.asked.redirect_uri,))


@dataclass(frozen=True, slots=True)
class Transactions:
    """Finds the request a page belongs to, and ends the visit of one that is over."""

    requests: Requests
    registry: Registry
    logins: Logins
    cookies: BrowserCookies
    csrf: Csrf
    answers: Answers
    issuer: str

    async def open(self, request: Request, sent: Mapping[str, str]) -> Waiting:
        """Return the request that `sent` names, if it is this browser's.

        Raises `RequestOver`, `InvalidRequest` for a cookie that comes twice, `Unavailable`.
        """
        handle, browser = sent.get(HANDLE), self.cookies.browser(request)
        if handle is None or browser is None:
            raise RequestOver("request: no handle, or no browser cookie")
        pending = await self.requests.find(handle, browser)
        if pending is None:
            raise RequestOver("request: finished, expired, unknown or of another browser")
        client = await self.registry.get(pending.request.client_id)
        if client is None:
            raise RequestOver("client: gone since the request began")
        note_client(request.scope, client)
        return Waiting(pending, client, browser)

    async def over(
        self, request: Request, sent: Mapping[str, str], refusal: RequestOver
    ) -> Response:
        """Return the page of a request that is over: who is signed in is told so.

        The application is looked up, so that nothing but a registered address becomes a link.
        """
        named = sent.get(CLIENT)
        client = await self.registry.get(named) if named else None
        login = await self.login(request)
        return self.answers.over(request, refusal, client, signed_in=login is not None)

    async def login(self, request: Request) -> Login | None:
        """Return the live login of this browser, or None."""
        value = self.cookies.login(request)
        return None if value is None else await self.logins.find(value)

    def check(self, request: Request, sent: Mapping[str, str], form: str) -> None:
        """Let pass only a form of ours, for the request it names. Raises `ForgedForm`."""
        browser = self.cookies.browser(request)
        self.csrf.check(request, sent.get("csrf", ""), browser, form, sent.get(HANDLE, ""))

    def fields(self, waiting: Waiting, form: str, language: str) -> Markup:
        """Return the hidden fields of a form: the request, its token, the language."""
        token = self.csrf.token(waiting.browser, form, waiting.pending.handle)
        return hidden({**waiting.query, "csrf": token, "lang": language})

    def go_on(self, waiting: Waiting) -> Response:
        """Send the browser back to have the request decided again."""
        return see_other(f"{self.issuer}{paths.RESUME}?{urlencode(waiting.query)}")


def note_way_back(request: Request, path: str, form: Mapping[str, str]) -> None:
    """Note the page that a form of ours stood on, for the page that says it cannot be answered.

    The form is not sent twice: a password belongs in no link, and in nobody's memory.
    """
    kept = {name: form[name] for name in (HANDLE, CLIENT, LANGUAGE) if name in form}
    note_again(request.scope, f"{path}?{urlencode(kept)}")
