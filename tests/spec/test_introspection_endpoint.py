"""IN-1 to IN-4: POST /oauth2/introspect (RFC 7662)."""

import base64
import json
import time

import pytest

from keyturn.revocation.copy import BOUND
from support.api import claims_of
from support.keys import signing_key
from support.replicas import AUDIENCE

PATH = "/oauth2/introspect"
INACTIVE = b'{"active":false}'


@pytest.fixture
async def device(api):
    """Somebody's only device."""
    return await api.sign_in(await api.person())


async def ask(api, token, caller="reader", on=0, **fields):
    return await api.form(PATH, caller, on=on, token=token, **fields)


def is_inactive(answer):
    assert (answer.status_code, answer.content) == (200, INACTIVE)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return True


async def test_IN_1_only_a_proven_and_confidential_caller_is_answered(api, device):
    token = device.access_token
    for caller, detail in (
        ("app", "introspection: public client"),
        ("nobody", "client: unknown"),
        (None, "client: not named"),
    ):
        answer = await ask(api, token, caller)
        assert await api.refusal(answer) == (401, "invalid_client", detail)
        assert "www-authenticate" not in answer.headers
    wrong = ("reader", "kts_wrong-wrong-wrong-wrong-wrong-1")
    answer = await api.callers[0].post(PATH, data={"token": token}, auth=wrong)
    assert await api.refusal(answer) == (401, "invalid_client", "client: wrong secret")
    answer = await api.callers[0].post(PATH, data={"token": token}, headers=device.bearer)
    assert await api.refusal(answer) == (401, "invalid_client", "client: not Basic")
    answer = await api.form(PATH, "reader", token="")
    assert await api.refusal(answer) == (400, "invalid_request", "token: missing")


@pytest.mark.parametrize("caller", ["billing", "machine", "backend"])
async def test_IN_1_a_caller_outside_of_the_audience_learns_nothing(api, device, caller):
    """`machine` is no introspector at all, though its own tokens are for that audience."""
    machine = (await api.token("machine", grant_type="client_credentials")).json()["access_token"]
    for token in (device.access_token, machine):
        assert is_inactive(await ask(api, token, caller))
        assert await api.is_active(token)


async def test_IN_1_an_allowed_caller_is_told_the_claims_and_no_more(api, device):
    for hint in ({}, {"token_type_hint": "refresh_token"}):
        answer = await ask(api, device.access_token, **hint)
        assert answer.headers["cache-control"] == "no-store"
        claims = claims_of(device.access_token)
        del claims["status"]  # who asks here need not look it up
        assert answer.json() == {"active": True, "token_type": "Bearer", **claims}
    said = answer.json()
    assert said["aud"] == [AUDIENCE, api.issuer]
    assert set(said) == {
        *("active", "token_type", "iss", "sub", "aud", "client_id", "exp", "iat", "jti"),
        *("sid", "scope", "auth_time", "acr", "amr"),
    }


async def test_IN_2_every_inactive_answer_is_exactly_the_same(api, device):
    claims = claims_of(device.access_token)
    await api.operator.keyring.load()  # what a process read a minute ago it signs with no longer
    now, ours = int(time.time()), api.operator.keyring.signing
    signed = {
        "expired just now": {"exp": now},
        "expired": {"exp": now - 3600, "iat": now - 7200},
        "not yet": {"iat": now + 3600, "exp": now + 7200},
        "of another issuer": {"iss": "https://other.example"},
        "for another API": {"aud": "https://other.example"},
        "of an unknown client": {"client_id": "nobody"},
        "without a jti": {"jti": None},
    }
    tokens = {
        name: ours.sign(json.dumps(claims | change).encode()) for name, change in signed.items()
    }
    assert (await ask(api, ours.sign(json.dumps(claims).encode()))).json()["active"] is True
    revoked = await api.sign_in(await api.person())
    await api.form("/oauth2/revoke", "app", token=revoked.refresh_token)
    tokens |= {
        "by a foreign key": signing_key(7).sign(json.dumps(claims).encode()),
        "revoked": revoked.access_token,
        "a refresh token": device.refresh_token,
        "garbage": "x",
        "three dots": "a.b.c",
        "nothing printable": "\u00fc" * 50,
        "very long": device.access_token + "A" * 9000,
    }
    for name, token in tokens.items():
        assert is_inactive(await ask(api, token)), name


