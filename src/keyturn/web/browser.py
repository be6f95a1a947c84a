"""What a browser keeps for the hosted pages, and how a form shows that it came from one of them.

    kt_login     the browser login: single sign-on. Opaque; a new value at every proof, so that a
                 value somebody planted before is never the one that is signed in (fixation)
    kt_browser   this browser, for as long as it is open: requests in progress and form tokens
                 belong to it, so a request begun in one browser is not finished in another
    kt_language  the language chosen on a page

`__Host-` makes the browser refuse all of them from a subdomain or without TLS; eight hex digits
of the issuer keep two servers behind one host name apart. A form is believed when its token fits
this browser, this form and this request, and the browser does not say that a foreign page sent it.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from keyturn.authorization_errors import ForgedForm
from keyturn.crypto import opaque
from keyturn.crypto.secrets import CSRF, MasterSecrets
from keyturn.errors import InvalidRequest
from keyturn.web.cookies import cookies_of
from keyturn.web.origin import NOBODY

LOGOUT_FORM: Final = "logout"
"""The name of the form that confirms a sign-out: one door shows it, another reads it."""

YEAR: Final = 365 * 86400
_OPAQUE: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8}){0,3}")
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser, by the value of its cookie; `is_new` until an answer sets that."""

    value: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class BrowserCookies:
    """Reads, sets and clears the pages' cookies of one issuer.

    `secure` is off on an http loopback issuer only, where a browser would drop them.
    """

    issuer: str
    secure: bool = True

    def name(self, kind: str) -> str:
        """Return the whole name of the cookie `kt_<kind>`."""
        digits = opaque.sha256(self.issuer.encode()).hex()[:_DIGITS]
        return f"{'__Host-' if self.secure else ''}kt_{kind}_{digits}"

    def login(self, request: Request) -> str | None:
        """Return the value of the browser login, or None. Raises `InvalidRequest` for two."""
        return self._read(request, "login", _OPAQUE)

    def set_login(self, response: Response, value: str, max_age: int | None) -> None:
        """Keep a browser login for `max_age` seconds; None: until the browser closes."""
        self._set(response, "login", value, max_age)

    def clear_login(self, response: Response) -> None:
        """Make the browser forget its login."""
        self._set(response, "login", "", 0)

    def browser(self, request: Request) -> str | None:
        """Return which browser this is, or None for one that never came. Raises as `login`."""
        return self._read(request, "browser", _OPAQUE)

    def ensure(self, request: Request) -> Browser:
        """Return which browser this is; one that never came gets a value. Raises as `login`."""
        value = self.browser(request)
        if value is None:
            return Browser(opaque.token_urlsafe(), is_new=True)
        return Browser(value, is_new=False)

    def keep(self, response: Response, browser: Browser) -> None:
        """Tell a new browser its value, until it closes."""
        if browser.is_new:
            self._set(response, "browser", browser.value, None)

    def language(self, request: Request) -> str | None:
        """Return the language chosen before; of two, none: an error page has to be in some."""
        try:
            return self._read(request, "language", _LANGUAGE)
        except InvalidRequest:
            return None

    def set_language(self, response: Response, language: str) -> None:
        """Keep the chosen language for a year."""
        self._set(response, "language", language, YEAR)

    def _read(self, request: Request, kind: str, shape: re.Pattern[str]) -> str | None:
        wanted = self.name(kind)
        found = [value for name, value in cookies_of(request) if name == wanted]
        if len(found) > 1:
            # Which of them an attacker planted on a narrower path cannot be told.
            raise InvalidRequest("cookie: the same name twice")
        return found[0] if found and shape.fullmatch(found[0]) else None

    def _set(self, response: Response, kind: str, value: str, max_age: int | None) -> None:
        lifetime = "" if max_age is None else f"; Max-Age={max(0, max_age)}"
        secure = "; Secure" if self.secure else ""
        # Lax, not Strict: the way here is a link or a redirect from the application's site.
        attributes = f"{lifetime}; Path=/{secure}; HttpOnly; SameSite=Lax"
        response.headers.append("Set-Cookie", f"{self.name(kind)}={value}{attributes}")


@dataclass(frozen=True, slots=True)
class Csrf:
    """Makes and checks the tokens of forms, and asks the browser who sent them."""

    secrets: MasterSecrets
    issuer: str

    def token(self, browser: str, form: str, handle: str = "") -> str:
        """Return the token of one form, for one browser and one request in progress."""
        current = self.secrets.current_id
        return f"{current}.{self._mac(current, browser, form, handle)}"

    def check(
        self, request: Request, token: str, browser: str | None, form: str, handle: str = ""
    ) -> None:
        """Let pass only a form of our own, from this browser. Raises `ForgedForm`."""
        require_own_page(request.headers, self.issuer)
        if browser is None:
            raise ForgedForm("csrf: no browser cookie")
        if not self.fits(token, browser, form, handle):
            raise ForgedForm("csrf: the token is another form's, request's or browser's")

    def fits(self, token: str, browser: str, form: str, handle: str = "") -> bool:
        """Whether this is what `Csrf.token` returns, with a secret that is still ours."""
        number, _, _ = token.partition(".")
        if not (number.isascii() and number.isdigit() and self.secrets.knows(int(number[:3]))):
            return False
        expected = f"{number}.{self._mac(int(number[:3]), browser, form, handle)}"
        return opaque.equal(expected.encode(), token.encode())

    def _mac(self, secret_id: int, browser: str, form: str, handle: str) -> str:
        # None of the three holds a line break: no two triples are signed alike.
        told = f"{form}\n{handle}\n{browser}".encode()
        key = self.secrets.purpose_key(CSRF, secret_id)
        return hmac.new(key, told, "sha256").hexdigest()


def require_own_page(headers: Headers, issuer: str) -> None:
    """Refuse a form that, by the browser's own word, no page of ours sent.

    Our pages say `Referrer-Policy: no-referrer`, and browsers then write `Origin: null` on their
    forms too (Fetch standard, "append a request Origin header"). `null` is everybody's, so it
    passes only beside `Sec-Fetch-Site: same-origin`. Raises `ForgedForm`.
    """
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    ours = sites == ["same-origin"]
    if sites and not ours and sites != ["none"]:
        raise ForgedForm("sec-fetch-site: not of our own")
    if origins and origins != [issuer] and not (origins == [NOBODY] and ours):
        raise ForgedForm("origin: not ours")
