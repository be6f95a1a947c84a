"""What a page is for, and the tokens of the forms on it.

Mostly a request for authorization that waits in this browser for its person; a person may also
sign in for a device that waits elsewhere, or for their own account, where nothing waits. Where a
browser goes after a page is one of these three, never an address that was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorization_errors import RequestOver
from keyturn.authorizations import user_codes
from keyturn.authorizations.model import AuthorizationRequest, Pending
from keyturn.authorizations.requests import Requests
from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.logins.logins import Logins
from keyturn.logins.model import Login
from keyturn.pages.answers import CLIENT, hidden
from keyturn.pages.page import LANGUAGE
from keyturn.web.browser import Browser, BrowserCookies, Csrf
from keyturn.web.html import NOTHING_ELSE, Sources
from keyturn.web.request_notes import note_again, note_client
from keyturn.web.responses import see_other

HANDLE: Final = "request"
USER_CODE: Final = "user_code"
"""The code of a device, as its person reads it there (RFC 8628 section 3.3.1)."""
DEVICE: Final = "device"
"""Says that a sign-in is for a device; its value is the code, where that is known already."""
NO_CODE: Final = "any"
OTHER_ACCOUNT: Final = "other"
"""Asks for an empty sign-in form, although somebody is signed in."""

KEPT: Final = (HANDLE, CLIENT, DEVICE, OTHER_ACCOUNT, LANGUAGE)
"""What names a page again in the address it is found at."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for the person in front of this browser."""

    pending: Pending
    client: Client
    browser: Browser
    by_another: bool = False
    """Whether the person said that they want to go on as somebody else."""

    @property
    def reason(self) -> str:
        """The key of what the sign-in page says it is for."""
        return "login.to"

    @property
    def asked(self) -> AuthorizationRequest:
        """What the application asked for."""
        return self.pending.request

    @property
    def handle(self) -> str:
        """What the tokens of its forms are bound to."""
        return self.pending.handle

    @property
    def query(self) -> Mapping[str, str]:
        """What names it in a link or a form of a page."""
        named = {HANDLE: self.handle, CLIENT: self.client.id}
        return {**named, OTHER_ACCOUNT: "yes"} if self.by_another else named

    @property
    def sources(self) -> Sources:
        """Where its forms lead: back to the application, in the end."""
        return Sources(form_targets=(self.asked.redirect_uri,))

    @property
    def ui_locales(self) -> Sequence[str]:
        """The languages the application asked for."""
        return self.asked.ui_locales

    @property
    def login_hint(self) -> str:
        """Whom the application expects."""
        return self.asked.login_hint or ""

    @property
    def chooses_account(self) -> bool:
        """Whether the person is to say which account they mean."""
        return self.by_another or "select_account" in self.asked.prompt

    @property
    def way_on(self) -> str:
        """Where it is decided again: how much of a proof it wants, only that decision knows."""
        return f"{paths.RESUME}?{urlencode(self.query)}"

    def is_met_by(self, login: Login | None) -> bool:
        """Whether the person has signed in for it, and merely came back to the page."""
        proven = login is not None and login.id == self.pending.proven_login_id
        return proven and not self.by_another


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """Nothing of an application waits: the person wants to see their own account."""

    browser: Browser
    client: None = None
    handle: str = ""
    sources: Sources = NOTHING_ELSE
    ui_locales: Sequence[str] = ()
    login_hint: str = ""
    chooses_account: bool = False
    way_on: str = paths.ACCOUNT_PAGE
    reason: str = "login.account"

    @property
    def query(self) -> Mapping[str, str]:
        """Nothing: a sign-in page that names no request is for the account."""
        return {}

    def is_met_by(self, login: Login | None) -> bool:
        """Whether somebody is signed in: any live login may see its account."""
        return login is not None


@dataclass(frozen=True, slots=True)
class ForDevice:
    """A device waits elsewhere: the person is to type its code, or to look at it once more."""

    browser: Browser
    code: str | None = None
    """The code, where a link brought it; the person still confirms it."""
    chooses_account: bool = False
    client: None = None
    handle: str = ""
    sources: Sources = NOTHING_ELSE
    ui_locales: Sequence[str] = ()
    login_hint: str = ""
    reason: str = "login.device"

    @property
    def query(self) -> Mapping[str, str]:
        """What names it in a link or a form of a page."""
        return device_query(self.code, another=self.chooses_account)

    @property
    def way_on(self) -> str:
        """The page that asks for the code, with the code."""
        return device_page(self.code)

    def is_met_by(self, login: Login | None) -> bool:
        """Whether somebody is signed in, unless the person wants to be somebody else."""
        return login is not None and not self.chooses_account


