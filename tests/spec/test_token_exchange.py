"""TK-8, JW-2: POST /oauth2/token with `token-exchange` (RFC 8693): never more than was presented."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest

from support.api import GATEWAY, MACHINE, OTHER_AUDIENCE, claims_of
from support.forging import Forger
from support.replicas import AUDIENCE
from support.withheld import Withheld

(GRANT,) = GATEWAY["grant_types"]
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture(scope="module")
async def gateway(api):
    """It acts for whoever signed in to `app`, and says so."""
    return await api.client(GATEWAY)


@pytest.fixture(scope="module")
async def inner(api, gateway):
    """It is behind the gateway, may go on from there, and may leave out that it acts itself."""
    policy = {"subject_clients": ["app", gateway], "impersonation": True, "delegation": True}
    own = ["client_credentials", GRANT]
    return await api.client(GATEWAY, token_exchange=policy, grant_types=own)


@pytest.fixture
async def device(api):
    """Somebody's only device."""
    return await api.sign_in(await api.person())


@pytest.fixture(scope="module")
async def forger(api):
    """The key in the wrong hands, and a token of somebody signed in."""
    return await Forger.of(api, await api.sign_in(await api.person()))


async def ask(api, client, token, **fields):
    whole = {"subject_token": token, "subject_token_type": ACCESS_TOKEN, **fields}
    sent = {name: value for name, value in whole.items() if value is not None}
    return await api.token(client, grant_type=GRANT, **sent)


