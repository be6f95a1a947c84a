"""GET, POST /login: an e-mail address and a password in, a browser login out.

For the request or the device the page names; without one, for the person's own account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.errors import InvalidCredentials, Refusal, Throttled, Unavailable, WeakPassword
from keyturn.logins.model import Login, LoginRequest, StartedLogin
from keyturn.pages.languages import Language
from keyturn.pages.links import links_of
from keyturn.pages.page import LANGUAGE, Page, Pages
from keyturn.pages.waiting import Purpose, Transactions, note_way_back
from keyturn.telemetry.callers import ANONYMOUS, acting_as
from keyturn.users.accounts import Accounts
from keyturn.users.authenticate import Authenticator
from keyturn.users.model import Authenticated
from keyturn.web.client_ip import ClientAddress
from keyturn.web.device import device_of
from keyturn.web.forms import Form, Forms, parse_form
from keyturn.web.html import add_retry_after
from keyturn.web.request_notes import notes_of

FORM: Final = "login"
WRONG: Final = 403
"""The status of a wrong password: a 401 would have to name a scheme browsers open a window for."""
MISSING: Final = 400
DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a person is not signed in, as the page says it."""

    key: str
    status: int
    wait: int = 0

    @classmethod
    def of(cls, refusal: Refusal) -> "Problem":
        """Say the same of an unknown address, a wrong password and a closed account."""
        if isinstance(refusal, Throttled):
            return cls("login.throttled", refusal.status, refusal.retry_after)
        return cls("login.wrong", WRONG)


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in the form already."""

    email: str = ""
    remembered: bool = False
    again: bool = False
    """Whether somebody is signed in here, and only has to show it once more."""


@dataclass(frozen=True, slots=True)
class LoginPage:
    """Signs a person in for single sign-on, and sends the browser on to what that is for."""

    pages: Pages
    transactions: Transactions
    forms: Forms
    authenticator: Authenticator
    accounts: Accounts
    address: ClientAddress
    remembered_lifetime: int

    async def get(self, request: Request) -> Response:
        """Answer 200 with the form; 303 when nobody has to sign in; 400 when it is over."""
        sent = parse_form(request.scope["query_string"])
        purpose = await self.transactions.purpose(request, sent)
        login = await self.transactions.login(request)
        if purpose.is_met_by(login):
            return self.transactions.go_on(purpose)
        return self._form(request, purpose, await self._known(purpose, login))

    async def post(self, request: Request) -> Response:
        """Answer 303 with a new cookie, or the form again: 400, 403, 429."""
        form = await self.forms.read(request)
        self.transactions.check(request, form, FORM)
        note_way_back(request, paths.LOGIN_PAGE, form)
        purpose = await self.transactions.purpose(request, form)
        if "email" not in form or "password" not in form:
            return self._again(request, purpose, form, Problem("login.missing", MISSING))
        try:
            started = await self._sign_in(request, form)
        except (InvalidCredentials, WeakPassword, Throttled) as refusal:
            notes = notes_of(request.scope)
            notes.error, notes.detail = refusal.code, refusal.detail
            response = self._again(request, purpose, form, Problem.of(refusal))
            add_retry_after(response, refusal)
            return response
        return await self._signed_in(request, purpose, started)

    async def _sign_in(self, request: Request, form: Form) -> StartedLogin:
        address = self.address.of(request)
        with acting_as(ANONYMOUS):  # a cookie is no proof of who tries a password here
            again = await self.transactions.login(request) is not None
        person = await self.authenticator.authenticate(
            form["email"], form["password"], address, again=again
        )
        current = await self.transactions.login(request)
        remembered = "remember" in form
        if current is not None and _continues(current, person, remembered=remembered):
            return await self.transactions.logins.prove_again(current, person.proof_time, ("pwd",))
        return await self.transactions.logins.start(
            LoginRequest(
                user_id=person.user.id,
                proof_time=person.proof_time,
                remembered=remembered,
                device=device_of(request),
                ip=address,
                replaces=None if current is None else current.id,
            )
        )

    async def _signed_in(
        self, request: Request, purpose: Purpose, started: StartedLogin
    ) -> Response:
        login = started.login
        try:
            response = await self.transactions.prove(purpose, login)
        except Unavailable as trouble:
            # The cookie's old value is dead: a browser that never hears the new one is signed out.
            # Without the note, a request that wants a proof asks for it once more.
            notes = notes_of(request.scope)
            notes.error, notes.detail = trouble.code, trouble.detail
            response = self.transactions.go_on(purpose)
        left = int((login.expires_at - login.decided_at).total_seconds())
        max_age = left if login.remembered else None
        self.transactions.cookies.set_login(response, started.value, max_age)
        return response

    async def _known(self, purpose: Purpose, login: Login | None) -> Filled:
        """Return what can be filled in: who is signed in, else whom the application names."""
        if login is None or purpose.chooses_account:
            return Filled(purpose.login_hint)
        person = await self.accounts.active(login.user_id)
        return Filled(person.email, login.remembered, again=True)

    def _again(self, request: Request, purpose: Purpose, form: Form, problem: Problem) -> Response:
        filled = Filled(form.get("email", ""), "remember" in form)
        return self._form(request, purpose, filled, problem, form.get(LANGUAGE))

    def _form(
        self,
        request: Request,
        purpose: Purpose,
        filled: Filled,
        problem: Problem | None = None,
        chosen: str | None = None,
    ) -> Response:
        language = self.pages.language(request, purpose.ui_locales, chosen)
        values = {
            "client": purpose.client,
            "links": links_of(purpose.client),
            "action": paths.LOGIN_PAGE,
            "hidden": self.transactions.fields(purpose, FORM, language.code),
            "email": filled.email,
            "remembered": filled.remembered,
            "again": filled.again,
            "reason": purpose.reason,
            "days": language.amount(self.remembered_lifetime // DAY, "day"),
            **_told(language, problem),
        }
        page = Page(
            "login.html",
            values,
            status=problem.status if problem else 200,
            sources=purpose.sources,
            ui_locales=purpose.ui_locales,
            language=chosen,
            again=purpose.query,
            browser=purpose.browser,
        )
        return self.pages.answer(request, page)


def _continues(current: Login, person: Authenticated, *, remembered: bool) -> bool:
    """Whether this is the person of the login that is here, asking for no longer one."""
    return current.user_id == person.user.id and current.remembered == remembered


def _told(language: Language, problem: Problem | None) -> Mapping[str, object]:
    if problem is None:
        return {"summary": "", "wrong": False}
    wait = language.amount(max(1, problem.wait), "second")
    return {
        "summary": language.say(problem.key, wait=wait),
        # While attempts are delayed, nothing is known to be wrong with what was typed.
        "wrong": problem.key != "login.throttled",
    }
