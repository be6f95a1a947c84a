"""Every gauge says what it is together with those of other processes, in code and on the page."""

import pytest
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from keyturn.telemetry.metrics import Metrics
from keyturn.workers.rules import RULES
from support.tree import differences, spans, table, text


def unruled(registry):
    """Return the gauges of a registry that have no rule."""
    return [one.name for one in registry.collect() if one.type == "gauge" and one.name not in RULES]


def unshown(registry):
    """Return the rules of gauges that no process shows."""
    shown = {one.name for one in registry.collect() if one.type in {"gauge", "info"}}
    return sorted(RULES.keys() - shown)


def documented(page):
    """Return `gauge: rule` for every gauge of the page's table."""
    rows = table(page, "## Several workers")
    return {f"{name}: {rule}" for rule, gauges, *_ in rows for name in spans(gauges)}


def test_every_gauge_has_a_rule_for_several_processes():
    metrics = Metrics()
    for of_the_client in (ProcessCollector, PlatformCollector, GCCollector):
        if not any(isinstance(one, of_the_client) for one in metrics.registry._collector_to_names):
            of_the_client(registry=metrics.registry)
    assert unruled(metrics.registry) == []
    assert unshown(metrics.registry) == []


def test_every_rule_is_told_on_the_page_of_metrics():
    told = documented(text("docs/metrics.md"))
    assert differences(told, [f"{name}: {rule}" for name, rule in RULES.items()]) == []


# -- what the guards find when it is planted ------------------------------------------------------


def test_a_gauge_without_a_rule_is_found():
    registry = CollectorRegistry()
    Gauge("keyturn_ready", "x", registry=registry)
    Gauge("keyturn_moods", "x", registry=registry)
    assert unruled(registry) == ["keyturn_moods"]


def test_a_rule_without_its_gauge_is_found():
    registry = CollectorRegistry()
    Gauge("keyturn_ready", "x", registry=registry)
    assert "keyturn_ready" not in unshown(registry)
    assert "keyturn_workers" in unshown(registry)


@pytest.mark.parametrize("planted", [("`keyturn_ready`, ", ""), ("| smallest |", "| largest |")])
def test_a_page_that_tells_another_rule_is_found(planted):
    assert documented(text("docs/metrics.md").replace(*planted)) != documented(
        text("docs/metrics.md")
    )
