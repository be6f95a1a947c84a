"""Keys that clients publish themselves, read from their `jwks_uri` and remembered for a while.

A copy is used for `FRESH` seconds without asking: as long a key that its client has withdrawn is
still taken. A token by a key that is not in the copy has it read again, once in `AGAIN` seconds, so
that a new key works at once and a stranger's tokens do not make us call. While a client's server
does not answer, the last copy serves for `STALE`; then nobody knows, and the client is told to come
back (503), never that it is not who it says: clients throw sign-ins away on that.

All who wait for the same keys wait for one call. Calls under way are few, and those of clients that
registered themselves have a limit of their own: a stranger's slow servers hold up strangers.
"""

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import structlog

from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import client_jws
from keyturn.crypto.client_jws import ClientKey
from keyturn.crypto.strict_json import parse_object
from keyturn.errors import Unavailable
from keyturn.outgoing.client import Answer, Message, Outgoing
from keyturn.outgoing.trouble import OutgoingFailed
from keyturn.telemetry.metrics import Metrics

FRESH: Final = 300.0
STALE: Final = 3600.0
AGAIN: Final = 60.0
RETRY: Final = 15.0
"""Seconds between calls to a server that did not answer; nobody waits for it meanwhile."""

MOST_BYTES: Final = 256 * 1024
MOST_CALLS: Final = 16
MOST_CLIENTS: Final = 2000
"""Clients whose keys are remembered; the one not asked for longest is forgotten."""

TYPES: Final = frozenset({"application/json", "application/jwk-set+json"})
_ACCEPT: Final = {"Accept": "application/jwk-set+json, application/json"}

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Copy:
    """The keys of one address, and what happened there; moments are of the monotonic clock."""

    uri: str
    keys: tuple[ClientKey, ...] = ()
    read_at: float = -math.inf
    failed_at: float = -math.inf
    """When the last call failed; none has failed since `read_at` if it is infinite."""
    again_at: float = -math.inf
    """When it was read again for the sake of an unknown key."""
    reading: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class PublishedKeys:
    """The published keys of every client of one process."""

    outgoing: Outgoing
    clock: Clock
    metrics: Metrics
    _copies: dict[str, _Copy] = field(default_factory=dict)
    _calls: Counter[bool] = field(default_factory=Counter)
    """Calls under way, by whether the client registered itself."""

    async def of(self, client: Client, uri: str) -> tuple[ClientKey, ...]:
        """Return a client's keys, at most `FRESH` old while its server answers.

        Raises `Unavailable` when they cannot be had.
        """
        copy, now = self._copy(client.id, uri), self.clock.monotonic()
        if now >= copy.read_at + FRESH and now >= copy.failed_at + RETRY:
            await self._read_shared(client, copy)
        return self._usable(copy)

    async def again(self, client: Client, uri: str) -> tuple[ClientKey, ...]:
        """Return them after another look, unless one was taken for this reason just now."""
        copy, now = self._copy(client.id, uri), self.clock.monotonic()
        if copy.reading is not None:
            await self._read_shared(client, copy)
        elif now >= copy.again_at + AGAIN and now >= copy.failed_at + RETRY:
            copy.again_at = now
            await self._read_shared(client, copy)
        return self._usable(copy)

    def _copy(self, client_id: str, uri: str) -> _Copy:
        copy = self._copies.pop(client_id, None)
        if copy is None or copy.uri != uri:
            copy = _Copy(uri)
        self._copies[client_id] = copy  # the one asked for last stands last
        if len(self._copies) > MOST_CLIENTS:
            del self._copies[next(iter(self._copies))]
        return copy

    def _usable(self, copy: _Copy) -> tuple[ClientKey, ...]:
        now = self.clock.monotonic()
        if now >= copy.read_at + STALE:
            wait = max(1.0, copy.failed_at + RETRY - now)
            raise Unavailable("client: its keys cannot be read", retry_after=math.ceil(wait))
        return copy.keys

    async def _read_shared(self, client: Client, copy: _Copy) -> None:
        if copy.reading is None:
            if self._calls[client.self_registered] >= MOST_CALLS:
                self.metrics.client_key_reads("busy")
                return
            self._calls[client.self_registered] += 1
            copy.reading = asyncio.create_task(self._read(client, copy), name="client keys: read")
        # Shielded: one caller who hangs up must not end the call for all the others.
        await asyncio.shield(copy.reading)

    async def _read(self, client: Client, copy: _Copy) -> None:
        began = self.clock.monotonic()
        try:
            answer = await self.outgoing.send(Message("GET", copy.uri, _ACCEPT), MOST_BYTES)
            copy.keys, copy.read_at = _keys(answer), began
        except OutgoingFailed as trouble:
            result = "blocked" if trouble.reason == "blocked" else "failed"
            self._note_failure(client, copy, result, str(trouble))
        except ValueError as trouble:
            self._note_failure(client, copy, "unusable", str(trouble))
        else:
            copy.failed_at = -math.inf
            self.metrics.client_key_reads("ok")
        finally:
            self._calls[client.self_registered] -= 1
            copy.reading = None

    def _note_failure(self, client: Client, copy: _Copy, result: str, reason: str) -> None:
        self.metrics.client_key_reads(result)
        if copy.failed_at == -math.inf:
            log.warning("client_keys_not_read", client_id=client.id, reason=reason)
        copy.failed_at = self.clock.monotonic()


def _keys(answer: Answer) -> tuple[ClientKey, ...]:
    """Read a published JWK set. Raises `ValueError` whose text holds nothing of the answer."""
    if answer.status != 200:  # noqa: PLR2004
        raise ValueError(f"status {answer.status}")
    if answer.content_type not in TYPES:
        raise ValueError("not of a JSON type")
    if not answer.is_whole:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    try:
        document = parse_object(answer.body)
    except ValueError:
        raise ValueError("not a JSON object") from None
    return client_jws.usable_keys_of(document)
