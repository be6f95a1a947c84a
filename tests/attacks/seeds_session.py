"""Valid requests to the session API."""

from functools import partial
from typing import Any

from attacks.grammar import Draft, draft
from attacks.seeds_protocol import bearer, document
from attacks.stock import Stock
from keyturn import paths
from support.api import PASSWORD
from support.replicas import ORIGIN


def call(
    stock: Stock, door: str, path: str = "", *, body: Any = None, shown: str = "", cookie: bool = False
) -> Draft:  # fmt: skip
    """Return a call of the app, which names itself and says where it comes from."""
    headers = [("X-Keyturn-Client", stock.clients["app"]), ("Origin", ORIGIN)]
    if shown:
        headers.append(bearer(shown))
    cookies = [stock.held["cookie"]] if cookie else []
    return draft(door, path, json=body, headers=headers, cookies=cookies)


def login(stock: Stock, *, transport: str) -> Draft:
    """Somebody signs in."""
    body = {
        "email": stock.person.email, "password": stock.person.password,
        "rememberMe": True, "scope": "orders.read", "transport": transport,
    }  # fmt: skip
    return call(stock, f"POST {paths.LOGIN}", body=body)


def by_body(stock: Stock, *, path: str, session: str, **members: Any) -> Draft:
    """The session credential is in the body."""
    body = {"refreshToken": stock.session(session).refresh_token, **members}
    return call(stock, f"POST {path}", body=body)


def by_cookie(stock: Stock, *, path: str, **members: Any) -> Draft:
    """The session credential is in the cookie."""
    return call(stock, f"POST {path}", body=members, cookie=True)


def read(stock: Stock, *, path: str) -> Draft:
    """The access token says whose."""
    return call(stock, f"GET {path}", shown=stock.held["app"].access_token)


def end(stock: Stock) -> Draft:
    """Somebody ends one session by another."""
    path = paths.SESSION.replace("{session_id}", str(stock.session("end").session_id))
    body = {"refreshToken": stock.held["app"].refresh_token}
    return call(stock, f"DELETE {paths.SESSION}", path, body=body)


SEEDS = {
    f"POST {paths.LOGIN}": (partial(login, transport="body"), partial(login, transport="cookie")),
    f"POST {paths.REFRESH}": (
        partial(by_body, path=paths.REFRESH, session="refresh"),
        partial(by_cookie, path=paths.REFRESH),
    ),
    f"POST {paths.LOGOUT}": (partial(by_body, path=paths.LOGOUT, session="logout"),),
    f"POST {paths.LOGOUT_ALL}": (
        partial(by_body, path=paths.LOGOUT_ALL, session="logout-all", exceptCurrent=True),
    ),
    f"POST {paths.REAUTHENTICATE}": (
        partial(by_body, path=paths.REAUTHENTICATE, session="reauthenticate", password=PASSWORD),
    ),
    f"POST {paths.PASSWORD}": (
        partial(by_body, path=paths.PASSWORD, session="password", newPassword=PASSWORD),
    ),
    f"GET {paths.ME}": (partial(read, path=paths.ME),),
    f"GET {paths.SESSIONS}": (partial(read, path=paths.SESSIONS),),
    f"DELETE {paths.SESSION}": (end,),
    f"GET {paths.SESSION_OPENAPI}": (partial(document, template=paths.SESSION_OPENAPI),),
}
