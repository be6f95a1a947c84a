"""What is measured is on one page, by name, label and value."""

import pytest
from prometheus_client import CollectorRegistry, Counter

from keyturn.telemetry.instruments import Bound
from keyturn.telemetry.labels import AUDIT_TYPES
from keyturn.telemetry.metrics import Metrics
from support.tree import differences, spans, table, text

ELSEWHERE = {f"keyturn_audit_events_total type={one}" for one in AUDIT_TYPES}
"""Values that the page leaves to another one, of which another guard sees that it tells them."""


def measured(registry):
    """Return every metric, its labels, and the values a counter's labels start with."""
    words = set()
    for collector in registry._collector_to_names:
        for family in collector.collect():
            name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
            words |= {name} | {f"{name} {label}" for label in getattr(collector, "_labelnames", ())}
            for sample in family.samples:
                if sample.name == name:
                    words |= {f"{name} {label}" for label in sample.labels}
                if sample.name == name and family.type == "counter":
                    words |= {f"{name} {label}={value}" for label, value in sample.labels.items()}
    return words - ELSEWHERE


def documented(page):
    """Return the same of the page: `label`: `value`, `value`; `label`."""
    words = set()
    for named, labels, *_ in table(page, "## Metrics"):
        (name,) = spans(named)
        words.add(name)
        for label, *values in filter(None, map(spans, labels.split(";"))):
            words.add(f"{name} {label}")
            if name.endswith("_total"):
                words |= {f"{name} {label}={value}" for value in values}
    return words


def test_every_metric_is_documented_with_its_labels_and_every_documented_one_exists():
    metrics = Metrics()
    metrics.build.info({"version": "1", "commit": "2", "python": "3"})
    assert differences(documented(text("docs/metrics.md")), measured(metrics.registry)) == []


# -- what the guards find when it is planted ------------------------------------------------------

PAGE = """
## Metrics

| metric | labels | what |
| --- | --- | --- |
| `jobs_total` | `result`: `ok`, `failed` | |
"""


@pytest.mark.parametrize(
    ("good", "bad", "complaints"),
    [
        ("", "", []),
        ("`jobs_total`", "`works_total`", None),
        ("`result`:", "`reason`:", None),
        (", `failed`", "", ["jobs_total result=failed: told nowhere"]),
        ("`ok`", "`ok`, `lost`", ["jobs_total result=lost: there is no such thing"]),
    ],
)
def test_a_page_that_says_something_else_is_found(good, bad, complaints):
    registry = CollectorRegistry()
    Bound(Counter("jobs", "x", ("result",), registry=registry), "result", ("ok", "failed"))
    found = differences(documented(PAGE.replace(good, bad)), measured(registry))
    assert found == complaints if complaints is not None else len(found) >= 4
