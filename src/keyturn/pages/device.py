"""GET, POST /device: a person types the code of a device, sees who asks, and says yes or no.

Nobody can try a code before they have signed in: whoever does is somebody, and is counted. A link
may bring the code (RFC 8628 section 3.3.1); it is filled in, and the person still compares it with
what their device shows, because anybody can send a link (section 5.4).
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorizations import user_codes
from keyturn.authorizations.device_approvals import DeviceApprovals
from keyturn.device_errors import UserCodeUnknown
from keyturn.errors import InvalidRequest, Throttled
from keyturn.logins.model import Login
from keyturn.pages.device_views import DECIDE, ENTER, DeviceViews, Question, bound_to, ended
from keyturn.pages.waiting import USER_CODE, Transactions, device_page, device_query
from keyturn.users.accounts import Accounts
from keyturn.web.client_ip import ClientAddress
from keyturn.web.forms import Form, Forms, parse_form
from keyturn.web.html import add_retry_after
from keyturn.web.request_notes import note_again, note_client, notes_of
from keyturn.web.responses import see_other

ALLOW: Final = "allow"
DENY: Final = "deny"


class Guesses(Protocol):
    """The limiter of codes that people type."""

    def guess(
        self, account: str, address: str, *, clears: bool = True
    ) -> AbstractAsyncContextManager[None]:
        """Count one attempt around looking for a code. Raises `Throttled` instead."""
        ...


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Asks for the code, shows what it stands for, and keeps the answer."""

    views: DeviceViews
    transactions: Transactions
    forms: Forms
    approvals: DeviceApprovals
    accounts: Accounts
    guesses: Guesses
    address: ClientAddress

    async def get(self, request: Request) -> Response:
        """Answer 200 with the form for the code, or with how it ended; 303 to the sign-in page."""
        sent = parse_form(request.scope["query_string"])
        done = self.views.done(request, sent.get("done", ""), sent.get("seal", ""))
        if done is not None:
            return done
        typed = sent.get(USER_CODE, "")
        login = await self.transactions.login(request)
        if login is None:
            query = urlencode(device_query(user_codes.read(typed)))
            return self._to(f"{paths.LOGIN_PAGE}?{query}")
        return self.views.enter(request, login, {USER_CODE: typed})

    async def post(self, request: Request) -> Response:
        """Answer 200 with the question, 303 to how it ended, or the form again: 400, 429."""
        form = await self.forms.read(request)
        code, shown_to = user_codes.read(form.get(USER_CODE, "")), form.get("login", "")
        note_again(request.scope, device_page(code))
        which = DECIDE if "decision" in form else ENTER
        browser = self.transactions.cookies.browser(request)
        bound = bound_to(which, shown_to, code)
        self.transactions.csrf.check(request, form.get("csrf", ""), browser, which, bound)
        login = await self.transactions.login(request)
        if login is None or shown_to != str(login.id):
            # Signed out meanwhile, or somebody else was signed in: nothing is done in their name.
            return self._to(device_page(code))
        try:
            return await self._answer(request, login, code, form)
        except (UserCodeUnknown, Throttled) as refusal:
            notes = notes_of(request.scope)
            notes.error, notes.detail = refusal.code, refusal.detail
            response = self.views.enter(request, login, form, refusal)
            add_retry_after(response, refusal)
            return response

    async def _answer(
        self, request: Request, login: Login, code: str | None, form: Form
    ) -> Response:
        if code is None:
            raise UserCodeUnknown("user code: malformed")
        if "decision" in form:
            return await self._decide(request, login, code, form["decision"])
        address = self.address.of(request)
        # Before the code is looked for, and in one step: a hundred guesses at once do not pass.
        async with self.guesses.guess(str(login.user_id), address, clears=False):
            try:
                question = await self._question(request, login, code)
            except UserCodeUnknown:
                self.approvals.guessed(login, address)
                raise
        person = await self.accounts.active(login.user_id)
        return self.views.question(request, login, question, person.email, form)

    async def _question(self, request: Request, login: Login, code: str) -> Question:
        asked = await self.approvals.find(code, login)
        client = await self.transactions.registry.get(asked.client_id)
        if client is None:
            raise UserCodeUnknown("client: gone since the device asked")
        note_client(request.scope, client)
        return Question(code, asked, client)

    async def _decide(self, request: Request, login: Login, code: str, decision: str) -> Response:
        if decision not in {ALLOW, DENY}:
            raise InvalidRequest("decision: neither allow nor deny")
        # Not counted: the form's token says that this code was found, for this very login.
        question = await self._question(request, login, code)
        if decision == ALLOW:
            await self.approvals.approve(code, login, question.client, question.asked)
        else:
            await self.approvals.deny(code, login, question.asked)
        seal = self.views.seal(request, decision)
        return self._to(f"{paths.DEVICE_PAGE}?{urlencode(ended(decision, seal))}")

    def _to(self, path: str) -> Response:
        return see_other(f"{self.transactions.issuer}{path}")
