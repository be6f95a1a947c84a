"""Traces of real servers, as a collector receives them: whole, true, and without a secret."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

import httpx2
import pytest

from keyturn.errors import SettingsRefused
from keyturn.settings_tracing import TracingSettings
from keyturn.telemetry import trace_export
from support import replicas
from support.api import Api, api_of
from support.collector import CLIENT, SERVER, Collector, answering, collecting

pytestmark = pytest.mark.operations

HTTPS = "https://localhost:8449"
LOOPBACK = "127.0.0.0/8"
JWKS = "/.well-known/jwks.json"
PLAIN = {"accept": "application/openmetrics-text"}
ALL = "1"


@pytest.fixture
def collector():
    with collecting() as running:
        yield running


@asynccontextmanager
async def traced(
    databases, redis_url: str | None, endpoint: str, ratio: str = ALL, **changes: str
) -> AsyncIterator[Api]:
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url, redis_url, issuer=HTTPS, tracing__endpoint=endpoint, tracing__sample_ratio=ratio,
            **{**replicas.GENEROUS, "redis__timeout": "1", **changes},
        )  # fmt: skip
        with replicas.replicas(environ) as started:
            async with api_of(environ, started) as api:
                yield api


def traceparent(*, sampled: bool = True) -> tuple[str, str, dict[str, str]]:
    trace_id, span_id = token_hex(16), token_hex(8)
    return trace_id, span_id, {"traceparent": f"00-{trace_id}-{span_id}-0{int(sampled)}"}


def lines(api: Api, event: str) -> list[dict]:
    every = [json.loads(line) for line in api.replicas[0].log.read_text().splitlines() if line]
    return [line for line in every if line.get("event") == event]


def until(found, patience: float = 15.0):
    deadline = time.monotonic() + patience
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return result


async def test_a_sign_in_and_a_refresh_are_traces_of_their_own(databases, redis_url, collector):
    async with traced(databases, redis_url, collector.url) as api:
        answer = await api.login(person := await api.person())
        trace_id = (await api.line(answer))["trace_id"]
        spans = collector.of(trace_id)
        (root,) = [one for one in spans if not one.parent]
        assert (root.name, root.kind, root.failed) == ("POST /auth/login", SERVER, False)
        assert root.attributes == {
            "http.request.method": "POST",
            "http.route": "/auth/login",
            "http.response.status_code": 200,
            "url.scheme": "https",
            "server.address": "localhost",
            "keyturn.request_id": answer.headers["x-request-id"],
            "keyturn.client_id": "app",
        }
        below = [one for one in spans if one is not root]
        assert {one.parent for one in below} == {root.id}
        assert all(root.began <= one.began <= one.ended <= root.ended for one in below)
        assert len({one.id for one in spans}) == len(spans)
        assert abs(root.began / 1e9 - time.time()) < 60
        by_name = {one.name: one for one in below}
        assert {"users.credential_by_email", "sessions.start", "commit"} <= set(by_name)
        assert {"throttle", "password hash"} <= set(by_name)
        for name, system in (("sessions.start", "postgresql"), ("throttle", "redis")):
            one = by_name[name]
            assert one.attributes == {"db.system.name": system, "db.operation.name": name}
            assert one.kind == CLIENT
        resource = root.resource
        assert (resource["service.name"], resource["service.version"]) == ("keyturn", "0.1.0")

        device = await api.sign_in(person)
        answer = await api.refresh(device)
        refresh = collector.of((await api.line(answer))["trace_id"])
        assert {"POST /oauth2/token", "sessions.rotate"} <= {one.name for one in refresh}
        page = httpx2.get(f"{api.replicas[0].management_url}/metrics", headers=PLAIN).text
        assert f'# {{trace_id="{refresh[0].trace_id}"}}' in page
        # Probes and scrapes are no traces, and nothing that the server does by itself is.
        doors = {one.name.split("/")[1] for one in collector.spans if one.kind == SERVER}
        assert doors <= {"auth", "oauth2"}


async def test_a_refusal_and_a_failure_say_so(databases, collector):
    async with traced(databases, None, collector.url) as api:
        refused = await api.token("app", grant_type="refresh_token", refresh_token="krt1_x")
        nowhere = await api.get("/nowhere/hunter2?token=hunter2")
        await api.sql.execute("alter table sessions rename to gone")
        failed = await api.login(await api.person())
        roots = []
        for answer in (refused, nowhere, failed):
            spans = collector.of((await api.line(answer))["trace_id"])
            roots += [one for one in spans if not one.parent]
        assert roots[0].attributes["keyturn.error"] == "invalid_grant"
        assert not roots[0].failed
        assert roots[1].name == "GET"
        assert "http.route" not in roots[1].attributes
        assert failed.status_code >= 500
        assert roots[2].failed
        assert roots[2].attributes["error.type"] == str(failed.status_code)
        below = [one for one in collector.spans if one.failed and one.kind == CLIENT]
        assert {one.attributes["error.type"] for one in below} == {"UndefinedTableError"}


async def test_nobody_outside_decides_what_is_traced_or_in_which_trace(databases, collector):
    async with traced(databases, None, collector.url, ratio="0") as api:
        trace_id, _, said = traceparent()
        answer = await api.get(JWKS, headers=said)
        assert (await api.line(answer))["trace_id"] == trace_id, "the caller's, as ever"
    assert collector.spans == []
    async with traced(databases, None, collector.url) as api:
        trace_id, _, said = traceparent(sampled=False)
        answer = await api.get(JWKS, headers=said)
        ours = (await api.line(answer))["trace_id"]
        assert ours != trace_id
        (root,) = [one for one in collector.of(ours) if one.kind == SERVER]
        assert (root.parent, root.links) == ("", (trace_id,))


async def test_a_service_that_is_trusted_has_its_traces_continued(databases, collector):
    trusted = {"tracing__trusted_callers": LOOPBACK}
    async with traced(databases, None, collector.url, ratio="0", **trusted) as api:
        trace_id, span_id, said = traceparent()
        answer = await api.get(JWKS, headers=said)
        assert (await api.line(answer))["trace_id"] == trace_id
        (root,) = [one for one in collector.of(trace_id) if one.kind == SERVER]
        assert (root.parent, root.links) == (span_id, ())
        quiet = traceparent(sampled=False)
        assert (await api.get(JWKS, headers=quiet[2])).status_code == 200
    assert {one.trace_id for one in collector.spans} == {trace_id}


async def test_administration_is_traced_and_the_last_traces_are_sent_at_the_end(
    databases, collector
):
    token = "t0ken-of-the-collector"
    changes = {"tracing__headers": f"Authorization: Bearer {token}"}
    async with traced(databases, None, collector.url, **changes) as api:
        management = api.replicas[0].management_url
        assert httpx2.get(f"{management}/admin/v1/users").status_code == 401
        assert api.replicas[0].terminate() == 0
        assert "GET /admin/v1/users" in {one.name for one in collector.spans}
        assert {one["authorization"] for one in collector.headers} == {f"Bearer {token}"}
        assert token not in api.replicas[0].log.read_text()
    assert len({one.resource["service.instance.id"] for one in collector.spans}) == 1


async def test_workers_and_their_parent_export_for_themselves(databases, collector):
    changes = {"server__workers": "2"}
    async with traced(databases, None, collector.url, **changes) as api:
        httpx2.get(f"{api.replicas[0].management_url}/admin/v1/users")
        names = {"GET /admin/v1/users", "POST /oauth2/token"}
        spans = collector.until(
            lambda: (found := {one.name: one for one in collector.spans}) and names <= set(found)
            and found
        )  # fmt: skip
        instances = {spans[name].resource["service.instance.id"] for name in names}
        assert len(instances) == 2


# -- a collector that is away, slow or hostile ------------------------------------------------------


async def hurry(api: Api, requests: int = 200) -> float:
    """Ask that much; return the longest a request took."""
    longest = 0.0
    for _ in range(requests):
        began = time.monotonic()
        assert (await api.get(JWKS)).status_code == 200
        longest = max(longest, time.monotonic() - began)
    return longest


def never(handler) -> None:
    time.sleep(60)


def endless(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


HOSTILE = {
    "silent": never,
    "endless": endless,
    "refusing": answering(403, ("x", "y" * 5000), body=b"no " * 100_000),
    "later": answering(503, ("retry-after", "100000")),
    "elsewhere": answering(307, ("location", "http://127.0.0.1:1/")),
}


@pytest.mark.parametrize("kind", [*HOSTILE, "away"])
async def test_no_request_suffers_from_a_bad_collector(databases, collector, kind):
    endpoint = "http://127.0.0.1:1/v1/traces" if kind == "away" else collector.url
    collector.behaviour = HOSTILE.get(kind)
    async with traced(databases, None, endpoint) as api:
        assert await hurry(api) < 1.0
        if kind != "endless":
            (told,) = until(lambda: lines(api, "traces_lost"))
            assert told["level"] == "warning"
            assert len(told["reason"]) <= 200
        began = time.monotonic()
        assert api.replicas[0].terminate() == 0
        assert time.monotonic() - began < 8
        assert len(lines(api, "traces_lost")) <= 1, "said once"
        statuses = {one["status"] for one in lines(api, "request") if one["route"] == JWKS}
        assert statuses == {200}


async def test_a_collector_that_comes_back_is_told_of(databases, collector: Collector):
    collector.behaviour = answering(400)
    async with traced(databases, None, collector.url) as api:
        await hurry(api, 5)
        until(lambda: lines(api, "traces_lost"))
        collector.behaviour = None

        def again():
            httpx2.get(f"{api.replicas[0].url}{JWKS}")
            return lines(api, "traces_arrive_again")

        (told,) = until(again, 20)
        assert told["lost"] >= 5


def test_a_file_of_no_certificates_is_refused(tmp_path):
    empty = tmp_path / "ca.pem"
    empty.write_text("")
    for file in (empty, tmp_path / "absent"):
        tracing = TracingSettings(endpoint="https://collector", ca_file=file)
        with pytest.raises(SettingsRefused, match=r"^tracing\.ca_file: "):
            trace_export.check(tracing)
