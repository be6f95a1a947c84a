"""CR-2, DS-3, JW-5 by the clock (`-m timing`): what is too long costs no more than nothing at all.

Ratios within one run: to a neutral request at the same door, the quickest of many each; for the
token, of the server's own processor time, which what else the machine does leaves alone.
"""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from support.api import PASSWORD, Api
from support.forging import Forger

pytestmark = pytest.mark.timing
TIMES = 40


async def quickest(ask: Callable[[int], Awaitable[httpx2.Response]], status: int) -> float:
    """Return the seconds of the quickest of many requests; each is asked for by its number."""
    taken = []
    for number in range(TIMES):
        began = time.perf_counter()
        answer = await ask(number)
        taken.append(time.perf_counter() - began)
        assert answer.status_code == status, answer.text
    return min(taken)


@pytest.mark.parametrize(("length", "status"), [(1025, 400), (60_000, 400), (2**20, 413)])
async def test_CR_2_a_password_that_is_too_long_costs_no_hash(api, length, status):
    """A hash is twenty times a refusal, and more; of a megabyte nothing is read."""
    body = {"email": "ada@example.com", "password": "x" * length}
    neutral = await quickest(lambda _: api.get("/.well-known/jwks.json"), 200)
    refused = await quickest(lambda _: api.post("/auth/login", body), status)
    print(f"{length} characters: {refused * 1000:.2f} ms; neutral: {neutral * 1000:.2f} ms")
    assert refused < 10 * neutral


HOSTILE = {
    "no at": "a#" + "a" * 1000,
    "ats": "@#" + "@" * 1000,
    "labels": "a@" + "b." * 490 + "#",
    "A-labels": "a@" + "xn--" * 240 + "#",
    "U-labels": "a@" + "ü" * 900 + "#",
    "marks": "\u0345" * 900 + "#@example.com",
    "blanks": " " * 900 + "#@example.com",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_DS_3_a_hostile_address_costs_what_an_ordinary_one_costs(api, name):
    """Both are refused after the same hash; a pattern that runs wild would come on top of it."""

    def sign_in(email: str) -> Callable[[int], Awaitable[httpx2.Response]]:
        def ask(number: int) -> Awaitable[httpx2.Response]:
            # Another address each time: one alone would soon be throttled.
            body = {"email": email.replace("#", str(number)), "password": PASSWORD}
            return api.post("/auth/login", body)

        return ask

    ordinary = await quickest(sign_in(f"{uuid4().hex}-#@example.com"), 401)
    hostile = await quickest(sign_in(HOSTILE[name]), 401)
    print(f"{hostile * 1000:.2f} ms; an ordinary one: {ordinary * 1000:.2f} ms")
    assert hostile < 1.5 * ordinary


async def test_JW_5_a_token_over_8_KiB_costs_no_cryptography(api):
    """By our own key, so that only its size speaks against it."""
    device = await api.sign_in(await api.person())
    forger = await Forger.of(api, device)
    huge = forger.signed(claims=forger.body(padding="x" * 8000))
    assert len(huge) > 8192
    padded, bearer = {"x-padding": huge}, {"authorization": f"Bearer {huge}"}
    costs = [await processor_seconds(api, headers) for headers in (padded, bearer) * 3]
    neutral, refused = min(costs[::2]), min(costs[1::2])
    print(f"{refused * 1e6:.0f} us of processor time; without a token {neutral * 1e6:.0f} us")
    assert refused < 1.5 * neutral


async def processor_seconds(api: Api, headers: dict[str, str], times: int = 800) -> float:
    """Return what one GET /auth/me costs the server, refused with 401."""
    before = processor_time(api)
    for _ in range(times):
        answer = await api.get("/auth/me", headers=headers)
        assert answer.status_code == 401
    return (processor_time(api) - before) / times


def processor_time(api: Api) -> float:
    """Return the seconds the first replica has run on any core."""
    path = Path(f"/proc/{api.replicas[0].process.pid}/stat")
    fields = path.read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
