"""How labels are bound: from the start, once, and never to what a caller chooses."""

from importlib import resources

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from keyturn.db.queries import load_queries
from keyturn.telemetry import build, labels
from keyturn.telemetry.instruments import Declare, RequestTimes
from keyturn.telemetry.metrics import MOST_SERIES, Metrics
from keyturn.web.request_log import EXPECTED


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def declare(registry):
    return Declare(registry)


def series(registry) -> list[str]:
    return [
        line.rpartition(" ")[0]
        for line in generate_latest(registry).decode().splitlines()
        if line and not line.startswith("#")
    ]


def test_children_are_there_before_anything_happens_and_nothing_else_is(declare, registry):
    declare.counts("falls", "x", "side", ("left", "right"))
    declare.pairs("jumps", "x", ("kind", "way"), [("high", "up"), ("long", "on")])
    declare.times_by({"kind": ("high",)}, "flights", "x", (1.0,))
    assert series(registry) == [
        'falls_total{side="left"}',
        'falls_total{side="right"}',
        'jumps_total{kind="high",way="up"}',
        'jumps_total{kind="long",way="on"}',
        'flights_bucket{kind="high",le="1.0"}',
        'flights_bucket{kind="high",le="+Inf"}',
        'flights_count{kind="high"}',
        'flights_sum{kind="high"}',
    ]


def test_a_value_that_was_not_declared_is_our_mistake(declare):
    falls = declare.counts("falls", "x", "side", ("left",))
    jumps = declare.pairs("jumps", "x", ("kind", "way"), [("high", "up"), ("long", "on")])
    flights = declare.times_by({"kind": ("high",)}, "flights", "x", (1.0,))
    for wrong in (lambda: falls("up"), lambda: jumps("high", "on"), lambda: flights["long"]):
        with pytest.raises(KeyError):
            wrong()


def test_or_it_counts_as_the_rest(declare, registry):
    falls = declare.counts("falls", "x", "side", ("left", "lost"), rest="lost")
    falls("up", 2)
    jumps = declare.pairs(
        "jumps", "x", ("kind", "way"), [("odd", "up"), ("odd", "lost")], rest=("odd", "lost")
    )
    jumps("high", "up")
    jumps("high", "away")
    flights = declare.times_by({"kind": ("high", "other")}, "flights", "x", (1.0,))
    flights["anything"].observe(0.5)
    value = registry.get_sample_value
    assert value("falls_total", {"side": "lost"}) == 2
    assert value("jumps_total", {"kind": "odd", "way": "up"}) == 1
    assert value("jumps_total", {"kind": "odd", "way": "lost"}) == 1
    assert value("flights_count", {"kind": "other"}) == 1


def test_a_flood_of_combinations_does_not_grow_the_page_nor_hide_what_is_expected(
    declare, registry
):
    times: RequestTimes = declare.request_times("t", "x", (1.0,), 10)
    times.expect("POST", "/token", (200, 503))
    for number in range(500):
        times.child("GET", f"/{number}", 200 + number % 400).observe(0.1)
    before = len(series(registry))
    times.child("POST", "/token", 503).observe(0.1)
    times.child("PATCH", "/new", 404).observe(0.1)
    assert len(series(registry)) == before == (10 + 4) * 4
    labelled = ("http_request_method", "http_route", "http_response_status_code")

    def seen(*given):
        return registry.get_sample_value("t_count", dict(zip(labelled, given, strict=True)))

    assert seen("POST", "/token", "503") == 1
    assert sum(seen("_OTHER", "other", f"{one}xx") for one in (2, 3, 4, 5)) == 500 - 8 + 1


def every_series(metrics: Metrics, combinations: int = 1000) -> int:
    """Return how many series there are once everything has happened that can."""
    metrics.build.info(dict(build.facts()))
    for expected in EXPECTED:
        metrics.requests.expect(*expected)
    for number in range(combinations):
        metrics.requests.child("GET", f"/{number}", 100 + number % 500)
    for gauge, values in (
        (metrics.signing_keys, ("next", "signing", "retired")),
        (metrics.signing_key_not_after, ("next", "signing", "retired")),
        (metrics.schema_version, ("applied", "required")),
        (metrics.dependency_up, ("postgres", "redis")),
    ):
        for value in values:
            gauge.labels(value).set(1)
    return len(series(metrics.registry))


def test_OP_2_a_process_never_shows_more_series_than_its_budget():
    bounded, unbounded = Metrics(), Metrics()
    unbounded.requests._most = 10_000
    assert every_series(bounded) < MOST_SERIES
    assert every_series(unbounded) > MOST_SERIES, "the count counts"


def test_what_alerts_read_is_at_zero_before_anything_happens():
    metrics = Metrics()
    for expected in EXPECTED:
        metrics.requests.expect(*expected)
    text = generate_latest(metrics.registry).decode()
    for started in (
        'keyturn_refresh_rotations_total{result="reuse"} 0.0',
        'keyturn_authentications_total{method="password",result="bad_credentials"} 0.0',
        'keyturn_lockouts_total{scope="account"} 0.0',
        'keyturn_audit_write_failures_total{reason="queue_full"} 0.0',
        (
            'http_server_request_duration_seconds_count{http_request_method="POST",'
            'http_response_status_code="503",http_route="/oauth2/token"} 0.0'
        ),
    ):
        assert f"\n{started}\n" in text
    assert "_created{" not in text
    assert "_created " not in text


def test_the_build_says_what_it_was_made_of(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "COMMIT_FILE", tmp_path / "COMMIT")
    assert build.facts()["commit"] == "unknown"
    build.COMMIT_FILE.write_text("0123abcd\n")
    assert build.facts()["commit"] == "0123abcd"


def test_named_operations_are_queries_that_exist():
    """A renamed query would be timed as `other`, and nobody would see it."""
    named = {one for one in labels.DATABASE_OPERATIONS if "." in one}
    found = {
        query.operation
        for folder in resources.files("keyturn").iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".sql")
        for query in load_queries(f"keyturn.{folder.name}", file.name).values()
    }
    assert named - found == set()
