"""What operators do while people are there: new signing keys, new secrets, a new schema."""

import asyncio
import random
import tempfile
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path

from chaos.faults.fault import Fault
from chaos.world import World
from keyturn.db.migrate import migrate
from keyturn.errors import Unavailable
from support.proxy import Proxy

ADDED = {
    "9001_chaos_column.sql": "select pg_sleep(1); alter table sessions add column chaos text;",
    "9002_chaos_index.sql": "select pg_sleep(1); create index on sessions (chaos);",
}
"""They take their time before they lock anything: most kills come while nothing is locked."""
UNDO = (
    "alter table sessions drop column if exists chaos",
    "delete from schema_migrations where version in (9001, 9002)",
)
LEAD_PATIENCE = 60.0
"""Seconds for a lead of 7 to be over, on a machine that has other things to do."""
LEAD_PAUSE = 1.0
SECRETS = "KEYTURN_SECRETS"


async def rotate_keys(world: World, _rng: random.Random, seconds: float) -> None:
    """Let the next key sign, while verifiers keep the keys they have."""
    deadline = time.monotonic() + LEAD_PATIENCE
    # A next key that is younger than its lead may not sign yet, and the command says so.
    while (done := await world.command("keys", "rotate", "--now")).code:
        assert time.monotonic() < deadline, done.said
        await asyncio.sleep(LEAD_PAUSE)
    await asyncio.sleep(seconds)


async def renew_secrets(world: World, rng: random.Random, _seconds: float) -> None:
    """Add a master secret, then let it be the first: two roll-outs, in which replicas differ."""
    listed = world.environment[SECRETS]
    number = max(int(one.partition(":")[0]) for one in listed.splitlines()) + 1
    new = f"{number}: {urlsafe_b64encode(rng.randbytes(32)).decode().rstrip('=')}"
    for secrets in (f"{listed}\n{new}", f"{new}\n{listed}"):
        world.environment[SECRETS] = secrets
        await world.replica_set.roll()


async def bring_schema(world: World, rng: random.Random, _seconds: float) -> None:
    """Bring a later release's schema: cut off midway the first time, then to its end."""
    with tempfile.TemporaryDirectory(prefix="keyturn-later-") as name:
        folder = Path(name)
        for file, text in ADDED.items():
            (folder / file).write_text(text)
        try:
            await _cut_off(world, folder, rng.uniform(0.2, 1.8))
            await migrate(world.databases.primary.url, folder=folder)
        finally:
            for statement in UNDO:
                await world.sql.execute(statement)


async def _cut_off(world: World, folder: Path, seconds: float) -> None:
    """Migrate through a wire that is cut after a while: the server hears no farewell."""
    async with Proxy.to(world.databases.primary.socket) as wire:
        url = f"postgresql://keyturn@127.0.0.1:{wire.port}/keyturn"
        work = asyncio.create_task(migrate(url, folder=folder))
        await asyncio.wait([work], timeout=seconds)
        await wire.refuse()
        with suppress(Unavailable):
            await work


FAMILY = (
    Fault("F21", "Signing keys rotated", rotate_keys),
    Fault("F22", "Master secrets renewed", renew_secrets),
    Fault("F24", "A migration, cut off midway and run again", bring_schema),
)
