"""A worker that was broken into, or is broken, ends itself and nobody else."""

import socket
import subprocess
import sys

import orjson
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from keyturn.clock import SystemClock
from keyturn.workers.channel import Channel
from keyturn.workers.child import Child
from keyturn.workers.totals import Totals

STATE = {"started": True, "serving": True, "reasons": [], "dependencies": {}}
SAMPLE = ["jobs_total", {"result": "ok"}, 1, None]


def metrics(*samples, kind="counter", name="jobs"):
    return {"metrics": [[name, "x", kind, "", list(samples)]], "number": 1}


async def heard(message) -> tuple[Totals, int | None]:
    """Return what the parent would show, and how a process that said this had ended."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    totals = Totals(CollectorRegistry())
    child = Child(7, process, await Channel.over(ours), SystemClock(), totals.note)
    body = orjson.dumps(message)
    theirs.sendall(len(body).to_bytes(4, "big") + body)
    theirs.close()
    await child.listen()
    assert process.stdin is not None
    process.stdin.close()
    return totals, process.wait(5)


def shown(totals: Totals) -> bytes:
    encoder, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    return encoder(totals)


@pytest.mark.parametrize("message", [{"state": STATE}, metrics(SAMPLE)])
async def test_what_a_worker_says_is_believed(message):
    totals, code = await heard(message)
    assert code == 0
    assert (b'jobs_total{result="ok"} 1.0' in shown(totals)) == ("metrics" in message)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"state": None},
        {"state": STATE | {"dependencies": []}},
        {"state": STATE | {"dependencies": {"redis": 1}}},
        {"state": STATE | {"reasons": 1}},
        {"metrics": [], "number": []},
        {"metrics": None, "number": 1},
        metrics(SAMPLE, kind="nonsense"),
        metrics(SAMPLE, name="jobs 1\nothers"),
        metrics(["jobs 1\nothers", {}, 1, None]),
        metrics(["jobs_total", {'a="b"} 1\nothers{a': "b"}, 1, None]),
        metrics(["jobs_total", [[["x"], 1]], 1, None]),
        metrics(["jobs_total", {}, "many", None]),
        metrics(["jobs", {}, 1, [{"trace_id": "a"}, 1, None]], kind="gauge"),
        metrics(["jobs_bucket", {}, 1, [{"a b": "a"}, 1, None]], kind="histogram"),
    ],
)
async def test_what_is_no_message_of_ours_ends_the_worker_and_is_not_shown(message):
    totals, code = await heard(message)
    assert code == -9, "killed"
    assert shown(totals) == b"# EOF\n"
    totals.close(7)


async def test_a_label_of_another_type_is_text():
    totals, code = await heard(metrics(["jobs_total", {"result": [1]}, 1, None]))
    assert code == 0
    assert b"jobs_total" in shown(totals)
    totals.close(7)
    assert b"jobs_total" in shown(totals)
