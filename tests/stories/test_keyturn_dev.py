"""`keyturn dev`: the first minute of a newcomer, and the days after it."""

import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import httpx2
import pytest

from keyturn.dev import process_table
from support import starts
from support.dev_server import dev_server


def _sign_in(facts):
    person = facts["users"][0]
    answer = httpx2.post(f"{facts['issuer']}/auth/login", json=person, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _orders(facts, access_token):
    return httpx2.get(
        f"{facts['exampleApiUrl']}/orders",
        headers={"Authorization": f"Bearer {access_token}"},
        timeout=5,
    )


def _holds(holds):
    try:
        return holds()
    except httpx2.ConnectError:
        return False


def _until(holds, seconds=20):
    """Wait for it; what does not listen yet has not happened either."""
    deadline = time.monotonic() + seconds
    while not _holds(holds):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_one_line_says_everything_a_program_needs(dev):
    facts = dev
    assert set(facts) == {
        "issuer", "managementUrl", "postgresUrl", "redisUrl", "dataDir", "config", "pids",
        "users", "clients", "exampleApiUrl", "demoUrl",
    }  # fmt: skip
    assert set(facts["pids"]) == {"keyturn", "postgres", "valkey"}
    assert facts["issuer"].startswith("http://localhost:")
    assert httpx2.get(f"{facts['managementUrl']}/health/ready").status_code == 200
    port = int(facts["issuer"].rpartition(":")[2])
    for loopback in ("127.0.0.1", "[::1]"):
        assert httpx2.get(f"http://{loopback}:{port}/auth/openapi.json").status_code == 200


def test_every_other_command_works_on_it_by_the_settings_it_names(dev):
    environ = {"PATH": os.environ["PATH"], "KEYTURN_CONFIG": dev["config"]}
    assert Path(dev["config"]).stat().st_mode & 0o777 == 0o600
    listed = starts.shared().run_now(environ, "users", "list", "--json")
    assert {one["email"] for one in json.loads(listed.out)["users"]} == {
        one["email"] for one in dev["users"]
    }
    assert starts.shared().run_now(environ, "health", "ready").code == 0


def test_the_example_api_goes_on_answering_while_keyturn_is_stopped(dev):
    facts = dev
    token = _sign_in(facts)["accessToken"]
    _until(lambda: _orders(facts, token).status_code == 200)
    os.kill(facts["pids"]["keyturn"], signal.SIGSTOP)
    try:
        with pytest.raises(httpx2.TimeoutException):
            httpx2.get(f"{facts['issuer']}/.well-known/jwks.json", timeout=0.3)
        assert _orders(facts, token).status_code == 200
        assert _orders(facts, token + "x").status_code == 401
    finally:
        os.kill(facts["pids"]["keyturn"], signal.SIGCONT)


def test_data_and_sessions_are_kept_between_two_starts(tmp_path):
    port = _free_port()
    options = ("--data", str(tmp_path / "data"), "--port", str(port))
    with dev_server(*options) as facts:
        token = _sign_in(facts)["refreshToken"]
    with dev_server(*options) as again:
        assert again["dataDir"] == facts["dataDir"]
        body = {"refreshToken": token}
        answer = httpx2.post(f"{again['issuer']}/auth/refresh", json=body, timeout=10)
        assert answer.status_code == 200, answer.text


CLIENTS = """
clients:
  - id: nightly
    kind: confidential
    grant_types: [client_credentials]
    audiences: [https://orders.example]
    secret: kts_of_a_story_4b1d7c02a95e9f63e8d1c07a
"""
CONFIG = "tokens: {client_credentials_lifetime: 123}\n"


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    """A second one, of another project: with clients and settings of its own."""
    project = tmp_path_factory.mktemp("project")
    clients, config = project / "clients.yaml", project / "keyturn.yaml"
    clients.write_text(CLIENTS)
    config.write_text(CONFIG)
    with dev_server("--ephemeral", "--clients", str(clients), "--config", str(config)) as facts:
        yield facts


def test_two_run_side_by_side(dev, another):
    assert dev["issuer"] != another["issuer"]
    body = {"refreshToken": _sign_in(dev)["refreshToken"]}
    assert httpx2.post(f"{another['issuer']}/auth/refresh", json=body).status_code == 401
    assert httpx2.post(f"{dev['issuer']}/auth/refresh", json=body).status_code == 200


def test_ones_own_clients_and_settings_come_on_top_of_the_demo(another):
    answer = httpx2.post(
        f"{another['issuer']}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("nightly", "kts_of_a_story_4b1d7c02a95e9f63e8d1c07a"),
    )
    assert (answer.status_code, answer.json()["expires_in"]) == (200, 123)
    assert _sign_in(another)["tokenType"] == "Bearer"


def test_nothing_outlives_a_kill_of_keyturn_by_more_than_two_seconds(another):
    """The last story of this server."""
    example = int(another["exampleApiUrl"].rpartition(":")[2])
    servers = [another["pids"][name] for name in ("postgres", "valkey")]
    _until(lambda: _listens(example))
    assert all(map(_runs, servers))
    os.kill(another["pids"]["keyturn"], signal.SIGKILL)
    _until(lambda: not any(map(_runs, servers)) and not _listens(example), seconds=2)
    shutil.rmtree(another["dataDir"])


def _listens(port):
    with socket.socket() as caller:
        return caller.connect_ex(("localhost", port)) == 0


def _runs(pid):
    return any(state != "Z" for each, _, state in process_table._table() if each == pid)


def test_a_taken_port_is_a_sentence_and_not_a_stack_trace():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = starts.shared().run_now({}, "dev", "--ephemeral", "--port", port)
    assert done.code == 2
    assert done.err.startswith(f"keyturn: cannot listen on localhost:{port}")
    assert "Traceback" not in done.said


def test_embedded_servers_are_refused_inside_a_cluster():
    done = starts.shared().run_now({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "dev")
    assert done.code == 2
    assert "keyturn serve" in done.err


@pytest.mark.timing
def test_a_warm_start_is_ready_in_two_and_a_half_seconds(tmp_path):
    options = ("--data", str(tmp_path / "data"))
    with dev_server(*options):
        pass
    began = time.monotonic()
    with dev_server(*options):
        seconds = time.monotonic() - began
    print(f"warm start to the banner: {seconds:.2f} s")
    assert seconds < 2.5


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]
