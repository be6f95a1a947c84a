"""What each fault cost: from the first to the last failing answer after it began."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from chaos.history import Event
from chaos.story import spans

ASKED = frozenset({"sign_in", "refresh", "log_out", "log_out_all", "introspect"})
"""Kinds whose answers come through the front."""


@dataclass(frozen=True, slots=True)
class Window:
    """One fault; times are seconds after its beginning, None where nothing failed."""

    fault: str
    began: float
    lasted: float
    """From its beginning until everything was there again."""
    asked: int
    failed: int
    first: float | None
    last: float | None

    @property
    def seconds(self) -> float:
        """How long callers saw errors."""
        return 0.0 if self.first is None or self.last is None else self.last - self.first


def windows(events: Sequence[Event]) -> Sequence[Window]:
    """Return one for each fault: what fails until the next one begins is its own."""
    found = spans(events)
    nexts = [*(began for _, began, _ in found), inf][1:]
    asked = [one for one in events if one.kind in ASKED]
    return [
        _window(fault, (began, ended), [one for one in asked if began <= one.at < until])
        for (fault, began, ended), until in zip(found, nexts, strict=True)
    ]


def _window(fault: str, span: tuple[float, float], answers: Sequence[Event]) -> Window:
    began, ended = span
    failing = [one.at - began for one in answers if one.is_failing]
    return Window(
        fault=fault,
        began=began,
        lasted=min(ended, max((one.at for one in answers), default=began)) - began,
        asked=len(answers),
        failed=len(failing),
        first=min(failing, default=None),
        last=max(failing, default=None),
    )


def p99_outside(events: Sequence[Event]) -> float | None:
    """Return the 99th percentile of a refresh while no fault was on, in seconds."""
    on = [(one.began, one.began + max(one.lasted, one.last or 0.0)) for one in windows(events)]
    took = sorted(
        one.at - one.began
        for one in events
        if one.kind == "refresh" and one.is_good
        if not any(began <= one.at and one.began <= ended for began, ended in on)
    )
    return took[math.ceil(len(took) * 0.99) - 1] if took else None
