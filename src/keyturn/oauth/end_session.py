"""GET, POST /oauth2/logout (OpenID Connect RP-Initiated Logout 1.0): a person signs out here.

An application sends the browser with an ID token that says who is to be signed out. If that is
who is signed in, it is done, and the browser goes where the application has registered. In every
other case anybody may have sent the browser, so the person is asked first.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.errors import InvalidRequest
from keyturn.logins.logins import Logins
from keyturn.logins.model import Login
from keyturn.oauth.authorize.endpoint import LONGEST_URL, came_without_cookies
from keyturn.oauth.authorize.redirect import with_parameters
from keyturn.tokens.id_token import HintedIdentity, IdTokens
from keyturn.web.browser import LOGOUT_FORM, BrowserCookies, Csrf
from keyturn.web.forms import Form, Forms, parse_form
from keyturn.web.request_notes import note_again, note_client
from keyturn.web.responses import see_other

REASON: Final = "browser_logout"


class Farewells(Protocol):
    """The pages about signing out; `keyturn.pages` makes them."""

    def confirm_logout(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return a page whose form posts the parameters here again, with `csrf`."""
        ...

    def signed_out(self, request: Request, applications: Collection[str]) -> Response:
        """Return the page that says that nobody is signed in, nor in these clients."""
        ...


@dataclass(frozen=True, slots=True)
class Leaving:
    """A request to sign out, read."""

    parameters: Form
    hint: HintedIdentity | None
    client: Client | None
    confirmed: bool = False

    @property
    def target(self) -> str | None:
        """Where the browser may go afterwards: an address registered for that client, exactly."""
        uri = self.parameters.get("post_logout_redirect_uri")
        if uri is None or self.client is None:
            return None
        if uri not in self.client.post_logout_redirect_uris:
            return None
        state = self.parameters.get("state")
        return uri if state is None else with_parameters(uri, [("state", state)])

    def concerns(self, login: Login) -> bool:
        """Whether the application has shown that it means who is signed in.

        It has not while it names an address that is none of its own: somebody else may have
        built that link (RP-Initiated Logout section 4).
        """
        if "post_logout_redirect_uri" in self.parameters and self.target is None:
            return False
        return self.hint is not None and self.hint.sub == str(login.user_id)

    def is_vouched_for(self, login: Login | None) -> bool:
        """Whether a browser may be sent on: a stranger's link may show our page, and no more.

        A hint of a client that registered itself proves nothing where nobody is signed in:
        whoever registered it has one of their own, and a link of ours that leads elsewhere.
        """
        if self.confirmed or self.hint is None:
            return self.confirmed
        return login is not None or self.client is None or not self.client.self_registered


@dataclass(frozen=True, slots=True)
class EndSession:
    """The end-session endpoint; a refusal is a page."""

    forms: Forms
    registry: Registry
    id_tokens: IdTokens
    logins: Logins
    cookies: BrowserCookies
    csrf: Csrf
    farewells: Farewells
    issuer: str

    async def get(self, request: Request) -> Response:
        """Answer an application's link."""
        parameters = parse_form(request.scope["query_string"])
        return await self._end(request, await self._read(request, parameters))

    async def post(self, request: Request) -> Response:
        """Answer an application's form, or our own: the one that asked the person."""
        form = await self.forms.read(request)
        again = urlencode({name: form[name] for name in form if name != "csrf"})
        if len(again) <= LONGEST_URL:
            note_again(request.scope, f"{paths.END_SESSION}?{again}")
            if came_without_cookies(request, self.cookies):
                return see_other(f"{self.issuer}{paths.END_SESSION}?{again}")
        leaving = await self._read(request, form)
        if "csrf" in form:
            self.csrf.check(request, form["csrf"], self.cookies.browser(request), LOGOUT_FORM)
            leaving = replace(leaving, confirmed=True)
        return await self._end(request, leaving)

    async def _read(self, request: Request, parameters: Form) -> Leaving:
        """Read hint and client. Raises `InvalidRequest` when they contradict each other."""
        sent = parameters.get("id_token_hint")
        hint = None if sent is None else self.id_tokens.verify_hint(sent)
        named = parameters.get("client_id")
        if hint is not None and named is not None and named != hint.client_id:
            raise InvalidRequest("id_token_hint: of another client than client_id")
        client_id = hint.client_id if hint else named
        client = None if client_id is None else await self.registry.get(client_id)
        if client is not None:
            note_client(request.scope, client)
        return Leaving(parameters, hint, client)

    async def _end(self, request: Request, leaving: Leaving) -> Response:
        value = self.cookies.login(request)
        login = None if value is None else await self.logins.find(value)
        if login is not None and not leaving.confirmed and not leaving.concerns(login):
            return self.farewells.confirm_logout(request, _asked_again(leaving))
        ended = () if login is None else await self.logins.end(login.id, REASON)
        target = leaving.target if leaving.is_vouched_for(login) else None
        if target is None:
            response = self.farewells.signed_out(request, {one.client_id for one in ended})
        else:
            response = see_other(target)
        self.cookies.clear_login(response)
        return response


def _asked_again(leaving: Leaving) -> Mapping[str, str]:
    """Return what the confirmation form sends here: the person's word stands for the hint."""
    kept = {name: value for name, value in leaving.parameters.items() if name != "id_token_hint"}
    return kept if leaving.client is None else {**kept, "client_id": leaving.client.id}
