"""`keyturn dev`: the first minute of a newcomer, and the days after it."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest

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


def _until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_one_line_says_everything_a_program_needs(dev):
    facts = dev
    assert set(facts) == {
        "issuer", "managementUrl", "postgresUrl", "redisUrl", "dataDir", "pids", "users",
        "clients", "exampleApiUrl",
    }  # fmt: skip
    assert set(facts["pids"]) == {"keyturn", "postgres", "valkey"}
    assert facts["issuer"].startswith("http://localhost:")
    assert httpx2.get(f"{facts['managementUrl']}/health/ready").status_code == 200
    port = int(facts["issuer"].rpartition(":")[2])
    for loopback in ("127.0.0.1", "[::1]"):
        assert httpx2.get(f"http://{loopback}:{port}/auth/openapi.json").status_code == 200


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


def test_two_run_side_by_side(dev):
    one = dev
    with dev_server("--ephemeral") as two:
        assert one["issuer"] != two["issuer"]
        body = {"refreshToken": _sign_in(one)["refreshToken"]}
        assert httpx2.post(f"{two['issuer']}/auth/refresh", json=body).status_code == 401
        assert httpx2.post(f"{one['issuer']}/auth/refresh", json=body).status_code == 200


def test_a_taken_port_is_a_sentence_and_not_a_stack_trace():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "keyturn", "dev", "--ephemeral", "--port", port],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"keyturn: cannot listen on localhost:{port}")
    assert "Traceback" not in done.stderr


def test_embedded_servers_are_refused_inside_a_cluster():
    done = subprocess.run(
        [sys.executable, "-m", "keyturn", "dev"],
        capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "KUBERNETES_SERVICE_HOST": "10.0.0.1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "keyturn serve" in done.stderr


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
