"""A real Prometheus scrapes a real server under load: whatever is asked of it, it has an answer."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import yaml

from keyturn.dev.demo import SECRETS
from support import replicas
from support.dashboards import PLACES, queries
from support.dev_server import dev_server
from support.tree import text

pytestmark = pytest.mark.operations

RULES = yaml.safe_load(text("config/prometheus/rules.yaml"))["groups"]
RECORDED = [rule["record"] for group in RULES for rule in group["rules"] if "record" in rule]
COUNT = "http_server_request_duration_seconds_count"
ROUTES = {
    "token": 'http_route=~"/oauth2/token|/auth/refresh"',
    "documents": 'http_route=~"/[.]well-known/.*"',
}
"""Objectives of which failures are answers of 5xx, and where."""
DEADLINE = 90.0


@contextmanager
def prometheus(binary, folder, targets):
    """Run one that scrapes and evaluates each second; yield what asks it something."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hasty = [group | {"interval": "1s"} for group in RULES]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": hasty}))
    settings = yaml.safe_load(text("config/prometheus/prometheus.yaml"))
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    command = [
        binary,
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        try:
            until(lambda: client.get("/-/ready").status_code == 200, "it is not ready")
            yield lambda path, **asked: _answer(client, path, asked)
        finally:
            process.terminate()
            process.wait(20)


def _answer(client, path, asked):
    said = client.get(f"/api/v1/{path}", params=asked).json()
    assert said["status"] == "success", said
    return said["data"]


def numbers(ask, query):
    """Return what a query returns, without what is no number."""
    found = [float(one["value"][1]) for one in ask("query", query=query)["result"]]
    return [one for one in found if not math.isnan(one)]


def until(holds, what):
    deadline = time.monotonic() + DEADLINE
    while not _holds(holds):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _holds(holds):
    try:
        return holds()
    except httpx2.TransportError:  # it does not listen yet
        return False


@contextmanager
def of_workers(facts):
    """Run a server of several processes on the same database: some metrics are of those only."""
    ports = {"KEYTURN_SERVER__PORT": "0", "KEYTURN_SERVER__MANAGEMENT_PORT": "0"}
    environ = {"KEYTURN_CONFIG": facts["config"], **ports}
    beside = replicas.start(environ, (*replicas.SERVE, "--workers", "2"))
    try:
        beside.wait_until_ready(DEADLINE)
        yield beside
    finally:
        if beside.process.poll() is None:
            beside.terminate()
        beside.log.unlink(missing_ok=True)


def drive(facts, summary):
    """Let k6 do a little of everything for some seconds, and return what it counted."""
    k6 = shutil.which("k6", path=str(Path(sys.executable).parent)) or shutil.which("k6")
    if k6 is None:
        pytest.skip("k6 is not installed: install the extra operations")
    person = facts["users"][0]
    said = subprocess.run(
        [
            k6,
            "run",
            "--quiet",
            "--no-usage-report",
            f"--summary-export={summary}",
            "live_traffic.js",
        ],
        cwd=Path(__file__).parent,
        env={
            "PATH": os.environ["PATH"],
            "BASE": facts["issuer"],
            "EMAIL": person["email"],
            "PASSWORD": person["password"],
            "SERVICE": f"demo-service:{SECRETS['demo-service']}",
            "READER": f"demo-api:{SECRETS['demo-api']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    counted = json.loads(summary.read_text())["metrics"]
    return counted["http_reqs"]["count"], counted["checks"]["fails"]


def test_every_query_and_every_recording_rule_returns_data_under_load(program, tmp_path):
    binary = program("prometheus", "prometheus")
    with dev_server("--ephemeral") as facts, of_workers(facts) as beside:
        targets = [
            one.removeprefix("http://") for one in (facts["managementUrl"], beside.management_url)
        ]
        with prometheus(binary, tmp_path, targets) as ask:
            until(lambda: numbers(ask, "keyturn_ready") == [1, 1], "they are not scraped")
            requests, failed = drive(facts, tmp_path / "summary.json")
            print(f"k6: {requests} requests, {failed} failed checks")
            boards = {one.stem: queries(json.loads(one.read_text()), "30s") for one in PLACES}
            asked = [query for board in boards.values() for query in board]
            silent = list[str]()

            def answered():
                silent[:] = [one for one in asked + RECORDED if not numbers(ask, one)]
                return silent == []

            until(answered, silent)
            print(f"{len(asked)} dashboard queries and {len(RECORDED)} recording rules have data")
            _judge_rules(ask)
            _judge_objectives(ask, requests)
            _judge_exemplars(ask)
            most = max(numbers(ask, "scrape_samples_scraped"))
            print(f"{most:.0f} samples a scrape")
            assert most < 2500


def _judge_rules(ask):
    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    assert [(one["name"], one.get("lastError")) for one in rules if one["health"] != "ok"] == []
    firing = [
        one["labels"]["alertname"] for one in ask("alerts")["alerts"] if one["state"] == "firing"
    ]
    alerts = sum(one["type"] == "alerting" for one in rules)
    print(f"{len(rules)} rules evaluated without error, {alerts} of them alerts; firing: {firing}")
    assert firing == []


def _judge_objectives(ask, requests):
    """What was recorded is what happened: so many requests, and those that failed, if any did."""
    (seen,) = numbers(ask, f"sum({COUNT})")
    assert seen >= requests
    for name, routes in ROUTES.items():
        # Since the first scrape: what was counted before, as the server started, no rate sees.
        bad = f'{COUNT}{{{routes}, http_response_status_code=~"5.."}}[1h]'
        (failed,) = numbers(ask, f"sum(max_over_time({bad}) - min_over_time({bad}))")
        (ratio,) = numbers(ask, f"job:keyturn_{name}:error_ratio_rate3d")
        (left,) = numbers(ask, f"job:keyturn_{name}:error_budget_remaining30d")
        print(f"{name}: {failed:.0f} failed, a share of {ratio:.4f}; budget left {left:.3f}")
        assert numbers(ask, f"job:keyturn_{name}_requests:rate5m") > [0.0]
        assert (ratio > 0, left < 1) == (failed > 0, failed > 0)


def _judge_exemplars(ask):
    found = ask(
        "query_exemplars",
        query="http_server_request_duration_seconds_bucket",
        start=str(time.time() - 600),
        end=str(time.time()),
    )
    traces = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    print(f"exemplars of traces {sorted(traces)}")
    assert traces == {"0af7651916cd43dd8448eb211c80319c"}
