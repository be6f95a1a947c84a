"""requests-oauthlib, unmodified, as its users set it up, against a real issuer over TLS.

Web application flow with PKCE, by each kind of client; refresh by hand and by itself; userinfo,
introspection and revocation. The library knows no logout and reads no ID token.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.api import Api, Person
from support.browserless import CALLBACK, SITE, SPA, Browserless
from support.replicas import AUDIENCE

pytestmark = pytest.mark.interop

SCOPE = ["openid", "profile", "email", "offline_access", "orders.read"]
KINDS = {
    "client_secret_basic": {**SITE, "introspects": [AUDIENCE]},
    "client_secret_post": {**SITE, "auth_method": "client_secret_post", "introspects": [AUDIENCE]},
    "none": SPA,
}


@dataclass
class Application:
    """A web application that a person signs in to, written as the library's documentation says."""

    api: Api
    client: str
    metadata: dict[str, Any]
    saved: list[dict[str, Any]] = field(default_factory=list)

    @property
    def secret(self) -> str | None:
        return self.api.secrets[self.client]

    @property
    def basic(self) -> tuple[str, str | None]:
        """How the library proves the client in a header."""
        return self.client, self.secret

    @property
    def body(self) -> dict[str, str]:
        """How it proves or names the client in the body."""
        named = {"client_id": self.client}
        return {**named, "client_secret": self.secret} if self.secret else named

    def session(self, **options: Any) -> Any:
        """Return the library's session."""
        from requests_oauthlib import OAuth2Session

        return OAuth2Session(
            self.client, redirect_uri=CALLBACK, scope=SCOPE, pkce="S256", **options
        )

    async def sign_in(self, session: Any, person: Person, **proof: Any) -> dict[str, Any]:
        """Send a person away, have them come back, and redeem what they bring."""
        address, _ = session.authorization_url(self.metadata["authorization_endpoint"])
        browser = Browserless(self.api)
        page = await browser.open(address.removeprefix(self.api.issuer))
        back = (await browser.through(page, person)).headers["location"]
        token: dict[str, Any] = await asyncio.to_thread(
            session.fetch_token,
            self.metadata["token_endpoint"],
            authorization_response=back,
            **proof,
        )
        return token


@pytest.fixture(scope="module", autouse=True)
def errors() -> Any:
    """What the library raises; without the library, every test is skipped."""
    pytest.importorskip("requests_oauthlib", reason="the extra interop is not installed")
    from oauthlib.oauth2.rfc6749 import errors

    return errors


@pytest.fixture
async def application(behind_tls, monkeypatch) -> Callable[[str], Any]:
    """Register an application that proves itself in this way."""
    api, front = behind_tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(front.authority))  # wins over a session's own
    monkeypatch.setenv("NO_PROXY", "localhost")
    answer = await api.get("/.well-known/openid-configuration")

    async def registered(method: str) -> Application:
        client = await api.client(KINDS[method])
        return Application(api, client, answer.json())

    return registered


def proof(app, method):
    """How `fetch_token` is told who the client is."""
    if method == "client_secret_basic":
        return {"client_secret": app.secret}
    if method == "client_secret_post":
        return {"client_secret": app.secret, "include_client_id": True}
    return {"include_client_id": True}


@pytest.mark.parametrize("method", KINDS)
async def test_a_person_signs_in_and_the_token_is_refreshed_by_hand(application, method):
    app = await application(method)
    person, session = await app.api.person(), app.session()
    token = await app.sign_in(session, person, **proof(app, method))
    assert (token["token_type"], set(token["scope"])) == ("Bearer", set(SCOPE))
    assert {"id_token", "refresh_token", "expires_at"} <= set(token)
    said = await asyncio.to_thread(session.get, app.metadata["userinfo_endpoint"])
    assert (said.status_code, said.json()["sub"]) == (200, str(person.id))
    assert said.json()["email"] == person.email
    how = {"auth": app.basic} if method == "client_secret_basic" else app.body
    fresh = await asyncio.to_thread(session.refresh_token, app.metadata["token_endpoint"], **how)
    assert fresh["refresh_token"] != token["refresh_token"]
    assert fresh["access_token"] != token["access_token"]


