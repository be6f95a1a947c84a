"""`GET /health/...`: alive, started, ready, and what the process reaches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clock import Clock
from keyturn.telemetry.vitals import Dependency
from keyturn.web.responses import json_bytes

OK, AWAY = 200, 503


class Pulse(Protocol):
    """What is asked: the vitals of this process, or of several together."""

    @property
    def started(self) -> bool:
        """Whether settings, schema and keys are loaded."""
        ...

    @property
    def dependencies(self) -> Mapping[str, Dependency]:
        """What the last probe of each found."""
        ...

    def why_not_ready(self) -> list[str]:
        """Return what keeps traffic away, empty when nothing does."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """The health endpoints; their answers are for programs first, so the status says it all."""

    pulse: Pulse
    clock: Clock

    async def live(self, _request: Request) -> Response:
        """Answer 200: that it is answered is the answer."""
        return json_bytes({"status": "live"})

    async def started(self, _request: Request) -> Response:
        """Answer 200 once settings, schema and keys are loaded, else 503."""
        if self.pulse.started:
            return json_bytes({"status": "started"})
        return json_bytes({"status": "starting"}, AWAY)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 when balancers may send requests here, else 503 with the reasons."""
        reasons = self.pulse.why_not_ready()
        if reasons:
            return json_bytes({"status": "not ready", "reasons": reasons}, AWAY)
        return json_bytes({"status": "ready"})

    async def dependencies(self, _request: Request) -> Response:
        """Answer 200 with what the last probe found of each; 503 when one of them is away."""
        now = self.clock.monotonic()
        found: dict[str, dict[str, Any]] = {
            name: {
                "up": one.up,
                "secondsAgo": round(now - one.checked_at, 1),
                **({"reason": one.reason} if one.reason else {}),
            }
            for name, one in self.pulse.dependencies.items()
        }
        everything_up = all(one.up for one in self.pulse.dependencies.values())
        return json_bytes({"dependencies": found}, OK if everything_up else AWAY)
