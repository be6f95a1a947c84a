"""How a worker is, as it tells its parent several times a second.

    {"started": true, "serving": true, "reasons": [], "dependencies": {"redis": [false, 0.4, "x"]}}

A dependency is whether it is up, how many seconds ago it was asked, and what was the matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.telemetry.vitals import Dependency, Vitals


@dataclass(frozen=True, slots=True)
class State:
    """What a worker last said."""

    started: bool = False
    serving: bool = False
    """Whether it accepts connections."""
    reasons: tuple[str, ...] = ("starting",)
    """What keeps traffic away; empty: it is ready."""
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it answers, and is well."""
        return self.serving and not self.reasons

    @classmethod
    def read(cls, told: Mapping[str, Any], now: float) -> "State":
        """Return what a message says, its ages by the monotonic clock `now`."""
        return cls(
            started=bool(told["started"]),
            serving=bool(told["serving"]),
            reasons=tuple(map(str, told["reasons"])),
            dependencies={
                str(name): Dependency(bool(up), now - float(age), str(reason))
                for name, (up, age, reason) in told["dependencies"].items()
            },
        )


def told(vitals: Vitals, *, serving: bool) -> dict[str, Any]:
    """Return the state of this process as a message."""
    now = vitals.clock.monotonic()
    return {
        "started": vitals.started,
        "serving": serving,
        "reasons": vitals.why_not_ready(),
        "dependencies": {
            name: [one.up, now - one.checked_at, one.reason]
            for name, one in vitals.dependencies.items()
        },
    }
