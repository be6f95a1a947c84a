"""The hosted pages, put together: their doors, and what the protocol's doors need of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from jinja2 import PackageLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn import paths
from keyturn.pages.account import AccountPage
from keyturn.pages.answers import Answers
from keyturn.pages.consent import ConsentPage
from keyturn.pages.device import DevicePage
from keyturn.pages.device_views import DeviceViews
from keyturn.pages.languages import Languages
from keyturn.pages.login import LoginPage
from keyturn.pages.page import Pages
from keyturn.pages.signed_out import SignedOutPage
from keyturn.pages.stylesheet import Stylesheet
from keyturn.pages.waiting import Transactions
from keyturn.parts import Parts
from keyturn.sessions.active import ActiveSessions
from keyturn.web.body import BodyLimits
from keyturn.web.forms import Forms
from keyturn.web.html import Html

Door = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, eq=False)
class Hosted:
    """What is built once for the pages of one process."""

    pages: Pages
    answers: Answers

    @classmethod
    def of(cls, parts: Parts) -> Self:
        """Read catalogues, templates and colours."""
        settings = parts.settings
        cookies, csrf = parts.browser_cookies, parts.csrf
        logo = settings.pages.logo_origin
        pages = Pages(
            html=Html(PackageLoader("keyturn.pages"), images=(logo,) if logo else ()),
            languages=Languages.load(),
            cookies=cookies,
            settings=settings.pages,
            stylesheet=Stylesheet.of(settings.pages),
        )
        return cls(pages, Answers(pages, cookies, csrf, parts.registry))

    def routes(self, parts: Parts) -> Sequence[Route]:
        """Return the doors that people open."""
        settings = parts.settings
        forms = Forms(BodyLimits(settings.server.max_form_bytes, settings.server.body_timeout))
        transactions = Transactions(
            requests=parts.requests,
            registry=parts.registry,
            logins=parts.logins,
            cookies=parts.browser_cookies,
            csrf=parts.csrf,
            issuer=settings.issuer,
        )
        login = LoginPage(
            pages=self.pages,
            transactions=transactions,
            forms=forms,
            authenticator=parts.authenticator,
            accounts=parts.accounts,
            address=parts.address,
            remembered_lifetime=settings.logins.remembered_lifetime,
        )
        consent = ConsentPage(self.pages, transactions, forms, parts.consents, parts.accounts)
        account = AccountPage(
            pages=self.pages,
            transactions=transactions,
            forms=forms,
            active=ActiveSessions(parts.database),
            ending=parts.ending,
            accounts=parts.accounts,
            consents=parts.consents,
        )
        device = DevicePage(
            views=DeviceViews(self.pages, parts.browser_cookies, parts.csrf),
            transactions=transactions,
            forms=forms,
            approvals=parts.device_approvals,
            accounts=parts.accounts,
            guesses=parts.device_throttle,
            address=parts.address,
        )
        return (
            by_link_and_form(paths.LOGIN_PAGE, login.get, login.post),
            by_link_and_form(paths.CONSENT_PAGE, consent.get, consent.post),
            by_link_and_form(paths.ACCOUNT_PAGE, account.get, account.post),
            by_link_and_form(paths.DEVICE_PAGE, device.get, device.post),
            Route(paths.SIGNED_OUT, SignedOutPage(transactions, self.answers).get),
            Route(paths.STATIC, self.pages.stylesheet.get),
        )


def by_link_and_form(path: str, get: Door, post: Door) -> Route:
    """Route a page and its form: one route, so that `Allow` names both."""

    async def door(request: Request) -> Response:
        return await (post if request.method == "POST" else get)(request)

    return Route(path, door, methods=["GET", "POST"])
