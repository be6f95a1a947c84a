"""What the benchmark, the profile and the gate make of what they measured."""

import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

LOAD_TESTS = Path(__file__).parents[2] / "load-tests"


@pytest.fixture(scope="module", autouse=True)
def programs():
    """Load the programs as they find each other, and forget them: `seed` is a common name."""
    before = set(sys.modules)
    sys.path.insert(0, str(LOAD_TESTS))
    yield
    sys.path.remove(str(LOAD_TESTS))
    for name in set(sys.modules) - before:
        if str(LOAD_TESTS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def attribution():
    return importlib.import_module("attribution")


@pytest.fixture
def gate():
    return importlib.import_module("gate")


OUTSIDE = ["Runner.run (lib/asyncio/runners.py:118)", "run_forever (/project/uvloop/loop.c:1)"]
ENDPOINT = [
    "RequestLog.__call__ (keyturn/web/request_log.py:94)",
    "Router.app (x/starlette/routing.py:9)",
]
REFRESH = [
    "Token.post (keyturn/oauth/token.py:52)",
    "Rotation.refresh (keyturn/sessions/rotation.py:93)",
]


@pytest.mark.parametrize(
    ("inside", "owner"),
    [
        (ENDPOINT, "routing"),
        ([*ENDPOINT, *REFRESH, "HMAC.copy (lib/hmac.py:131)", "malloc (libc.so.6)"], "rotation"),
        ([*ENDPOINT, *REFRESH, "bind_execute (/project/asyncpg/protocol.c:1)", "write (libc.so.6)"], "SQL driver"),
        ([*ENDPOINT, "SigningKey.sign (keyturn/crypto/jose.py:95)", "mulx4x (_rust.abi3.so)"], "RSA signature"),
        ([*ENDPOINT, *REFRESH, "gc_collect_main (libpython3.11.so.1.0)"], "garbage collector"),
        (["copy (keyturn/jobs/copy_revocations.py:9)", "fetch (keyturn/db/pool.py:9)"], "background jobs"),
        (["uv__read (libuv/stream.c:1)", "read (libc.so.6)"], "event loop"),
        (["uv__io_poll (libuv/linux.c:1)", "epoll_pwait (libc.so.6)"], None),
        (["_worker (lib/concurrent/futures/thread.py:81)", "futex (libc.so.6)"], None),
    ],
)  # fmt: skip
def test_a_stack_belongs_to_the_innermost_frame_that_is_known(attribution, inside, owner):
    assert attribution.component([*OUTSIDE, *inside]) == owner


def test_shares_count_samples_and_leave_out_threads_that_wait(attribution):
    waiting = "_worker (lib/concurrent/futures/thread.py:81) 50"
    stacks = [f"{';'.join(OUTSIDE)} 30", f"{';'.join([*OUTSIDE, *ENDPOINT])} 10", waiting]
    assert attribution.shares(stacks) == {"event loop": 0.75, "routing": 0.25}


LIMITS = {"signatures": {"limit": 2.0}, "growth": {"limit": 1.1}}


def contender(gate, *ratios, errors=0):
    return gate.Contender("this", None, list(ratios), 1000, Counter({"503": errors}))


@pytest.mark.parametrize(
    ("ours", "theirs", "errors", "passed"),
    [
        ((1.9, 2.5, 1.8), None, 0, []),
        ((2.1, 2.2, 1.0), None, 0, ["2.10 signatures"]),
        ((1.0, 1.2, 1.1), (1.0, 1.1, 1.0), 0, []),
        ((1.2, 1.8, 1.2), (1.0, 1.5, 1.2), 0, ["1.200 times"]),
        ((2.4, 3.0, 2.4), (2.3, 3.1, 2.4), 0, []),
        ((1.0, 1.0, 1.0), None, 11, ["503"]),
    ],
)
def test_the_gate_judges_medians_and_pairs_of_rounds(gate, ours, theirs, errors, passed):
    other = contender(gate, *theirs) if theirs else None
    found = gate.Verdict(contender(gate, *ours, errors=errors), other, LIMITS).failures()
    assert len(found) == len(passed)
    assert all(words in failure for words, failure in zip(passed, found, strict=True))


def test_the_slowdown_is_planted_in_the_handler_as_it_is_now(gate, tmp_path):
    planted = gate.plant(tmp_path / "copy", 300) / gate.HANDLER
    assert "thread_time_ns() + 300000" in planted.read_text()
    compile(planted.read_text(), planted, "exec")


def test_arrivals_come_at_their_rate_and_again_at_the_same_moments(attribution):
    arrivals = importlib.import_module("open_loop").Arrivals(200, 10)
    times = list(arrivals.times())
    assert times == list(arrivals.times()) == sorted(times)
    assert len(times) == pytest.approx(2000, rel=0.1)
    assert times[-1] < 10
