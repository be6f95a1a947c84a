"""JW-2: every kind of thing we hand out, at every door that takes one; made, not listed by hand.

Each kind is good exactly where `GOOD` says, and refused in the door's own way everywhere else.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from keyturn.logouts.model import Delivery
from support.api import claims_of
from support.browserless import SPA, Browserless, forms_of, told
from support.forging import unb64

GOOD = {
    ("access token", "userinfo"),
    ("access token", "introspection"),
    ("machine's token", "introspection"),
    ("ID token", "hint of a request"),
    ("ID token", "hint of a sign-out"),
    ("refresh token", "refresh"),
}


def types(token):
    return unb64(token.split(".")[0])


@pytest.fixture(scope="module")
async def things(api, spa):
    """One of each kind, of one person."""
    browser, person = Browserless(api), await api.person()
    page = await browser.authorize(spa)
    form = forms_of(page)["login"]
    given = await browser.tokens(spa, person, scope="openid offline_access")
    machine = await api.token("machine", grant_type="client_credentials")
    logout_token = await logout_token_of(api, spa, given)
    return browser, {
        "access token": given["access_token"],
        "ID token": given["id_token"],
        "refresh token": given["refresh_token"],
        "machine's token": machine.json()["access_token"],
        "logout token": logout_token,
        "code": told(await browser.authorize(spa))["code"],
        "handle of a request": form.fields["request"],
        "token of a form": form.fields["csrf"],
        **browser.cookies,
    }


async def logout_token_of(api, client_id, given):
    """What the client would be told of the end of this session, which goes on."""
    said = claims_of(given["id_token"])
    await api.operator.keyring.load()
    delivery = Delivery(
        session_id=UUID(said["sid"]),
        user_id=UUID(said["sub"]),
        client_id=client_id,
        uri=None,
        attempt=1,
        claimed_at=datetime.now(UTC),
        waited=timedelta(),
        is_late=False,
        is_last=False,
    )
    return api.operator.logout_tokens.for_delivery(delivery)


async def at_userinfo(api, _client, _browser, token):
    bearer = {"authorization": f"Bearer {token}"}
    answer = await api.get("/oauth2/userinfo", headers=bearer)
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_token"
    return answer.status_code == 200


async def at_session_api(api, _client, _browser, token):
    bearer = {"authorization": f"Bearer {token}"}
    answer = await api.get("/auth/me", headers=bearer)
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_token"
    return answer.status_code == 200


async def at_introspection(api, _client, _browser, token):
    return await api.is_active(token)


async def at_request(_api, client, browser, token):
    answer = told(await browser.authorize(client, prompt="none", id_token_hint=token))
    assert "code" in answer or answer["error"] == "invalid_request"
    return "code" in answer


async def at_sign_out(api, _client, browser, token):
    # Cookies are left behind: whoever is signed out here is still needed.
    looking = Browserless(api, cookies=dict(browser.cookies))
    if types_of_id(token):
        # A genuine hint would sign the person out for good; another browser shows as much.
        looking.cookies = {}
        goodbye = SPA["post_logout_redirect_uris"][0]
        answer = await looking.open(
            "/oauth2/logout", {"id_token_hint": token, "post_logout_redirect_uri": goodbye}
        )
        return answer.headers.get("location") == goodbye
    answer = await looking.open("/oauth2/logout", {"id_token_hint": token})
    assert "logout" in forms_of(answer), "nobody is signed out by something that is no hint"
    return False


def types_of_id(token):
    return token.count(".") == 2 and b'"JWT"' in types(token)


async def at_refresh(api, client, _browser, token):
    answer = await api.token(client, grant_type="refresh_token", refresh_token=token)
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_grant"
    return answer.status_code == 200


async def at_resume(_api, _client, browser, token):
    answer = await browser.send("GET", "/oauth2/authorize/resume", params={"request": token})
    return answer.status_code == 303


DOORS = {
    "userinfo": at_userinfo,
    "session API": at_session_api,
    "introspection": at_introspection,
    "hint of a request": at_request,
    "hint of a sign-out": at_sign_out,
    "refresh": at_refresh,
    "resume": at_resume,
}
GOOD |= {("handle of a request", "resume")}


@pytest.mark.parametrize("door", DOORS)
async def test_JW_2_a_kind_is_good_at_its_own_doors_and_at_no_other(api, spa, things, door):
    browser, held = things
    assert len(held) >= 10
    good = {kind for kind, token in held.items() if await DOORS[door](api, spa, browser, token)}
    assert good == {kind for kind, where in GOOD if where == door}


async def test_JW_2_every_kind_of_jwt_has_a_type_of_its_own(things):
    _, held = things
    assert b'"typ":"at+jwt"' in types(held["access token"])
    assert b'"typ":"JWT"' in types(held["ID token"])
    assert b'"typ":"logout+jwt"' in types(held["logout token"])
