"""Signing keys rotate while APIs check tokens offline with keys they keep: none is refused.

Two kinds of verifiers: one keeps the JWKS for its max-age to the letter and never asks before, one
is Authlib, which keeps it until it meets a key it does not know.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from support import starts
from support.replicas import AUDIENCE
from support.rollout import Deployment, deployed
from support.traffic import JWKS, Traffic

pytestmark = pytest.mark.operations

STALENESS = 1


def quick_keys(max_age: int, period: int) -> dict[str, str]:
    """Seconds instead of minutes; the lead is what a server in earnest demands, too."""
    return {
        "keys__jwks_max_age": str(max_age),
        "keys__staleness": str(STALENESS),
        "keys__lead": str(max_age + STALENESS),
        "keys__period": str(period),
        "tokens__clock_skew": "0",
        "jobs__keys_interval": "1",
    }


ROTATIONS = 2
PATIENCE = 60.0


@dataclass
class ToTheLetter:
    """joserfc, and the JWKS for as long as it says."""

    caller: httpx2.AsyncClient
    keys: KeySet | None = None
    good_until: float = 0.0

    async def accepts(self, token: str) -> bool:
        if time.monotonic() >= self.good_until:
            await self.fetch()
        try:
            jwt.decode(token, self.keys, algorithms=["RS256"])
        except (JoseError, ValueError):
            return False
        return True

    async def fetch(self) -> None:
        """Begin with these keys."""
        answer = await self.caller.get(JWKS)
        max_age = int(answer.headers["cache-control"].rpartition("=")[2])
        self.good_until = time.monotonic() + max_age
        self.keys = KeySet.import_key_set(answer.json())


class ByAuthlib(JWTBearerTokenValidator):
    """Authlib: its discovery, its cache of the JWKS, its rules of an access token (RFC 9068)."""

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer, AUDIENCE)
        metadata = f"{issuer}/.well-known/openid-configuration"
        self.library = OAuth().register("keyturn", client_id="api", server_metadata_url=metadata)

    def get_jwks(self) -> Any:
        return KeySet.import_key_set(self.library.server_metadata["jwks"])

    async def accepts(self, token: str) -> bool:
        """Ask once more for a key that is not known, as the library does with ID tokens."""
        await self.library.fetch_jwk_set()
        if self._accepts(token):
            return True
        await self.library.fetch_jwk_set(force=True)
        return self._accepts(token)

    def _accepts(self, token: str) -> bool:
        try:
            self.validate_token(self.authenticate_token(token), [], None)
        except InvalidTokenError:
            return False
        return True


@dataclass(frozen=True)
class Refused:
    """Who refused a token of which key, and when (monotonic seconds)."""

    verifier: str
    kid: str
    at: float


@dataclass
class Apis:
    """APIs that check the newest token of everybody, and one of each key so far, all the time."""

    traffic: Traffic
    verifiers: dict[str, Any]
    kept: dict[str, str] = field(default_factory=dict)
    """A token of each key."""
    checked: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    over: bool = False

    async def check(self) -> None:
        """Until told that it is over."""
        while not self.over:
            for person in self.traffic.people:
                self.kept.setdefault(kid_of(person.access_token), person.access_token)
            for token in (*(one.access_token for one in self.traffic.people), *self.kept.values()):
                for name, verifier in self.verifiers.items():
                    self.checked[name] += 1
                    if not await verifier.accepts(token):
                        self.refused.append(Refused(name, kid_of(token), time.monotonic()))
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def checking(self) -> AsyncIterator[None]:
        """Check for as long as the block takes."""
        task = asyncio.create_task(self.check())
        try:
            yield
        finally:
            self.over = True
            await task


def kid_of(token: str) -> str:
    kid: str = jws.extract_compact(token.encode()).headers()["kid"]
    return kid


@asynccontextmanager
async def apis_of(traffic: Traffic) -> AsyncIterator[Apis]:
    """Let everything flow, and APIs check all of it."""
    async with traffic.flowing(), httpx2.AsyncClient(base_url=traffic.url, timeout=60) as caller:
        apis = Apis(traffic, {"max-age": ToTheLetter(caller), "Authlib": ByAuthlib(traffic.url)})
        async with apis.checking():
            yield apis


@pytest.fixture
def deploy(program, keyed_database_url, redis_url) -> Callable[..., Any]:
    haproxy = program("haproxy", "haproxy")

    def deploy(**keys: int) -> Any:
        return deployed(haproxy, keyed_database_url, redis_url, **quick_keys(**keys))

    return deploy


async def test_keys_rotate_under_load_and_no_verifier_refuses_a_token(deploy):
    async with deploy(max_age=2, period=3) as world:
        traffic = await world.traffic()
        async with apis_of(traffic) as apis:
            deadline = time.monotonic() + PATIENCE
            while len(apis.kept) <= ROTATIONS:
                assert time.monotonic() < deadline, f"only {len(apis.kept)} keys ever signed"
                await asyncio.sleep(0.05)
            await traffic.go_on(100)
    traffic.report(f"key rotation, {len(apis.kept) - 1} rotations")
    print(f"tokens checked offline {dict(apis.checked)}, refused {len(apis.refused)}")
    assert traffic.failed == []
    assert apis.refused == []
    assert min(apis.checked.values()) > 100


async def test_a_compromised_key_costs_what_the_documents_say_and_no_more(deploy):
    """The exception, and the control. Twice, as after a leak of the master secret, too.

    The key that signs at the end was published a moment ago: who keeps the JWKS for its max-age
    does not know it until then; who asks for a key that it does not know never refuses it.
    """
    max_age = 8
    async with deploy(max_age=max_age, period=86400) as world:
        traffic = await world.traffic()
        async with apis_of(traffic) as apis:
            await traffic.go_on(60)
            assert (traffic.failed, apis.refused) == ([], [])
            await apis.verifiers["max-age"].fetch()
            begun = time.monotonic()
            signing = await drop_two_keys(world)
            while time.monotonic() < begun + max_age + STALENESS or signing not in apis.kept:
                assert time.monotonic() < begun + PATIENCE, "nothing was signed with the new key"
                await asyncio.sleep(0.05)
            failed = len(traffic.failed)
            await traffic.go_on(100)
            assert len(traffic.failed) == failed, "it is over when everybody has refreshed"
    traffic.report("compromised key, twice in a row")
    of_new = [one for one in apis.refused if one.kid == signing]
    of_dropped = Counter(one.verifier for one in apis.refused if one.kid != signing)
    last = max((one.at for one in of_new), default=begun) - begun
    print(
        f"tokens of dropped keys refused {dict(of_dropped)}; of the new key refused"
        f" {dict(Counter(one.verifier for one in of_new))}, until {last:.1f} s after the command"
    )
    assert of_dropped.keys() == {"max-age", "Authlib"}, "the leaked key is refused by both"
    assert {one.verifier for one in of_new} == {"max-age"}
    assert last <= max_age + STALENESS
    assert {one.partition(",")[0] for one in traffic.failed} <= {"introspect: inactive"}


async def drop_two_keys(world: Deployment) -> str:
    """Have the operator drop the signing key, twice; return the kid of the one that signs then."""
    for _ in range(2):
        done = await starts.shared().run(world.api.settings, "keys", "rotate", "--compromised")
        assert done.code == 0, done.said
    query = "select kid from signing_keys where state = 'signing'"
    kid: str = await world.api.sql.fetchval(query)
    return kid
