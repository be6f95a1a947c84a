"""An API that verifies tokens by the package, and a real server: nothing in between but HTTP.

The API never calls the server on a request: it fetches keys and status lists in the background.
"""

import asyncio
import statistics
import time
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyturn_verifier import FetchFailed, Response, Verifier
from keyturn_verifier.asgi import AuthMiddleware
from keyturn_verifier.dpop import Dpop
from keyturn_verifier.step_up import require_max_age
from support import replicas
from support.api import AUDIENCE, PASSWORD, api_of
from support.possession import Holder
from support.status_lists import part

HTTPS = "https://localhost:8443"
SHORT_TTL, USUAL_TTL = 2, 10
FEW, MANY = 4, 50
BETWEEN = 0.05
"""Seconds between two calls of a client whose session may have ended."""
PATIENCE = 60.0


@asynccontextmanager
async def serving(databases, redis_url, ttl):
    """Run one server of the issuer, behind what stands for its TLS proxy."""
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url, redis_url, issuer=HTTPS, **replicas.GENEROUS, status_list__ttl=str(ttl)
        )
        with replicas.replicas(environ) as pair:
            async with api_of(environ, pair) as server:
                yield server


@pytest.fixture(scope="module")
async def server(databases, shared_redis_url):
    async with serving(databases, shared_redis_url, SHORT_TTL) as server:
        yield server


class Orders:
    """An API with two routes, and its callers."""

    def __init__(self, server):
        self.server = server
        self.asked = self.served = 0
        self.verifier = Verifier(HTTPS, AUDIENCE, fetch=self.fetch)
        app = Starlette(routes=[
            Route("/orders", self.orders),
            Route("/payments", self.pay, methods=["POST"]),
        ])  # fmt: skip
        app.add_middleware(AuthMiddleware, verifier=self.verifier, dpop=Dpop(AUDIENCE))
        self.callers = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url=AUDIENCE, timeout=PATIENCE
        )

    async def fetch(self, url, headers, /):
        self.asked += 1
        try:
            answer = await self.server.get(url.removeprefix(HTTPS), headers=dict(headers))
        except httpx2.HTTPError as error:
            raise FetchFailed(f"{error!r}") from error
        return Response(answer.status_code, dict(answer.headers), answer.content)

    async def orders(self, request):
        request.auth.require_scopes("orders.read")
        return JSONResponse({"of": request.auth.subject})

    async def pay(self, request):
        require_max_age(request.auth, 300)
        return JSONResponse({"by": request.auth.subject})

    async def get(self, token, **headers):
        self.served += 1
        return await self.callers.get(
            "/orders", headers={"authorization": f"Bearer {token}", **headers}
        )


@asynccontextmanager
async def orders_of(server):
    orders = Orders(server)
    async with orders.verifier, orders.callers:
        yield orders


@pytest.fixture
async def orders(server):
    async with orders_of(server) as orders:
        yield orders


async def test_a_person_who_signed_in_is_served_without_a_call_to_the_server(server, orders):
    person = await server.person()
    device = await server.sign_in(person)
    assert (await orders.get(device.access_token)).json() == {"of": str(person.id)}
    assert (await orders.callers.get("/orders")).status_code == 401
    narrow = (await server.refresh(device, scope="orders.write")).json()["access_token"]
    refused = await orders.get(narrow)
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    machine = await server.token("machine", grant_type="client_credentials")
    assert (await orders.get(machine.json()["access_token"])).status_code == 200


async def test_a_session_bound_to_a_key_needs_that_key_at_the_api(server, orders):
    holder = Holder.of()
    proof = holder.proof("POST", f"{HTTPS}/auth/login")
    device = await server.sign_in(await server.person(), headers={"dpop": proof})
    token = device.access_token

    async def call(holder):
        proof = holder.proof("GET", f"{AUDIENCE}/orders", token=token)
        return await orders.callers.get(
            "/orders", headers={"authorization": f"DPoP {token}", "dpop": proof}
        )

    assert (await call(holder)).status_code == 200
    for stolen in (await orders.get(token), await call(Holder.of())):
        assert (stolen.status_code, stolen.json()["error"]) == (401, "invalid_token")


