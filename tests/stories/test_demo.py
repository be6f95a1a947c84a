"""The demo of `keyturn dev` without a browser: what is served, and what its page may do."""

import re
import time
from urllib.parse import urlencode

import asyncpg
import httpx2
import pytest

PATIENCE = 30
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture(scope="module")
def page(dev):
    """A caller of the demo's own origin."""
    with httpx2.Client(base_url=dev["demoUrl"], timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def app(dev):
    """A caller of the auth server as the demo's page is one: with its origin and client."""
    headers = {"Origin": dev["demoUrl"], "X-Keyturn-Client": "demo-app"}
    with httpx2.Client(base_url=dev["issuer"], headers=headers, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def api(dev):
    """A caller of the example API, once that has its keys."""
    headers = {"Origin": dev["demoUrl"]}
    with httpx2.Client(base_url=dev["exampleApiUrl"], headers=headers, timeout=PATIENCE) as client:
        until(lambda: is_ready(client))
        yield client


def until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_ready(client):
    try:
        return client.get("/ready").status_code == 200
    except httpx2.ConnectError:
        return False


def sign_in(app, dev, **options):
    answer = app.post("/auth/login", json={**dev["users"][1], **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def sources(header):
    """Return the sources of a policy by directive."""
    directives = [one.split() for one in header.split(";")]
    return {name: " ".join(rest) for name, *rest in directives}


@pytest.mark.parametrize(
    "path", ["/", "/sessions", "/callback?code=a&state=b", "/config.json", "/no.js"]
)
def test_every_answer_allows_its_own_files_and_calls_to_two_origins(page, dev, path):
    headers = page.get(path).headers
    assert sources(headers["content-security-policy"]) == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'",
        "connect-src": f"'self' {dev['issuer']} {dev['exampleApiUrl']}",
        "form-action": "'none'", "frame-ancestors": "'none'", "base-uri": "'none'",
    }  # fmt: skip
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_page_names_files_of_its_own_only_and_holds_no_code(page):
    html = page.get("/").text
    named = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert named
    for name in named:
        assert name.startswith("/")
        answer = page.get(name)
        assert answer.status_code == 200, name
        assert "text/html" not in answer.headers["content-type"]
    assert re.findall(r"<script[^>]*>[^<]", html) == []
    assert not re.search(r"<style| style=| on\w+=", html)


def test_only_files_named_after_their_contents_are_kept(page):
    html = page.get("/")
    assert html.headers["cache-control"] == "no-cache"
    hashed = re.findall(r'"(/assets/[^"]+)"', html.text)
    assert hashed
    kept = {page.get(one).headers["cache-control"] for one in hashed}
    assert kept == {"public, max-age=31536000, immutable"}


def test_an_address_of_the_app_is_the_page_and_a_file_that_is_not_there_is_not(page):
    html = page.get("/").content
    assert page.get("/sessions").content == html
    for missing in ("/assets/index-0.js", "/..%2f..%2fpyproject.toml", "/.git/config"):
        assert page.get(missing).status_code == 404


def test_the_configuration_says_where_everything_is(page, dev):
    answer = page.get("/config.json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "issuer": dev["issuer"],
        "api": dev["exampleApiUrl"],
        "clientId": "demo-app",
        "people": dev["users"],
    }


def test_the_demo_is_where_codes_are_sent(app, dev):
    asked = {
        "client_id": "demo-app", "response_type": "code", "scope": "openid", "state": "s",
        "redirect_uri": f"{dev['demoUrl']}/callback",
        "code_challenge_method": "S256", "code_challenge": CHALLENGE,
    }  # fmt: skip
    answer = app.get(f"/oauth2/authorize?{urlencode({**asked, 'prompt': 'none'})}")
    assert answer.status_code in {302, 303}
    assert answer.headers["location"].startswith(f"{dev['demoUrl']}/callback?error=login_required")


def test_the_page_may_sign_in_by_cookie_and_read_refusals(app, dev):
    answer = app.post("/auth/login", json={**dev["users"][1], "transport": "cookie"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == dev["demoUrl"]
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "refreshToken" not in answer.json()
    assert "httponly" in answer.headers["set-cookie"].lower()
    refused = app.post("/auth/refresh", json={"refreshToken": "kt_wrong"})
    assert refused.headers["access-control-allow-origin"] == dev["demoUrl"]


def test_the_api_lets_the_page_read_its_refusals_and_no_other(api, dev):
    refused = api.get("/orders")
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == dev["demoUrl"]
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    assert api.options("/payments", headers=asked).status_code == 200
    elsewhere = api.get("/orders", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in elsewhere.headers


def test_orders_are_each_persons_own(app, api, dev):
    token = sign_in(app, dev)["accessToken"]
    answer = api.post("/orders", json={"item": "a lock"}, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    assert "a lock" in [one["item"] for one in answer.json()["orders"]]
    other = app.post("/auth/login", json=dev["users"][0]).json()["accessToken"]
    theirs = api.get("/orders", headers=bearer(other)).json()["orders"]
    assert [one["item"] for one in theirs] == ["a key"]
    assert api.post("/orders", json={"item": ""}, headers=bearer(token)).status_code == 400


def test_a_token_that_may_only_read_does_not_order(app, api, dev):
    token = sign_in(app, dev, scope="orders.read")["accessToken"]
    answer = api.post("/orders", json={"item": "a lock"}, headers=bearer(token))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


async def test_a_payment_asks_for_a_proof_of_five_minutes_at_most(app, api, dev):
    told = sign_in(app, dev)
    connection = await asyncpg.connect(dev["postgresUrl"])
    await connection.execute(
        "update sessions set auth_time = auth_time - interval '10 minutes' where id = $1",
        told["sessionId"],
    )
    await connection.close()
    again = app.post("/auth/refresh", json={"refreshToken": told["refreshToken"]}).json()
    asked = api.post("/payments", json={"amount": 20}, headers=bearer(again["accessToken"]))
    assert asked.status_code == 401
    challenge = asked.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="300"' in challenge
    proof = {"refreshToken": again["refreshToken"], "password": dev["users"][1]["password"]}
    fresh = app.post("/auth/reauthenticate", json=proof).json()["accessToken"]
    paid = api.post("/payments", json={"amount": 20}, headers=bearer(fresh))
    assert (paid.status_code, paid.json()) == (200, {"paid": 20})


def test_the_api_refuses_an_ended_session_without_asking_anybody(app, api, dev):
    told = sign_in(app, dev)
    headers = bearer(told["accessToken"])
    assert api.get("/orders", headers=headers).status_code == 200
    ended = app.post("/auth/logout", json={"refreshToken": told["refreshToken"]})
    assert ended.status_code == 204
    until(lambda: api.get("/orders", headers=headers).status_code == 401)
