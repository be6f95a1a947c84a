"""By the clock nobody learns who has an account, which clients exist, whose device code it is (CR-4).

Over HTTP, at the default strength of a hash. `attacks.enumeration` says how it is decided; the
controls are a server with a planted leak, which must be told, and data of which the answer is known.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from uuid import uuid4

import pytest

from attacks.enumeration import Comparison, by_signs, compare, timed
from attacks.stand import SEED, Plant, address, planted, standing
from support.api import APP, MACHINE, Api
from support.browserless import SPA, Browserless
from support.television import TELEVISION, Television, answered

GENEROUS = {
    f"throttle__{name}_attempts": "1000000" for name in ("account", "address", "global", "client")
} | {"device__codes_per_address": "1000000"}
WRONG = "wrong horse battery"
ROUNDS = 150
CHEAP_ROUNDS = 300
"""Where nothing is hashed."""

LEAK = Plant(
    "nobody's password is not hashed",
    "users/passwords.py",
    "if not verified.ok and not (stored and self._is_ours(stored)):",
    "if stored and not verified.ok and not self._is_ours(stored):",
)
CLIENT_LEAK = Plant(
    "a known client costs a hash",
    "oauth/client_authentication.py",
    "        active = client.secrets if client else ()\n",
    "        active = client.secrets if client else ()\n"
    "        if client:\n"
    "            __import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 8000)\n",
)

_addresses = count(1)


@pytest.fixture(scope="module")
async def open_to_guesses(databases, shared_redis_url) -> AsyncIterator[Api]:
    async with (
        databases.fresh(keyed=True) as url,
        standing(url, shared_redis_url, "https://localhost:8455", **GENEROUS) as api,
    ):
        yield api


async def accounts(api: Api) -> dict[str, str]:
    """Return an e-mail address for every reason to refuse a password; `another` is a control."""
    kinds = ("known", "another", "disabled", "deleted", "passwordless")
    people = {kind: await api.person() for kind in kinds}
    await api.operator.accounts.disable(people["disabled"].id)
    await api.operator.accounts.delete(people["deleted"].id)
    without = "update users set password_hash = null where id = $1"
    await api.sql.execute(without, people["passwordless"].id)
    emails = {kind: person.email for kind, person in people.items()}
    return {**emails, "unknown": f"{uuid4().hex}@example.com"}


async def decided(
    kinds: list[str], attempt, baseline: str, rounds: int = ROUNDS
) -> dict[str, Comparison]:
    """Time every kind, print and return what is decided of each."""
    times = await timed(kinds, attempt, rounds, SEED)
    found = compare(times, baseline, random.Random(SEED))
    print(f"{rounds} rounds against `{baseline}`: " + "; ".join(map(str, found)))
    return {one.kind: one for one in found}


def told(found: dict[str, Comparison]) -> list[str]:
    return [kind for kind, one in found.items() if one.told_apart]


async def at_login(api: Api, emails: dict[str, str]) -> dict[str, Comparison]:
    """Try each at the session API."""

    async def attempt(kind: str) -> None:
        body = {"email": emails[kind], "password": WRONG}
        where = {"x-forwarded-for": address(next(_addresses))}
        answer = await api.post("/auth/login", body, headers=where)
        assert answer.status_code == 401, answer.text

    return await decided([*emails], attempt, "known")


@pytest.mark.timing
async def test_a_refused_sign_in_takes_as_long_whoever_it_is_for(open_to_guesses):
    assert told(await at_login(open_to_guesses, await accounts(open_to_guesses))) == []


@pytest.mark.timing
async def test_a_server_that_hashes_nothing_for_nobody_is_found_out(open_to_guesses, tmp_path):
    """The control; of the other account with a password nothing is told there either."""
    async with planted(open_to_guesses, LEAK, tmp_path) as leaking:
        found = await at_login(leaking, await accounts(open_to_guesses))
    assert set(told(found)) == {"unknown", "disabled", "deleted", "passwordless"}


@pytest.mark.timing
async def test_a_refused_sign_in_page_takes_as_long_whoever_it_is_for(open_to_guesses):
    api = open_to_guesses
    emails, browser = await accounts(api), Browserless(api)
    page = await browser.authorize(await api.client(SPA))

    async def attempt(kind: str) -> None:
        answer = await browser.press(page, "login", email=emails[kind], password=WRONG)
        assert answer.status_code == 403, answer.text

    assert told(await decided([*emails], attempt, "known")) == []


async def at_the_token_endpoint(api: Api) -> dict[str, Comparison]:
    """Show a wrong secret as every kind of client there is and is not."""
    clients = {kind: await api.client(MACHINE) for kind in ("known", "another", "disabled")}
    await api.clients.disable(clients["disabled"])
    await api.settled()
    names = {**clients, "public": await api.client(APP), "unknown": f"client-{uuid4().hex[:8]}"}

    async def attempt(kind: str) -> None:
        form = {"grant_type": "client_credentials"}
        where = {"x-forwarded-for": address(next(_addresses))}
        answer = await api.callers[0].post(
            "/oauth2/token", data=form, auth=(names[kind], "kts_wrong"), headers=where
        )
        assert answer.status_code == 401, answer.text

    return await decided([*names], attempt, "known", CHEAP_ROUNDS)


@pytest.mark.timing
async def test_a_wrong_secret_takes_as_long_whichever_client_is_named(open_to_guesses):
    assert told(await at_the_token_endpoint(open_to_guesses)) == []


@pytest.mark.timing
async def test_a_server_that_takes_longer_over_clients_it_has_is_found_out(
    open_to_guesses, tmp_path
):
    async with planted(open_to_guesses, CLIENT_LEAK, tmp_path) as leaking:
        found = await at_the_token_endpoint(replace(leaking, secrets=open_to_guesses.secrets))
    assert "unknown" in told(found)
    assert "another" not in told(found)


@pytest.mark.timing
async def test_a_device_code_takes_as_long_whether_it_is_nobody_s_or_another_s(open_to_guesses):
    """What is refused alike: unknown, of another client, used up."""
    api = open_to_guesses
    asking, other = await api.client(TELEVISION), await api.client(TELEVISION)
    used = await Television.begun(api, asking)
    await answered(Browserless(api), await api.person(), used)
    assert (await used.poll()).status_code == 200
    codes = {
        "unknown": "x" * len(used.told["device_code"]),
        "another client's": (await Television.begun(api, other)).told["device_code"],
        "used up": used.told["device_code"],
    }

    async def attempt(kind: str) -> None:
        answer = await Television(api, asking, {"device_code": codes[kind]}).poll()
        assert answer.json()["error"] == "invalid_grant", answer.text

    assert told(await decided([*codes], attempt, "unknown", CHEAP_ROUNDS)) == []


# -- the decision itself ---------------------------------------------------------------------------


def shifted(chance: random.Random, by: float, size: int = ROUNDS) -> list[float]:
    """Return durations with the long tail of a busy machine, all of them later by so much."""
    return [0.030 + by + chance.lognormvariate(-6, 1) for _ in range(size)]


def test_a_shift_of_a_tenth_is_told_and_none_is_not():
    chance, found = random.Random(SEED), []
    for _ in range(10):
        times = {
            "base": shifted(chance, 0),
            "same": shifted(chance, 0),
            "late": shifted(chance, 0.003),
        }
        found.append({one.kind: one.told_apart for one in compare(times, "base", chance)})
    assert sum(one["late"] for one in found) == 10
    assert sum(one["same"] for one in found) == 0


def test_what_chance_makes_is_seldom_sure():
    """Of 100 pairs that are alike, about one in twenty is below 0.05."""
    chance = random.Random(SEED)
    pairs = [
        [
            one - other
            for one, other in zip(shifted(chance, 0, 61), shifted(chance, 0, 61), strict=True)
        ]
        for _ in range(100)
    ]
    below = sum(by_signs(differences, chance, 1000) < 0.05 for differences in pairs)
    assert below <= 15, below
