"""What is delayed after failures, asked while the delay lasts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def delayed(seconds: float) -> Iterator[None]:
    """Fail once too often in the block, and try again: nothing passes for so long.

    Where the block took longer than the delay, what passed at its end shows nothing.
    """
    began = time.monotonic()
    try:
        yield
    except AssertionError:
        assert time.monotonic() - began < seconds, "invalid: the delay was over before the end"
        raise
