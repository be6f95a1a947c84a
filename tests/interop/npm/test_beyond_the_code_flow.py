"""`openid-client` and `oauth4webapi`: devices, machines, pushed, signed and bound; and FAPI 2.0.

One program of each library runs them all, and both tell the same. The server wants nonces in
proofs: where tokens are bound, the library asks again by itself.
"""

import asyncio
import json
from functools import partial

import pytest

from support.api import GATEWAY
from support.assertions import Signer
from support.browserless import CALLBACK, GOODBYE, SITE, SPA, Browserless
from support.replicas import AUDIENCE
from support.television import TELEVISION, Television, answered

pytestmark = pytest.mark.interop

PROGRAMS = ["openid-client", "oauth4webapi"]
SCOPE = "openid profile email offline_access orders.read"
KEEPER = {**SITE, "introspects": [AUDIENCE]}
FAPI2 = {**KEEPER, "profile": "fapi2"}
KNOWS = {"id_token_signed_response_alg": "PS256", "dpop_bound_access_tokens": True}
TOKEN, USERINFO, PAR = "/oauth2/token", "/oauth2/userinfo", "/oauth2/par"
(EXCHANGE,) = GATEWAY["grant_types"]
ITSELF = {
    "client_name": "Orders",
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [GOODBYE],
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": SCOPE,
}
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def runs(site, node, library, client, **settings):
    """Run a library's program for a client; the further settings say what it does."""
    shared = {
        "issuer": site.issuer,
        "client": client,
        "secret": site.secrets.get(client),
        "callback": CALLBACK,
        "goodbye": GOODBYE,
        "scope": SCOPE,
        "audience": AUDIENCE,
        "maxAge": 300,
    }
    return node.runs(f"{library}.mjs", {**shared, **settings})


@pytest.fixture(params=PROGRAMS)
def run(request, site, node):
    """What runs the program of one of the libraries."""
    return partial(runs, site, node, request.param)


def proven_by(signer):
    """Return how a program proves itself by this key."""
    jwk = {**signer.key.as_dict(private=True), "kid": signer.kid}
    return {"method": "private_key_jwt", "key": {"jwk": jwk, "alg": signer.alg}}


async def signed(site, raw, alg, **changes):
    """Register a client with a key; return its id, and how its program proves itself."""
    signer = await Signer.of(site.issuer, alg).registered(site, raw, **changes)
    return signer.client_id, proven_by(signer)


async def through(site, program, person):
    """Be the browser of one sign-in (and of the end); return where it went and what was told."""
    browser = Browserless(site)
    sent = await program.tells()
    assert "to" in sent, sent
    page = await browser.through(await browser.open(sent["to"].removeprefix(site.issuer)), person)
    program.answer(url=page.headers["location"])
    began = await program.tells()
    assert "claims" in began, began
    after = await program.tells()
    if "to" in after:
        page = await browser.open(after["to"].removeprefix(site.issuer))
        program.answer(url=page.headers["location"])
        after = await program.tells()
    assert "refused" not in after, after
    return sent["to"], began, after


def went_well(person, began, after):
    """Whether a sign-in, and everything after it, brought what it should."""
    assert began["claims"]["sub"] == str(person.id)
    assert set(began["scope"].split()) == set(SCOPE.split())
    assert after["userinfo"]["email"] == person.email
    assert after["refreshed"]["sub"] == str(person.id)
    assert after["refreshAfterRevocation"] == "invalid_grant"
    return True


def errors(after, path):
    """Return what the answers of one endpoint said was wrong."""
    return [one["error"] for one in after["answers"] if one["path"] == path]


def is_pushed(to):
    """Whether a browser carries nothing but a name and what stands for the request."""
    names = {pair.partition("=")[0] for pair in to.partition("?")[2].split("&")}
    return names == {"client_id", "request_uri"}


# -- pushed, signed, bound -----------------------------------------------------------------------


async def test_a_request_is_pushed_with_a_secret(site, run):
    client, person = await site.client(KEEPER, require_par=True), await site.person()
    async with run(client, method="client_secret_basic", par=True) as program:
        to, *told = await through(site, program, person)
    assert is_pushed(to)
    assert went_well(person, *told)


@pytest.mark.parametrize(
    ("alg", "signs"), [("ES256", False), ("PS256", False), ("ES256", True)],
    ids=["ES256", "PS256", "ES256, and signs"],
)  # fmt: skip
async def test_a_client_proves_itself_by_a_key_wherever_it_does(site, run, alg, signs):
    """To push, redeem, refresh, introspect and revoke; and signs what it asks for."""
    must = {"require_par": True, "require_signed_request_object": signs}
    (client, how), person = await signed(site, KEEPER, alg, **must), await site.person()
    async with run(client, **how, par=True, signed=signs) as program:
        to, began, after = await through(site, program, person)
    assert is_pushed(to)
    assert went_well(person, began, after)
    assert after["introspected"]["active"] is True
    assert after["introspectedAfter"] == {"active": False}
    assert after["tokenType"] == "bearer"


