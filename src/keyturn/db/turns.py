"""A queue of tasks that wait for something scarce, which goes from hand to hand.

Their time is limited, not their number: one that waits costs 2 kB, and a process cannot accept more
in half a second than its loop parses. A count would refuse bursts that half a second absorbs.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class Turns(Generic[Item]):
    """Hands items to who waits longest, itself: no newcomer can overtake between two wake-ups."""

    _waiting: dict[asyncio.Future[Item], None] = field(default_factory=dict)
    """In the order of arrival; who gave up is in it no longer."""

    def hand_on(self, item: Item) -> bool:
        """Give `item` to the first in the queue; False when nobody waits."""
        for waiter in self._waiting:
            if not waiter.done():
                del self._waiting[waiter]
                waiter.set_result(item)
                return True
        return False

    async def wait(self, seconds: float, give_back: Callable[[Item], None]) -> Item:
        """Return the item handed to us; raise `TimeoutError` when that takes longer.

        `give_back` takes an item that was handed to a task at the moment it was cancelled.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Item] = loop.create_future()
        self._waiting[waiter] = None
        # On the future, not around it: a timeout of the task could also hit once it was served.
        late = loop.call_later(seconds, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                give_back(waiter.result())
            raise
        finally:
            late.cancel()
            self._waiting.pop(waiter, None)


def _give_up(waiter: asyncio.Future[Item]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
