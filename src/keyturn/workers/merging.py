"""The numbers of several processes as one: counters and histograms add up, gauges by their rule.

Exemplars stay: of several for one bucket, the newest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from keyturn.workers.rules import Rule, rule_of
from keyturn.workers.snapshot import Snapshot

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

_LASTING = frozenset({"counter", "histogram", "summary"})
"""What an ended process has counted stays counted; how it stood is of no interest any more."""

_GAUGES = frozenset({"gauge", "gaugehistogram", "unknown"})


def merge(parent: Snapshot, workers: Iterable[Snapshot]) -> Snapshot:
    """Return the metrics of a parent and its workers together; order and names are the parent's."""
    families: dict[str, _Family] = {}
    for is_parent, snapshot in _marked(parent, workers):
        for one in snapshot:
            family = families.setdefault(one.name, _Family.like(one))
            if is_parent or family.rule is not Rule.PARENT:
                family.add(one.samples)
    return [one.merged() for one in families.values()]


def add_up(past: Snapshot, ended: Snapshot) -> Snapshot:
    """Return what ended processes have counted, with one more of them."""
    return [one for one in merge(past, [ended]) if one.type in _LASTING]


def _marked(parent: Snapshot, workers: Iterable[Snapshot]) -> Iterator[tuple[bool, Snapshot]]:
    yield True, parent
    for one in workers:
        yield False, one


@dataclass(slots=True, eq=False)
class _Family:
    """One metric, and the samples of all processes by name and labels."""

    empty: Metric
    rule: Rule
    samples: dict[_Key, list[Sample]] = field(default_factory=dict)

    @classmethod
    def like(cls, one: Metric) -> "_Family":
        rule = Rule.SUM if one.type in _LASTING else Rule.MOST
        if one.type in _GAUGES:
            rule = rule_of(one.name)
        return cls(Metric(one.name, one.documentation, one.type, one.unit), rule)

    def add(self, samples: Iterable[Sample]) -> None:
        for one in samples:
            key = (one.name, tuple(sorted(one.labels.items())))
            self.samples.setdefault(key, []).append(one)

    def merged(self) -> Metric:
        self.empty.samples.extend(self._one(several) for several in self.samples.values())
        return self.empty

    def _one(self, several: Sequence[Sample]) -> Sample:
        first = several[0]
        if len(several) == 1:
            return first
        value = self.rule.of([one.value for one in several])
        return first._replace(value=value, exemplar=_newest(several))


def _newest(several: Iterable[Sample]) -> Exemplar | None:
    exemplars = [one.exemplar for one in several if one.exemplar is not None]
    return max(exemplars, key=lambda one: float(one.timestamp or 0), default=None)
