"""Queries read as Prometheus reads them, and held against what there is to ask for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
from prometheus_client import CollectorRegistry

from keyturn import paths
from keyturn.telemetry.metrics import Metrics

HTTP = "http_server_request_duration_seconds"
TARGET = {"namespace", "job", "instance"}
"""Labels that Prometheus adds."""

Labels = Mapping[str, set[str]]
"""The labels of a metric and the values each may have; empty: any."""


def catalogue() -> dict[str, Labels]:
    """Return what can be asked of a server, sample by sample."""
    metrics = Metrics()
    metrics.build.info({"version": "", "commit": "", "python": ""})
    # One process has no workers to count.
    for state in ("configured", "running", "ready"):
        metrics.workers.processes.labels(state)
    found = dict(_samples(metrics.registry))
    routes = {one for name, one in vars(paths).items() if name.isupper()}
    for part in ("bucket", "count", "sum"):
        found[f"{HTTP}_{part}"] = dict(found[f"{HTTP}_{part}"]) | {
            "http_request_method": set(), "http_route": routes, "http_response_status_code": set()
        }  # fmt: skip
    return found


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, dict[str, set[str]]]]:
    for collector in registry._collector_to_names:
        for family in collector.collect():
            labels: dict[str, set[str]] = {
                one: set() for one in getattr(collector, "_labelnames", ())
            }
            for sample in family.samples:
                for label, value in sample.labels.items():
                    labels.setdefault(label, set()).add(value)
            if family.type == "histogram":
                bounds = collector._kwargs["buckets"]
                buckets = {f"{float(one)}" for one in bounds} | {"+Inf"}
                yield f"{family.name}_bucket", labels | {"le": buckets}
                for part in ("count", "sum"):
                    yield f"{family.name}_{part}", {k: v for k, v in labels.items() if k != "le"}
            else:
                yield (
                    family.name + {"counter": "_total", "info": "_info"}.get(family.type, ""),
                    labels,
                )


def recorded(groups: list[dict[str, Any]]) -> dict[str, Labels]:
    """Return what rules record; each of ours is one number a job."""
    return {
        rule["record"]: {} for group in groups for rule in group["rules"] if "record" in rule
    }  # fmt: skip


@dataclass(frozen=True)
class Selector:
    """One metric that a query asks for, and how it chooses: label, sign, value."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(node: Any) -> Iterator[Selector]:
    """Yield what a query asks for."""
    for one in walked(node):
        if isinstance(one, promql_parser.VectorSelector):
            chosen = ((m.name, str(m.op), m.value) for m in one.matchers.matchers)
            yield Selector(one.name or "", tuple(chosen))


def walked(node: Any) -> Iterator[Any]:
    """Yield a node of a query and all below it."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (below := getattr(node, name, None)) is not None:
            yield from walked(below)
    for below in getattr(node, "args", None) or ():
        yield from walked(below)


def complaints(query: str, known: Mapping[str, Labels]) -> list[str]:
    """Return what is wrong with a query: no PromQL, or it asks for what there is not."""
    try:
        tree = promql_parser.parse(query)
    except ValueError as error:
        return [f"{query}: {error}"]
    found = [
        f"{one.name}: there is no such metric" for one in selectors(tree) if one.name not in known
    ]
    for one in selectors(tree):
        found += _wrong_labels(one, known.get(one.name, {}))
    for node in walked(tree):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            below = {label for one in selectors(node.expr) for label in known.get(one.name, ())}
            found += [
                f"{label}: nothing below has this label"
                for label in node.modifier.labels
                if label not in below | TARGET
            ]
    return found


def _wrong_labels(selector: Selector, labels: Labels) -> list[str]:
    found = []
    for label, sign, value in selector.matchers:
        if label not in set(labels) | TARGET:
            found.append(f"{selector.name}: has no label {label}")
        elif (values := labels.get(label)) and not _is_a_value(sign, value, values):
            found.append(f"{selector.name}: {label} is never {value}")
    return found


def _is_a_value(sign: str, value: str, values: set[str]) -> bool:
    """Whether each way a matcher can hold is a value that the label has."""
    if "Re" not in sign:
        return value in values
    ways = [value] if "(" in value else value.split("|")
    return all(any(re.fullmatch(way, one) for one in values) for way in ways)
