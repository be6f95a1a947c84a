"""One page of this house: in the language of who reads it, with the name and the style of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from keyturn.pages.languages import Language, Languages, accepted
from keyturn.pages.stylesheet import Stylesheet
from keyturn.settings_pages import PagesSettings
from keyturn.web.browser import Browser, BrowserCookies
from keyturn.web.html import NOTHING_ELSE, Html, Sources

LANGUAGE: Final = "lang"
"""The parameter a language is chosen by, for one page and, by cookie, from then on."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is on one page, before anybody knows who reads it."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    sources: Sources = NOTHING_ELSE
    ui_locales: Sequence[str] = ()
    """The languages the application asked for."""
    language: str | None = None
    """The language chosen on the page before."""
    again: Mapping[str, str] | None = None
    """The query under which the same page comes in another language; None: nowhere."""
    browser: Browser | None = None
    """Which browser its forms are for."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders pages for a request."""

    html: Html
    languages: Languages
    cookies: BrowserCookies
    settings: PagesSettings
    stylesheet: Stylesheet

    def answer(self, request: Request, page: Page) -> Response:
        """Return a page. Raises `InvalidRequest` for a cookie that comes twice."""
        language = self.language(request, page.ui_locales, page.language)
        values = {
            **page.values,
            "t": language.say,
            "language": language,
            "site": self.settings,
            "stylesheet": self.stylesheet.path,
            "switch": self._switch(request, page, language),
        }
        response = self.html.answer(page.template, values, status=page.status, sources=page.sources)
        if request.query_params.get(LANGUAGE) == language.code:
            self.cookies.set_language(response, language.code)
        if page.browser is not None:
            self.cookies.keep(response, page.browser)
        return response

    def language(
        self, request: Request, ui_locales: Sequence[str] = (), chosen: str | None = None
    ) -> Language:
        """Return what this person reads: by choice, by the application, by habit, by browser."""
        chosen, kept = request.query_params.get(LANGUAGE) or chosen, self.cookies.language(request)
        return self.languages.choose(
            [chosen] if chosen else [],
            # What an application asked for stands in the URL as long as no request is kept.
            ui_locales or request.query_params.get("ui_locales", "").split(),
            [kept] if kept else [],
            accepted(request.headers.get("accept-language", "")),
        )

    def _switch(
        self, request: Request, page: Page, current: Language
    ) -> list[tuple[Language, str]]:
        """Return the other languages, and where this page is in them."""
        if page.again is None:
            return []
        path = request.scope["path"]
        return [
            (one, f"{path}?{urlencode({**page.again, LANGUAGE: one.code})}")
            for one in self.languages.known.values()
            if one.code != current.code
        ]
