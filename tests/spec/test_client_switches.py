"""Every switch of a client does what docs/clients.md says, for people who come by code."""

import pytest

from support.api import claims_of
from support.browserless import SITE, SPA, Browserless, forms_of, request_of, told

USERINFO = "/oauth2/userinfo"
MANY = "openid profile email orders.read"


async def refresh(api, client_id, token):
    answer = await api.token(client_id, grant_type="refresh_token", refresh_token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def row(api, given):
    sid = claims_of(given["access_token"])["sid"]
    return await api.sql.fetchrow(
        "select idle_lifetime, expires_at - created_at as life from sessions where id = $1::uuid",
        sid,
    )


@pytest.mark.parametrize("required", [True, False])
async def test_require_pkce_says_whether_a_code_may_go_without_a_proof_key(api, required):
    client_id = await api.client({**SITE, "require_pkce": required})
    bare = {"code_challenge": None, "code_challenge_method": None}
    answer = await Browserless(api).authorize(client_id, prompt="none", **bare)
    assert told(answer)["error"] == ("invalid_request" if required else "login_required")


@pytest.mark.parametrize("skip", [True, False])
async def test_skip_consent_says_whether_people_are_asked(api, skip):
    client_id, browser = await api.client({**SITE, "skip_consent": skip}), Browserless(api)
    page = await browser.sign_in(await browser.authorize(client_id), await api.person())
    if skip:
        assert "code" in told(page)
    else:
        assert "consent" in forms_of(page)
    assert "consent" in forms_of(await browser.authorize(client_id, prompt="consent"))


@pytest.mark.parametrize(
    ("modes", "default"), [(["query"], 303), (["form_post"], 200), (["query", "form_post"], 303)]
)
async def test_response_modes_says_how_answers_travel(api, modes, default):
    client_id = await api.client({**SITE, "response_modes": modes})
    for mode in ("query", "form_post"):
        answer = await api.get(
            "/oauth2/authorize", params=request_of(client_id, prompt="none", response_mode=mode)
        )
        allowed = mode in modes
        assert told(answer)["error"] == ("login_required" if allowed else "invalid_request")
        assert answer.status_code == ((303 if mode == "query" else 200) if allowed else default)
    answer = await api.get("/oauth2/authorize", params=request_of(client_id, prompt="none"))
    assert answer.status_code == default


@pytest.mark.parametrize(("grace", "stays"), [(0, False), (60, True), (None, True)])
async def test_grace_says_how_long_a_superseded_token_is_answered(api, grace, stays):
    changes = {} if grace is None else {"grace": grace}
    client_id = await api.client({**SPA, **changes})
    first = (await Browserless(api).tokens(client_id, await api.person()))["refresh_token"]
    second = (await refresh(api, client_id, first))["refresh_token"]
    assert second != first
    answer = await api.token(client_id, grant_type="refresh_token", refresh_token=first)
    assert (answer.status_code == 200) is stays
    assert not stays or answer.json()["refresh_token"] == second


@pytest.mark.parametrize("rotation", [True, False])
async def test_rotation_says_whether_refresh_tokens_change(api, rotation):
    client_id = await api.client({**SITE, "rotation": rotation, "grace": 0})
    first = (await Browserless(api).tokens(client_id, await api.person()))["refresh_token"]
    second = (await refresh(api, client_id, first))["refresh_token"]
    assert (second != first) is rotation


async def test_lifetimes_are_the_clients_own(api):
    own = {"access_token_lifetime": 120, "idle_lifetime": 600, "absolute_lifetime": 3600}
    client_id = await api.client({**SITE, **own})
    given = await Browserless(api).tokens(client_id, await api.person())
    assert given["expires_in"] == 120
    for token in (given["access_token"], given["id_token"]):
        claims = claims_of(token)
        assert claims["exp"] - claims["iat"] == 120
    kept = await row(api, given)
    assert (kept["idle_lifetime"].total_seconds(), kept["life"].total_seconds()) == (600, 3600)
    other = await Browserless(api).tokens(await api.client(SITE), await api.person())
    assert other["expires_in"] == 600
    assert (await row(api, other))["life"].total_seconds() > 3600


async def test_claims_puts_what_it_lists_into_access_tokens_and_nothing_else(api):
    person = await api.person()
    for claims, expected in ((["email"], {"email": person.email}), ([], {})):
        client_id = await api.client({**SITE, "claims": claims})
        given = await Browserless(api).tokens(client_id, person, scope=MANY)
        said = claims_of(given["access_token"])
        assert {name: said[name] for name in ("email", "name") if name in said} == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [(MANY, {"email", "name"}), ("openid email", {"email"}), ("openid", set())],
)
async def test_id_token_claims_stand_in_id_tokens_as_far_as_the_granted_scopes_show_them(
    api, scope, expected
):
    person = await api.person()
    client_id = await api.client({**SITE, "id_token_claims": ["email", "name"]})
    given = await Browserless(api).tokens(client_id, person, scope=scope)
    said, every = claims_of(given["id_token"]), {"email": person.email, "name": person.name}
    assert {name: said[name] for name in every if name in said} == {
        name: every[name] for name in expected
    }
    assert not {"email", "name"} & set(claims_of(given["access_token"]))
    if "refresh_token" in given and scope == MANY:
        again = await refresh(api, client_id, given["refresh_token"])
        assert not {"email", "name"} & set(claims_of(again["id_token"])), "at the sign-in only"
