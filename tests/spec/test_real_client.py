"""A client library that knows nothing of us: Authlib, by the book, as its users call it."""

import time
from dataclasses import replace

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from support.api import MACHINE, claims_of
from support.assertions import Signer
from support.replicas import AUDIENCE


@pytest.fixture
async def metadata(api):
    """What a client learns from discovery; the issuer's addresses stand for the replica's."""
    said = (await api.get("/.well-known/oauth-authorization-server")).json()
    ours = api.replicas[0].url
    return {
        name: value.replace(said["issuer"], ours)
        for name, value in said.items()
        if name.endswith("_endpoint")
    }


def client_of(api, client_id, metadata, **options):
    """Return the library's client; its requests to the API under test are httpx2's own."""
    return AsyncOAuth2Client(
        client_id,
        api.secrets.get(client_id),
        token_endpoint=metadata["token_endpoint"],
        revocation_endpoint=metadata["revocation_endpoint"],
        introspection_endpoint=metadata["introspection_endpoint"],
        **options,
    )


async def test_a_machine_gets_a_token_and_may_introspect_and_revoke_it(api, metadata):
    client_id = await api.client({**MACHINE, "introspects": [AUDIENCE]})
    async with client_of(api, client_id, metadata, scope="orders.read") as machine:
        token = await machine.fetch_token(grant_type="client_credentials")
        assert (token["token_type"], token["scope"]) == ("Bearer", "orders.read")
        assert not token.is_expired()
        assert claims_of(token["access_token"])["sub"] == client_id
        url = metadata["introspection_endpoint"]
        told = await machine.introspect_token(url, token=token["access_token"])
        assert told.json()["active"] is True
        done = await machine.revoke_token(
            metadata["revocation_endpoint"],
            token=token["access_token"],
            token_type_hint="access_token",
        )
        assert done.status_code == 200
        told = await machine.introspect_token(url, token=token["access_token"])
        assert told.json() == {"active": False}


async def test_both_ways_to_authenticate_work(api, metadata):
    for client_id, method in (("machine", "client_secret_basic"), ("poster", "client_secret_post")):
        options = {"token_endpoint_auth_method": method}
        async with client_of(api, client_id, metadata, **options) as machine:
            token = await machine.fetch_token(grant_type="client_credentials")
            assert claims_of(token["access_token"])["sub"] == client_id


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
async def test_the_library_proves_a_client_by_its_key(api, metadata, alg):
    """Its assertions live for an hour unless told otherwise: longer than is taken here."""
    signer = await Signer.of(api.issuer, alg).registered(
        api, {**MACHINE, "introspects": [AUDIENCE]}
    )

    def proof(**claims):
        named = {"kid": signer.kid, "typ": "JWT"}
        return PrivateKeyJWT(api.issuer, claims=claims, headers=named, alg=alg)

    endpoints = {name: url for name, url in metadata.items() if name != "authorization_endpoint"}
    async with AsyncOAuth2Client(
        signer.client_id,
        signer.key,
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
        **endpoints,
    ) as machine:
        machine.register_client_auth_method(proof(exp=int(time.time()) + 60))
        token = await machine.fetch_token(grant_type="client_credentials")
        assert claims_of(token["access_token"])["sub"] == signer.client_id
        machine.register_client_auth_method(proof(exp=int(time.time()) + 60))
        done = await machine.revoke_token(
            metadata["revocation_endpoint"], token=token["access_token"]
        )
        assert done.status_code == 200
        assert not await api.is_active(token["access_token"])
        machine.register_client_auth_method(proof())
        with pytest.raises(OAuthError, match="invalid_client"):
            await machine.fetch_token(grant_type="client_credentials")


async def test_an_app_is_refreshed_by_the_library_when_its_token_is_old(api, metadata):
    """The library notices the expiry, refreshes, keeps the new token and sends the request."""
    device = await api.sign_in(await api.person())
    kept = []

    async def keep(token, **_old):
        kept.append(token)

    old = {
        "access_token": device.access_token,
        "refresh_token": device.refresh_token,
        "token_type": "Bearer",
        "expires_at": 1,
    }
    async with client_of(api, "app", metadata, token=old, update_token=keep) as app:
        answer = await app.get(f"{api.replicas[0].url}/auth/me")
        assert answer.status_code == 200
        (token,) = kept
        assert token["refresh_token"] != device.refresh_token
        await api.age(device)
        following = await app.refresh_token()
        assert following["refresh_token"] != token["refresh_token"]
        narrow = await app.refresh_token(scope="orders.read")
        assert narrow["scope"] == "orders.read"
        done = await app.revoke_token(
            metadata["revocation_endpoint"], token=following["refresh_token"]
        )
        assert done.status_code == 200
        with pytest.raises(OAuthError, match="invalid_grant"):
            await app.refresh_token()


async def test_the_library_understands_our_refusals(api, metadata):
    device = await api.sign_in(await api.person())
    async with client_of(api, "machine", metadata) as machine:
        with pytest.raises(OAuthError) as refused:
            await machine.fetch_token(grant_type="client_credentials", scope="too.much")
        assert refused.value.error == "invalid_scope"
        with pytest.raises(OAuthError, match="unauthorized_client"):
            await machine.refresh_token(refresh_token=device.refresh_token)
    thief = replace(device, client_id="shop")
    async with client_of(api, thief.client_id, metadata) as shop:
        with pytest.raises(OAuthError, match="invalid_grant"):
            await shop.refresh_token(refresh_token=thief.refresh_token)
    wrong = {**metadata, "token_endpoint": metadata["token_endpoint"]}
    stranger = AsyncOAuth2Client("machine", "kts_wrong", token_endpoint=wrong["token_endpoint"])
    async with stranger:
        with pytest.raises(OAuthError, match="invalid_client"):
            await stranger.fetch_token(grant_type="client_credentials")
    assert issubclass(type(stranger), httpx2.AsyncClient)