async def exchanged(api, client, token, **fields):
    answer = await ask(api, client, token, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


async def refused(api, client, token, **fields):
    """Return code and hidden reason; a refused exchange is always answered by 400."""
    status, code, detail = await api.refusal(await ask(api, client, token, **fields))
    assert status == 400
    return code, detail


async def test_TK_8_a_narrower_token_names_who_acts_and_nothing_else_comes_with_it(
    api, gateway, device
):
    answer = await ask(api, gateway, device.access_token)
    assert answer.headers["cache-control"] == "no-store"
    given = answer.json()
    assert set(given) == {
        *("access_token", "issued_token_type", "token_type", "expires_in", "scope"),
    }
    assert (given["issued_token_type"], given["token_type"]) == (ACCESS_TOKEN, "Bearer")
    before, now = claims_of(device.access_token), claims_of(given["access_token"])
    same = {
        name: before[name] for name in ("iss", "sub", "sid", "status", "auth_time", "acr", "amr")
    }
    assert now.items() >= same.items()
    assert now["act"] == {"sub": gateway}
    assert (now["client_id"], now["aud"]) == (gateway, AUDIENCE)
    assert now["scope"] == given["scope"] == "orders.read"
    assert now["exp"] <= before["exp"]
    assert now["jti"] != before["jti"]
    assert given["expires_in"] == now["exp"] - now["iat"]
    assert set(now) == {*same, "act", "client_id", "aud", "scope", "exp", "iat", "jti"}


async def test_TK_8_an_api_is_told_who_acts_and_the_trail_who_exchanged_what(api, gateway, device):
    token = await exchanged(api, gateway, device.access_token)
    said = (await api.form("/oauth2/introspect", "reader", token=token)).json()
    claims = claims_of(token)
    del claims["status"]  # who asks here need not look it up
    assert said == {"active": True, "token_type": "Bearer", **claims}
    (event,) = await api.events("token_exchanged", session_id=device.session_id)
    before = claims_of(device.access_token)
    assert str(event["user_id"]) == before["sub"]
    assert event["client_id"] == gateway
    detail = event["detail"]
    for told in (before["jti"], claims_of(token)["jti"], before["client_id"], gateway):
        assert told in str(detail)
    counted = {"grant_type": GRANT, "result": "ok"}
    assert api.metric("keyturn_token_requests_total", **counted) >= 1


@pytest.mark.parametrize(
    "scope",
    [
        "stock.read",  # the gateway's, not the subject's
        "orders.write",  # the subject's, not the gateway's
        "orders.read stock.read",
        "openid",
        "offline_access",
        "keyturn.admin.read",
    ],
)
async def test_TK_8_no_more_scope_than_both_have(api, gateway, device, scope):
    code, detail = await refused(api, gateway, device.access_token, scope=scope)
    assert (code, detail) == ("invalid_scope", "scope: not allowed for this client")


@pytest.mark.parametrize("name", ["resource", "audience"])
@pytest.mark.parametrize(
    "target",
    [
        OTHER_AUDIENCE,  # the gateway's, not the subject token's
        "https://elsewhere.example.com",
        "orders",
        "reader",
        AUDIENCE + "/",
        "*",
    ],
)
async def test_TK_8_no_more_audience_than_both_have(api, gateway, device, name, target):
    code, detail = await refused(api, gateway, device.access_token, **{name: target})
    assert code == "invalid_target"
    assert detail == "resource: not of this client, or not of the subject token"


async def test_TK_8_both_ways_to_name_an_api_are_one_and_ours_are_never_among_them(api, device):
    ours = (api.issuer, f"{api.issuer}/admin")
    reaching = await api.client(GATEWAY, audiences=[AUDIENCE, *ours])
    assert claims_of(device.access_token)["aud"] == [AUDIENCE, api.issuer]
    for target in ours:
        for name in ("resource", "audience"):
            code, _ = await refused(api, reaching, device.access_token, **{name: target})
            assert code == "invalid_target"
    named = await ask(api, reaching, device.access_token, resource=AUDIENCE, audience=AUDIENCE)
    token = named.json()["access_token"]
    assert claims_of(token)["aud"] == AUDIENCE
    for path in ("/oauth2/userinfo", "/auth/me", "/auth/sessions"):
        answer = await api.get(path, headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


async def test_TK_8_no_longer_life_than_what_was_presented_has(api, gateway, forger):
    for left in (7, 100, 3600):
        presented = forger.signed(claims=forger.body(exp=int(time.time()) + left))
        answer = await ask(api, gateway, presented)
        assert answer.json()["expires_in"] <= min(left, 600)
        assert claims_of(answer.json()["access_token"])["exp"] <= claims_of(presented)["exp"]


async def test_TK_8_only_tokens_of_clients_in_the_policy_that_were_sent_to_this_one(
    api, gateway, inner, forger
):
    shop = await api.sign_in(await api.person(), client="shop")
    assert await refused(api, gateway, shop.access_token) == (
        "invalid_request",
        "subject_token: of a client that the policy does not name",
    )
    # Seen somewhere, but for another API than those the gateway serves.
    elsewhere = forger.signed(claims=forger.body(aud=OTHER_AUDIENCE))
    assert await refused(api, gateway, elsewhere) == (
        "invalid_request",
        "subject_token: for none of the APIs this client serves",
    )
    # An allowed client's own token is exchanged wherever it leads.
    machine = await api.token("machine", grant_type="client_credentials")
    told = claims_of(await exchanged(api, gateway, machine.json()["access_token"]))
    assert (told["sub"], told["act"], told.get("sid")) == ("machine", {"sub": gateway}, None)
    assert told["scope"] == "orders.read stock.read"
    mine = await api.token(inner, grant_type="client_credentials")
    assert (await refused(api, inner, mine.json()["access_token"]))[0] == "invalid_request"


async def test_TK_8_a_client_narrows_its_own_tokens_whoever_they_are_for(api):
    self_made = f"narrow-{uuid4().hex}"
    added = await api.client(
        MACHINE,
        id=self_made,
        grant_types=["client_credentials", GRANT],
        token_exchange={"subject_clients": [self_made]},
    )
    api.secrets[self_made] = api.secrets[added]
    broad = await api.token(self_made, grant_type="client_credentials")
    token = await exchanged(api, self_made, broad.json()["access_token"], scope="stock.read")
    assert claims_of(token)["scope"] == "stock.read"
    assert (await refused(api, self_made, token, scope="orders.read"))[0] == "invalid_scope"


async def test_CA_4_nobody_exchanges_who_did_not_prove_to_be_allowed_to(api, gateway, device):
    for client in ("app", "backend", "machine"):
        answer = await ask(api, client, device.access_token)
        assert (await api.refusal(answer))[1] == "unauthorized_client"
    for client in (None, "nobody"):
        answer = await ask(api, client, device.access_token)
        assert (await api.refusal(answer))[:2] == (401, "invalid_client")
    unproven = {"grant_type": GRANT, "subject_token": device.access_token, "client_id": gateway}
    answer = await api.callers[0].post("/oauth2/token", data=unproven)
    assert (await api.refusal(answer))[:2] == (401, "invalid_client")


# -- who acts --------------------------------------------------------------------------------------


async def test_who_may_impersonate_is_named_only_when_it_presents_itself(api, inner, device):
    quiet = claims_of(await exchanged(api, inner, device.access_token))
    assert "act" not in quiet
    assert (quiet["sub"], quiet["client_id"]) == (claims_of(device.access_token)["sub"], inner)
    mine = (await api.token(inner, grant_type="client_credentials")).json()["access_token"]
    actor = {"actor_token": mine, "actor_token_type": ACCESS_TOKEN}
    assert claims_of(await exchanged(api, inner, device.access_token, **actor))["act"] == {
        "sub": inner
    }


async def test_who_acted_before_is_never_forgotten(api, gateway, inner, device):
    first = await exchanged(api, gateway, device.access_token)
    assert claims_of(await exchanged(api, inner, first))["act"] == {"sub": gateway}
    mine = (await api.token(inner, grant_type="client_credentials")).json()["access_token"]
    actor = {"actor_token": mine, "actor_token_type": ACCESS_TOKEN}
    second = claims_of(await exchanged(api, inner, first, **actor))
    assert second["act"] == {"sub": inner, "act": {"sub": gateway}}
    assert second["exp"] <= claims_of(first)["exp"]


async def test_a_policy_without_delegation_takes_no_actor(api, device):
    policy = {"subject_clients": ["app"], "impersonation": True, "delegation": False}
    masked = await api.client(
        GATEWAY, token_exchange=policy, grant_types=["client_credentials", GRANT]
    )
    assert "act" not in claims_of(await exchanged(api, masked, device.access_token))
    mine = (await api.token(masked, grant_type="client_credentials")).json()["access_token"]
    actor = {"actor_token": mine, "actor_token_type": ACCESS_TOKEN}
    assert await refused(api, masked, device.access_token, **actor) == (
        "invalid_request",
        "actor_token: this client's policy has no delegation",
    )


async def test_TK_8_an_actor_is_the_client_s_own_and_alive(api, gateway, inner, device):
    mine = (await api.token(inner, grant_type="client_credentials")).json()["access_token"]
    other = (await api.token("machine", grant_type="client_credentials")).json()["access_token"]
    acted = await exchanged(api, inner, await exchanged(api, gateway, device.access_token))
    assert (await api.form("/oauth2/revoke", inner, token=mine)).status_code == 200
    assert await api.goes_inactive(mine)
    for bad, detail in {
        mine: "actor_token: revoked",
        other: "actor_token: another client's, or itself for somebody else",
        device.access_token: "actor_token: another client's, or itself for somebody else",
        acted: "actor_token: another client's, or itself for somebody else",
        device.refresh_token: "actor_token: form",
    }.items():
        actor = {"actor_token": bad, "actor_token_type": ACCESS_TOKEN}
        code, said = await refused(api, inner, device.access_token, **actor)
        assert code == "invalid_request"
        assert said.startswith(detail.removesuffix("form")), said


async def test_may_act_is_honoured_and_the_chain_of_actors_is_bounded(api, gateway, forger):
    for may_act, works in (
        ({"sub": gateway}, True),
        ({"sub": gateway, "iss": api.issuer}, True),
        ({"sub": "another"}, False),
        ({"sub": gateway, "iss": "https://other.example"}, False),
        ({}, False),
        ("anybody", False),
    ):
        answer = await ask(api, gateway, forger.signed(claims=forger.body(may_act=may_act)))
        if works:
            assert claims_of(answer.json()["access_token"])["may_act"] == may_act
        else:
            assert await api.refusal(answer) == (
                400,
                "invalid_request",
                "may_act: names somebody else",
            )
    chain = None
    for length in range(5):
        claims = forger.body(act=chain) if chain else forger.body()
        answer = await ask(api, gateway, forger.signed(claims=claims))
        assert (answer.status_code == 200) == (length < 4)
        if length < 4:
            chain = claims_of(answer.json()["access_token"])["act"]
    assert (await api.refusal(answer))[2] == "act: the chain of actors is too long"


# -- what is no good as a subject token ---------------------------------------------------------------


async def test_JW_2_only_a_live_access_token_of_ours_is_exchanged(api, gateway, forger, device):
    now = int(time.time())
    good = forger.signed()
    assert (await ask(api, gateway, good)).status_code == 200
    head, body, signature = good.split(".")
    typed = {f"typ {typ}": {**forger.header, "typ": typ}
             for typ in ("JWT", "logout+jwt", "dpop+jwt", "at+JWT ", None)}  # fmt: skip
    tokens = {
        "garbage": "garbage",
        "refresh token": device.refresh_token,
        "of another key": f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        "unsigned": f"{head}.{body}.",
        "of another issuer": forger.signed(claims=forger.body(iss="https://other.example")),
        "expired": forger.signed(claims=forger.body(iat=now - 700, exp=now - 1)),
        "of the future": forger.signed(claims=forger.body(iat=now + 900, exp=now + 1800)),
        "of an unknown client": forger.signed(claims=forger.body(client_id="nobody")),
        **{name: forger.signed(header=header) for name, header in typed.items()},
    }
    for name, token in tokens.items():
        code, detail = await refused(api, gateway, token)
        assert code == "invalid_request", name
        assert detail.startswith("subject_token: "), (name, detail)


async def test_JW_2_a_token_is_not_exchanged_once_its_session_or_it_has_ended(api, gateway):
    async def revoked(device):
        await api.form("/oauth2/revoke", "app", token=device.access_token)

    async def signed_out(device):
        assert (await api.post("/auth/logout", device.credential)).status_code == 204

    async def disabled(device):
        await api.operator.accounts.disable(UUID(claims_of(device.access_token)["sub"]))

    for end, detail in (
        (revoked, "subject_token: revoked"),
        (signed_out, "subject_token: revoked"),
        (disabled, "subject_token: "),
    ):
        device = await api.sign_in(await api.person())
        await exchanged(api, gateway, device.access_token)
        await end(device)
        assert await api.goes_inactive(device.access_token) or end is disabled
        began, withheld = time.monotonic(), Withheld(*api.replicas)
        while (answer := await ask(api, gateway, device.access_token)).status_code == 200:
            assert time.monotonic() - began < 1 + withheld.seconds, end.__name__
        status, code, said = await api.refusal(answer)
        assert (status, code) == (400, "invalid_request")
        assert said.startswith(detail)


async def test_RT_8_a_closed_account_s_token_is_not_exchanged_though_nothing_was_revoked(
    api, gateway
):
    """The check asks for the account itself: a revocation may be what was lost."""
    person = await api.person()
    device = await api.sign_in(person)
    await api.sql.execute("update users set disabled_at = now() where id = $1", person.id)
    assert await refused(api, gateway, device.access_token) == (
        "invalid_request",
        "subject_token: account: disabled or deleted",
    )


async def test_CA_7_a_disabled_client_s_tokens_are_not_exchanged(api, gateway):
    machine = await api.client(MACHINE)
    policy = {"subject_clients": [machine]}
    own = await api.client(GATEWAY, token_exchange=policy)
    token = (await api.token(machine, grant_type="client_credentials")).json()["access_token"]
    passed_on = await exchanged(api, own, token)
    await api.clients.disable(machine)
    await api.settled()
    assert await refused(api, own, token) == (
        "invalid_request",
        "subject_token: client: unknown or disabled",
    )
    beyond = await api.client(GATEWAY, token_exchange={"subject_clients": [own]})
    # Its client is the one that exchanged it; the machine it is about is closed all the same.
    assert (await refused(api, beyond, passed_on))[1].endswith("unknown or disabled")


async def test_WB_9_what_was_exchanged_ends_with_the_session(api, gateway, device):
    token = await exchanged(api, gateway, device.access_token)
    alone = await exchanged(api, gateway, device.access_token)
    assert await api.is_active(token)
    assert (await api.form("/oauth2/revoke", gateway, token=alone)).status_code == 200
    assert await api.goes_inactive(alone)
    assert await api.is_active(token), "revoking one token revokes that one"
    # The subject token's own revocation by its id is not the session's end, either.
    await api.form("/oauth2/revoke", "app", token=device.access_token)
    assert await api.goes_inactive(device.access_token)
    assert await api.is_active(token)
    assert (await api.post("/auth/logout", device.credential)).status_code == 204
    assert await api.goes_inactive(token)


async def test_DP_1_a_bound_token_never_becomes_a_bearer_token(api, gateway, inner, forger, device):
    bound = {"cnf": {"jkt": "x" * 43}}
    code, detail = await refused(api, gateway, forger.signed(claims=forger.body(**bound)))
    assert (code, detail[:5]) == ("invalid_dpop_proof", "dpop:")
    mine = claims_of(
        (await api.token(inner, grant_type="client_credentials")).json()["access_token"]
    )
    actor = forger.signed(claims={**mine, **bound})
    fields = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
    code, detail = await refused(api, inner, device.access_token, **fields)
    assert (code, detail) == (
        "invalid_dpop_proof",
        "actor_token: bound to a key that was not proven",
    )


# -- the form --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"subject_token": None, "subject_token_type": None}, "subject_token: missing"),
        ({"subject_token": ""}, "subject_token: goes with its type"),
        ({"subject_token_type": None}, "subject_token: goes with its type"),
        (
            {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
            "subject_token_type: only access tokens are exchanged",
        ),
        (
            {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            "subject_token_type: only access tokens are exchanged",
        ),
        ({"actor_token": "x"}, "actor_token: goes with its type"),
        ({"actor_token_type": ACCESS_TOKEN}, "actor_token: goes with its type"),
        (
            {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            "requested_token_type: access tokens are all there is",
        ),
        (
            {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"},
            "requested_token_type: access tokens are all there is",
        ),
    ],
)
async def test_a_form_that_makes_no_sense_is_refused(api, gateway, device, change, detail):
    assert await refused(api, gateway, device.access_token, **change) == ("invalid_request", detail)


async def test_an_access_token_may_be_called_a_jwt_and_ours_are_what_is_asked_for(
    api, gateway, device
):
    fields = {
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "requested_token_type": ACCESS_TOKEN,
    }
    answer = await ask(api, gateway, device.access_token, **fields)
    assert answer.json()["issued_token_type"] == ACCESS_TOKEN


async def test_TK_2_TK_3_a_token_never_travels_in_the_address_nor_twice(api, gateway, device):
    auth = (gateway, api.secrets[gateway])
    fields = {"grant_type": GRANT, "subject_token_type": ACCESS_TOKEN}
    for name in ("subject_token", "actor_token"):
        answer = await api.callers[0].post(
            f"/oauth2/token?{name}={device.access_token}", data=fields, auth=auth
        )
        assert (await api.refusal(answer))[1] == "invalid_request"
    twice = {**fields, "subject_token": [device.access_token, device.access_token]}
    answer = await api.callers[0].post("/oauth2/token", data=twice, auth=auth)
    assert await api.refusal(answer) == (400, "invalid_request", "form: a parameter is repeated")


@pytest.mark.parametrize(
    "value",
    ["' or 1=1 --", "\u202e\U0010ffff", "../../etc/passwd", "A" * 9000, "a.b.c", "...", "{}"],
)
async def test_DS_6_no_value_of_any_field_is_a_failure(api, gateway, device, value):
    for name in (
        *("subject_token", "subject_token_type", "actor_token", "actor_token_type"),
        *("requested_token_type", "scope", "resource", "audience"),
    ):
        types = {"actor_token_type": ACCESS_TOKEN} if name == "actor_token" else {}
        code, _ = await refused(api, gateway, device.access_token, **{**types, name: value})
        assert code in {"invalid_request", "invalid_scope", "invalid_target"}


async def test_many_at_once_are_each_given_a_token_of_their_own(api, gateway, device):
    asked = (exchanged(api, gateway, device.access_token) for _ in range(10))
    tokens = await asyncio.gather(*asked)
    assert len({claims_of(token)["jti"] for token in tokens}) == 10
