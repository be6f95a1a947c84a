"""What slows guessing down (RFC 9700 says little here; OWASP: delay, never lock out).

Three limits on passwords, all counted *before* the check and in one step, so that a hundred
guesses at once do not pass: an account is delayed, exponentially, after a few failures; an
address, and everybody together, may fail so often in a window. An address that has signed in to
an account keeps a budget of its own there: a stranger who fails on purpose delays strangers.
Client secrets cannot be guessed; their failures are only counted, so nobody locks a client out.

What is short enough to be typed (a device's user code) has limits of its own kind, `subject`: an
attacker owns right codes as well, so a right one clears nothing and makes no address known.

Known and unknown e-mails are counted alike. Keys in Redis are HMACs: no e-mail address, no IP
address. While Redis is away each process counts for itself.
"""

import hashlib
import hmac
import ipaddress
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import resources

from keyturn.cache.client import Cache, keyspace
from keyturn.clock import Clock
from keyturn.crypto.secrets import THROTTLE, MasterSecrets
from keyturn.errors import CacheUnavailable, Throttled, Unavailable
from keyturn.settings_credentials import ThrottleSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users.throttle_memory import Admitted, GuessKeys, Held, MemoryLedger, Rule

KNOWN_FOR = timedelta(days=30)
"""How long an address that signed in to an account keeps a budget of its own there."""

IPV6_SITE = 64
"""Bits of an IPv6 address that one subscriber holds: the rest is theirs to choose."""

CLIENT_BUCKET = 4
"""Hex digits of a client's counter: 65,536 of them at most, in Redis as in the process."""


def _script(name: str) -> str:
    return resources.files("keyturn.users").joinpath(name).read_text(encoding="utf-8")


RESERVE = _script("throttle_reserve.lua")
RELEASE = _script("throttle_release.lua")
COUNT = _script("throttle_count.lua")


