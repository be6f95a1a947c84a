"""`keyturn health`: what a container's health check sees."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from keyturn.cli.main import app
from keyturn.web.listening import listen
from support import replicas
from support.site import running_site


async def keyturn(*args: str, **settings: str) -> tuple[int, str, str]:
    """Run one command beside the server that it asks."""
    environ = replicas.settings("postgresql:///nowhere", None, **settings)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["health", *args], env=environ)
    return result.exit_code, result.stdout, result.stderr


async def test_a_server_that_is_well_is_exit_0():
    async with running_site() as site:
        for question in ("live", "started", "ready"):
            code, out, _ = await keyturn(question, "--port", str(site.management_port))
            assert (code, json.loads(out)) == (0, {"status": question})


async def test_a_server_that_drains_is_live_and_not_ready():
    async with running_site(drain_seconds=30) as site:
        site.stopping.ask()
        async with asyncio.timeout(30):
            while not site.vitals.draining:
                await asyncio.sleep(0.01)
        port = str(site.management_port)
        assert (await keyturn("live", "--port", port))[0] == 0
        code, out, _ = await keyturn("ready", "--port", port, "--json")
        assert (code, json.loads(out)["ok"]) == (1, False)


async def test_no_server_is_exit_3():
    (taken,) = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    taken.close()
    code, out, err = await keyturn("live", "--port", str(port))
    assert (code, out) == (3, "")
    assert "no answer" in err


async def test_without_settings_or_a_port_it_says_so():
    code, _, err = await keyturn("live", "--config", "/nonexistent.yaml")
    assert code == 2
    assert "nonexistent" in err


@pytest.mark.parametrize(
    ("host", "asked"),
    [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("::1", "::1")],
)
async def test_the_server_is_asked_where_it_listens(host, asked):
    bound = {"server__management_host": host, "server__management_port": "1"}
    code, _, err = await keyturn("live", **bound)
    assert code == 3
    assert f"no answer on {asked}:1 " in err