async def test_a_public_client_binds_its_tokens_to_a_key(site, run):
    client, person = await site.client(SPA, require_dpop=True), await site.person()
    async with run(client, method="none", dpop=True) as program:
        _, began, after = await through(site, program, person)
    assert went_well(person, began, after)
    assert (after["tokenType"], after["rotated"]) == ("dpop", True)
    # Redeemed, refreshed, and refused after the end; the nonce is asked for once.
    assert errors(after, TOKEN) == ["use_dpop_nonce", None, None, "invalid_grant"]
    (asked,) = [one for one in after["answers"] if one["path"] == USERINFO]
    assert (asked["scheme"], asked["status"]) == ("DPoP", 200)


@pytest.mark.parametrize("alg", ["ES256", "PS256"])
async def test_a_client_of_the_fapi_2_profile_signs_a_person_in(site, run, alg):
    """Pushed, bound, proven by key, with `iss`, nothing signed RS256; and it stays signed in.

    Once what is pushed is signed, too (FAPI 2.0 Message Signing section 5.3).
    """
    (client, how), person = await signed(site, FAPI2, alg), await site.person()
    what = {"metadata": KNOWS, "par": True, "dpop": True, "signed": alg == "PS256"}
    async with run(client, **how, **what) as program:
        to, began, after = await through(site, program, person)
    assert is_pushed(to)
    assert went_well(person, began, after)
    assert after["algorithms"] == ["PS256", "PS256"]
    assert (after["tokenType"], after["rotated"]) == ("dpop", False)
    assert errors(after, PAR) == ["use_dpop_nonce", None]
    assert errors(after, TOKEN) == [None, None, "invalid_grant"]
    assert after["introspected"]["token_type"] == "DPoP"
    assert after["introspected"]["cnf"].keys() == {"jkt"}
    assert after["introspectedAfter"] == {"active": False}


# -- devices -------------------------------------------------------------------------------------


async def polls(program, error):
    """Return what the token endpoint is asked from now on, until it answers so."""
    seen = [await program.tells()]
    while seen[-1]["polled"] != error:
        seen.append(await program.tells())
    return seen


async def connected(site, run, bound):
    """Connect one device by one library's program, which is told to ask more slowly meanwhile."""
    client, person = await site.client(TELEVISION, require_dpop=bound), await site.person()
    async with run(client, method="none", dpop=bound, command="connectDevice") as program:
        device = Television(site, client, (await program.tells())["device"])
        pending = await polls(program, "authorization_pending")
        await device.set("polled_at = now() + interval '1 hour'")  # as if it had just asked
        await polls(program, "slow_down")
        await device.set("polled_at = now()")
        page = await answered(Browserless(site), person, device)
        assert page.status_code == 200
        given = await polls(program, None)
        refreshed, told = await program.tells(), await program.tells()
    assert [one["polled"] for one in pending[:-1]] == ["use_dpop_nonce"] * bound
    assert given[0]["waited"] > 5.5, "a second, and five more for being told"
    assert refreshed["polled"] is None
    assert told["claims"]["sub"] == told["userinfo"]["sub"] == str(person.id)
    assert (told["rotated"], told["tokenType"]) == (True, "dpop" if bound else "bearer")


async def test_a_device_waits_more_slowly_when_told_so_until_somebody_connects_it(site, node):
    """With and without a key, by both libraries: all at once, for the waiting is real."""
    async with asyncio.TaskGroup() as devices:
        for name in PROGRAMS:
            for bound in (False, True):
                run = partial(runs, site, node, name)
                devices.create_task(connected(site, run, bound=bound), name=name)


async def test_a_device_is_told_that_somebody_said_no(site, run):
    client, person = await site.client(TELEVISION), await site.person()
    async with run(client, method="none", command="connectDevice") as program:
        device = Television(site, client, (await program.tells())["device"])
        await answered(Browserless(site), person, device, "deny")
        told = await program.tells()
        while "polled" in told:
            told = await program.tells()
    assert "access_denied" in told["refused"]


# -- machines, and clients that register themselves ----------------------------------------------


async def test_a_machine_has_bound_tokens_of_its_own_and_for_somebody(site, run):
    own = ["client_credentials", EXCHANGE]
    client, how = await signed(
        site, {**GATEWAY, "grant_types": own, "audiences": [AUDIENCE]}, "ES256"
    )
    person = await site.person()
    exchange = {
        "grant_type": EXCHANGE,
        "subject_token": (await site.sign_in(person)).access_token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": AUDIENCE,
    }
    what = {"command": "runMachine", "dpop": True, "scope": "orders.read", "exchange": exchange}
    async with run(client, **how, **what) as program:
        told = await program.tells()
    assert "refused" not in told, told
    for token, subject in (("own", client), ("exchanged", str(person.id))):
        assert (told[token]["active"], told[token]["sub"]) == (True, subject)
        assert told[token]["cnf"] == {"jkt": told["thumbprint"]}
    assert told["exchanged"]["act"]["sub"] == client
    assert told["issued"] == ACCESS_TOKEN


@pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt"])
async def test_a_client_registers_itself_and_signs_a_person_in(site, run, method):
    made = site.keyturn("registration-tokens", "add", "interop", "--json")
    initial, person = json.loads(made.stdout)["token"], await site.person()
    how, keys = {"method": method}, {}
    if method == "private_key_jwt":
        signer = Signer.of(site.issuer)
        how, keys = proven_by(signer), {"jwks": signer.jwks}
    registered = {**ITSELF, "token_endpoint_auth_method": method, **keys}
    async with run(None, **how, registered=registered, initialAccessToken=initial) as program:
        _, *told = await through(site, program, person)
    assert went_well(person, *told)
