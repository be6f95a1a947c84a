"""The status list as an API meets it (IETF Token Status List): claim, document, and every end."""

import asyncio
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from support import status_lists
from support.api import FOREIGN_ORIGIN, GATEWAY, PASSWORD
from support.browserless import SITE, Browserless
from support.television import TELEVISION, Television, answered

PATIENCE = 5.0
"""Seconds; a second is promised, on a machine that does nothing else."""

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture
async def device(api):
    return await api.sign_in(await api.person())


def where(access_token):
    return status_lists.part(access_token)["status"]["status_list"]


async def fetch(api, access_token, *, on=0, **headers):
    """Fetch the list that a token names."""
    path = where(access_token)["uri"].removeprefix(api.issuer)
    answer = await api.get(path, on=on, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def is_revoked(api, access_token, *, on=0):
    answer = await fetch(api, access_token, on=on)
    return status_lists.status(answer.text, access_token) == 1


async def shows(api, access_token):
    """Return whether every replica's list shows a token as revoked, in the end."""
    for on in range(len(api.replicas)):
        deadline = time.monotonic() + PATIENCE
        while not await is_revoked(api, access_token, on=on):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
    return True


# -- the claim (section 6.2) ----------------------------------------------------------------------


async def test_a_session_s_tokens_say_where_their_status_is_and_always_the_same(api, device):
    first = where(device.access_token)
    assert first["uri"] == f"{api.issuer}/oauth2/status/0"
    assert type(first["idx"]) is int
    again = await api.rotated(device)
    assert where(again.access_token) == where((await api.rotated(again)).access_token) == first
    other = await api.sign_in(await api.person())
    assert where(other.access_token)["idx"] != first["idx"]


async def by_code(api, person):
    return await Browserless(api).tokens(await api.client(SITE), person)


async def by_device(api, person):
    television = await Television.begun(api, await api.client(TELEVISION), scope="openid")
    await answered(Browserless(api), person, television)
    return (await television.poll()).json()


async def by_refresh(api, person):
    client = await api.client(SITE)
    first = await Browserless(api).tokens(client, person)
    answer = await api.token(
        client, grant_type="refresh_token", refresh_token=first["refresh_token"]
    )
    again = answer.json()
    assert where(again["access_token"]) == where(first["access_token"])
    return again


@pytest.mark.parametrize("get", [by_code, by_device, by_refresh])
async def test_tokens_of_every_grant_have_it_and_their_id_tokens_do_not(api, get):
    given = await get(api, await api.person())
    assert where(given["access_token"])["uri"] == f"{api.issuer}/oauth2/status/0"
    assert "status" not in status_lists.part(given["id_token"])


async def test_who_proves_themselves_again_stays_in_their_place(api, device):
    body = {**device.credential, "password": PASSWORD}
    answer = await api.post("/auth/reauthenticate", body)
    assert where(answer.json()["accessToken"]) == where(device.access_token)


async def test_a_machine_s_token_has_no_status(api):
    token = (await api.token("machine", grant_type="client_credentials")).json()["access_token"]
    assert "status" not in status_lists.part(token)


async def test_a_token_got_in_exchange_has_the_status_of_its_session(api, device):
    gateway = await api.client(GATEWAY, audiences=["https://api.example.com"])
    answer = await api.token(
        gateway, grant_type=GRANT, subject_token=device.access_token,
        subject_token_type=ACCESS_TOKEN,
    )  # fmt: skip
    given = answer.json()["access_token"]
    assert where(given) == where(device.access_token)
    await api.post("/auth/logout", device.credential)
    assert await shows(api, given)


# -- the document (sections 5.1, 8.1, 8.2) --------------------------------------------------------


async def test_a_list_is_a_jwt_that_the_published_keys_verify(api, device):
    answer = await fetch(api, device.access_token, accept="application/statuslist+jwt")
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    keys = KeySet.import_key_set((await api.get("/.well-known/jwks.json")).json())
    token = jwt.decode(answer.text, keys, algorithms=["RS256"])
    assert token.header["typ"] == "statuslist+jwt"
    said = token.claims
    assert (said["iss"], said["sub"]) == (api.issuer, where(device.access_token)["uri"])
    now = parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert said["exp"] - now > 3590
    assert said["iat"] <= now + 60
    assert said["ttl"] == 10
    assert len(status_lists.bitmap(answer.text)) == 2**17


async def test_who_has_it_is_told_so_by_every_replica(api, device):
    first = await fetch(api, device.access_token)
    assert first.headers["cache-control"] == "public, max-age=5"
    path = where(device.access_token)["uri"].removeprefix(api.issuer)
    tags = {first.headers["etag"]}
    for on in range(len(api.replicas)):
        answer = await api.get(path, on=on, headers={"if-none-match": first.headers["etag"]})
        if answer.status_code == 200:  # another test ended a session meanwhile
            assert answer.headers["etag"] not in tags
            continue
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == first.headers["etag"]
        assert answer.headers["cache-control"] == "public, max-age=5"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("br, GZIP;q=0.5", "gzip"), ("identity", None), ("gzip;q=0", None)],
)
async def test_a_list_is_compressed_for_who_asks_for_it(api, device, accepted, encoding):
    answer = await fetch(api, device.access_token, **{"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert "Accept-Encoding" in answer.headers["vary"]
    assert status_lists.status(answer.text, device.access_token) == 0


async def test_every_page_may_read_a_list(api, device):
    answer = await fetch(api, device.access_token, origin=FOREIGN_ORIGIN)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("number", ["1", "00", "-1", "0x0", "0%20", "99999999999999", "x"])
async def test_a_list_that_has_not_begun_is_not_found(api, number):
    answer = await api.get(f"/oauth2/status/{number}")
    assert (await api.refusal(answer))[:2] == (404, "not_found")


# -- every way a session ends ---------------------------------------------------------------------


async def log_out(api, device, _person):
    assert (await api.post("/auth/logout", device.credential)).status_code == 204


async def revoke(api, device, _person):
    answer = await api.form("/oauth2/revoke", "app", token=device.refresh_token)
    assert answer.status_code == 200


async def log_out_everywhere(api, device, _person):
    assert (await api.post("/auth/logout-all", device.credential)).status_code in {200, 204}


async def end_on_another_device(api, device, person):
    other = await api.sign_in(person)
    path = f"/auth/sessions/{device.session_id}"
    answer = await api.post(path, other.credential, method="DELETE")
    assert answer.status_code == 204


async def use_a_stolen_token(api, device, _person):
    stolen = device.refresh_token
    current = await api.rotated(device)
    await api.age(current)
    assert (await api.refresh(device, stolen)).status_code == 400


async def change_the_password(api, _device, person):
    other = await api.sign_in(person)
    body = {"newPassword": "another horse battery", **other.credential}
    answer = await api.post("/auth/password", body)
    assert answer.status_code == 204, answer.text


async def sign_in_again(api, device, person):
    session = UUID(str(device.session_id))
    await api.seed("app", person, replaces=session)


async def disable(api, _device, person):
    await api.operator.accounts.disable(person.id)


async def delete(api, _device, person):
    await api.operator.accounts.delete(person.id)


async def end_one(api, device, _person):
    await api.operator.ending.one(device.session_id)


async def end_a_person_s(api, _device, person):
    await api.operator.ending.all_of_user(person.id)


async def end_a_client_s(api, device, _person):
    await api.operator.ending.all_of_client(device.client_id)


async def end_what_began_before(api, device, _person):
    await api.set(device, "created_at = created_at - interval '10 years'")
    began = (await api.row(device))["created_at"]
    await api.operator.ending.all_before(began + timedelta(days=1))


@pytest.mark.parametrize(
    "end",
    [
        log_out,
        revoke,
        log_out_everywhere,
        end_on_another_device,
        use_a_stolen_token,
        change_the_password,
        sign_in_again,
        disable,
        delete,
        end_one,
        end_a_person_s,
        end_what_began_before,
    ],
)
async def test_a_session_that_ends_is_in_the_list(api, end):
    person = await api.person()
    device = await api.sign_in(person)
    assert not await is_revoked(api, device.access_token)
    await end(api, device, person)
    assert await shows(api, device.access_token)


async def test_a_client_s_sessions_end_together_in_the_list(api):
    client = await api.client()
    device = await api.sign_in(await api.person(), client=client)
    await end_a_client_s(api, device, None)
    assert await shows(api, device.access_token)


async def test_what_a_code_gave_ends_in_the_list_when_the_code_comes_again(api):
    client, browser = await api.client(SITE), Browserless(api)
    code = await browser.code(client, await api.person())
    given = (await browser.redeem(client, code)).json()
    assert (await browser.redeem(client, code)).status_code == 400
    assert await shows(api, given["access_token"])


async def test_what_a_browser_signed_in_to_ends_in_the_list_with_it(api):
    browser = Browserless(api)
    client = await api.client(SITE)
    given = await browser.tokens(client, await api.person(), scope="openid orders.read")
    await browser.open("/oauth2/logout", {"id_token_hint": given["id_token"]})
    assert await shows(api, given["access_token"])


async def test_a_token_that_ends_alone_is_not_in_the_list(api, device):
    """What the list does not cover: its bits are sessions'."""
    answer = await api.form("/oauth2/revoke", "app", token=device.access_token)
    assert answer.status_code == 200
    assert await api.goes_inactive(device.access_token)
    await api.post("/auth/logout", (await api.sign_in(await api.person())).credential)
    assert not await is_revoked(api, device.access_token)
