"""What the protocol's doors show to people: error pages, forms that post themselves, logout pages.

An error page says whose fault it is, what to do next, and a number to quote to the operator. It
shows nothing that came with the request: not an address, not a description, not a parameter.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorization_errors import AccessDenied, ForgedForm, RequestOver, UnsafeRedirect
from keyturn.clients.model import Client
from keyturn.errors import (
    MethodNotAllowed,
    NotFound,
    OriginRefused,
    Refusal,
    Throttled,
    Unavailable,
)
from keyturn.pages.links import place
from keyturn.pages.page import LANGUAGE, Page, Pages
from keyturn.web.browser import LOGOUT_FORM, BrowserCookies, Csrf
from keyturn.web.html import Sources, add_retry_after
from keyturn.web.request_notes import notes_of

SEND: Final = 'document.getElementById("answer").submit()'
"""The only script of these pages; without it, people press the button."""

CLIENT: Final = "client"
"""Names the application in our own links and forms: the way back from a request that is over."""

OURS: Final = 500

_ORIGIN: Final = re.compile(r"(https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?:[/?]|\Z)")

_SAID: Final[tuple[tuple[type[Refusal], str], ...]] = (
    (UnsafeRedirect, "error.application"),
    (RequestOver, "error.over"),
    (ForgedForm, "error.form"),
    (OriginRefused, "error.form"),
    (AccessDenied, "error.denied"),
    (NotFound, "error.missing"),
    (MethodNotAllowed, "error.missing"),
    (Throttled, "error.throttled"),
    (Unavailable, "error.unavailable"),
)
"""What a page says of a refusal, by its kind: the first that fits."""


class Clients(Protocol):
    """What is asked of the registry, by an answer that must not wait for the database."""

    def last_active(self, client_id: str) -> Client | None:
        """Return an active client of the last copy, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """Pages for doors that have none of their own."""

    pages: Pages
    cookies: BrowserCookies
    csrf: Csrf
    clients: Clients

    def error(self, request: Request, refusal: Refusal) -> Response:
        """Return a page about a refusal, with its status, and note it for the log."""
        notes = notes_of(request.scope)
        notes.error, notes.detail = refusal.code, refusal.detail
        language, seconds = self.pages.language(request), getattr(refusal, "retry_after", 0)
        # Back to the application only when it did nothing wrong, and is known.
        client = self._client(request, refusal) if isinstance(refusal, RequestOver) else None
        values = {
            "key": key_of(refusal),
            "wait": language.amount(max(1, seconds), "second"),
            "client": client,
            "home": home_of(client),
            "retry": _same_again(request) if isinstance(refusal, Unavailable) else None,
            "account": _own_account(request, refusal),
            "request_id": notes.request_id,
        }
        response = self.pages.answer(request, Page("error.html", values, refusal.status))
        add_retry_after(response, refusal)
        return response

    def posted(
        self, request: Request, redirect_uri: str, parameters: Mapping[str, str]
    ) -> Response:
        """Return a page whose form posts the parameters to the client, by itself or by hand."""
        values = {
            "target": redirect_uri,
            "hidden": hidden(parameters),
            # A constant of this module, which escaping would break.
            "script": Markup(SEND),  # noqa: S704
        }
        sources = Sources(form_targets=(redirect_uri,), script=SEND)
        return self.pages.answer(request, Page("form_post.html", values, sources=sources))

    def warned(
        self, request: Request, redirect_uri: str, link: str | None, parameters: Mapping[str, str]
    ) -> Response:
        """Return a page that says where a refusal leads: a link, or else a form, goes on.

        The application registered itself: nobody is sent to it by surprise.
        """
        language, client = self.pages.language(request), notes_of(request.scope).client
        values = {
            "client": client,
            "place": place(language, redirect_uri),
            "link": link,
            "target": redirect_uri,
            "hidden": hidden(parameters),
        }
        sources = Sources(form_targets=() if link else (redirect_uri,))
        return self.pages.answer(request, Page("warned.html", values, 400, sources))

    def confirm_logout(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Return the question whether to sign out; its form posts the parameters and `csrf` here.

        The answer is checked by `Csrf.check` with the form's name, `browser.LOGOUT_FORM`.
        """
        browser = self.cookies.ensure(request)
        token = self.csrf.token(browser.value, LOGOUT_FORM)
        kept = {name: value for name, value in parameters.items() if name not in {"csrf", LANGUAGE}}
        ui_locales = parameters.get("ui_locales", "").split()
        language = self.pages.language(request, ui_locales, parameters.get(LANGUAGE))
        client = notes_of(request.scope).client
        page = Page(
            "confirm_logout.html",
            {
                "action": paths.END_SESSION,
                "hidden": hidden({**kept, "csrf": token, LANGUAGE: language.code}),
                "client": client,
                "home": home_of(client),
                "account": paths.ACCOUNT_PAGE,
            },
            ui_locales=ui_locales,
            sources=Sources(self._leads_to(kept)),
            again=kept if request.method == "GET" else None,
            browser=browser,
        )
        return self.pages.answer(request, page)

    def signed_out(self, request: Request, applications: Collection[str] = ()) -> Response:
        """Return the page that says that nobody is signed in here any more.

        `applications` are the ids of those whose sessions have just ended.
        """
        client = notes_of(request.scope).client
        values = {
            "client": client,
            "home": home_of(client),
            "applications": self._names(applications),
            "account": paths.ACCOUNT_PAGE,
        }
        page = Page(
            "signed_out.html",
            values,
            again={} if request.scope["path"] == paths.SIGNED_OUT else None,
        )
        return self.pages.answer(request, page)

    def _names(self, client_ids: Collection[str]) -> list[str]:
        found = map(self.clients.last_active, client_ids)
        return sorted({one.name for one in found if one is not None}, key=str.casefold)

    def _client(self, request: Request, refusal: RequestOver) -> Client | None:
        """Return the application of this request, or the registered one our own link names."""
        named = refusal.client_id or request.query_params.get(CLIENT)
        noted = notes_of(request.scope).client
        return noted or (self.clients.last_active(named) if named else None)

    def _leads_to(self, parameters: Mapping[str, str]) -> tuple[str, ...]:
        """Return where the confirmed sign-out may lead; who checks it is the door behind.

        Only a plain https or http origin: nothing else of a caller's enters a policy.
        """
        found = _ORIGIN.match(parameters.get("post_logout_redirect_uri", ""))
        return (found[1],) if found else ()


def key_of(refusal: Refusal) -> str:
    """Return the key of what a page says of a refusal."""
    if isinstance(refusal, RequestOver) and refusal.signed_in:
        return "error.signed_in"
    for kind, key in _SAID:
        if isinstance(refusal, kind):
            return key
    return "error.server" if refusal.status >= OURS else "error.request"


def _own_account(request: Request, refusal: Refusal) -> str | None:
    """Return where the account is: for who is signed in, or came from no application."""
    own = request.scope["path"] == paths.ACCOUNT_PAGE or isinstance(refusal, NotFound)
    signed_in = isinstance(refusal, RequestOver) and refusal.signed_in
    return paths.ACCOUNT_PAGE if own or signed_in else None


def home_of(client: Client | None) -> str | None:
    """Return where a client lives, if that is one place: the origin of its redirect URIs.

    Registered, so nobody is led astray; what answers at an app's own scheme is not known.
    """
    uris = map(urlsplit, client.redirect_uris if client else ())
    origins = {f"{uri.scheme}://{uri.netloc}/" for uri in uris if uri.scheme == "https" or uri.port}
    return origins.pop() if len(origins) == 1 else None


def hidden(fields: Mapping[str, str]) -> Markup:
    """Return hidden fields of a form, escaped."""
    one = Markup('<input type="hidden" name="{}" value="{}">')
    return Markup("\n").join(one.format(name, value) for name, value in fields.items())


def _same_again(request: Request) -> str | None:
    """Return the address of this very page, or of the one a form stood on.

    None where a door noted none: a form is not sent twice unasked.
    """
    if request.method != "GET":
        return notes_of(request.scope).again
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.scope['path']}?{query}"
