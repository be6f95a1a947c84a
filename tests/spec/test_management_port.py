"""The management port over HTTP: what orchestrators and Prometheus see."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from support.site import RunningSite, running_site

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
async def site() -> AsyncIterator[RunningSite]:
    async with running_site() as site:
        yield site


@pytest.fixture
async def management(site) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{site.management_port}") as client:
        yield client


async def test_a_started_server_is_live_started_and_ready(management):
    for name in ("live", "started", "ready"):
        answer = await management.get(f"/health/{name}")
        assert (answer.status_code, answer.json()) == (200, {"status": name})


async def test_before_it_has_started_it_is_live_only(site, management):
    site.vitals.started = False
    assert (await management.get("/health/live")).status_code == 200
    assert (await management.get("/health/started")).status_code == 503
    ready = await management.get("/health/ready")
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["starting"])


async def test_REL_5_ready_although_the_database_is_away_and_dependencies_say_so(site, management):
    site.vitals.note_dependency("postgres", "connect: ConnectionRefusedError")
    site.vitals.note_dependency("redis")
    assert (await management.get("/health/ready")).status_code == 200
    answer = await management.get("/health/dependencies")
    found = answer.json()["dependencies"]
    assert answer.status_code == 503
    assert found["postgres"]["up"] is False
    assert found["postgres"]["reason"] == "connect: ConnectionRefusedError"
    assert found["redis"]["up"] is True
    assert found["redis"]["secondsAgo"] >= 0


async def test_metrics_are_openmetrics_with_exemplars_when_asked_for(site, management):
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{site.port}") as client:
        await client.get("/path", headers=headers)
    answer = await management.get("/metrics", headers={"Accept": OPENMETRICS})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert f'# {{trace_id="{TRACE}"}}' in answer.text
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "application/json"])
async def test_metrics_are_plain_text_for_everybody_else(management, accept):
    answer = await management.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/plain")
    assert "keyturn_ready" in answer.text
    assert "# EOF" not in answer.text


async def test_OP_2_the_public_port_has_neither_health_nor_metrics(site):
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{site.port}") as client:
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 404
