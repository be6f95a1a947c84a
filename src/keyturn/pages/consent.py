"""GET, POST /consent: what an application may do for a person; yes or no."""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorizations.consents import Consents
from keyturn.errors import InvalidRequest
from keyturn.logins.model import Login
from keyturn.pages.languages import Language
from keyturn.pages.links import links_of, place
from keyturn.pages.page import Page, Pages
from keyturn.pages.waiting import OTHER_ACCOUNT, Transactions, Waiting, note_way_back
from keyturn.users.accounts import Accounts
from keyturn.web.forms import Forms, parse_form

FORM: Final = "consent"

ANSWERS: Final[dict[str, Literal["agreed", "denied"]]] = {"allow": "agreed", "deny": "denied"}

PLAIN: Final = {"openid": 0, "profile": 1, "email": 2, "offline_access": 3}
"""The order of what every person understands."""


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One thing an application may do, in plain words."""

    text: Markup
    is_new: bool
    """Asked for now, allowed never before; not marked while everything is new."""


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """Asks, keeps the answer, and sends the browser back to the request."""

    pages: Pages
    transactions: Transactions
    forms: Forms
    consents: Consents
    accounts: Accounts

    async def get(self, request: Request) -> Response:
        """Answer 200 with the question, or 400 when there is nothing to decide."""
        sent = parse_form(request.scope["query_string"])
        waiting = await self.transactions.open(request, sent)
        login = await self.transactions.login(request)
        if login is None:
            # Signed out in another tab meanwhile: the decision sends to the sign-in page.
            return self.transactions.go_on(waiting)
        return await self._question(request, waiting, login)

    async def post(self, request: Request) -> Response:
        """Answer 303 to the request, which is decided with what was said."""
        form = await self.forms.read(request)
        self.transactions.check(request, form, FORM)
        note_way_back(request, paths.CONSENT_PAGE, form)
        waiting = await self.transactions.open(request, form)
        said = ANSWERS.get(form.get("decision", ""))
        if said is None:
            raise InvalidRequest("decision: neither allow nor deny")
        login = await self.transactions.login(request)
        # Whoever was shown the question answers it: another tab may have signed in somebody else.
        if login is not None and form.get("login") == str(login.id):
            asked = login.user_id, waiting.client.id, waiting.asked.scopes
            if said == "agreed":
                await self.consents.grant(*asked)
            await self.transactions.requests.answer(waiting.pending.handle, said)
            if said == "denied":
                self.consents.deny(*asked)
        return self.transactions.go_on(waiting)

    async def _question(self, request: Request, waiting: Waiting, login: Login) -> Response:
        person = await self.accounts.active(login.user_id)
        granted = await self.consents.granted(login.user_id, waiting.client.id)
        language = self.pages.language(request, waiting.ui_locales)
        other = urlencode({**waiting.query, OTHER_ACCOUNT: "yes"})
        values = {
            "client": waiting.client,
            "email": person.email,
            "scopes": lines(language, waiting.asked.scopes, granted),
            "place": place(language, waiting.asked.redirect_uri),
            "links": links_of(waiting.client),
            "action": paths.CONSENT_PAGE,
            "hidden": self.transactions.fields(waiting, FORM, language.code)
            + Markup('<input type="hidden" name="login" value="{}">').format(login.id),
            "other_account": f"{paths.LOGIN_PAGE}?{other}",
            "account": paths.ACCOUNT_PAGE,
        }
        page = Page(
            "consent.html",
            values,
            sources=waiting.sources,
            ui_locales=waiting.ui_locales,
            again=waiting.query,
        )
        return self.pages.answer(request, page)


def lines(language: Language, scopes: frozenset[str], granted: frozenset[str]) -> list[ScopeLine]:
    """Return what an application asks for: what is said in plain words first, then by name."""
    ordered = sorted(scopes, key=lambda scope: (PLAIN.get(scope, len(PLAIN)), scope))
    fresh = scopes - granted if granted else frozenset()
    return [ScopeLine(_words(language, one), one in fresh) for one in ordered]


def _words(language: Language, scope: str) -> Markup:
    known = language.knows(f"scope.{scope}") and scope != "other"
    return language.say(f"scope.{scope}" if known else "scope.other", scope=scope)
