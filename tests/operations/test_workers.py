"""`keyturn serve --workers 2`: one server to everybody outside, whatever happens to a worker.

Starting it takes three times a Python, so the stories share one, and the last one ends it.
"""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from keyturn.clock import SystemClock
from keyturn.settings import ServerSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.web.listening import listen
from keyturn.workers import crew as crews
from keyturn.workers.child import Launch
from keyturn.workers.crew import Crew
from keyturn.workers.totals import Totals
from support import replicas
from support.api import Api, api_of, memoryless
from support.fleet import App, LostSignIn
from support.patience import SERVERS
from support.replicas import Replica
from support.transport import Lines

pytestmark = pytest.mark.operations

ISSUER = "http://localhost:8456"
CALLERS = 8
ATTEMPTS = 8
PATIENCE = 120.0
"""Seconds for what takes two, on a machine that has other things to do."""
GOOD, BAD = (yaml.safe_dump({"log": {"level": level}}) for level in ("info", "loud"))
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

# A worker is a process of its own, in which hashes are as costly as everywhere.
GENEROUS = {name: value for name, value in replicas.GENEROUS.items() if "passwords" not in name}


@dataclass
class Served:
    """A server with two workers, and somebody who calls it."""

    api: Api
    replica: Replica

    @property
    def pids(self) -> list[int]:
        """The workers that were started, by the log, in that order."""
        return [one["pid"] for one in self.logged("worker_started")]

    def logged(self, event: str) -> list[dict]:
        return [one for one in self.lines() if one.get("event") == event]

    def lines(self) -> list[dict]:
        """All that was said as JSON."""
        said = self.replica.log.read_text().splitlines()
        return [json.loads(line) for line in said if line.startswith("{")]

    async def samples(self) -> dict[tuple[str, ...], float]:
        """Every sample, by name and label values."""
        return {
            (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
            for family in await self.families()
            for one in family.samples
        }

    async def families(self) -> list:
        """What a scrape shows, read by the rules of OpenMetrics."""
        async with httpx2.AsyncClient() as scraper:
            url = f"{self.replica.management_url}/metrics"
            answer = await scraper.get(url, headers=OPEN_METRICS, timeout=20)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        return list(text_string_to_metric_families(answer.text))

    async def until(self, *key: str, value: float) -> None:
        """Wait until a sample has a value."""
        async with asyncio.timeout(PATIENCE):
            while (await self.samples()).get(key) != value:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def served(environ: dict[str, str], *options: str) -> AsyncIterator[Served]:
    """Start it as an operator does, and end it with the block."""
    command = (*replicas.SERVE, "--workers", "2", *options)
    replica = replicas.start(environ, command)
    try:
        await asyncio.to_thread(replica.wait_until_ready, PATIENCE)
        async with api_of(environ, [replica]) as api:
            one = Served(api, replica)
            await one.until("keyturn_workers", "ready", value=2)
            yield one
    finally:
        if replica.process.poll() is None:
            replica.kill()
        replica.log.unlink(missing_ok=True)


def settings(database_url: str, redis_url: str) -> dict[str, str]:
    changes = {"issuer": ISSUER, "server__drain_seconds": "1", **GENEROUS, **SERVERS}
    return replicas.settings(database_url, redis_url, **changes)


@pytest.fixture(scope="module")
async def environ(databases, shared_redis_url) -> AsyncIterator[dict[str, str]]:
    async with databases.fresh(keyed=True) as url:
        yield settings(url, shared_redis_url)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A settings file, which a test may spoil for a worker that starts then."""
    file = tmp_path_factory.mktemp("workers") / "keyturn.yaml"
    file.write_text(GOOD)
    return file


@pytest.fixture(scope="module")
async def one(environ, file) -> AsyncIterator[Served]:
    async with served(environ, "--json", "--config", str(file)) as one:
        yield one


@dataclass
class Load:
    """Apps that refresh without pause, each over a connection of its own."""

    callers: list["Caller"]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def on(cls, one: Served) -> AsyncIterator["Load"]:
        load = cls([await Caller.of(one) for _ in range(CALLERS)])
        working = [asyncio.create_task(each.work(load.stopping)) for each in load.callers]
        try:
            yield load
        finally:
            load.stopping.set()
            await asyncio.gather(*working)
            for each in load.callers:
                await each.client.aclose()

    @property
    def sent(self) -> int:
        return sum(one.sent for one in self.callers)

    @property
    def failed(self) -> list[str]:
        return [each for one in self.callers for each in one.failed]

    @property
    def answered_by(self) -> Counter[str]:
        return sum((one.answered_by for one in self.callers), Counter())

    async def further(self, requests: int) -> None:
        wanted = self.sent + requests
        async with asyncio.timeout(PATIENCE):
            while self.sent < wanted:
                await asyncio.sleep(0.01)


@dataclass
class Caller:
    """One app; `by` is who answered last: each process begins its request ids differently."""

    app: App
    client: httpx2.AsyncClient
    sent: int = 0
    by: str = ""
    answered_by: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    @classmethod
    async def of(cls, one: Served) -> "Caller":
        client = httpx2.AsyncClient(cookies=memoryless(), timeout=20, transport=Lines(idle=2))
        device = await one.api.seed("app", await one.api.person())
        caller = cls(App(device, client, one.replica.url), client)
        client.event_hooks = {"response": [caller.note]}
        return caller

    async def note(self, answer: httpx2.Response) -> None:
        self.by = answer.headers["x-request-id"].rpartition("-")[0]
        self.answered_by[self.by] += 1

    async def work(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self.sent += 1
            try:
                good = await self.app.attempt()
            except LostSignIn as error:
                self.failed.append(f"lost: {error}")
                return
            if not good:
                self.failed.append(self.by)
                await asyncio.sleep(0.02)


async def test_two_workers_serve_and_every_metric_adds_up_to_what_was_sent(one):
    for _ in range(ATTEMPTS):
        before = await one.samples()
        async with Load.on(one) as load:
            await load.further(300)
        if len(load.answered_by) == 2:  # whoever is free takes connections, and may take them all
            break
    async with httpx2.AsyncClient() as caller:
        for _ in range(20):
            await caller.get(
                f"{one.replica.url}/.well-known/jwks.json",
                headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
            )
    assert load.failed == []
    print(f"{load.sent} refreshes, by worker: {sorted(load.answered_by.values())}")
    assert len(load.answered_by) == 2, "invalid: one worker had nothing to do"
    samples = await one.samples()
    more = {key: value - before.get(key, 0) for key, value in samples.items()}
    assert more[("keyturn_token_requests_total", "refresh_token", "ok")] == load.sent
    rotations = sum(v for k, v in more.items() if k[0] == "keyturn_refresh_rotations_total")
    assert rotations == load.sent
    duration = "http_server_request_duration_seconds"
    assert more[(f"{duration}_count", "POST", "200", "/oauth2/token")] == load.sent
    assert more[(f"{duration}_bucket", "POST", "200", "/oauth2/token", "+Inf")] == load.sent
    assert more[(f"{duration}_count", "GET", "200", "/.well-known/jwks.json")] == 20
    for state in ("configured", "running", "ready"):
        assert samples[("keyturn_workers", state)] == 2
    exemplars = [
        each.exemplar.labels["trace_id"]
        for family in await one.families()
        for each in family.samples
        if each.exemplar
    ]
    assert TRACE in exemplars


async def test_it_is_one_server_to_whoever_asks_how_it_is_and_tells_no_secret(one):
    told = {"issuer", "port", "managementPort"}
    assert any(set(line) == told for line in one.lines()), "ready was announced"
    for path in ("live", "started", "ready", "dependencies"):
        url = f"{one.replica.management_url}/health/{path}"
        # A machine that is busy may miss a deadline of Redis now and then.
        await until(lambda url=url: httpx2.get(url, timeout=20).status_code == 200)
    for pid in one.pids:
        words = Path(f"/proc/{pid}/cmdline").read_text()
        assert "postgres" not in words
        assert replicas.MASTER not in words


async def test_a_killed_worker_costs_what_it_was_answering_and_no_counter_goes_back(one):
    async with Load.on(one) as load:
        scrapes: list[dict] = []
        await load.further(200)
        scrapes.append(await one.samples())
        os.kill(one.pids[0], signal.SIGKILL)
        # As seen right after, and until the other one has come and works.
        await load.further(100)
        scrapes.append(await one.samples())
        assert one.replica.is_ready(), "the other worker goes on"
        await one.until("keyturn_worker_restarts_total", "killed", value=1)
        await one.until("keyturn_workers", "ready", value=2)
        before = load.answered_by
        for _ in range(50):
            async with httpx2.AsyncClient() as caller:
                answer = await caller.get(f"{one.replica.url}/.well-known/jwks.json")
                before[answer.headers["x-request-id"].rpartition("-")[0]] += 1
        scrapes.append(await one.samples())
        await load.further(100)
    print(f"{load.sent} requests, {len(load.failed)} failed, of the worker(s) {set(load.failed)}")
    assert len(before) == 3, "the replacement answers"
    assert len(set(load.failed)) <= 1, "only requests of the worker that was killed"
    assert all(len(each.failed) <= 1 for each in load.callers)
    for then, now in pairwise(scrapes):
        counted = [key for key in then if key[0].endswith(("_total", "_count", "_bucket", "_sum"))]
        assert [key for key in counted if now.get(key, -1) < then[key]] == []
    first = ("keyturn_token_requests_total", "refresh_token", "ok")
    assert scrapes[0][first] < scrapes[-1][first]


async def test_a_worker_that_cannot_start_is_tried_again_and_seen_while_the_other_serves(one, file):
    file.write_text(BAD)
    os.kill(one.pids[1], signal.SIGTERM)
    await one.until("keyturn_worker_restarts_total", "ended", value=1)
    await one.until("keyturn_worker_restarts_total", "failed", value=1)
    samples = await one.samples()
    assert samples[("keyturn_workers", "configured")] == 2
    assert samples[("keyturn_workers", "ready")] == 1
    assert one.replica.is_ready()
    assert "log.level" in one.replica.log.read_text()
    file.write_text(GOOD)
    await one.until("keyturn_workers", "ready", value=2)


async def test_sigterm_under_load_fails_no_request_and_leaves_nobody(one):
    ended = len(one.logged("worker_ended"))
    async with Load.on(one) as load:
        await load.further(200)
        one.replica.process.send_signal(signal.SIGTERM)
        # An honest balancer: it sends nobody any more once readiness is gone.
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(one.replica.is_ready):
                await asyncio.sleep(0.01)
        await load.further(20)
    code = await asyncio.to_thread(one.replica.process.wait, PATIENCE)
    print(f"requests sent {load.sent}, failed {len(load.failed)}")
    assert load.failed == []
    assert code == 0
    assert [each["code"] for each in one.logged("worker_ended")[ended:]] == [0, 0]
    assert not any(alive(pid) for pid in one.pids)


async def test_a_parent_that_is_killed_leaves_nobody_and_the_port_free(
    keyed_database_url, redis_url
):
    async with served(settings(keyed_database_url, redis_url)) as one:
        url = httpx2.URL(one.replica.url)
        async with Load.on(one) as load:
            await load.further(50)
        one.replica.kill()
        async with asyncio.timeout(PATIENCE):
            while any(alive(pid) for pid in one.pids):
                await asyncio.sleep(0.05)
        (again,) = listen("127.0.0.1", url.port)
        again.close()


async def test_a_worker_that_hangs_is_seen_by_its_silence_and_replaced(
    environ, monkeypatch, tmp_path
):
    """In this process, so that patience is short; the worker is a real one."""
    monkeypatch.setattr(crews, "PULSE", 0.2)
    monkeypatch.setattr(crews, "SILENCE", 20)
    monkeypatch.setattr(crews, "ANSWER", 0.3)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    metrics, sockets = Metrics(), listen("127.0.0.1", 0)
    with (tmp_path / "log").open("wb") as log:
        launch = Launch(sockets, 1, log.fileno(), None, SystemClock())
        crew = Crew(launch, metrics.workers, Totals(metrics.registry))
        crew.start(ServerSettings(), lambda *_: None)
        try:
            await until(lambda: crew.states()[0].ready)
            await crew.gather()
            told = len(list(crew.totals.collect()))
            (child,) = crew._children.values()
            os.kill(child.process.pid, signal.SIGSTOP)
            await crew.gather()
            assert metrics.workers.snapshots_late._value.get() >= 1
            assert len(list(crew.totals.collect())) == told
            await until(lambda: metrics.workers.restarts["silent"]._value.get() == 1)
            await until(lambda: child not in crew._children.values())
        finally:
            crew.drain()
            crew.hurry()
            await crew.stop(now=True)
    assert not alive(child.process.pid)


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs: one that only waits to be buried does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return re.sub(r".*\) ", "", Path(f"/proc/{pid}/stat").read_text())[0] != "Z"
    return False