async def test_a_person_proves_themselves_again_and_the_payment_goes_through(server, orders):
    device = await server.sign_in(await server.person())
    await server.set(device, "auth_time = auth_time - interval '1 hour'")
    old = (await server.refresh(device)).json()
    device.refresh_token = old["refresh_token"]

    async def pay(token):
        return await orders.callers.post("/payments", headers={"authorization": f"Bearer {token}"})

    challenged = await pay(old["access_token"])
    assert challenged.status_code == 401
    challenge = challenged.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="300"' in challenge
    proven = await server.post("/auth/reauthenticate", {**device.credential, "password": PASSWORD})
    assert (await pay(proven.json()["accessToken"])).status_code == 200


async def test_a_key_rotation_fails_no_request(server, orders):
    person = await server.person()
    before = (await server.sign_in(person)).access_token
    assert (await orders.get(before)).status_code == 200
    kid = header(before)["kid"]
    await server.sql.execute("update signing_keys set since = since - interval '1 hour'")
    rotated = await asyncio.to_thread(server.keyturn, "keys", "rotate", "--now")
    assert rotated.returncode == 0, rotated.stderr
    deadline = time.monotonic() + PATIENCE
    while True:
        after = (await server.sign_in(person)).access_token
        assert (await orders.get(after)).status_code == 200
        assert (await orders.get(before)).status_code == 200
        if header(after)["kid"] != kid:
            return
        assert time.monotonic() < deadline, "the server never signed with its new key"
        await asyncio.sleep(BETWEEN)


async def test_who_logs_out_everywhere_is_refused_at_the_api_long_before_the_token_ends(
    server, orders
):
    """The seconds are a campaign's to assert, on a machine that has them."""
    print(distribution(await logouts(server, orders, FEW, SHORT_TTL)))


@pytest.mark.long
async def test_of_fifty_who_log_out_everywhere_each_is_refused_within_ttl_and_two_seconds(
    databases, shared_redis_url
):
    async with (
        serving(databases, shared_redis_url, USUAL_TTL) as server,
        orders_of(server) as orders,
    ):
        took = await logouts(server, orders, MANY, USUAL_TTL)
        print(distribution(took))
        print(f"{orders.served} requests to the API, {orders.asked} fetches from the server")
        assert orders.asked < orders.served / 10, "it asked the server for requests"
        assert len(took) == MANY
        assert max(took) < USUAL_TTL + 2, distribution(took)


async def logouts(server, orders, count, ttl):
    """Let people log out at moments spread over a `ttl`; return the seconds until each refusal."""
    devices = [await server.sign_in(await server.person()) for _ in range(count)]
    witness = await server.sign_in(await server.person())
    for device in [*devices, witness]:
        assert (await orders.get(device.access_token)).status_code == 200
    spread = ttl / count
    took = await asyncio.gather(
        *(logged_out(server, orders, one, number * spread) for number, one in enumerate(devices))
    )
    assert (await orders.get(witness.access_token)).status_code == 200, "and nobody else"
    return took


async def logged_out(server, orders, device, after):
    await asyncio.sleep(after)
    ended = await server.post("/auth/logout-all", device.credential)
    began = time.monotonic()
    assert ended.status_code == 200, ended.text
    while (answer := await orders.get(device.access_token)).status_code == 200:
        assert time.monotonic() < began + PATIENCE, "never refused"
        await asyncio.sleep(BETWEEN)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    return time.monotonic() - began


def header(token):
    return part(token, 0)


def distribution(took):
    low, *_, high = sorted(took)
    deciles = statistics.quantiles(took, n=10, method="inclusive")
    return (
        f"logout-all to refusal over {len(took)} tries: "
        f"min {low:.2f} s, median {statistics.median(took):.2f} s, p90 {deciles[-1]:.2f} s, "
        f"max {high:.2f} s"
    )
