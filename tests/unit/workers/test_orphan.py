"""A worker that hangs when its parent is killed ends all the same."""

import asyncio
import sys

HANGS = """
import os
from keyturn.workers.orphan import end_as_orphan
end_as_orphan(os.getppid(), patience=0.2, look=0.01)
print("hangs", flush=True)
while True:
    pass
"""

PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {HANGS!r}])
"""


async def test_a_worker_that_hangs_ends_with_its_parent():
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(60):
        assert await parent.stdout.readline() == b"hangs\n"
        parent.kill()
        # The end of the pipe is that of the last process that has it.
        assert await parent.stdout.read() == b""
        assert await parent.wait() == -9
