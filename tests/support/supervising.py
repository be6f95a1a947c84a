"""Run the embedded pair until killed: `python supervising.py DATA [--as-nobody]`.

Prints one JSON line once both servers answer, or `{"error": ...}`. It is a process of its own, so
that a test can kill the supervisor.
"""

import asyncio
import json
import os
import pwd
import sys
from pathlib import Path

import uvloop

from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import PairOptions, embedded_pair
from keyturn.errors import EmbeddedStartFailed


async def supervise(path: str) -> None:
    """Start, say so, and wait for ever."""
    try:
        data = DataDir.at(Path(path), os.environ)
        async with embedded_pair(data, PairOptions(search_path=os.environ["PATH"])) as pair:
            ready = {
                "postgres_url": pair.postgres_url,
                "redis_url": pair.redis_url,
                "data_dir": str(pair.data_dir),
                "pids": pair.pids,
            }
            print(json.dumps(ready), flush=True)
            await asyncio.Event().wait()
    except EmbeddedStartFailed as refusal:
        print(json.dumps({"error": str(refusal)}), flush=True)
        sys.exit(1)


def step_down(name: str) -> None:
    """Become an ordinary user for good; the interpreter is loaded, so it need not be reachable."""
    user = pwd.getpwnam(name)
    os.chdir("/")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


if __name__ == "__main__":
    if "--as-nobody" in sys.argv:
        step_down("nobody")
    uvloop.run(supervise(sys.argv[1]))
