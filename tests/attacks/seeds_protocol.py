"""Valid requests to the protocol's doors."""

import base64
import time
from functools import partial
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

from attacks.grammar import Draft, Pair, Sign, draft
from attacks.stock import ACCESS_TOKEN, DEVICE_CODE, EXCHANGE, KEY, Stock
from keyturn import paths
from support.assertions import Signer, signed
from support.browserless import CALLBACK, GOODBYE, VERIFIER
from support.forging import b64
from support.replicas import AUDIENCE, ORIGIN

BODY_OF_REGISTRATION = {
    "redirect_uris": [CALLBACK],
    "client_name": "Orders",
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "client_secret_basic",
    "scope": "openid orders.read",
}


def basic(stock: Stock, kind: str) -> Pair:
    """Return the header of RFC 6749 section 2.3.1."""
    client_id = stock.clients[kind]
    pair = f"{quote_plus(client_id)}:{quote_plus(stock.api.secrets[client_id] or '')}"
    return "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"


def bearer(token: str, scheme: str = "Bearer") -> Pair:
    """Return the header of RFC 6750 section 2.1."""
    return "Authorization", f"{scheme} {token}"


def proof(stock: Stock, path: str, method: str = "POST") -> Pair:
    """Return a fresh DPoP proof."""
    return "DPoP", stock.holder.proof(method, stock.api.issuer + path)


def by_key(signer: Signer) -> Sign:
    """Return how an assertion is signed anew."""
    return lambda header, claims: signer.over(b64(header), claims)


def request_object_key(header: bytes, claims: bytes) -> str:
    """Sign a request object anew."""
    return signed(f"{b64(header)}.{b64(claims)}", KEY, "ES256")


def form(stock: Stock, path: str, kind: str, *, bound: bool = False, **fields: str) -> Draft:
    """Return a form to the protocol from a client that proves itself as it is registered to."""
    headers, signers, pairs = [], {}, [*fields.items()]
    if kind in {"signer", "fapi"}:
        signer = stock.signer(kind)
        pairs += signer.form().items()
        signers["client_assertion"] = by_key(signer)
    elif kind == "poster":
        secret = stock.api.secrets[stock.clients[kind]] or ""
        pairs += [("client_id", stock.clients[kind]), ("client_secret", secret)]
    elif stock.api.secrets[stock.clients[kind]]:
        headers.append(basic(stock, kind))
    else:
        pairs = [*{**fields, "client_id": stock.clients[kind]}.items()]
        headers.append(("Origin", ORIGIN))
    if bound:
        headers.append(proof(stock, path))
        signers["DPoP"] = stock.holder.signed
    return draft(f"POST {path}", form=pairs, headers=headers, signers=signers)


def machine(stock: Stock, *, kind: str, bound: bool = False) -> Draft:
    """A machine asks for a token of its own."""
    asked = {"grant_type": "client_credentials", "scope": "orders.read", "resource": AUDIENCE}
    return form(stock, paths.TOKEN, kind, bound=bound, **asked)


def code(stock: Stock) -> Draft:
    """An application redeems a code."""
    return form(
        stock, paths.TOKEN, "spa", grant_type="authorization_code", code=stock.dice.choice(stock.codes),
        redirect_uri=CALLBACK, code_verifier=VERIFIER,
    )  # fmt: skip


def refresh(stock: Stock, *, bound: bool = False) -> Draft:
    """An application refreshes."""
    token = stock.session("token").refresh_token
    return form(
        stock, paths.TOKEN, "spa", bound=bound, grant_type="refresh_token", refresh_token=token
    )


def poll(stock: Stock) -> Draft:
    """A device asks whether somebody has answered."""
    return form(
        stock, paths.TOKEN, "television", grant_type=DEVICE_CODE, device_code=stock.held["device_code"]
    )  # fmt: skip


def exchange(stock: Stock) -> Draft:
    """A gateway asks for a token of its own for somebody."""
    return form(
        stock, paths.TOKEN, "gateway", grant_type=EXCHANGE, subject_token=stock.held["access_token"],
        subject_token_type=ACCESS_TOKEN, audience=AUDIENCE,
    )  # fmt: skip


def push(stock: Stock, *, kind: str) -> Draft:
    """A client pushes what it asks for."""
    fields = stock.authorization(kind, max_age="300", prompt="login", ui_locales="de en")
    return form(stock, paths.PAR, kind, bound=kind == "fapi", **fields)


def push_signed(stock: Stock) -> Draft:
    """A client pushes what it asks for, signed."""
    asked: dict[str, Any] = {**stock.authorization(), "claims": {"userinfo": {"email": None}}}
    one = form(stock, paths.PAR, "spa", request=stock.request_signer("spa").request(asked))
    one.signers["request"] = request_object_key
    return one


def token_form(stock: Stock, *, path: str, token: str = "") -> Draft:
    """A client asks about a token, or gives it up."""
    kind = "spa" if path == paths.REVOKE else "machine"
    shown = token or stock.session("revoke").refresh_token
    return form(
        stock, path, kind, token=stock.held.get(shown, shown), token_type_hint="access_token"
    )


