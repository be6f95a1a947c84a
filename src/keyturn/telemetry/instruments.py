"""How metrics are made, each in one call, with the children of its labels bound at once.

A label look-up for each request costs more than the count itself, so whoever counts is handed
what is counted on. What is bound from the start also stands at zero from the start: the first
event is not lost to `rate()`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

# A series for each counter, of no use here: every process says when it started.
disable_created_metrics()  # type: ignore[no-untyped-call]

OTHER = "other"
"""The value of a label that stands for every one that has no name of its own."""

REQUEST = ("http_request_method", "http_route", "http_response_status_code")

OVERFLOW = ("_OTHER", OTHER)
"""Method and route of a request that is timed together with others like it."""


class Bound:
    """A labelled counter whose children exist from the start: `bound("value")` adds one."""

    def __init__(
        self, counter: Counter, label: str, values: Iterable[str], rest: str | None = None
    ) -> None:
        self._children = {value: counter.labels(**{label: value}) for value in values}
        self._rest = rest

    def __call__(self, value: str, amount: float = 1) -> None:
        """Add `amount`; an unknown value is the `rest`, or else a `KeyError`, on purpose."""
        if self._rest is not None and value not in self._children:
            value = self._rest
        self._children[value].inc(amount)


class Paired:
    """The same with two labels, of which only some values go together."""

    def __init__(
        self,
        counter: Counter,
        pairs: Iterable[tuple[str, str]],
        rest: tuple[str, str] | None = None,
    ) -> None:
        self._children = {pair: counter.labels(*pair) for pair in pairs}
        self._known = tuple({pair[place] for pair in self._children} for place in (0, 1))
        self._rest = rest

    def __call__(self, first: str, second: str, amount: float = 1) -> None:
        """Add `amount`; of an unknown pair, each unknown half is the `rest`, or a `KeyError`."""
        child = self._children.get((first, second))
        if child is None:
            child = self._children[self._nearest(first, second)]
        child.inc(amount)

    def _nearest(self, first: str, second: str) -> tuple[str, str]:
        if self._rest is None:
            return first, second
        firsts, seconds = self._known
        return (
            first if first in firsts else self._rest[0],
            second if second in seconds else self._rest[1],
        )


class Timed:
    """A labelled histogram; `timed[value]` is the child, of an unnamed value that of `other`."""

    def __init__(self, histogram: Histogram, values: Iterable[str]) -> None:
        self._children = {value: histogram.labels(value) for value in values}
        self._other = self._children.get(OTHER)

    def __getitem__(self, value: str) -> Histogram:
        """Return the child; where nothing is declared as `other`, an unknown one is a KeyError."""
        child = self._children.get(value, self._other)
        if child is None:
            raise KeyError(value)
        return child


class RequestTimes:
    """The histogram of requests, whose children come with what is asked, up to `most`.

    Methods, routes and statuses are ours and few; their combinations are thousands, and callers
    choose among them. What comes after the first `most` is timed together, by class of status, so
    that nobody can make `/metrics` grow. What objectives are set on is bound first: `expect`.
    """

    def __init__(self, histogram: Histogram, most: int) -> None:
        self._histogram = histogram
        self._most = most
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def expect(self, method: str, route: str, statuses: Iterable[int]) -> None:
        """Have these start at zero, and never be timed together with others."""
        for status in statuses:
            self.child(method, route, status)

    def child(self, method: str, route: str, status: int) -> Histogram:
        """Return what requests like this are timed by."""
        child = self._children.get((method, route, status))
        if child is not None:
            return child
        if len(self._children) >= self._most:
            return self._histogram.labels(*OVERFLOW, f"{status // 100}xx")
        child = self._histogram.labels(method, route, str(status))
        self._children[method, route, status] = child
        return child


@dataclass(frozen=True, slots=True)
class Declare:
    """Declares metrics in one registry."""

    registry: CollectorRegistry = field(repr=False)

    def count(self, name: str, what: str) -> Counter:
        """Declare a counter without labels."""
        return Counter(name, what, registry=self.registry)

    def counts(
        self,
        name: str,
        what: str,
        label: str,
        values: Iterable[str],
        *,
        rest: str | None = None,
    ) -> Bound:
        """Declare a counter with one label; `rest` is what every other value counts as."""
        return Bound(Counter(name, what, (label,), registry=self.registry), label, values, rest)

    def pairs(
        self,
        name: str,
        what: str,
        labels: tuple[str, str],
        pairs: Iterable[tuple[str, str]],
        *,
        rest: tuple[str, str] | None = None,
    ) -> Paired:
        """Declare a counter with two labels; `rest` is what other values of each count as."""
        return Paired(Counter(name, what, labels, registry=self.registry), pairs, rest)

    def gauge(self, name: str, what: str) -> Gauge:
        """Declare a gauge without labels."""
        return Gauge(name, what, registry=self.registry)

    def gauges(
        self, name: str, what: str, label: str, values: Iterable[str]
    ) -> Mapping[str, Gauge]:
        """Declare a gauge with one label, zero for every value from the start."""
        gauge = self.open_gauge(name, what, label)
        return {value: gauge.labels(value) for value in values}

    def open_gauge(self, name: str, what: str, label: str) -> Gauge:
        """Declare a gauge with one label that says nothing of a value until it is known."""
        return Gauge(name, what, (label,), registry=self.registry)

    def times(self, name: str, what: str, buckets: Sequence[float]) -> Histogram:
        """Declare a histogram without labels."""
        return Histogram(name, what, buckets=buckets, registry=self.registry)

    def times_by(
        self, label: Mapping[str, Iterable[str]], name: str, what: str, buckets: Sequence[float]
    ) -> Timed:
        """Declare a histogram with one label, given with its values."""
        ((key, values),) = label.items()
        return Timed(Histogram(name, what, (key,), buckets=buckets, registry=self.registry), values)

    def request_times(
        self, name: str, what: str, buckets: Sequence[float], most: int
    ) -> RequestTimes:
        """Declare the histogram of requests; at most so many children, and one for each class."""
        histogram = Histogram(name, what, REQUEST, buckets=buckets, registry=self.registry)
        return RequestTimes(histogram, most)

    def info(self, name: str, what: str) -> Info:
        """Declare what never changes while the process lives."""
        return Info(name, what, registry=self.registry)

    def process(self) -> None:
        """Declare what the client library knows of a process: `process_*`, `python_*`."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
