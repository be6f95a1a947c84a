"""A server as an operator runs it, behind a proxy (this machine): callers come from anywhere.

What a campaign must be able to find is planted in a copy of the source, which a server runs.
"""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support import replicas
from support.api import Api, api_of, joined
from support.patience import SERVERS
from support.tree import SOURCE

SEED = int(os.environ.get("KEYTURN_ATTACK_SEED", "7"))
"""The same seed sends the same."""

REQUESTS = int(os.environ.get("KEYTURN_ATTACK_REQUESTS", "100000"))
"""The most that a campaign sends whose size is a matter of patience."""

BEHIND_A_PROXY = {"server__trusted_proxies": "127.0.0.1/32", "audit__flush_interval": "0.05"}


def address(number: int) -> str:
    """Return one of a million addresses (RFC 2544's and private ones), the same for a number."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@asynccontextmanager
async def standing(
    database_url: str, redis_url: str | None, issuer: str, **changes: str
) -> AsyncIterator[Api]:
    """Run one server with these settings beside the defaults."""
    environ = replicas.settings(
        database_url, redis_url, issuer=issuer, **SERVERS, **BEHIND_A_PROXY, **changes
    )
    with replicas.replicas(environ) as started:
        async with api_of(environ, started) as api:
            yield api


@dataclass(frozen=True)
class Plant:
    """A defect: `old` becomes `new` in a module of the source."""

    title: str
    module: str
    old: str
    new: str

    def grown(self, folder: Path) -> Path:
        """Copy the source into `folder` with the defect in it; return what to import from."""
        source = folder / "src"
        shutil.copytree(SOURCE, source / "keyturn", ignore=shutil.ignore_patterns("__pycache__"))
        module = source / "keyturn" / self.module
        text = module.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.title}: {self.old!r} is not there once"
        module.write_text(text.replace(self.old, self.new), encoding="utf-8")
        return source


@asynccontextmanager
async def planted(
    api: Api, plant: Plant, folder: Path, changes: Mapping[str, str] | None = None
) -> AsyncIterator[Api]:
    """Speak to one more server of the same issuer, which has the defect."""
    environ = {**api.settings, **(changes or {}), "PYTHONPATH": str(plant.grown(folder))}
    with replicas.replicas(environ, program=replicas.SERVE) as (one,):
        async with joined(api, one) as running:
            yield running
