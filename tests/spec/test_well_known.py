"""KY: the JWKS (RFC 7517) and the metadata (RFC 8414, OpenID Connect Discovery), over HTTP."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Route

from keyturn import paths
from keyturn.clients.registry import Registry
from keyturn.clock import FixedClock, SystemClock
from keyturn.configuration import load_settings
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database
from keyturn.keys.keyring import Keyring
from keyturn.oauth.jwks import Jwks
from keyturn.oauth.metadata import Metadata, describe, validate
from keyturn.pages.languages import Languages
from keyturn.telemetry.metrics import Metrics
from keyturn.web.cors import Cors
from support import replicas
from support.keys import POLICY, keyring_of
from support.television import DEVICE_CODE

ISSUER = "https://id.example"
MAX_AGE = 300
METADATA = [paths.OPENID_CONFIGURATION, paths.OAUTH_METADATA]
DOCUMENTS = [*METADATA, paths.JWKS]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(SystemClock().now())


@pytest.fixture
async def keyring(keyed_database_url: str, clock: FixedClock) -> AsyncIterator[Keyring]:
    settings = load_settings(replicas.settings(keyed_database_url, None))
    database = Database(settings.postgres, Metrics())
    keyring = keyring_of(database, clock, MasterSecrets(settings.master_values()))
    await keyring.load()
    yield keyring
    await database.close()


@pytest.fixture
async def browser(keyring: Keyring, clock: FixedClock) -> AsyncIterator[httpx2.AsyncClient]:
    metadata = Metadata.of(ISSUER, MAX_AGE)
    app = Starlette(
        routes=[
            Route(paths.JWKS, Jwks(keyring, MAX_AGE).get),
            *(Route(path, metadata.get) for path in METADATA),
        ]
    )
    transport = httpx2.ASGITransport(app=Cors(app, Registry(keyring.rotation.database, clock)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://inside:8080") as client:
        yield client


async def test_KY_1_the_jwks_shows_public_members_only(browser):
    keys = (await browser.get(paths.JWKS)).json()["keys"]
    assert [key["alg"] for key in keys] == ["RS256", "RS256", "PS256", "PS256"]
    for key in keys:
        assert set(key) == {"kty", "kid", "use", "alg", "n", "e"}
        assert (key["kty"], key["use"]) == ("RSA", "sig")
    assert len({key["kid"] for key in keys}) == 4


async def test_a_public_library_verifies_our_token_with_the_jwks(browser, keyring):
    token = keyring.signing.sign(b'{"sub":"x"}')
    jwks = KeySet.import_key_set((await browser.get(paths.JWKS)).json())
    assert jwt.decode(token, jwks, algorithms=["RS256"]).claims == {"sub": "x"}


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_KY_3_a_document_may_be_kept_and_is_not_sent_twice(browser, path):
    answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    etag = answer.headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await browser.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == "public, max-age=300"
        assert again.headers["access-control-allow-origin"] == "*"
    fresh = await browser.get(path, headers={"If-None-Match": '"other"'})
    assert fresh.content == answer.content


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_any_page_may_read_a_document_but_not_with_credentials(browser, path):
    answer = await browser.get(path, headers={"Origin": "https://any.example"})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_head_is_answered_like_get(browser, path):
    get, head = await browser.get(path), await browser.head(path)
    assert head.status_code == 200
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == str(len(get.content))


async def test_the_entity_tag_changes_with_the_keys(browser, keyring):
    before = (await browser.get(paths.JWKS)).headers["etag"]
    await keyring.load()
    assert (await browser.get(paths.JWKS)).headers["etag"] == before
    await keyring.rotation.replace_compromised()
    await keyring.load()
    assert (await browser.get(paths.JWKS)).headers["etag"] != before


async def test_a_replica_that_may_have_missed_a_rotation_lets_nobody_cache(browser, clock):
    clock.advance(POLICY.staleness + timedelta(seconds=1))
    answer = await browser.get(paths.JWKS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=0"
    assert len(answer.json()["keys"]) == 4


async def test_no_stale_while_revalidate_is_sent(browser):
    """A cache that serves the old set a little longer would not know a key that signs."""
    assert "stale" not in (await browser.get(paths.JWKS)).headers["cache-control"]


HOSTILE = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example;proto=http",
    "X-Original-URL": "/evil",
}


@pytest.mark.parametrize("path", METADATA)
async def test_KY_6_the_issuer_is_configured_and_no_header_moves_it(browser, path):
    plain = await browser.get(path)
    assert plain.json()["issuer"] == ISSUER
    for name, value in HOSTILE.items():
        assert (await browser.get(path, headers={name: value})).content == plain.content
    assert (await browser.get(path, headers=HOSTILE)).content == plain.content


async def test_KY_6_both_documents_agree_and_stay_below_the_issuer(browser):
    one, other = [await browser.get(path) for path in METADATA]
    assert one.content == other.content
    document = one.json()
    addresses = {k: v for k, v in document.items() if k.endswith(("_endpoint", "_uri"))}
    assert addresses == {
        "authorization_endpoint": f"{ISSUER}/oauth2/authorize",
        "pushed_authorization_request_endpoint": f"{ISSUER}/oauth2/par",
        "userinfo_endpoint": f"{ISSUER}/oauth2/userinfo",
        "end_session_endpoint": f"{ISSUER}/oauth2/logout",
        "token_endpoint": f"{ISSUER}/oauth2/token",
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "revocation_endpoint": f"{ISSUER}/oauth2/revoke",
        "introspection_endpoint": f"{ISSUER}/oauth2/introspect",
        "device_authorization_endpoint": f"{ISSUER}/oauth2/device_authorization",
    }


async def test_the_document_names_what_there_is_and_nothing_else(browser):
    """What the Config OP plan demands besides stands in `conformance/test_config.py`."""
    document = (await browser.get(paths.OPENID_CONFIGURATION)).json()
    assert document["response_types_supported"] == ["code"]
    assert document["response_modes_supported"] == ["query", "form_post"]
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    grants = ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE, exchange]
    assert document["grant_types_supported"] == grants
    assert document["subject_types_supported"] == ["public"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256", "PS256"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"openid", "profile", "email", "offline_access"} == set(document["scopes_supported"])
    assert {"sub", "iss", "auth_time", "name", "email"} <= set(document["claims_supported"])
    assert set(document["ui_locales_supported"]) == set(Languages.load().known)
    assert document["display_values_supported"] == ["page"]
    assert document["claim_types_supported"] == ["normal"]
    assert "none" not in document["introspection_endpoint_auth_methods_supported"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"token_endpoint": None}, "token_endpoint"),
        ({"jwks_uri": "ftp://id.example/jwks"}, "https"),
        ({"jwks_uri": "https://id.example.evil/jwks"}, "not below the issuer"),
        ({"grant_types_supported": "refresh_token"}, "array"),
        ({"authorization_endpoint": None}, "authorization_endpoint"),
        ({"response_types_supported": []}, "response_types_supported"),
        ({"response_types_supported": None}, "response_types_supported"),
        ({"id_token_signing_alg_values_supported": ["none"]}, "RS256"),
        ({"token_endpoint_auth_signing_alg_values_supported": None}, "is required"),
        ({"issuer": "https://id.example?x"}, "query"),
        ({"display_values_supported": ["window"]}, "display_values_supported"),
        ({"claim_types_supported": ["odd"]}, "claim_types_supported"),
        ({"claims_parameter_supported": "yes"}, "claims_parameter_supported"),
    ],
    ids=range(13),
)
def test_metadata_that_breaks_the_rules_stops_the_start(change, reason):
    with pytest.raises(ValueError, match=reason):
        validate(describe(ISSUER) | change)


def test_a_loopback_issuer_may_be_http():
    body = json.loads(Metadata.of("http://localhost:8080", MAX_AGE).body)
    assert body["issuer"] == "http://localhost:8080"
