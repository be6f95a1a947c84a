"""The numbers of several processes as one: sums that never go back, gauges by their rule."""

from collections import Counter as Count

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from keyturn.telemetry.metrics import Metrics
from keyturn.workers.merging import merge
from keyturn.workers.rules import RULES, Rule
from keyturn.workers.snapshot import plain, read, taken
from keyturn.workers.totals import Totals

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class Measured:
    """A process that counts."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.counter = Counter("jobs", "x", ("result",), registry=self.registry)
        self.histogram = Histogram("took", "x", buckets=(1, 2), registry=self.registry)
        self.gauge = Gauge("keyturn_db_pool_connections", "x", registry=self.registry)

    def snapshot(self):
        """What arrives at the parent."""
        return read(orjson.loads(orjson.dumps(plain(taken(self.registry)))))


def values(families):
    return {
        (one.name, *sorted(one.labels.items())): one.value
        for family in families
        for one in family.samples
        if not one.name.endswith("_created")
    }


def lasting(families):
    return {key: value for key, value in values(families).items() if "connections" not in key[0]}


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 2), st.sampled_from(["ok", "failed"])),
        st.tuples(st.just("observe"), st.integers(0, 2), st.sampled_from([0.5, 1.5, 9.0])),
        st.tuples(st.just("ask"), st.integers(0, 2), st.none()),
        st.tuples(st.just("die"), st.integers(0, 2), st.none()),
    ),
    max_size=40,
)


@given(EVENTS)
def test_merged_counters_are_the_sum_of_all_that_was_told_and_never_go_back(events):
    """Workers count, are asked, and die at any moment; another takes the place of each."""
    parent = Measured()
    totals = Totals(parent.registry)
    places = {place: (place, Measured()) for place in range(3)}
    told, lost, number = Count(), {place: Count() for place in places}, 3
    shown = lasting(totals.collect())
    for what, place, value in events:
        worker, process = places[place]
        if what == "count":
            process.counter.labels(value).inc()
            lost[place][value] += 1
        elif what == "observe":
            process.histogram.observe(value)
            lost[place][value] += 1
        elif what == "ask":
            totals.note(worker, process.snapshot())
            told += lost[place]
            lost[place].clear()
        else:
            totals.close(worker)
            places[place], number = (number, Measured()), number + 1
            lost[place].clear()
        now = lasting(totals.collect())
        assert all(now.get(key, -1) >= value for key, value in shown.items())
        shown = now
    for result in ("ok", "failed"):
        assert shown.get(("jobs_total", ("result", result)), 0) == told[result]
    assert shown[("took_count",)] == told[0.5] + told[1.5] + told[9.0]
    assert shown[("took_sum",)] == pytest.approx(0.5 * told[0.5] + 1.5 * told[1.5] + 9 * told[9.0])
    buckets = [shown[("took_bucket", ("le", edge))] for edge in ("1.0", "2.0", "+Inf")]
    assert buckets == [told[0.5], told[0.5] + told[1.5], shown[("took_count",)]]


def test_a_dead_workers_connections_are_gone_and_what_it_counted_is_not():
    totals, worker = Totals(Measured().registry), Measured()
    worker.counter.labels("ok").inc(3)
    worker.gauge.set(7)
    totals.note(1, worker.snapshot())
    assert values(totals.collect())[("keyturn_db_pool_connections",)] == 7
    totals.close(1)
    after = values(totals.collect())
    assert after[("keyturn_db_pool_connections",)] == 0
    assert after[("jobs_total", ("result", "ok"))] == 3


def test_the_newest_exemplar_of_a_bucket_stays_also_of_a_worker_that_has_ended():
    totals = Totals(Measured().registry)
    first, second, third = Measured(), Measured(), Measured()
    first.histogram.observe(0.5, {"trace_id": "old"})
    first.histogram.observe(1.5, {"trace_id": "only"})
    totals.note(1, first.snapshot())
    totals.close(1)
    second.histogram.observe(0.5, {"trace_id": "new"})
    second.histogram.observe(9, {"trace_id": "early"})
    third.histogram.observe(9, {"trace_id": "late"})
    totals.note(2, second.snapshot())
    totals.note(3, third.snapshot())
    encode, _ = choose_encoder(OPEN_METRICS)
    families = text_string_to_metric_families(encode(totals).decode())
    exemplars = {
        one.labels["le"]: one.exemplar.labels["trace_id"]
        for family in families
        for one in family.samples
        if one.exemplar
    }
    assert exemplars == {"1.0": "new", "2.0": "only", "+Inf": "late"}


def test_the_whole_catalogue_survives_the_way_to_the_parent_and_both_formats():
    parent, worker = Metrics(), Metrics()
    for one in (parent, worker):
        one.build.info({"version": "1"})
        one.token_requests("refresh_token", "ok")
        one.requests.child("GET", "/x", 200).observe(0.1, {"trace_id": "a" * 32})
    worker.clock_skew.set(float("-inf"))
    totals = Totals(parent.registry)
    totals.note(1, read(orjson.loads(orjson.dumps(plain(taken(worker.registry))))))
    merged = values(totals.collect())
    key = (("grant_type", "refresh_token"), ("result", "ok"))
    assert merged[("keyturn_token_requests_total", *key)] == 2
    assert merged[("keyturn_clock_skew_seconds",)] == float("-inf")
    assert merged[("keyturn_build_info", ("version", "1"))] == 1
    alone, both = values(parent.registry.collect()), merged
    assert set(alone) == set(both)
    for accepted in (OPEN_METRICS, "text/plain; version=0.0.4"):
        encode, _ = choose_encoder(accepted)
        assert len(encode(totals)) == pytest.approx(len(encode(parent.registry)), rel=0.05)


@pytest.mark.parametrize(
    ("rule", "numbers", "expected"),
    [
        (Rule.SUM, (1, 2, 4), 7),
        (Rule.MOST, (1, 4, 2), 4),
        (Rule.LEAST, (0, 1, 1), 0),
        (Rule.OLDEST, (0, 1700000009, 1700000003), 1700000003),
        (Rule.OLDEST, (0, 0), 0),
        (Rule.FARTHEST, (0.5, -3, 2), -3),
        (Rule.PARENT, (1,), 1),
    ],
)
def test_what_gauges_are_together(rule, numbers, expected):
    assert rule.of(numbers) == expected


def test_what_the_parent_says_for_all_of_them_no_worker_contradicts():
    parent, worker = Metrics(), Metrics()
    worker.draining.set(1)
    merged = values(merge(taken(parent.registry), [taken(worker.registry)]))
    assert merged[("keyturn_draining",)] == 0


@pytest.mark.parametrize(
    "garbled", [[["jobs"]], [["jobs", "x", "none such", "", []]], [[1, 2, 3, 4, 5]], ["x"], 7]
)
def test_what_is_no_snapshot_is_refused(garbled):
    with pytest.raises((TypeError, ValueError)):
        read(garbled)


def test_every_rule_is_used():
    assert set(RULES.values()) == set(Rule)
