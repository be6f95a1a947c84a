"""Redis or Valkey Cluster: all keys of an issuer share one slot, so one node has them all.

Which slot that is, a node that does not have it says when it is asked for a key (MOVED). The map
of slots is read when the owner does not answer, and now and then to know the nodes there are. The
owner itself is not asked for it: one that was cut off believes for a while that it still is.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keyturn.cache.discovery import Maker, Witness, testimonies
from keyturn.settings_redis_url import Address

INTERVAL = 10.0

ASKED = 3
"""Nodes asked at once; the next time, the next ones."""


@dataclass(slots=True, eq=False)
class ClusterNodes:
    """The nodes known so far: those of the settings, and those they named."""

    hosts: tuple[Address, ...]
    make: Maker
    slot: int | None = None
    """The slot of our keys, once a node has said it."""
    interval: float = INTERVAL
    _nodes: deque[Address] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Connect to nobody yet."""
        self._nodes = deque(self.hosts)

    async def find(self, current: Address | None) -> Address | None:
        """Return where the owner of our slot is; None when nobody answers.

        While the slot is not known, any node that answers: it will redirect us.
        """
        others = [node for node in self._nodes if node != current] or [*self._nodes]
        # Without connections kept: it is seldom asked, and a cluster may have many nodes.
        witnesses = [Witness(node, self.make) for node in others[:ASKED]]
        self._nodes.rotate(-ASKED)
        try:
            replies = await testimonies(witnesses, 1, "CLUSTER", "SLOTS")
        finally:
            for witness in witnesses:
                await witness.close()
        for asked, reply in replies:
            ranges = [*_read(asked, reply)]
            self._learn(node for _, nodes in ranges for node in nodes)
            owners = [nodes[0] for slots, nodes in ranges if nodes and self.slot in slots]
            return asked if self.slot is None else next(iter(owners), None)
        return None

    async def close(self) -> None:
        """Nothing is kept open."""

    def _learn(self, named: Iterator[Address]) -> None:
        """Keep the settings' nodes, which may be names, and those that are in the map now."""
        wanted = dict.fromkeys((*self.hosts, *named))
        kept = [node for node in self._nodes if node in wanted]
        self._nodes = deque(dict.fromkeys((*kept, *wanted)))


def _read(asked: Address, reply: Any) -> Iterator[tuple[range, list[Address]]]:
    """Give each range of slots with its nodes, the owner first; leave out what is unreadable."""
    for entry in reply if isinstance(reply, list) else []:
        try:
            first, last, *nodes = entry
            addresses = [_address(asked, node) for node in nodes]
            yield range(first, last + 1), addresses
        except (TypeError, ValueError, AttributeError, IndexError):
            continue


def _address(asked: Address, node: Any) -> Address:
    # A node that does not know its own name leaves it out: it is the one that was asked.
    host = asked.host if node[0] is None else node[0].decode()
    if host in {"", "?"}:
        raise ValueError("a node without an address")
    return Address(host, int(node[1]))
