"""The guessing limits inside one process, while Redis is away: never off, never all refused.

The same rules as `throttle_*.lua`, each process counting for itself. Bounded: the counters used
least recently are forgotten first, and the limit on everybody keeps an attacker from making
enough of them to push others out. Failures of clients, under no such limit, have a ledger of
their own.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from keyturn.clock import Clock
from keyturn.settings_credentials import ThrottleSettings

Rule = Literal["account", "address", "global", "client"]


@dataclass(frozen=True, slots=True)
class GuessKeys:
    """Where one attempt is counted; none of these names a person."""

    account: str
    account_here: str
    """The account's own budget at an address that signed in to it before."""
    known: str
    """The mark that this address did."""
    address: str
    everybody: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The attempt is counted and may be made; `charged` is the account key that was used."""

    charged: str
    filled: tuple[Rule, ...] = ()
    """The limits that it was the last one within."""


@dataclass(frozen=True, slots=True)
class Held:
    """A limit is reached; `seconds` until the next attempt may pass."""

    rule: Rule
    seconds: float


@dataclass(slots=True)
class Counter:
    """Failures of one key, until when it is delayed, and when it is forgotten."""

    failures: int = 0
    free_at: float = 0.0
    ends_at: float = 0.0


@dataclass(slots=True, eq=False)
class MemoryLedger:
    """Counters by key, the least recently used first."""

    settings: ThrottleSettings
    clock: Clock
    known_for: float
    _counters: OrderedDict[str, Counter] = field(default_factory=OrderedDict)

    def reserve(self, keys: GuessKeys) -> Admitted | Held:
        """Count one attempt before it is made, unless a limit is reached."""
        now, limits = self.clock.monotonic(), self.settings
        known = self._find(keys.known, now) is not None
        charged = keys.account_here if known else keys.account
        account = self._find(charged, now)
        if account is not None and account.free_at > now:
            return Held("account", account.free_at - now)
        rest = self._rest_of_full_window(keys.address, limits.address_attempts, now)
        if rest:
            return Held("address", rest)
        rest = self._rest_of_full_window(keys.everybody, limits.global_attempts, now)
        if rest and not known:
            return Held("global", rest)
        filled: list[Rule] = []
        if self._charge(charged, now) == limits.account_attempts:
            filled.append("account")
        if self._count(keys.address, now).failures == limits.address_attempts:
            filled.append("address")
        self._count(keys.everybody, now)
        return Admitted(charged, tuple(filled))

    def release(self, keys: GuessKeys, charged: str, *, succeeded: bool) -> None:
        """Take back one counted attempt: it succeeded, or nothing was learnt from it."""
        now = self.clock.monotonic()
        if succeeded:
            self._counters.pop(charged, None)
            self._find_or_add(keys.known, now, self.known_for)
        elif account := self._find(charged, now):
            account.failures = max(0, account.failures - 1)
            delay = delay_after(account.failures, self.settings)
            account.free_at = min(account.free_at, now + delay)
        for key in (keys.address, keys.everybody):
            counter = self._find(key, now)
            if counter is not None:
                counter.failures = max(0, counter.failures - 1)

    def count(self, key: str, most: int) -> float:
        """Count one failure; return the seconds to wait when there were more than `most`."""
        now = self.clock.monotonic()
        counter = self._count(key, now)
        return counter.ends_at - now if counter.failures > most else 0.0

    def _charge(self, key: str, now: float) -> int:
        account = self._find_or_add(key, now, self.settings.window)
        account.failures += 1
        delay = delay_after(account.failures, self.settings)
        account.free_at = now + delay
        account.ends_at = now + delay + self.settings.window
        return account.failures

    def _count(self, key: str, now: float) -> Counter:
        counter = self._find_or_add(key, now, self.settings.window)
        counter.failures += 1
        return counter

    def _rest_of_full_window(self, key: str, most: int, now: float) -> float:
        counter = self._find(key, now)
        return counter.ends_at - now if counter and counter.failures >= most else 0.0

    def _find(self, key: str, now: float) -> Counter | None:
        counter = self._counters.get(key)
        if counter is None:
            return None
        if counter.ends_at <= now:
            del self._counters[key]
            return None
        self._counters.move_to_end(key)
        return counter

    def _find_or_add(self, key: str, now: float, lifetime: float) -> Counter:
        counter = self._find(key, now)
        if counter is None:
            counter = self._counters[key] = Counter(ends_at=now + lifetime)
            while len(self._counters) > self.settings.memory_keys:
                self._counters.popitem(last=False)
        return counter


def delay_after(failures: int, limits: ThrottleSettings) -> float:
    """Return the seconds an account waits after so many failures: 1, 2, 4, ... up to the longest.

    The exponent is bounded so that a count of millions stays a number.
    """
    beyond = failures - limits.account_attempts
    return 0.0 if beyond < 0 else min(float(limits.longest_delay), 2.0 ** min(beyond, 32))
