"""The metrics of one process as plain data, exemplars and all, and back.

    family     [name, documentation, type, unit, samples]
    sample     [name, {label: value}, value, exemplar or null]
    exemplar   [{label: value}, value, Unix seconds or null]

A value that JSON has no number for is a string: "nan", "inf", "-inf".
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

Snapshot: TypeAlias = Sequence[Metric]
"""Every metric of a process at one moment."""


_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_EXEMPLARY = {("histogram", "bucket"), ("counter", "total")}
"""Kinds and endings of samples that may have an exemplar; one elsewhere would fail a scrape."""


def taken(registry: Collector) -> Snapshot:
    """Return what a registry holds now."""
    return list(registry.collect())


def plain(families: Snapshot) -> list[Any]:
    """Return it as what a message can carry."""
    return [
        [one.name, one.documentation, one.type, one.unit, [_sample(each) for each in one.samples]]
        for one in families
    ]


def read(families: Iterable[Any]) -> Snapshot:
    """Return what `plain` was given. Raises `ValueError` or `TypeError` for anything else.

    Here, where the worker alone that sent it can be ended, and not at the next scrape.
    """
    return [_family(*one) for one in families]


def _sample(sample: Sample) -> list[Any]:
    exemplar = sample.exemplar
    told = exemplar and [dict(exemplar.labels), _number(exemplar.value), _moment(exemplar)]
    return [sample.name, dict(sample.labels), _number(sample.value), told]


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _moment(exemplar: Exemplar) -> float | None:
    return None if exemplar.timestamp is None else float(exemplar.timestamp)


def _family(name: str, documentation: str, kind: str, unit: str, samples: Iterable[Any]) -> Metric:
    family = Metric(_named(name), str(documentation), str(kind), str(unit))
    for sample, labels, value, exemplar in samples:
        told = _exemplar(*exemplar) if exemplar else None
        if told and (kind, _ending(sample)) not in _EXEMPLARY:
            raise ValueError("an exemplar where there is none")
        family.samples.append(Sample(_named(sample), _labels(labels), float(value), None, told))
    return family


def _ending(sample: str) -> str:
    return str(sample).rpartition("_")[2]


def _named(name: Any) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("no name")
    return str(name)


def _labels(told: Any) -> dict[str, str]:
    return {_named(name): str(value) for name, value in dict(told).items()}


def _exemplar(labels: Any, value: Any, moment: Any) -> Exemplar:
    return Exemplar(_labels(labels), float(value), None if moment is None else float(moment))
