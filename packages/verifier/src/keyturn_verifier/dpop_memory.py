"""What an API must remember of DPoP proofs: which it has seen, and which nonces are its own."""

import base64
import hashlib
import hmac
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from keyturn_verifier.clock import Clock, SystemClock
from keyturn_verifier.errors import InvalidProof, Unavailable


class Replays(Protocol):
    """Remembers proofs; a shared one (Redis, say) makes a proof good once in all processes."""

    async def is_first(self, jkt: str, jti: str, until: float) -> bool:
        """Remember a proof of the key `jkt` until `until`; False: it was here before.

        Raises `Unavailable` when that cannot be told: a proof is never let pass unremembered.
        """
        ...


@dataclass
class MemoryReplays:
    """Remembers the proofs that this process has seen: some 300 bytes each."""

    clock: Clock = field(default_factory=SystemClock)
    most: int = 100_000
    """How many proofs are remembered; more are refused with `Unavailable`."""
    most_of_one_key: int = 10_000
    """How many of them may be by one key, so that no caller alone can fill the memory."""
    _seen: dict[bytes, tuple[float, str]] = field(default_factory=dict, init=False)
    _order: deque[bytes] = field(default_factory=deque, init=False)
    _by_key: dict[str, int] = field(default_factory=dict, init=False)

    async def is_first(self, jkt: str, jti: str, until: float) -> bool:
        """See `Replays`. Raises `InvalidProof` when one key has sent too many in its window."""
        self._forget()
        proof = hashlib.sha256(f"{jkt} {jti}".encode()).digest()[:16]
        if proof in self._seen:
            return False
        if self._by_key.get(jkt, 0) >= self.most_of_one_key:
            raise InvalidProof("jti: too many proofs by one key")
        if len(self._seen) >= self.most:
            raise Unavailable("dpop: no room for another proof")
        self._seen[proof] = (until, jkt)
        self._order.append(proof)
        self._by_key[jkt] = self._by_key.get(jkt, 0) + 1
        return True

    def _forget(self) -> None:
        """Drop what can no longer be replayed.

        In the order of arrival, which is that of expiry but for the skew of callers' clocks: what
        waits behind a later one is kept a little too long, never too short.
        """
        now = self.clock.now()
        while self._order and self._seen[self._order[0]][0] <= now:
            _, jkt = self._seen.pop(self._order.popleft())
            self._by_key[jkt] -= 1
            if not self._by_key[jkt]:
                del self._by_key[jkt]


@dataclass(frozen=True)
class Nonces:
    """Nonces that say when they were made: good in every process that has the secret.

    A caller needs a proof with a nonce of ours, so proofs cannot be made in advance (RFC 9449
    section 8). Each is good for `lifetime` seconds to twice that.
    """

    secret: bytes = field(repr=False)
    """At least 32 bytes; the same in all processes of the API."""
    clock: Clock = field(default_factory=SystemClock)
    lifetime: int = 60

    def __post_init__(self) -> None:
        if len(self.secret) < hashlib.sha256().digest_size:
            raise ValueError("a nonce secret needs at least 32 bytes")

    def current(self) -> str:
        """Return the nonce to use from now on."""
        return self._nonce(self._slot())

    def knows(self, nonce: object) -> bool:
        """Say whether a nonce is ours and not too old."""
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        slot = self._slot()
        return any(
            hmac.compare_digest(self._nonce(one).encode(), nonce.encode())
            for one in (slot, slot - 1)
        )

    def _slot(self) -> int:
        return int(self.clock.now()) // self.lifetime

    def _nonce(self, slot: int) -> str:
        tag = hmac.digest(self.secret, f"dpop-nonce {slot}".encode(), "sha256")
        return base64.urlsafe_b64encode(tag[:18]).decode()
