"""GET, POST /account: where a person is signed in, what they have allowed, and the end of both."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorizations.consents import Consent, Consents
from keyturn.errors import InvalidRequest
from keyturn.logins.model import Login
from keyturn.pages.answers import hidden
from keyturn.pages.consent import ScopeLine, lines
from keyturn.pages.devices import name_of
from keyturn.pages.languages import Language
from keyturn.pages.page import Page, Pages
from keyturn.pages.waiting import Transactions, note_way_back
from keyturn.sessions.active import ActiveSession, ActiveSessions
from keyturn.sessions.end import Ending
from keyturn.users.accounts import Accounts
from keyturn.web.browser import Browser
from keyturn.web.forms import Form, Forms, parse_form
from keyturn.web.responses import see_other

END_SESSION: Final = "end-session"
END_OTHERS: Final = "end-others"
END_ALL: Final = "end-all"
WITHDRAW: Final = "withdraw"

DONE: Final = {
    END_SESSION: "account.session_ended",
    END_OTHERS: "account.others_ended",
    WITHDRAW: "account.withdrawn",
}
"""What the page says after a form. After `END_ALL` nobody is there to be told."""

ACTS: Final = (END_SESSION, END_OTHERS, END_ALL, WITHDRAW)
"""What can be done here: the ids of the forms, and what their tokens are for."""

MOST_SHOWN: Final = 40
"""Sessions on one page; whoever has more can end all others."""


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session, as its owner may recognise it."""

    id: UUID
    application: str
    device: str
    ip: str | None
    started: Markup
    used: Markup
    here: bool
    """Whether it began in this browser."""
    offline: bool
    """Whether it goes on when this browser signs out."""


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """One application, and what it may do."""

    id: str
    name: str
    scopes: list[ScopeLine]
    since: Markup


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Shows who is signed in what is theirs, and does what they say about it."""

    pages: Pages
    transactions: Transactions
    forms: Forms
    active: ActiveSessions
    ending: Ending
    accounts: Accounts
    consents: Consents

    async def get(self, request: Request) -> Response:
        """Answer 200 with the page, or 303 to the sign-in page, which leads back here."""
        login = await self.transactions.login(request)
        if login is None:
            return self._to(paths.LOGIN_PAGE)
        return await self._page(request, login)

    async def post(self, request: Request) -> Response:
        """Answer 303, back to the page; what was done before, or is nobody's, changes nothing."""
        form = await self.forms.read(request)
        browser = self.transactions.cookies.ensure(request).value
        note_way_back(request, paths.ACCOUNT_PAGE, {})
        act, shown_to = form.get("do", ""), form.get("login", "")
        if act not in ACTS:
            raise InvalidRequest("do: nothing that can be done here")
        self.transactions.csrf.check(request, form.get("csrf", ""), browser, act, shown_to)
        login = await self.transactions.login(request)
        if login is None:
            return self._to(paths.SIGNED_OUT)
        if shown_to != str(login.id):
            # Somebody else has signed in here since: nothing is done in their name.
            return self._to(paths.ACCOUNT_PAGE)
        if act == END_ALL:
            await self.accounts.logout_everywhere(login.user_id)
            response = self._to(paths.SIGNED_OUT)
            self.transactions.cookies.clear_login(response)
            return response
        await self._do(act, form, login)
        seal = self.transactions.csrf.token(browser, DONE[act], shown_to)
        return self._to(f"{paths.ACCOUNT_PAGE}?{urlencode({'done': act, 'seal': seal})}")

    async def _do(self, act: str, form: Form, login: Login) -> None:
        if act == END_OTHERS:
            await self.accounts.logout_elsewhere(login)
        elif act == WITHDRAW:
            await self.consents.withdraw(login.user_id, form.get("client", ""))
        elif session_id := _uuid(form.get("session", "")):
            # Somebody else's is not found, and answered as one that has ended.
            await self.ending.one_of_user(session_id, login.user_id)

    def _to(self, path: str) -> Response:
        return see_other(f"{self.transactions.issuer}{path}")

    async def _page(self, request: Request, login: Login) -> Response:
        person = await self.accounts.active(login.user_id)
        language = self.pages.language(request)
        browser = self.transactions.cookies.ensure(request)
        sessions = await self._sessions(language, login)
        values = {
            "email": person.email,
            "done": self._done(request, browser, login),
            "sessions": sessions[:MOST_SHOWN],
            "more": len(sessions[MOST_SHOWN:]),
            "applications": await self._applications(language, login),
            "action": paths.ACCOUNT_PAGE,
            "hidden": {act: self._fields(browser, act, login) for act in ACTS},
            "sign_out": paths.SIGNED_OUT,
        }
        return self.pages.answer(request, Page("account.html", values, again={}, browser=browser))

    def _fields(self, browser: Browser, act: str, login: Login) -> Markup:
        token = self.transactions.csrf.token(browser.value, act, str(login.id))
        return hidden({"do": act, "login": str(login.id), "csrf": token})

    def _done(self, request: Request, browser: Browser, login: Login) -> str | None:
        """Return the key of what was done just now, as sealed by `post`.

        A mere word in the address could be put there by a link, and the person would believe that
        a thief is signed out.
        """
        sent = parse_form(request.scope["query_string"])
        key, seal = DONE.get(sent.get("done", "")), sent.get("seal", "")
        if key and self.transactions.csrf.fits(seal, browser.value, key, str(login.id)):
            return key
        return None

    async def _sessions(self, language: Language, login: Login) -> list[SessionLine]:
        """Return the live sessions, those of this browser first, then the latest first."""
        found = await self.active.of_user(login.user_id)
        rows = [await self._session(language, login, one) for one in found]
        return sorted(rows, key=lambda row: not row.here)

    async def _session(self, language: Language, login: Login, one: ActiveSession) -> SessionLine:
        return SessionLine(
            id=one.id,
            application=await self._name(one.client_id),
            device=name_of(one.device, language),
            ip=one.ip,
            started=_ago(language, one.created_at, login.decided_at),
            used=_ago(language, one.last_used_at, login.decided_at),
            here=one.login_id == login.id,
            offline=one.offline,
        )

    async def _applications(self, language: Language, login: Login) -> list[ApplicationLine]:
        found = await self.consents.list_of_user(login.user_id)
        rows = [await self._application(language, login, one) for one in found]
        return sorted(rows, key=lambda row: row.name.casefold())

    async def _application(self, language: Language, login: Login, one: Consent) -> ApplicationLine:
        return ApplicationLine(
            id=one.client_id,
            name=await self._name(one.client_id),
            scopes=lines(language, one.scopes, frozenset()),
            since=_ago(language, one.granted_at, login.decided_at),
        )

    async def _name(self, client_id: str) -> str:
        """Return what an application is called; one that is gone by its id."""
        client = await self.transactions.registry.find(client_id)
        return client_id if client is None else client.name


def _ago(language: Language, moment: datetime, now: datetime) -> Markup:
    one = Markup('<time datetime="{}">{}</time>')
    return one.format(moment.isoformat(timespec="seconds"), language.ago(now - moment))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
