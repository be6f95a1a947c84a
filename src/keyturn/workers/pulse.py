"""The health of a parent and its workers together: what the health endpoints answer.

Ready: the parent has started and is not draining, and at least one worker is ready. A worker that
is being replaced must not take the others out of the balancer: the socket is theirs, too. Started:
so is everybody, once. Ten processes that reach a dependency and one that does not: it is away.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keyturn.telemetry.vitals import Dependency, Vitals
from keyturn.workers.state import State


@dataclass(slots=True, eq=False)
class Pulse:
    """What `ops.health` asks."""

    vitals: Vitals
    """The parent's own."""
    workers: Callable[[], Sequence[State]]
    """How each worker is, one that is only being started included."""
    _all_started: bool = field(default=False, init=False)

    @property
    def started(self) -> bool:
        """Whether everybody had started, now or before."""
        if not self._all_started:
            self._all_started = self.vitals.started and all(one.started for one in self.workers())
        return self._all_started

    @property
    def dependencies(self) -> Mapping[str, Dependency]:
        """What the last probes found; of several processes, the worst."""
        found = [self.vitals.dependencies, *(one.dependencies for one in self.workers())]
        names = {name: None for one in found for name in one}
        return {name: _worst(one[name] for one in found if name in one) for name in names}

    def why_not_ready(self) -> list[str]:
        """Return what keeps traffic away, empty when nothing does."""
        reasons = [] if self.vitals.started else ["starting"]
        reasons += ["draining"] * self.vitals.draining
        workers = self.workers()
        if not any(one.ready for one in workers):
            reasons += ["no worker ready", *(reason for one in workers for reason in one.reasons)]
        return list(dict.fromkeys(reasons))


def _worst(found: Iterable[Dependency]) -> Dependency:
    """Return one that is away before any that is up, and of those the one asked longest ago."""
    return min(found, key=lambda one: (one.up, one.checked_at))
