"""Somebody follows the audit trail while a server runs, and a collector reads its stdout."""

import json
import os
import signal
import subprocess
import sys
import time

import httpx2
import pytest

from support import replicas, starts

PATIENCE = 30.0


@pytest.fixture
async def environ(keyed_database_url):
    return replicas.settings(
        keyed_database_url, None, audit__stdout="true", audit__flush_interval="0.05"
    )


def until(read, found):
    """Return what `read` gives, once `found` says that it is enough."""
    deadline = time.monotonic() + PATIENCE
    while not found(seen := read()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.02)
    return seen


def has(type_):
    return lambda events: type_ in {one["type"] for one in events}


def json_lines(path):
    whole = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


async def test_a_follower_sees_what_happens_and_stdout_says_the_same(environ):
    program = starts.shared()
    words = ("clients", "add", "job", "--grant", "client_credentials", "--audience", "urn:api")
    assert (await program.run(environ, *words, "--scope", "a")).code == 0
    tail = replicas.start(environ, command=("audit", "tail", "--json", "--lines", "100"))
    try:
        until(
            lambda: json_lines(tail.log),
            has("client_added"),
        )
        with replicas.replicas(environ) as (server,):
            form = {"grant_type": "client_credentials"}
            refused = httpx2.post(f"{server.url}/oauth2/token", data=form, auth=("job", "wrong"))
            assert refused.status_code == 401
            wanted = "client_authentication_failed"
            seen = until(lambda: json_lines(tail.log), has(wanted))
            (followed,) = [one for one in seen if one["type"] == wanted]
            shown = [one for one in json_lines(server.log) if one.get("stream") == "audit"]
        assert followed["request_id"] == refused.headers["x-request-id"]
        (same,) = [one for one in shown if one["id"] == followed["id"]]
        told = ("type", "result", "actor", "client_id", "ip", "request_id", "detail")
        assert [same[name] for name in told] == [followed[name] for name in told]
        assert len({one["id"] for one in seen}) == len(seen)
        assert tail.terminate() == 0
    finally:
        if tail.process.poll() is None:
            tail.kill()


@pytest.mark.parametrize("how", ["closed pipe", "Ctrl-C"])
async def test_a_follower_ends_quietly(environ, how):
    inherited = {name: os.environ[name] for name in starts.NEEDED if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "keyturn", "audit", "tail"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=inherited | environ,
    ) as tail:  # fmt: skip
        assert b"audit_read" in tail.stdout.readline()
        if how == "Ctrl-C":
            tail.send_signal(signal.SIGINT)
        else:
            tail.stdout.close()
        said = tail.stderr.read()
        assert tail.wait(PATIENCE) == 0
    assert said == b""