Purpose: TypeAlias = Waiting | ForDevice | OwnAccount
"""What a person signs in for."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """Finds what a page is for, and who is in front of it."""

    requests: Requests
    registry: Registry
    logins: Logins
    cookies: BrowserCookies
    csrf: Csrf
    issuer: str

    async def purpose(self, request: Request, sent: Mapping[str, str]) -> Purpose:
        """Return what a sign-in is for. Raises as `open` does."""
        if HANDLE in sent:
            return await self.open(request, sent)
        browser = self.cookies.ensure(request)
        if DEVICE in sent:
            return ForDevice(browser, user_codes.read(sent[DEVICE]), OTHER_ACCOUNT in sent)
        return OwnAccount(browser)

    async def open(self, request: Request, sent: Mapping[str, str]) -> Waiting:
        """Return the request that `sent` names, if it is this browser's.

        Raises `RequestOver`, `InvalidRequest` for a cookie that comes twice, `Unavailable`.
        """
        handle, browser = sent.get(HANDLE), self.cookies.browser(request)
        if handle is None or browser is None:
            raise await self._over(request, sent, "request: no handle, or no browser cookie")
        pending = await self.requests.find(handle, browser)
        if pending is None:
            detail = "request: finished, expired, unknown or of another browser"
            raise await self._over(request, sent, detail)
        client = await self.registry.get(pending.request.client_id)
        if client is None:
            raise await self._over(request, sent, "client: gone since the request began")
        note_client(request.scope, client)
        another = OTHER_ACCOUNT in sent
        return Waiting(pending, client, Browser(browser, is_new=False), by_another=another)

    async def login(self, request: Request) -> Login | None:
        """Return the live login of this browser, or None."""
        value = self.cookies.login(request)
        return None if value is None else await self.logins.find(value)

    async def prove(self, purpose: Purpose, login: Login) -> Response:
        """Note that this login was proven for that purpose; send the browser on."""
        if isinstance(purpose, Waiting):
            await self.requests.prove(purpose.handle, login.id)
        return self.go_on(purpose)

    def check(self, request: Request, sent: Mapping[str, str], form: str) -> None:
        """Let pass only a form of ours, for what it was shown for. Raises `ForgedForm`."""
        browser = self.cookies.browser(request)
        self.csrf.check(request, sent.get("csrf", ""), browser, form, sent.get(HANDLE, ""))

    def fields(self, purpose: Purpose, form: str, language: str) -> Markup:
        """Return the hidden fields of a form: the request, its token, the language."""
        token = self.csrf.token(purpose.browser.value, form, purpose.handle)
        return hidden({**purpose.query, "csrf": token, "lang": language})

    def go_on(self, purpose: Purpose) -> Response:
        """Send the browser on: to have the request decided again, to the code, or the account."""
        return see_other(f"{self.issuer}{purpose.way_on}")

    async def _over(self, request: Request, sent: Mapping[str, str], detail: str) -> RequestOver:
        login = await self.login(request)
        return RequestOver(detail, client_id=sent.get(CLIENT), signed_in=login is not None)


def device_query(code: str | None, *, another: bool = False) -> Mapping[str, str]:
    """Return what a sign-in for a device is named by; `another`: of another account."""
    named = {DEVICE: user_codes.shown(code) if code else NO_CODE}
    return {**named, OTHER_ACCOUNT: "yes"} if another else named


def device_page(code: str | None) -> str:
    """Return the address of the page that asks for a device's code, with the code if known."""
    query = f"?{urlencode({USER_CODE: user_codes.shown(code)})}" if code else ""
    return f"{paths.DEVICE_PAGE}{query}"


def note_way_back(request: Request, path: str, form: Mapping[str, str]) -> None:
    """Note the page that a form of ours stood on, for the page that says it cannot be answered.

    The form is not sent twice: a password belongs in no link, and in nobody's memory.
    """
    kept = {name: form[name] for name in KEPT if name in form}
    note_again(request.scope, f"{path}?{urlencode(kept)}" if kept else path)
