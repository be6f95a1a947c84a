"""What is traced, what a trace keeps, and that nothing is lost without a word."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clock import FixedClock
from keyturn.telemetry import trace_export, tracing
from keyturn.telemetry.trace_export import Exporting
from keyturn.telemetry.traceparent import Traceparent
from keyturn.telemetry.tracing import Traces, current_trace_id, enter_trace, leave_trace, step
from support.log_lines import caught_logs

SAID = Traceparent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)
UNSAMPLED = Traceparent(SAID.trace_id, SAID.span_id, sampled=False)


class Kept:
    def __init__(self):
        self.traces = []

    def put(self, trace):
        self.traces.append(trace)

    def close(self):
        pass


@pytest.fixture
def clock():
    return FixedClock(datetime(2026, 9, 1, 12, tzinfo=UTC))


def traces(clock, ratio=1.0):
    return Traces(clock, ratio, Kept())


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_none(header):
    assert Traceparent.parse(header) is None


@pytest.mark.parametrize(("flags", "sampled"), [(b"00", False), (b"01", True), (b"02", False)])
def test_a_traceparent_is_read(flags, sampled):
    header = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" + flags
    assert Traceparent.parse(header) == Traceparent(SAID.trace_id, SAID.span_id, sampled)


def test_a_share_of_requests_is_traced(clock):
    half = traces(clock, 0.5)
    drawn = sum(half.begin(None, believed=False) is not None for _ in range(2000))
    assert 850 < drawn < 1150
    assert traces(clock, 0.0).begin(SAID, believed=False) is None
    assert traces(clock, 1.0).begin(UNSAMPLED, believed=False) is not None


def test_only_a_believed_caller_decides_and_is_the_parent(clock):
    continued = traces(clock, 0.0).begin(SAID, believed=True)
    assert (continued.trace_id, continued.parent, continued.linked) == (SAID.trace_id, SAID, None)
    assert traces(clock, 1.0).begin(UNSAMPLED, believed=True) is None
    own = traces(clock, 1.0).begin(SAID, believed=False)
    assert (own.parent, own.linked) == (None, SAID)
    assert own.trace_id != SAID.trace_id


def test_steps_are_kept_with_their_times_and_the_class_of_what_went_wrong(clock):
    made = traces(clock)
    trace = made.begin(None, believed=False)
    token = enter_trace(trace)
    with step("sql", "sessions.rotate"):
        clock.advance(timedelta(seconds=2))
    with pytest.raises(ValueError, match="hunter2"), step("redis", "throttle"):
        raise ValueError("hunter2")
    assert current_trace_id() == trace.trace_id
    leave_trace(token)
    assert current_trace_id() is None
    with step("sql", "nobody's"):
        pass
    made.end(trace)
    late = enter_trace(trace)
    with step("sql", "too late"):
        pass
    leave_trace(late)
    first, second = trace.steps
    assert (first.name, first.ended - first.began, first.error) == ("sessions.rotate", 2.0, "")
    assert second.error == "ValueError"
    assert made.sink.traces == [trace]


def test_a_request_does_not_make_a_trace_without_end(clock):
    trace = traces(clock).begin(None, believed=False)
    token = enter_trace(trace)
    for _ in range(tracing.MOST_STEPS + 3):
        with step("sql", "x"):
            pass
    leave_trace(token)
    assert (len(trace.steps), trace.steps_dropped) == (tracing.MOST_STEPS, 3)


# -- the thread -------------------------------------------------------------------------------------


class Collector:
    """Takes batches, or says why not, or does not come back until it is let go."""

    def __init__(self, reason="", *, hangs=False):
        self.reason, self.taken, self.closed = reason, [], False
        self.let_go, self.hangs = threading.Event(), hangs

    def send(self, batch):
        if self.hangs:
            self.let_go.wait(20)
        self.taken += batch
        return self.reason

    def close(self):
        self.closed = True


def test_what_waits_at_the_end_is_sent(clock):
    collector = Collector()
    exporting = Exporting(collector, clock)
    for number in range(40):
        exporting.put(number)
    exporting.close()
    assert collector.taken == list(range(40))
    assert collector.closed


def test_a_collector_that_hangs_costs_memory_and_time_within_bounds(clock, monkeypatch):
    monkeypatch.setattr(trace_export, "LAST_FLUSH", 0.1)
    collector = Collector(hangs=True)
    exporting = Exporting(collector, clock)
    for number in range(trace_export.MOST_WAITING * 2):
        exporting.put(number)
    assert len(exporting._waiting) <= trace_export.MOST_WAITING
    with caught_logs() as caught:
        began = time.monotonic()
        exporting.close()
        assert time.monotonic() - began < 5
        assert [line["event"] for line in caught.all()] == ["traces_lost_at_end"]
        collector.let_go.set()
        exporting._thread.join()


def test_losses_are_told_once_and_so_is_their_end(clock):
    collector = Collector("refused")
    with caught_logs() as caught:
        exporting = Exporting(collector, clock)
        exporting.put(0)
        exporting._wake.set()
        deadline = time.monotonic() + 30
        while not caught.text and time.monotonic() < deadline:
            time.sleep(0.005)
        for _ in range(5):
            exporting._judge(16, "refused")
        exporting._judge(0, "")
        clock.advance(timedelta(seconds=trace_export.CALM))
        exporting._judge(0, "")
        exporting._judge(0, "")
        exporting.close()
    told = [(line["event"], line.get("reason"), line.get("lost")) for line in caught.all()]
    assert told == [("traces_lost", "refused", None), ("traces_arrive_again", None, 81)]


# -- what is imported -------------------------------------------------------------------------------


def test_neither_spans_nor_their_exporter_are_imported_without_an_endpoint():
    # The Redis driver imports a part of OpenTelemetry by itself, wherever it finds it.
    look = """
import keyturn.cli.main, sys
ours = ("keyturn.telemetry.trace_spans", "opentelemetry.exporter", "opentelemetry.sdk.trace", "requests")
print([name for name in sys.modules if name.startswith(ours)])
"""
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_without_the_extra_the_start_is_refused_with_the_remedy(tmp_path):
    config = tmp_path / "keyturn.yaml"
    secret = "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra"
    config.write_text(
        f"issuer: https://id.example\nsecrets: '{secret}'\n"
        "postgres: {url: 'postgresql://k@127.0.0.1:1/k'}\n"
        "server: {host: 127.0.0.1, port: 0, management_host: 127.0.0.1, management_port: 0}\n"
        "tracing: {endpoint: 'http://127.0.0.1:4318'}\n"
    )
    run = f"""
import sys
sys.modules["opentelemetry.exporter"] = None
from keyturn.cli.main import run
for command in (["config", "check"], ["serve"]):
    sys.argv[1:] = [*command, "--config", {str(config)!r}]
    try:
        run()
    except SystemExit as end:
        print(end.code)
"""
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False)
    remedy = "OpenTelemetry is not installed: pip install 'keyturn[otel]'"
    assert done.stderr == f"keyturn: tracing.endpoint is set, but {remedy}\n" * 2
    assert done.stdout == "2\n2\n"
