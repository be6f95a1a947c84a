"""An unmodified OpenID Connect client: Authlib's, as its users set it up, against a real issuer.

Discovery, code with PKCE, the ID token validated by the library, userinfo, refresh, introspection,
revocation and logout; nothing is told to it but the address of the metadata and its own credentials.
"""

import socket
from urllib.parse import urlencode, urlsplit

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from starlette.requests import Request

from support import replicas
from support.api import api_of
from support.browserless import CALLBACK, GOODBYE, SITE, SPA, Browserless, told
from support.replicas import AUDIENCE


@pytest.fixture(scope="module")
async def served(databases, shared_redis_url):
    """A server that answers where its issuer says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    issuer = {"issuer": f"http://127.0.0.1:{port}", "server__port": str(port)}
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(url, shared_redis_url, **{**issuer, **replicas.GENEROUS})
        with replicas.replicas(environ) as started:
            async with api_of(environ, started) as running:
                yield running


def library(api, client_id):
    """Register our client with the library, by the book."""
    return OAuth().register(
        "keyturn",
        client_id=client_id,
        client_secret=api.secrets.get(client_id),
        server_metadata_url=f"{api.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email offline_access",
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": (
                "client_secret_basic" if api.secrets.get(client_id) else "none"
            ),
        },
    )


def request_to_the_app(session, parameters):
    """Return the request that a browser brings back to the application."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/callback",
        "headers": [],
        "query_string": urlencode(parameters).encode(),
        "session": session,
    }
    return Request(scope)


async def signed_in(api, app, person, browser, **options):
    """Go the library's way from the application, over the pages, and back."""
    session = {}
    away = await app.authorize_redirect(request_to_the_app(session, {}), CALLBACK, **options)
    location = away.headers["location"]
    assert location.startswith(f"{api.issuer}/oauth2/authorize?")
    page = await browser.open(f"{urlsplit(location).path}?{urlsplit(location).query}")
    page = await browser.through(page, person)
    return await app.authorize_access_token(request_to_the_app(session, told(page)))


@pytest.mark.parametrize("kind", [SITE, SPA], ids=["confidential", "public"])
async def test_the_library_signs_a_person_in_and_validates_what_it_gets(served, kind):
    client_id, person = await served.client(kind), await served.person()
    app, browser = library(served, client_id), Browserless(served)
    token = await signed_in(served, app, person, browser)
    identity = token["userinfo"]
    assert (identity["sub"], identity["iss"]) == (str(person.id), served.issuer)
    told_by_us = await app.userinfo(token=token)
    assert told_by_us["sub"] == identity["sub"]
    assert (told_by_us["email"], told_by_us["name"]) == (person.email, person.name)
    again = await signed_in(served, app, person, browser, prompt="none")
    assert again["userinfo"]["auth_time"] == identity["auth_time"]


async def test_the_library_refreshes_introspects_revokes_and_signs_out(served):
    client_id, person = await served.client(SITE, introspects=[AUDIENCE]), await served.person()
    app, browser = library(served, client_id), Browserless(served)
    token = await signed_in(served, app, person, browser)
    metadata = await app.load_server_metadata()
    async with app._get_oauth_client(**metadata) as session:
        session.token = token
        fresh = await session.refresh_token(
            metadata["token_endpoint"], refresh_token=token["refresh_token"]
        )
        identity = await app.parse_id_token(fresh, nonce=None)
        assert identity["sub"] == str(person.id)
        url = metadata["introspection_endpoint"]
        told_by_us = (await session.introspect_token(url, token=fresh["access_token"])).json()
        assert (told_by_us["active"], told_by_us["sub"]) == (True, str(person.id))
        done = await session.revoke_token(
            metadata["revocation_endpoint"], token=fresh["refresh_token"]
        )
        assert done.status_code == 200
        told_by_us = (await session.introspect_token(url, token=fresh["access_token"])).json()
        assert told_by_us == {"active": False}
        with pytest.raises(OAuthError, match="invalid_grant"):
            await session.refresh_token(
                metadata["token_endpoint"], refresh_token=fresh["refresh_token"]
            )
    leaving = {}
    away = await app.logout_redirect(
        request_to_the_app(leaving, {}),
        post_logout_redirect_uri=GOODBYE,
        id_token_hint=token["id_token"],
        state="bye",
    )
    location = urlsplit(away.headers["location"])
    back = await browser.open(f"{location.path}?{location.query}")
    assert back.headers["location"] == f"{GOODBYE}?state=bye"
    assert await app.validate_logout_response(request_to_the_app(leaving, {"state": "bye"}))


async def test_the_library_understands_that_a_person_said_no(served):
    client_id, person = await served.client(SITE), await served.person()
    app, browser, session = library(served, client_id), Browserless(served), {}
    away = await app.authorize_redirect(request_to_the_app(session, {}), CALLBACK)
    location = urlsplit(away.headers["location"])
    page = await browser.open(f"{location.path}?{location.query}")
    page = await browser.sign_in(page, person)
    answer = told(await browser.submit(page, "consent", "deny"))
    with pytest.raises(OAuthError, match="access_denied"):
        await app.authorize_access_token(request_to_the_app(session, answer))
