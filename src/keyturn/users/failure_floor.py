"""How long a failed check of a password takes at least, so that none tells whose hash it was.

An imported hash may cost many times what ours costs: without this floor, who is refused late
learns that the account exists and which system it came from. What waits here holds nothing: no
thread, no place in the queue, no database connection.
"""

import asyncio
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class FailureFloor:
    """The slowest check of a foreign hash in this process so far, in seconds; at first none.

    Its limit: the first foreign hash that a process meets, and each dearer one, is still answered
    later than the others; from then on every failure takes as long. A check that ran into the
    pool's deadline was no answer and is not counted, so a frozen machine cannot raise the floor
    beyond that.
    """

    slowest: float = 0.0

    def raise_to(self, seconds: float) -> None:
        """Note what a check of a foreign hash took in its thread, waiting for it excluded."""
        self.slowest = max(self.slowest, seconds)

    async def wait_out(self, seconds: float) -> None:
        """Wait for what a check that took `seconds` in its thread was quicker than the slowest."""
        if seconds < self.slowest:
            await asyncio.sleep(self.slowest - seconds)