def device(stock: Stock) -> Draft:
    """A device begins."""
    return form(
        stock,
        paths.DEVICE_AUTHORIZATION,
        "television",
        scope="openid orders.read",
        resource=AUDIENCE,
    )


def authorize(stock: Stock, *, method: str = "GET", kind: str = "spa") -> Draft:
    """A browser comes from an application."""
    asked = list(
        stock.authorization(
            kind, prompt=None if kind == "spa" else "none", id_token_hint=stock.held["id_token"],
            claims='{"userinfo": {"email": null}, "id_token": {"acr": {"essential": false}}}',
            acr_values="urn:keyturn:acr:session", display="page", login_hint=stock.person.email,
        ).items()
    )  # fmt: skip
    place = {"query": asked} if method == "GET" else {"form": asked}
    return draft(f"{method} {paths.AUTHORIZE}", cookies=[*stock.browser.cookies.items()], **place)


def authorize_pushed(stock: Stock) -> Draft:
    """A browser comes with what was pushed."""
    brought = [("client_id", stock.clients["spa"]), ("request_uri", stock.held["request_uri"])]
    cookies = [*stock.browser.cookies.items()]
    return draft(f"GET {paths.AUTHORIZE}", query=brought, cookies=cookies)


def resume(stock: Stock) -> Draft:
    """A browser comes back from a page of ours."""
    handle = stock.held["consent form"][0].fields["request"]
    cookies = [*stock.browser.cookies.items()]
    return draft(f"GET {paths.RESUME}", query=[("request", handle)], cookies=cookies)


def userinfo(stock: Stock, *, method: str = "GET") -> Draft:
    """Somebody asks who it is."""
    shown = [bearer(stock.held["access_token"]), ("Origin", ORIGIN)]
    place = {"form": [("a", "b")]} if method == "POST" else {}
    return draft(f"{method} {paths.USERINFO}", headers=shown, **place)


def leave(stock: Stock, *, method: str = "GET") -> Draft:
    """An application sends a browser to sign out; another browser than the one needed here."""
    asked = [
        ("id_token_hint", stock.held["id_token"]), ("post_logout_redirect_uri", GOODBYE),
        ("client_id", stock.clients["spa"]), ("state", "st-2"), ("ui_locales", "en"),
    ]  # fmt: skip
    place = {"query": asked} if method == "GET" else {"form": asked}
    return draft(f"{method} {paths.END_SESSION}", **place)


def register(stock: Stock) -> Draft:
    """A client registers itself."""
    shown = [bearer(stock.held["initial"])]
    body = {**BODY_OF_REGISTRATION, "client_name": f"Orders {uuid4().hex[:6]}"}
    return draft(f"POST {paths.REGISTER}", json=body, headers=shown)


def registration(stock: Stock, *, method: str) -> Draft:
    """A client reads, changes or closes its registration."""
    said = stock.held[f"registered for {method}"]
    shown = [bearer(said["registration_access_token"])]
    body = {**BODY_OF_REGISTRATION, "client_id": said["client_id"]} if method == "PUT" else None
    path = paths.REGISTRATION.replace("{client_id}", said["client_id"])
    return draft(f"{method} {paths.REGISTRATION}", path, json=body, headers=shown)


def document(_: Stock, *, template: str, path: str = "") -> Draft:
    """Somebody reads what anybody may."""
    asked = [("Accept", "application/json"), ("If-None-Match", f'"{int(time.time())}"')]
    return draft(f"GET {template}", path, headers=asked)


SEEDS = {
    f"POST {paths.TOKEN}": (
        *(partial(machine, kind=kind) for kind in ("machine", "poster", "signer")),
        partial(machine, kind="machine", bound=True), partial(machine, kind="signer", bound=True),
        code, refresh, partial(refresh, bound=True), poll, exchange,
    ),
    f"POST {paths.PAR}": (*(partial(push, kind=kind) for kind in ("spa", "site", "fapi")), push_signed),
    f"POST {paths.INTROSPECT}": (partial(token_form, path=paths.INTROSPECT, token="access_token"),),
    f"POST {paths.REVOKE}": (partial(token_form, path=paths.REVOKE),),
    f"POST {paths.DEVICE_AUTHORIZATION}": (device,),
    f"GET {paths.AUTHORIZE}": (authorize, partial(authorize, kind="site"), authorize_pushed),
    f"POST {paths.AUTHORIZE}": (partial(authorize, method="POST"),),
    f"GET {paths.RESUME}": (resume,),
    f"GET {paths.USERINFO}": (userinfo,),
    f"POST {paths.USERINFO}": (partial(userinfo, method="POST"),),
    f"GET {paths.END_SESSION}": (leave,),
    f"POST {paths.END_SESSION}": (partial(leave, method="POST"),),
    f"POST {paths.REGISTER}": (register,),
    **{f"{method} {paths.REGISTRATION}": (partial(registration, method=method),)
       for method in ("GET", "PUT", "DELETE")},
    f"GET {paths.STATUS_LIST}": (partial(document, template=paths.STATUS_LIST, path="/oauth2/status/0"),),
    **{f"GET {path}": (partial(document, template=path),)
       for path in (paths.OPENID_CONFIGURATION, paths.OAUTH_METADATA, paths.JWKS)},
}  # fmt: skip