@dataclass(frozen=True, slots=True)
class Reservation:
    """One counted attempt: where, and in which ledger."""

    keys: GuessKeys
    charged: str
    in_memory: bool
    filled: tuple[Rule, ...] = ()
    """The limits that hold from this attempt on, if it fails."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """The limits of one process, shared through Redis when it is there."""

    cache: Cache
    settings: ThrottleSettings
    secrets: MasterSecrets
    issuer: str
    metrics: Metrics
    clock: Clock
    subject: str = ""
    """What is guessed, where it is no password: counted apart from everything else."""
    _memory: MemoryLedger = field(init=False, repr=False)
    _memory_of_clients: MemoryLedger = field(init=False, repr=False)
    """Apart: names of clients, which cost nothing to invent, must not push accounts out."""

    def __post_init__(self) -> None:
        """Start the counters of the process, empty."""
        for name in ("_memory", "_memory_of_clients"):
            ledger = MemoryLedger(self.settings, self.clock, KNOWN_FOR.total_seconds())
            object.__setattr__(self, name, ledger)

    def apart(self, subject: str, **limits: int) -> "Throttle":
        """Return a limiter of something else, counted apart, with some limits of its own."""
        return replace(self, subject=subject, settings=self.settings.model_copy(update=limits))

    @asynccontextmanager
    async def guess(
        self, account: str, address: str, *, clears: bool = True
    ) -> AsyncIterator[None]:
        """Count one attempt at `account` from `address` around the check of a password.

        The block ends normally: a success, which clears the account's failures, or if it `clears`
        nothing, only takes itself back. It raises
        `Unavailable`: nothing was learnt, the attempt does not count. Anything else, a caller who
        went away included, stays a failure. Raises `Throttled` instead of entering the block.
        """
        reservation = await self._reserve(self._keys(account, address))
        try:
            yield
        except Unavailable:
            await self._release(reservation, succeeded=False)
            raise
        except BaseException:
            for rule in reservation.filled:
                self.metrics.lockouts(rule)
            raise
        await self._release(reservation, succeeded=clears)

    async def client_failed(self, client_id: str, address: str) -> None:
        """Count a failed client secret. Raises `Throttled` when there were too many."""
        await self._count_client(client_id, address)

    async def client_asked(self, client_id: str, address: str) -> None:
        """Count what a client gets that anybody can name. Raises `Throttled` for too much."""
        await self._count_client(client_id, address)

    async def _count_client(self, client_id: str, address: str) -> None:
        # Anybody may invent client ids: failures share so many counters and no more.
        key = self._key("client", f"{client_id}\0{site_of(address)}", CLIENT_BUCKET)
        most, window = self.settings.client_attempts, self.settings.window
        try:
            args = [most, window * 1000]
            wait = await self.cache.eval(COUNT, [key], args, operation="throttle") / 1000
        except CacheUnavailable:
            wait = self._memory_of_clients.count(key, most)
        if wait:
            raise self._refusal(Held("client", wait))

    async def registering(self, subject: str, address: str) -> None:
        """Count an attempt to register or to change a client, or a token not good for that.

        Raises `Throttled` when there were too many: `client_attempts` in a window.
        """
        await self.client_failed(f"registration\0{subject}", address)

    async def _reserve(self, keys: GuessKeys) -> Reservation:
        try:
            verdict, in_memory = await self._reserve_in_redis(keys), False
        except CacheUnavailable:
            verdict, in_memory = self._memory.reserve(keys), True
        if isinstance(verdict, Held):
            raise self._refusal(verdict)
        return Reservation(keys, verdict.charged, in_memory, verdict.filled)

    async def _reserve_in_redis(self, keys: GuessKeys) -> Admitted | Held:
        limits = self.settings
        rule, wait, charged, *filled = await self.cache.eval(
            RESERVE,
            [keys.account, keys.account_here, keys.known, keys.address, keys.everybody],
            [
                limits.account_attempts,
                limits.longest_delay * 1000,
                limits.window * 1000,
                limits.address_attempts,
                limits.global_attempts,
            ],
            operation="throttle",
        )
        if rule:
            return Held(_RULES[rule], wait / 1000)
        return Admitted(charged.decode(), tuple(_RULES[one] for one in filled))

    async def _release(self, reservation: Reservation, *, succeeded: bool) -> None:
        keys, charged = reservation.keys, reservation.charged
        if reservation.in_memory:
            self._memory.release(keys, charged, succeeded=succeeded)
            return
        try:
            await self.cache.eval(
                RELEASE,
                [charged, keys.known, keys.address, keys.everybody],
                [
                    int(succeeded),
                    int(KNOWN_FOR.total_seconds() * 1000),
                    self.settings.account_attempts,
                    self.settings.longest_delay * 1000,
                ],
                operation="throttle",
            )
        except CacheUnavailable:
            # The cache has counted its own trouble; the attempt fades with its window.
            return

    def _refusal(self, held: Held) -> Throttled:
        self.metrics.throttled(held.rule)
        return Throttled(f"throttle: {held.rule}", retry_after=max(1, math.ceil(held.seconds)))

    def _keys(self, account: str, address: str) -> GuessKeys:
        site = site_of(address)
        return GuessKeys(
            account=self._key("account", account),
            account_here=self._key("account-here", f"{account}\0{site}"),
            known=self._key("known", f"{account}\0{site}"),
            address=self._key("address", site),
            everybody=self._key("everybody", ""),
        )

    def _key(self, kind: str, subject: str, size: int = 32) -> str:
        text = f"{kind}\0{subject}".encode("utf-8", "surrogatepass")
        digest = hmac.new(self.secrets.purpose_key(THROTTLE), text, hashlib.sha256).hexdigest()
        return keyspace(self.issuer, f"throttle:{self.subject}{kind}:{digest[:size]}")


_RULES: dict[bytes, Rule] = {b"account": "account", b"address": "address", b"global": "global"}


def site_of(address: str) -> str:
    """Return whom an address stands for: itself, or its /64 for IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_SITE), strict=False))
