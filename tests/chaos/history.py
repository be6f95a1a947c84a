"""What happened, in order, as those saw it who asked: the only thing that the judge reads.

No token and no id stands in it: only digests, under a salt that dies with the run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Kind = Literal[
    "sign_in",  # a person signs in; a session begins
    "refresh",  # an app renews what it has
    "log_out",  # an app gives up its session
    "log_out_all",  # a person ends every session of theirs, from one of them
    "revoke",  # an administrator ends one
    "call",  # an API checks an access token offline, by keys and status list
    "introspect",  # an API asks about an access token
    "replay",  # a thief presents a superseded token of an app
    "foreign",  # a thief presents one in another client's name, or without that client's secret
    "posthumous",  # somebody presents a refresh token of a session that has ended
    "fault",  # a fault begins or ends (`error` says which)
    "undone",  # a fault undid rotations (`error` says how many)
    "row",  # what the database holds of a session when everything is over
]
ENDINGS = frozenset({"log_out", "log_out_all", "revoke"})
NO_ANSWER = 0
"""The status of a request that got no answer; `error` names what happened instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; times are monotonic seconds since the run began."""

    at: float
    """When the answer came."""
    began: float
    """When it was asked."""
    kind: Kind
    app: str = ""
    session: str = ""
    """A digest."""
    generation: int = -1
    """Of the refresh token that was presented."""
    given: int = -1
    """The generation of the refresh token that was answered."""
    token: str = ""
    """The digest of that."""
    status: int = NO_ANSWER
    error: str = ""
    """The code of a refusal, or what else there is to say."""
    fault: str = ""
    """The fault that was on; of a `fault`, its id."""

    @property
    def is_good(self) -> bool:
        """Whether what was asked for was done."""
        return 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """Whether the answer blames who asked. A limit that was reached (429) does not."""
        return 400 <= self.status < 500 and self.status != 429

    @property
    def is_failing(self) -> bool:
        """Whether there was trouble: no answer, or one that says so."""
        return self.status == NO_ANSWER or self.status >= 500


@dataclass
class History:
    """Events, in the order in which they were known. Append only."""

    clock: Callable[[], float]
    salt: bytes
    _events: list[Event] = field(default_factory=list)
    _started: float = field(init=False)
    _on: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Time begins now."""
        self._started = self.clock()

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self._started

    @property
    def events(self) -> Sequence[Event]:
        """Everything so far."""
        return tuple(self._events)

    def digest(self, text: str) -> str:
        """Return what stands here for a token or an id."""
        return sha256(self.salt + text.encode()).hexdigest()[:12]

    def append(self, kind: Kind, *, began: float, **said: object) -> Event:
        """Note what has just been answered."""
        on = "+".join(self._on)
        event = Event(at=self.now, began=began, kind=kind, **{"fault": on, **said})  # type: ignore[arg-type]
        self._events.append(event)
        return event

    def note(self, fault: str, what: str, count: int = 0) -> None:
        """A fault "begins", "undoes" rotations, or "ends"."""
        if what == "undoes":
            self.append("undone", began=self.now, fault=fault, error=str(count))
            return
        if what == "begins":
            self._on.append(fault)
        self.append("fault", began=self.now, fault=fault, error=what)
        if what == "ends":
            self._on.remove(fault)