@pytest.mark.parametrize("method", KINDS)
async def test_the_library_refreshes_by_itself_when_the_token_is_old(application, method):
    app = await application(method)
    options = {
        "auto_refresh_url": app.metadata["token_endpoint"],
        "token_updater": app.saved.append,
    }
    named = {} if method == "client_secret_basic" else app.body
    person, session = await app.api.person(), app.session(auto_refresh_kwargs=named, **options)
    old = dict(await app.sign_in(session, person, **proof(app, method)))
    session.token = {**old, "expires_in": "-30", "expires_at": 1}
    given = app.body if method == "client_secret_basic" else {}
    said = await asyncio.to_thread(session.get, app.metadata["userinfo_endpoint"], **given)
    assert (said.status_code, said.json()["sub"]) == (200, str(person.id))
    (saved,) = app.saved
    assert saved["refresh_token"] != old["refresh_token"]
    assert session.access_token == saved["access_token"]


async def test_two_processes_that_share_a_token_refresh_it_at_once(application, behind_tls):
    """Two workers of one site, each with what the database held: both go on."""
    app, (_, front) = await application("client_secret_basic"), behind_tls
    session = app.session()
    token = dict(await app.sign_in(session, await app.api.person(), client_secret=app.secret))
    workers = [app.session(token=dict(token)) for _ in range(2)]
    front.refreshes[""].meet(2)  # they name themselves in a header
    url = app.metadata["token_endpoint"]
    fresh = await asyncio.gather(
        *(asyncio.to_thread(one.refresh_token, url, auth=app.basic) for one in workers)
    )
    assert fresh[0]["refresh_token"] == fresh[1]["refresh_token"] != token["refresh_token"]
    for worker in workers:
        said = await asyncio.to_thread(worker.get, app.metadata["userinfo_endpoint"])
        assert said.status_code == 200


async def test_an_answer_that_is_lost_is_asked_for_again(application, errors, behind_tls):
    app, (_, front) = await application("client_secret_basic"), behind_tls
    session, url = app.session(), app.metadata["token_endpoint"]
    token = dict(await app.sign_in(session, await app.api.person(), client_secret=app.secret))
    refreshes = front.refreshes[""]  # of those that name themselves in a header
    refreshes.lose("cut")
    # Half an answer: by what is left of it, a broken connection or an answer without a token.
    with pytest.raises((OSError, errors.MissingTokenError)):
        await asyncio.to_thread(session.refresh_token, url, auth=app.basic)
    assert session.token["refresh_token"] == token["refresh_token"]
    fresh = await asyncio.to_thread(session.refresh_token, url, auth=app.basic)
    assert fresh["refresh_token"] == refreshes.seen[-2].given != token["refresh_token"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_token_is_introspected_until_it_is_revoked(application, errors, method):
    app = await application(method)
    person, session = await app.api.person(), app.session()
    token = dict(await app.sign_in(session, person, **proof(app, method)))
    in_header = method == "client_secret_basic"
    client = {"auth": app.basic} if in_header else {}

    def introspected():
        fields = {"token": token["access_token"], **({} if in_header else app.body)}
        url = app.metadata["introspection_endpoint"]
        return session.post(url, data=fields, withhold_token=True, **client).json()

    before = await asyncio.to_thread(introspected)
    assert (before["active"], before["sub"]) == (True, str(person.id))
    url, headers, body = session._client.prepare_token_revocation_request(
        app.metadata["revocation_endpoint"],
        token["refresh_token"],
        token_type_hint="refresh_token",
        **({} if in_header else app.body),
    )
    done = await asyncio.to_thread(
        session.post, url, data=body, headers=headers, withhold_token=True, **client
    )
    assert (done.status_code, done.content) == (200, b"")
    assert await asyncio.to_thread(introspected) == {"active": False}
    how = client or app.body
    with pytest.raises(errors.InvalidGrantError):
        await asyncio.to_thread(session.refresh_token, app.metadata["token_endpoint"], **how)


async def test_a_public_client_revokes_its_token(application, errors):
    app = await application("none")
    session = app.session()
    token = dict(await app.sign_in(session, await app.api.person(), include_client_id=True))
    url, headers, body = session._client.prepare_token_revocation_request(
        app.metadata["revocation_endpoint"], token["refresh_token"], client_id=app.client
    )
    done = await asyncio.to_thread(
        session.post, url, data=body, headers=headers, withhold_token=True
    )
    assert done.status_code == 200
    with pytest.raises(errors.InvalidGrantError):
        await asyncio.to_thread(session.refresh_token, app.metadata["token_endpoint"], **app.body)
