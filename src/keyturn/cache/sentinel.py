"""Redis Sentinel: a few processes that watch a primary, and agree on its successor.

The primary is looked up once a second while it is in use. Sentinels cut the connections to one
they demote, but cannot reach one that the network has taken from them: it would go on answering.
Believed is the answer with the highest configuration epoch among those of a majority: a failover
needs a majority, so one of them knows, while a Sentinel that was cut off names the old primary.
"""

from dataclasses import dataclass, field
from typing import Any

from keyturn.cache.discovery import Maker, Witness, testimonies
from keyturn.settings_redis_url import Address

INTERVAL = 1.0


@dataclass(slots=True, eq=False)
class Sentinels:
    """The Sentinels of a primary, whom they call `service`."""

    hosts: tuple[Address, ...]
    service: str
    make: Maker
    interval: float = INTERVAL
    _witnesses: list[Witness] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Connect to nobody yet."""
        self._witnesses = [Witness(host, self.make) for host in self.hosts]

    async def find(self, current: Address | None) -> Address | None:  # noqa: ARG002 (the protocol's)
        """Return where the primary is; None when no Sentinel says."""
        majority = len(self._witnesses) // 2 + 1
        replies = await testimonies(self._witnesses, majority, "SENTINEL", "MASTER", self.service)
        read = [one for one in (_read(reply) for _, reply in replies) if one is not None]
        return max(read, key=lambda one: one[0])[1] if read else None

    async def close(self) -> None:
        """Hang up on all."""
        for witness in self._witnesses:
            await witness.close()


def _read(reply: Any) -> tuple[int, Address] | None:
    """Return the epoch and the address of a reply, a list of names and values by turns."""
    try:
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        host, port = facts[b"ip"].decode(), int(facts[b"port"])
        return int(facts[b"config-epoch"]), Address(host, port)
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
