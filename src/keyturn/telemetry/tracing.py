"""Traces as plain facts: which requests, how long, and what each of them waited for.

Nothing of OpenTelemetry is here, and a request that is not traced pays for one look at a context
variable where it waits. Whoever waits for a store says so by `step`; `trace_export` makes spans of
it, in a thread of its own. A step has the name of a query or a command, never what it was asked
with: parameters, keys and URLs are where secrets are.
"""

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Final, Literal, Protocol, TypeAlias

from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.telemetry.traceparent import Traceparent

Kind: TypeAlias = Literal["sql", "redis", "http", "internal"]
"""What is waited for: a statement, a command, somebody else's server, or something of our own."""

MOST_STEPS: Final = 128
"""Of one request: more are only counted, so that no request makes a trace without end."""

_DRAW: Final = 8


@dataclass(slots=True, eq=False)
class Step:
    """One wait of a request; `began` and `ended` by the monotonic clock."""

    trace: "Trace"
    kind: Kind
    name: str
    host: str = ""
    """Whose server, of `http`."""
    began: float = 0.0
    ended: float = 0.0
    error: str = ""
    """The name of what went wrong: of a class, never its text."""

    def __enter__(self) -> None:
        """Begin to wait."""
        self.began = self.trace.clock.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Note how it ended; whatever went wrong goes on."""
        self.ended = self.trace.clock.monotonic()
        if kind is not None:
            self.error = kind.__name__
        self.trace.add(self)


class _Nothing:
    """What is entered where nothing is traced."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


_NOTHING: Final = _Nothing()


@dataclass(slots=True, eq=False)
class Trace:
    """One request that is traced."""

    clock: Clock
    trace_id: str
    span_id: str
    began_at: datetime
    began: float
    parent: Traceparent | None = None
    """Of whose span this is a part."""
    linked: Traceparent | None = None
    """What the caller said, where it is not believed."""
    name: str = ""
    attributes: dict[str, str | int] = field(default_factory=dict)
    failed: bool = False
    ended: float = 0.0
    steps: list[Step] = field(default_factory=list)
    steps_dropped: int = 0
    over: bool = False

    def add(self, step: Step) -> None:
        """Keep one step that has ended; what ends after the request is nobody's."""
        if self.over:
            return
        if len(self.steps) < MOST_STEPS:
            self.steps.append(step)
        else:
            self.steps_dropped += 1


class Sink(Protocol):
    """What takes finished traces: at once, whatever becomes of them."""

    def put(self, trace: Trace) -> None:
        """Take one; never waits, never fails."""
        ...

    def close(self) -> None:
        """Send what is left, within a bound; blocks."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """Decides which requests are traced, and gives them their ids."""

    clock: Clock
    ratio: float
    sink: Sink

    def begin(self, said: Traceparent | None, *, believed: bool) -> Trace | None:
        """Begin the trace of a request, or do not: as a believed caller did, else by a draw.

        A `traceparent` of anybody else decides nothing: one could have everything traced, or fill
        somebody's trace with requests of one's own. It becomes a link.
        """
        parent = said if believed else None
        if not (parent.sampled if parent else self._drawn()):
            return None
        return Trace(
            clock=self.clock,
            trace_id=parent.trace_id if parent else opaque.token_bytes(16).hex(),
            span_id=new_span_id(),
            began_at=self.clock.now(),
            began=self.clock.monotonic(),
            parent=parent,
            linked=None if believed else said,
        )

    def end(self, trace: Trace) -> None:
        """End the trace of a request and hand it on."""
        trace.ended, trace.over = self.clock.monotonic(), True
        self.sink.put(trace)

    def _drawn(self) -> bool:
        drawn = int.from_bytes(opaque.token_bytes(_DRAW))
        return drawn < self.ratio * 256**_DRAW


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def new_span_id() -> str:
    """Return a new id of a span; that it is all zeros, which is no id, is not to be expected."""
    return opaque.token_bytes(8).hex()


def current_trace_id() -> str | None:
    """Return the id of the trace that this task is a part of; None outside of one."""
    trace = _current.get()
    return None if trace is None else trace.trace_id


def enter_trace(trace: Trace | None) -> Token[Trace | None]:
    """Have the steps of this task, from now on, be this trace's, or nobody's."""
    return _current.set(trace)


def leave_trace(token: Token[Trace | None]) -> None:
    """End what `enter_trace` began."""
    _current.reset(token)


def step(kind: Kind, name: str, host: str = "") -> Step | _Nothing:
    """Return a context manager around one wait; it costs next to nothing where nothing is traced.

    `name` is one of few: of a query, a command, a method.
    """
    trace = _current.get()
    if trace is None or trace.over:
        return _NOTHING
    return Step(trace, kind, name, host)
