"""What the device page looks like: the form for a code, the question, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorizations import user_codes
from keyturn.authorizations.device_model import Asked
from keyturn.clients.model import Client
from keyturn.device_errors import UserCodeUnknown
from keyturn.errors import Throttled
from keyturn.logins.model import Login
from keyturn.pages.answers import hidden
from keyturn.pages.consent import lines
from keyturn.pages.devices import name_of
from keyturn.pages.languages import Language
from keyturn.pages.links import links_of
from keyturn.pages.page import LANGUAGE, Page, Pages
from keyturn.pages.waiting import USER_CODE, device_query
from keyturn.web.browser import BrowserCookies, Csrf

ENTER: Final = "device-code"
DECIDE: Final = "device"
"""The ids of the two forms, and what their tokens are for."""

DONE: Final = {
    "allow": ("device.connected", "device.connected_text"),
    "deny": ("device.denied", "device.denied_text"),
}
"""What the last page says: a title and a sentence."""


@dataclass(frozen=True, slots=True)
class Question:
    """A code that a device waits under, what it asks for, and which application that is."""

    code: str
    asked: Asked
    client: Client


@dataclass(frozen=True, slots=True)
class DeviceViews:
    """Renders the pages about a device."""

    pages: Pages
    cookies: BrowserCookies
    csrf: Csrf

    def enter(
        self,
        request: Request,
        login: Login,
        form: Mapping[str, str],
        refusal: UserCodeUnknown | Throttled | None = None,
    ) -> Response:
        """Return the form for the code, filled in with what `form` has of it.

        Only what is a code is taken from an address; what a person typed they find again.
        """
        typed, chosen = form.get(USER_CODE, ""), form.get(LANGUAGE)
        language, browser = self.pages.language(request, (), chosen), self.cookies.ensure(request)
        code = user_codes.read(typed)
        shown = user_codes.shown(code) if code else ""
        token = self.csrf.token(browser.value, ENTER, str(login.id))
        values = {
            "action": paths.DEVICE_PAGE,
            "hidden": hidden({"login": str(login.id), "csrf": token, LANGUAGE: language.code}),
            "code": shown if code or refusal is None else typed[: user_codes.LONGEST],
            "from_link": code is not None and refusal is None,
            "summary": _said(language, typed, refusal),
        }
        page = Page(
            "device_code.html",
            values,
            status=refusal.status if refusal else 200,
            language=chosen,
            again={USER_CODE: shown} if shown else {},
            browser=browser,
        )
        return self.pages.answer(request, page)

    def question(
        self,
        request: Request,
        login: Login,
        question: Question,
        email: str,
        form: Mapping[str, str],
    ) -> Response:
        """Return what the device asks for, with the code to compare, and two buttons."""
        chosen, asked = form.get(LANGUAGE), question.asked
        language, browser = self.pages.language(request, (), chosen), self.cookies.ensure(request)
        shown = user_codes.shown(question.code)
        bound = bound_to(DECIDE, str(login.id), question.code)
        token = self.csrf.token(browser.value, DECIDE, bound)
        fields = {USER_CODE: shown, "login": str(login.id), "csrf": token, LANGUAGE: language.code}
        another = urlencode(device_query(question.code, another=True))
        values = {
            "client": question.client,
            "links": links_of(question.client),
            "email": email,
            "code": shown,
            "device": name_of(asked.device, language),
            "ip": asked.ip,
            "asked": _ago(language, asked),
            "scopes": lines(language, asked.scopes, frozenset()),
            "action": paths.DEVICE_PAGE,
            "hidden": hidden(fields),
            "other_account": f"{paths.LOGIN_PAGE}?{another}",
            "account": paths.ACCOUNT_PAGE,
        }
        again = {USER_CODE: shown}
        page = Page("device.html", values, language=chosen, again=again, browser=browser)
        return self.pages.answer(request, page)

    def done(self, request: Request, decision: str, seal: str) -> Response | None:
        """Return the last page, if it was sealed for this browser: a mere link must not say it."""
        browser = self.cookies.browser(request)
        if browser is None or decision not in DONE:
            return None
        title, text = DONE[decision]
        if not self.csrf.fits(seal, browser, title):
            return None
        values = {"title": title, "text": text, "account": paths.ACCOUNT_PAGE}
        page = Page("device_done.html", values, again=ended(decision, seal))
        return self.pages.answer(request, page)

    def seal(self, request: Request, decision: str) -> str:
        """Return what lets `done` say how it ended."""
        return self.csrf.token(self.cookies.ensure(request).value, DONE[decision][0])


def bound_to(form: str, login: str, code: str | None) -> str:
    """Return what the token of a form is bound to: an answer, to the very code that was shown."""
    return login if form == ENTER else f"{login} {code}"


def ended(decision: str, seal: str) -> Mapping[str, str]:
    """Return the query of the last page."""
    return {"done": decision, "seal": seal}


def _said(
    language: Language, typed: str, refusal: UserCodeUnknown | Throttled | None
) -> Markup | str:
    if refusal is None:
        return ""
    if isinstance(refusal, Throttled):
        wait = language.amount(max(1, refusal.retry_after), "second")
        return language.say("device.throttled", wait=wait)
    return language.say("device.unknown" if typed else "device.missing")


def _ago(language: Language, asked: Asked) -> Markup:
    one = Markup('<time datetime="{}">{}</time>')
    when = asked.created_at.isoformat(timespec="seconds")
    return one.format(when, language.ago(asked.decided_at - asked.created_at))
