"""Valid requests to what people open in a browser."""

from functools import partial

from attacks.grammar import Draft, Pair, draft
from attacks.stock import Stock
from keyturn import paths

BROWSER = [("Accept", "text/html,*/*;q=0.8"), ("Accept-Language", "de-CH, de;q=0.9, en;q=0.5")]
SAME_SITE = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "navigate")]


WHOSE = {paths.LOGIN_PAGE: "stranger", paths.ACCOUNT_PAGE: "other"}
"""Browsers of their own: of nobody yet, and of somebody whose sessions may end."""


def cookies(stock: Stock, path: str) -> list[Pair]:
    """Return what a browser has to send."""
    browser = stock.held[WHOSE[path]] if path in WHOSE else stock.browser
    return [*browser.cookies.items()]


def page(stock: Stock, *, path: str, form: str = "") -> Draft:
    """Somebody opens a page, which a form of its own shows the way to."""
    handle = stock.held[form][0].fields if form else {}
    query = [("request", handle["request"])] if "request" in handle else [("lang", "de")]
    return draft(f"GET {path}", query=query, headers=BROWSER, cookies=cookies(stock, path))


def sent(stock: Stock, *, path: str, form: str, button: str = "", **typed: str) -> Draft:
    """Somebody types into a form and sends it."""
    one = stock.dice.choice(stock.held[form])
    pairs = [*{**one.fields, **typed}.items()]
    if button:
        pairs += [one.buttons[button]]
    headers = [*BROWSER, *SAME_SITE, ("Origin", stock.api.issuer)]
    return draft(f"POST {path}", form=pairs, headers=headers, cookies=cookies(stock, path))


def login(stock: Stock) -> Draft:
    """Somebody signs in."""
    one = sent(
        stock, path=paths.LOGIN_PAGE, form="login form", email=stock.victim.email, password=stock.victim.password
    )  # fmt: skip
    one.form = [*(one.form or []), ("remember", "yes")]
    return one


def code(stock: Stock) -> Draft:
    """Somebody types the code of a device."""
    return sent(
        stock, path=paths.DEVICE_PAGE, form="device-code form", user_code=stock.held["user_code"]
    )


def style(_: Stock) -> Draft:
    """A page needs its style sheet."""
    return draft(f"GET {paths.STATIC}", "/static/pages.0123456789abcdef.css", headers=BROWSER)


SEEDS = {
    f"GET {paths.LOGIN_PAGE}": (partial(page, path=paths.LOGIN_PAGE, form="login form"),),
    f"POST {paths.LOGIN_PAGE}": (login,),
    f"GET {paths.CONSENT_PAGE}": (partial(page, path=paths.CONSENT_PAGE, form="consent form"),),
    f"POST {paths.CONSENT_PAGE}": (
        partial(sent, path=paths.CONSENT_PAGE, form="consent form", button="deny"),
    ),
    f"GET {paths.ACCOUNT_PAGE}": (partial(page, path=paths.ACCOUNT_PAGE),),
    f"POST {paths.ACCOUNT_PAGE}": (partial(sent, path=paths.ACCOUNT_PAGE, form="end-others form"),),
    f"GET {paths.DEVICE_PAGE}": (partial(page, path=paths.DEVICE_PAGE),),
    f"POST {paths.DEVICE_PAGE}": (
        code,
        partial(sent, path=paths.DEVICE_PAGE, form="device form", button="deny"),
    ),
    f"GET {paths.SIGNED_OUT}": (partial(page, path=paths.SIGNED_OUT),),
    f"GET {paths.STATIC}": (style,),
}
