"""The doors: a request for authorization comes in, and comes back from the pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorization_errors import InvalidRequestUri, RequestOver, UnsafeRedirect
from keyturn.authorizations.pushed import PushedRequests, is_pushed
from keyturn.authorizations.requests import Requests
from keyturn.clients.redirect_uris import is_registered
from keyturn.clients.registry import Registry
from keyturn.errors import InvalidRequest, Refusal
from keyturn.oauth.authorize.addressed import Addressed, Asked, address, client_of
from keyturn.oauth.authorize.answer import OURS
from keyturn.oauth.authorize.checks import check
from keyturn.oauth.authorize.course import Course
from keyturn.web.browser import BrowserCookies
from keyturn.web.forms import Forms, Pairs, parse_form, parse_pairs
from keyturn.web.request_notes import note_again, note_client
from keyturn.web.responses import see_other

LONGEST_URL = 6144
"""A posted request longer than this is not turned into a URL."""


@dataclass(frozen=True, slots=True)
class Authorize:
    """The authorization endpoint; a refusal it raises is a page, any other goes to the client."""

    forms: Forms
    registry: Registry
    requests: Requests
    pushed: PushedRequests
    course: Course
    subject_of: Callable[[str], str]
    """Reads an `id_token_hint`; raises `InvalidRequest` for one that is not ours."""
    require_par: bool
    """Nobody's requests come but by `/oauth2/par`."""

    async def get(self, request: Request) -> Response:
        """Answer a request in the URL."""
        with self._counted():
            return await self._begin(request, parse_pairs(request.scope["query_string"]))

    async def post(self, request: Request) -> Response:
        """Answer a request in a form (OpenID Connect Core section 3.1.2.1)."""
        with self._counted():
            pairs = await self.forms.read_pairs(request)
            again = urlencode(list(pairs))
            if len(again) <= LONGEST_URL:
                note_again(request.scope, f"{paths.AUTHORIZE}?{again}")
                if came_without_cookies(request, self.course.cookies):
                    return see_other(f"{self.course.replies.issuer}{paths.AUTHORIZE}?{again}")
            return await self._begin(request, pairs)

    async def resume(self, request: Request) -> Response:
        """Answer a request that a page sends back here."""
        with self._counted():
            return await self._resume(request)

    async def _resume(self, request: Request) -> Response:
        handle = parse_form(request.scope["query_string"]).get("request")
        browser = self.course.cookies.browser(request)
        if handle is None or browser is None:
            raise RequestOver("request: no handle, or no browser cookie")
        pending = await self.requests.find(handle, browser)
        if pending is None:
            raise RequestOver("request: finished, expired, unknown or of another browser")
        asked = pending.request
        client = await self.registry.get(asked.client_id)
        # Both may have changed while the person was reading.
        if client is None or not is_registered(asked.redirect_uri, client.redirect_uris):
            raise UnsafeRedirect("client: gone or changed since the request began")
        note_client(request.scope, client)
        return await self.course.resume(request, client, pending)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count what only a page says; what a client is told is counted where it is sent."""
        try:
            yield
        except ClientDisconnect:
            raise  # nobody is there to be answered
        except Exception as failure:
            self.course.replies.metrics.authorizations(_result_of(failure))
            raise

    async def _begin(self, request: Request, pairs: Pairs) -> Response:
        sent = Asked.of(pairs)
        if is_pushed(sent.single("request_uri")):
            return await self._begin_pushed(request, sent)
        addressed = await address(sent, self.registry)
        note_client(request.scope, addressed.client)
        try:
            return await self._proceed(request, addressed)
        except Refusal as refusal:
            # Anybody may have registered it, to borrow this server's good name for a link that
            # leads elsewhere at once (RFC 9700 section 4.11.2).
            warns = addressed.client.self_registered
            return self.course.replies.refusal(request, addressed, refusal, warns=warns)

    async def _begin_pushed(self, request: Request, sent: Asked) -> Response:
        """Answer a request that was pushed: whatever else was sent means nothing (RFC 9126 4)."""
        client = await client_of(sent, self.registry)
        note_client(request.scope, client)
        asked = await self.pushed.find(sent.parameters["request_uri"], client.id)
        if asked is None:
            raise InvalidRequestUri("request_uri: used, expired, unknown or of another client")
        if not is_registered(asked.redirect_uri, client.redirect_uris):
            raise UnsafeRedirect("redirect_uri: not one of this client's any more")
        return await self.course.begin(request, client, asked)

    async def _proceed(self, request: Request, addressed: Addressed) -> Response:
        client = addressed.client
        if self.require_par or client.require_par or client.require_signed_request_object:
            raise InvalidRequest("request: this client pushes its requests")
        asked = check(addressed, self.course.replies.issuer, self.subject_of)
        return await self.course.begin(request, addressed.client, asked)


def _result_of(failure: Exception) -> str:
    if isinstance(failure, UnsafeRedirect):
        return "unsafe_redirect"
    if not isinstance(failure, Refusal):
        return Refusal.code
    told_apart = isinstance(failure, RequestOver) or failure.status >= OURS
    return failure.code if told_apart else InvalidRequest.code


def came_without_cookies(request: Request, cookies: BrowserCookies) -> bool:
    """Whether a form of another site came without the cookies a link would have brought.

    Browsers send `SameSite=Lax` cookies with a link to here, not with a foreign form: sent on by
    GET, the person is recognised again.
    """
    cross_site = request.headers.getlist("sec-fetch-site") == ["cross-site"]
    return cross_site and cookies.login(request) is None