async def test_IN_2_what_our_key_did_not_sign_as_an_access_token_is_none(api, device):
    head, body, signature = device.access_token.split(".")
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    for other in (
        {"alg": "RS256", "typ": "JWT", "kid": kid},
        {"alg": "RS256", "kid": kid},
        {"alg": "none", "typ": "at+jwt", "kid": kid},
        {"alg": "RS256", "typ": "at+jwt", "kid": "another"},
    ):
        swapped = base64.urlsafe_b64encode(json.dumps(other).encode()).decode().rstrip("=")
        assert is_inactive(await ask(api, f"{swapped}.{body}.{signature}"))
        assert is_inactive(await ask(api, f"{swapped}.{body}."))


@pytest.mark.parametrize("kind", ["session", "token", "user", "operator"])
async def test_IN_3_what_is_revoked_is_inactive_within_a_second_everywhere(api, kind):
    person = await api.person()
    device = await api.sign_in(person)
    for on in (0, 1):
        assert await api.is_active(device.access_token, on=on)
    if kind == "session":
        await api.form("/oauth2/revoke", "app", token=device.refresh_token)
    elif kind == "token":
        await api.form("/oauth2/revoke", "app", token=device.access_token)
    elif kind == "user":
        await api.post("/auth/logout-all", device.credential)
    else:
        await api.operator.accounts.disable(person.id)
    for on in (1, 0):
        assert await api.goes_inactive(device.access_token, on=on)
    assert is_inactive(await ask(api, device.access_token, on=1))


async def test_IN_3_a_revocation_that_never_reached_redis_counts_all_the_same(api, device):
    """Written by a transaction whose process died before it told anybody."""
    await api.sql.execute(
        "insert into revocations (kind, id, revoked_at, expires_at)"
        " values ('sid', $1, clock_timestamp(), now() + interval '1 hour')",
        str(device.session_id),
    )
    written = asked = time.monotonic()
    for on in (0, 1):
        while await api.is_active(device.access_token, on=on):
            assert asked - written < BOUND
            asked = time.monotonic()
    # Until then a replica that Redis did not answer in time has asked PostgreSQL, and may believe
    # an older copy once more; after that, never.
    while time.monotonic() - written < BOUND:
        await api.is_active(device.access_token)
    for on in (0, 1) * 10:
        assert is_inactive(await ask(api, device.access_token, on=on))


async def test_IN_3_tokens_of_a_disabled_client_are_inactive(api):
    client = await api.client()
    device = await api.sign_in(await api.person(), client=client)
    assert await api.is_active(device.access_token)
    await api.clients.disable(client)
    await api.settled()
    assert is_inactive(await ask(api, device.access_token))


async def test_IN_4_a_modified_token_is_not_accepted(api, device):
    token = device.access_token
    head, body, signature = token.split(".")
    last = signature[-1]
    neighbour = chr(ord(last) + 1) if last not in "zZ9_-" else chr(ord(last) - 1)
    for mutated in (
        token[:-1],
        token + "A",
        token + "=",
        token + ".",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}==",
        f"{head}.{body}=.{signature}",
        f"{head}=.{body}.{signature}",
        f"{head}.{body}.{signature.swapcase()}",
        f"{head}.{body}.{signature[:-1]}{neighbour}",
        f"{head}.{body[:-1]}.{signature}",
        f"{head}.{body}.{signature.replace('-', '+').replace('_', '/')}+",
        f" {token}",
        f"{token} ",
        token.upper(),
        f"{token}, {token}",
    ):
        assert is_inactive(await ask(api, mutated)), mutated
    assert await api.is_active(token)


async def test_IN_4_nor_does_a_modified_refresh_token_end_a_session(api, device):
    token = device.refresh_token
    for mutated in (token[:-1], token + "A", token + "=", token.swapcase(), f" {token}"):
        await api.form("/oauth2/revoke", "app", token=mutated)
    assert (await api.row(device))["revoked_at"] is None
