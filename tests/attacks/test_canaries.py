"""No secret stands anywhere it can be read, whatever was done with it (OP-1), at every endpoint.

The secrets are those that really passed: a listener on every caller keeps them. Where they are
looked for: the log at its most talkative, pg_dump, every key of Redis, metrics, traces, PostgreSQL's
log, refused answers, command lines and environments.
"""

import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from attacks.busy import Busy
from attacks.canaries import COOKIE, PAGES, TEMPLATES, Recorder
from attacks.stand import SEED, Plant, planted
from keyturn import paths
from keyturn.dev.binaries import find_postgres
from support.administering import administered
from support.secret_day import lived
from support.secret_scan import scan
from support.servers import database_on

KINDS = {
    "password", "newPassword", "refreshToken", "refresh_token", "accessToken", "access_token",
    "id_token", "client_secret", "registration_access_token", "code", "code_verifier", "token",
    "authorization", "device_code", "user_code", "request_uri", PAGES, COOKIE,
}  # fmt: skip
GENEROUS = {
    "throttle__account_attempts": "10000000", "throttle__address_attempts": "10000000",
    "throttle__global_attempts": "10000000", "throttle__client_attempts": "10000000",
    "server__idle_timeout": "120",
}  # fmt: skip
"""Nothing is refused for being too much, and no kept line ends while a busy machine pauses."""

NOT_BADLY = {paths.LIVE, paths.RESUME}
LOGS_QUERIES = Plant(
    "the log tells the query",
    "web/request_log.py",
    '            "route": route,\n',
    '            "route": route,\n            "query": scope["query_string"].decode("latin-1"),\n',
)


@pytest.fixture(scope="module")
async def busy(databases, shared_redis_url, tmp_path_factory) -> AsyncIterator[Busy]:
    folder = tmp_path_factory.mktemp("secrets")
    async with (
        lived(databases, shared_redis_url, folder, **GENEROUS) as day,
        administered(day.api) as admin,
    ):
        recorder = Recorder()
        for caller in (*day.api.callers, admin.caller):
            recorder.watch(caller)
        yield Busy(day, admin, recorder, random.Random(SEED))


def pg_dump(url: str) -> bytes:
    """Return what an operator's backup holds."""
    program = find_postgres("").path.with_name("pg_dump")
    return subprocess.run([program, url], capture_output=True, check=True).stdout


@pytest.mark.long
async def test_no_secret_of_any_endpoint_stands_anywhere(busy, databases, tmp_path):
    await busy.work()
    await busy.misplace_everywhere()
    recorder = busy.recorder
    used = {template for template, good in recorder.asked if good}
    abused = {template for template, good in recorder.asked if not good}
    assert set(TEMPLATES) - used == set(), "never answered well"
    assert set(TEMPLATES) - abused - NOT_BADLY == set(), "never refused"
    kinds = Counter(name.rpartition(" ")[0] for name in recorder.kept)
    assert set(kinds) >= KINDS, KINDS - set(kinds)
    secrets = {**busy.day.secrets, **recorder.kept}
    places = await busy.day.places()
    name = await busy.api.sql.fetchval("select current_database()")
    places["pg_dump"] = pg_dump(database_on(databases.server_url, name))
    told = {
        name: secret
        for name, secret in secrets.items()
        if name.rpartition(" ")[0] not in {PAGES, COOKIE}  # new in each page
    }
    found = scan(secrets, places) + scan(told, {"refusals": b"\n".join(recorder.refusals)})
    size = sum(map(len, places.values())) / 2**20
    print(f"{len(secrets)} secrets of {len(kinds)} kinds: {dict(kinds)}")
    print(f"{len(TEMPLATES)} addresses, {len(recorder.refusals)} refusals,")
    print(f"{len(places) + 1} places, {size:.1f} MiB: {len(found)} found")
    print(*found, sep="\n")
    assert found == []
    await the_control(busy, tmp_path)


async def the_control(busy: Busy, folder: Path) -> None:
    """A server whose log tells queries is found out by the same search."""
    async with planted(busy.api, LOGS_QUERIES, folder) as leaking:
        await busy.misplace(leaking.callers[0], "/oauth2/token")
        log = leaking.replicas[0].log.read_bytes()
    found = scan(busy.recorder.kept, {"log": log})
    print(f"the control, a log that tells queries: {len(found)} found")
    assert found
