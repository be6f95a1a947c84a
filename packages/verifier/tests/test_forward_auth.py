"""The tiny verifier behind a proxy."""

import httpx2
import pytest

from keyturn_verifier.forward_auth import forward_auth, identity
from keyturn_verifier.testing import FakeIssuer


@pytest.fixture
def issuer():
    return FakeIssuer()


@pytest.fixture
async def ask(issuer):
    async with issuer.verifier() as verifier:
        transport = httpx2.ASGITransport(forward_auth(verifier, issuer.clock))
        async with httpx2.AsyncClient(transport=transport, base_url="http://verifier") as client:

            async def ask(path="/", *tokens):
                headers = [("Authorization", f"Bearer {token}") for token in tokens]
                return await client.get(path, headers=headers)

            yield ask


async def test_the_proxy_is_told_whose_request_it_lets_pass(ask, issuer):
    answer = await ask("/", issuer.token("b", "a", subject="ada", session="s1"))
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-auth-")}
    assert (answer.status_code, answer.content) == (200, b"")
    assert told == {
        "x-auth-subject": "ada",
        "x-auth-client": "app",
        "x-auth-scope": "a b",
        "x-auth-session": "s1",
        "x-auth-time": str(int(issuer.clock.now())),
    }


async def test_headers_that_say_nothing_are_sent_as_well(ask, issuer):
    """Or a caller could write them."""
    answer = await ask("/", issuer.token(session=None))
    assert [answer.headers[f"x-auth-{one}"] for one in ("scope", "session", "time")] == ["", "", ""]


async def test_a_refusal_has_a_status_that_nginx_knows_and_a_challenge(ask, issuer):
    good = issuer.token("a")
    for answer, status, error in (
        (await ask("/"), 401, None),
        (await ask("/", issuer.token(lifetime=-60)), 401, "invalid_token"),
        (await ask("/", good, good), 401, "invalid_request"),
        (await ask("/?scope=a+b", good), 403, "insufficient_scope"),
    ):
        challenge = answer.headers["www-authenticate"]
        assert answer.status_code == status
        assert (f'error="{error}"' in challenge) is (error is not None)
    assert 'scope="a b"' in challenge


async def test_a_route_states_what_it_needs(ask, issuer):
    token = issuer.token("a", "b")
    path = "/?scope=a&scope=b&max_age=300"
    assert (await ask(path, token)).status_code == 200
    await issuer.pass_time(306)
    answer = await ask(path, token)
    assert answer.status_code == 401
    assert 'max_age="300"' in answer.headers["www-authenticate"]


async def test_it_says_that_it_is_there_and_overwrites_what_a_caller_wrote(ask):
    """A proxy that appends the caller's own path (Envoy) gets here by mistake."""
    answer = await ask("/health")
    told = {value for name, value in answer.headers.items() if name.startswith("x-auth-")}
    assert (answer.status_code, told) == (200, {""})


@pytest.mark.parametrize(
    "path", ["/health/", "/health/orders", "/health/../orders", "/healthy", "/check/health"]
)
async def test_nothing_else_is_answered_without_a_token(ask, path):
    assert (await ask(path)).status_code == 401


@pytest.mark.parametrize("seconds", ["x", "", "-1", "1.5", "9" * 5000, "\u0663"])
async def test_a_demand_that_cannot_be_read_is_refused_and_is_no_error(ask, issuer, seconds):
    """A proxy may let pass what its verifier fails to answer (Envoy: `failure_mode_allow`)."""
    answer = await ask(f"/?max_age={seconds}", issuer.token())
    assert answer.status_code == 401


async def test_nothing_can_be_said_without_the_issuer(ask, issuer):
    issuer.go_away()
    answer = await ask("/", issuer.token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("subject", "header"),
    [
        ("ada@example.com", "ada@example.com"),
        ("a\r\nX-Auth-Scope: admin", "a%0D%0AX-Auth-Scope:%20admin"),
        ("\u0100da \u2603", "%C4%80da%20%E2%98%83"),
        (" root ", "%20root%20"),
        ('a"b\\c%d', "a%22b%5Cc%25d"),
    ],
)
async def test_no_claim_breaks_out_of_its_header(issuer, subject, header):
    async with issuer.verifier() as verifier:
        token = await verifier.verify(issuer.token(subject=subject))
    assert identity(token)["X-Auth-Subject"] == header
