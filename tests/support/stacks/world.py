"""A real issuer behind TLS, and every token that the tables of `docs/verify` speak of."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc import jws

from keyturn.keys.model import State
from keyturn.keys.sealing import unseal
from support import starts
from support.api import APP, OTHER_AUDIENCE, Api, SignedIn
from support.browserless import SITE, Browserless
from support.forging import Forger
from support.tls_front import TlsFront

PATIENCE = 30.0
NOWHERE = 1
"""A port that nobody listens on."""


@dataclass(frozen=True)
class World:
    """An issuer with TLS in front."""

    api: Api
    front: TlsFront

    @property
    def issuer(self) -> str:
        return self.api.issuer

    @property
    def authority(self) -> Path:
        """The file of who vouches for the issuer's certificate."""
        return self.front.authority

    async def device(self, **client: object) -> SignedIn:
        """Sign somebody in, at a client of its own if `client` says what is special about it."""
        name = await self.api.client(APP, **client) if client else "app"
        return await self.api.sign_in(await self.api.person(), client=name)

    async def forger(self) -> Forger:
        """The issuer's signing key in the wrong hands."""
        return await Forger.of(self.api, await self.device())

    async def rotate(self) -> None:
        """Let the next key sign, which was published long ago; another is published."""
        await self.api.sql.execute(
            "update signing_keys set since = since - interval '1 hour' where state = 'next'"
        )
        done = await starts.shared().run(self.api.settings, "keys", "rotate", "--now")
        assert done.code == 0, done.said

    async def end(self, device: SignedIn) -> None:
        """Sign a device out."""
        done = await self.api.post("/auth/logout", device.credential)
        assert done.status_code in {200, 204}, done.text

    async def is_reached(self) -> bool:
        """Whether the issuer answers where it says it is."""
        trust = ssl.create_default_context(cafile=self.authority)
        async with httpx2.AsyncClient(verify=trust, timeout=PATIENCE) as caller:
            try:
                return (await caller.get(f"{self.issuer}/.well-known/jwks.json")).is_success
            except httpx2.HTTPError:
                return False

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody reaches the issuer until the end of the block."""
        target, self.front.target = self.front.target, NOWHERE
        try:
            yield
        finally:
            self.front.target = target


async def good(world: World) -> str:
    return (await world.device()).access_token


async def none(_world: World) -> None:
    return None


async def expired(world: World) -> str:
    past, forger = int(time.time()) - 3600, await world.forger()
    return forger.signed(claims=forger.body(iat=past - 600, exp=past))


async def for_another_audience(world: World) -> str:
    return (await world.device(audiences=[OTHER_AUDIENCE])).access_token


async def of_another_issuer(world: World) -> str:
    forger = await world.forger()
    return forger.signed(claims=forger.body(iss="https://id.example.net"))


async def by_a_stranger(world: World) -> str:
    forger = await world.forger()
    return forger.with_key(rsa.generate_private_key(65537, 2048)).signed()


async def id_token(world: World) -> str:
    client = await world.api.client(SITE)
    person = await world.api.person()
    given = await Browserless(world.api).tokens(client, person)
    return given["id_token"]


async def of_another_type(world: World) -> str:
    forger = await world.forger()
    return forger.signed({**forger.header, "typ": "JWT"})


async def without_scope(world: World) -> str:
    return (await world.device(scopes=["orders.write"])).access_token


async def by_the_next_key(world: World) -> str:
    before = jws_kid(await good(world))
    await world.rotate()
    deadline = time.monotonic() + PATIENCE
    while jws_kid(token := await good(world)) == before:
        assert time.monotonic() < deadline, "the next key never signs"
        await asyncio.sleep(0.02)
    return token


async def by_a_new_key(world: World) -> str:
    """Forged, as the issuer does not sign by a key before everybody can know it."""
    await world.rotate()
    rotation, forger = world.api.operator.key_rotation, await world.forger()
    (key,) = (one for one in (await rotation.look()).keys if one.state is State.NEXT)
    private = load_der_private_key(unseal(key, rotation.secrets), None)
    return forger.with_key(private).signed({**forger.header, "kid": key.kid})


def jws_kid(token: str) -> str:
    """Return the name of the key that signed."""
    return str(jws.extract_compact(token.encode()).headers()["kid"])


Minting = Callable[[World], Awaitable[str | None]]
REQUESTS: Mapping[str, Minting] = {
    "a good access token": good,
    "no token": none,
    "an expired token": expired,
    "a token for another audience": for_another_audience,
    "a token of another issuer": of_another_issuer,
    "a token that a stranger signed": by_a_stranger,
    "an ID token": id_token,
    "a signed JWT for this audience that is no access token": of_another_type,
    "a token without `orders.read`": without_scope,
    "a token by the next key": by_the_next_key,
    "a token by a key of a minute ago": by_a_new_key,
}
"""What each row of the tables sends."""
ROTATING = ("a token by the next key", "a token by a key of a minute ago")
"""Those that change what the issuer publishes, much faster than it does by itself."""
AWAY = "a good token while the issuer is away"
ENDED = "a token of a session that has ended"
ROWS = (*REQUESTS, AWAY, ENDED)


@dataclass(frozen=True)
class Stack:
    """A program in front of an API: an address that wants `orders.read`."""

    url: str
    complaints: Callable[[], str] = str

    async def status(self, token: str | None) -> int:
        """Return the status of the answer to a request with this token."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(timeout=PATIENCE) as caller:
            return (await caller.get(self.url, headers=headers)).status_code
