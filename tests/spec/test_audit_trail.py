"""AD-3: what is done by HTTP is in the audit trail: who, to whom, from where, with which result."""

import pytest

from support.api import PASSWORD

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
async def person(api):
    return await api.person()


@pytest.fixture(scope="module")
async def device(api, person):
    return await api.sign_in(person)


async def told(api, type_, answer=None, **wanted):
    """Return the event of a request, which says where it came from and which it was."""
    (event, *more) = await api.events(type_, **wanted)
    assert more == []
    assert str(event["ip"]) == HERE
    if answer is not None:
        assert event["request_id"] == answer.headers["x-request-id"]
    return event


async def test_AD_3_a_sign_in_is_of_the_person_and_names_the_session(api):
    person = await api.person()
    answer = await api.login(person)
    event = await told(api, "sign_in", answer, user_id=person.id)
    assert (event["actor"], event["result"]) == (f"user:{person.id}", "ok")
    event = await told(api, "session_started", answer, user_id=person.id)
    assert str(event["session_id"]) == answer.json()["sessionId"]
    assert (event["actor"], event["client_id"]) == (f"user:{person.id}", "app")


async def test_AD_3_a_failed_one_is_of_nobody_and_too_many_are_told_once(api):
    person = await api.person()
    body = {"email": person.email, "password": "wrong-wrong-wrong"}
    statuses = [(await api.post("/auth/login", body)).status_code for _ in range(9)]
    assert set(statuses) == {401, 429}
    events = await api.events("sign_in_failed", user_id=person.id)
    assert {(one["actor"], one["result"]) for one in events} == {("anonymous", "failed")}
    throttled = await api.events("sign_in_throttled", actor="anonymous")
    assert len(throttled) <= len(api.replicas)
    assert '"account"' in throttled[0]["detail"]
    assert person.email not in str([dict(one) for one in (*events, *throttled)])


@pytest.mark.parametrize(
    ("password", "said"),
    [
        (PASSWORD, ("reauthenticated", "ok")),
        ("wrong-wrong-wrong", ("reauthentication_failed", "failed")),
    ],
)
async def test_AD_3_a_new_proof_is_of_the_signed_in_person(api, person, device, password, said):
    type_, result = said
    answer = await api.post("/auth/reauthenticate", {**device.credential, "password": password})
    event = await told(api, type_, answer, user_id=person.id)
    assert (event["actor"], event["result"]) == (f"user:{person.id}", result)


async def test_AD_3_a_logout_is_of_the_person_and_a_revocation_of_the_client(api, person):
    for client, actor in (("app", f"user:{person.id}"), ("backend", "client:backend")):
        seeded = await api.seed(client, person)
        if client == "app":
            answer = await api.post("/auth/logout", seeded.credential)
        else:
            fields = {"token": seeded.refresh_token}
            answer = await api.form("/oauth2/revoke", client, **fields)
        event = await told(api, "session_ended", answer, session_id=seeded.session_id)
        assert (event["actor"], event["user_id"]) == (actor, person.id)


async def test_AD_3_a_revoked_access_token_is_told_with_whose_it_was(api, person):
    seeded = await api.sign_in(person)
    answer = await api.form("/oauth2/revoke", "app", token=seeded.access_token)
    event = await told(api, "token_revoked", answer, session_id=seeded.session_id)
    assert (event["actor"], event["user_id"], event["client_id"]) == (
        "client:app", person.id, "app",
    )  # fmt: skip
    assert seeded.access_token not in event["detail"]


async def test_AD_3_a_client_that_asks_about_what_is_not_its_own_is_told_once(api, device):
    for _ in range(3):
        answer = await api.form("/oauth2/introspect", "billing", token=device.access_token)
        assert answer.json() == {"active": False}
    event = await told(api, "introspection_refused", client_id="billing")
    assert (event["actor"], event["result"]) == ("client:billing", "failed")


async def test_AD_3_closing_everything_is_of_the_person(api):
    person = await api.person()
    device = await api.sign_in(person)
    answer = await api.post("/auth/logout-all", device.credential)
    for type_ in ("logout_all", "session_ended"):
        event = await told(api, type_, answer, user_id=person.id)
        assert event["actor"] == f"user:{person.id}"
