"""The course of a request: decided at each visit, carried while a person is needed, answered."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorizations.codes import Codes
from keyturn.authorizations.consents import Consents
from keyturn.authorizations.model import AuthorizationRequest, CodeGrant, Pending
from keyturn.authorizations.requests import Requests
from keyturn.clients.model import Client
from keyturn.errors import Refusal
from keyturn.logins.logins import Logins
from keyturn.logins.model import Login
from keyturn.oauth.authorize.answer import Replies
from keyturn.oauth.authorize.decision import Step, Visit, decide
from keyturn.web.browser import BrowserCookies
from keyturn.web.client_ip import ClientAddress
from keyturn.web.device import device_of
from keyturn.web.responses import see_other

PAGES = {Step.SIGN_IN: paths.LOGIN_PAGE, Step.CONSENT: paths.CONSENT_PAGE}


@dataclass(frozen=True, slots=True)
class Course:
    """Takes a checked request as far as it gets without a person."""

    requests: Requests
    codes: Codes
    consents: Consents
    logins: Logins
    cookies: BrowserCookies
    replies: Replies
    address: ClientAddress
    step_up_max_age: timedelta

    async def begin(
        self, request: Request, client: Client, asked: AuthorizationRequest
    ) -> Response:
        """Answer a request that has just come in.

        Raises `RequestOver` for a pushed one that was answered meanwhile, in another browser or
        tab; `InvalidRequest` for one that is too long to travel; `Unavailable`.
        """
        login = await self._login(request)
        visit = await self._visit(client, asked, login)
        try:
            step = decide(visit)
        except Refusal as refusal:
            # Nobody has done anything yet: not to be borrowed for a link that leads elsewhere.
            return await self._refuse(request, asked, refusal, warns=client.self_registered)
        if step is Step.CODE and login is not None:
            return await self._answer(request, asked, login)
        browser = self.cookies.ensure(request)
        handle = await self.requests.begin(asked, browser.value)
        response = self._to_page(step, handle, client)
        self.cookies.keep(response, browser)
        return response

    async def resume(self, request: Request, client: Client, pending: Pending) -> Response:
        """Answer a request that comes back from a page.

        Raises `RequestOver` when it was finished meanwhile (a second tab, a double click), and
        `Unavailable`. What else `decide` refuses goes to the client, and ends the request.
        """
        login = await self._login(request)
        visit = await self._visit(client, pending.request, login, pending)
        try:
            step = decide(visit)
        except Refusal as refusal:
            return await self._refuse(request, pending.request, refusal, pending.handle)
        if step is not Step.CODE or login is None:
            return self._to_page(step, pending.handle, client)
        return await self._answer(request, pending.request, login, pending)

    async def _login(self, request: Request) -> Login | None:
        value = self.cookies.login(request)
        return None if value is None else await self.logins.find(value)

    async def _visit(
        self,
        client: Client,
        asked: AuthorizationRequest,
        login: Login | None,
        pending: Pending | None = None,
    ) -> Visit:
        granted: frozenset[str] = frozenset()
        if login is not None:
            granted = await self.consents.granted(login.user_id, client.id)
        return Visit(
            request=asked,
            client=client,
            login=login,
            granted=granted,
            step_up_max_age=self.step_up_max_age,
            proven=pending.proven_login_id if pending else None,
            answer=pending.answer if pending else None,
        )

    def _to_page(self, step: Step, handle: str, client: Client) -> Response:
        # The client's name is for the way back, once nobody knows the handle any more.
        query = urlencode({"request": handle, "client": client.id})
        return see_other(f"{self.replies.issuer}{PAGES[step]}?{query}")

    async def _refuse(
        self,
        request: Request,
        asked: AuthorizationRequest,
        refusal: Refusal,
        handle: str | None = None,
        *,
        warns: bool = False,
    ) -> Response:
        # Used up by a refusal as by a code: else one pushed request asks in silence for ever.
        await self.requests.finish(asked, handle)
        return self.replies.refusal(request, asked, refusal, warns=warns)

    async def _answer(
        self,
        request: Request,
        asked: AuthorizationRequest,
        login: Login,
        pending: Pending | None = None,
    ) -> Response:
        grant = CodeGrant(
            request=asked,
            login=login,
            scopes=asked.scopes,
            proven=pending is not None and pending.proven_login_id == login.id,
            device=device_of(request),
            ip=self.address.of(request),
        )
        finishing = None if pending is None else pending.handle
        return self.replies.code(request, asked, await self.codes.issue(grant, finishing))
