"""What the documents promise, in figures: what the judge holds a history against."""

from dataclasses import dataclass, field
from typing import Self

INTROSPECTION = 2.5
"""docs/redis.md: nothing revoked is accepted by a server that is asked, after so many seconds."""
READ = 1.0
"""docs/status-list.md: a list says what was committed a second before it was asked for."""
FETCH = 1.0
"""The time of a fetch on a machine that has other things to do."""


@dataclass(frozen=True, slots=True)
class Promises:
    """Times are in seconds."""

    grace: float = 10.0
    """docs/rotation.md: so long after a rotation its parent is answered, and no longer."""
    introspection: float = INTROSPECTION
    offline: float = 6.0
    """After this no API that keeps to its list's age accepts what has ended."""
    refresh: float = 0.0
    """A log-out that was answered is over, for refresh tokens at once."""
    forgetting: frozenset[str] = field(default_factory=frozenset)
    """Faults that promote a standby which lags: docs/operations.md says what of that is forgotten.

    Sessions that began in the lag are gone, and what was ended in it lives again.
    """
    losing: frozenset[str] = frozenset({"F3", "F4", "F5"})
    """Faults that may undo rotations which apps were told of (`postgres.async_rotation`).

    Such a session heals when its newest token is presented, and a new grace begins then.
    """
    misdating: frozenset[str] = frozenset({"F19"})
    """Faults of a replica's clock: what it introspects it holds against its own time.

    A token of seconds has expired long ago where the clock is minutes ahead. Refreshes go by the
    database's clock, and are not excused.
    """

    @classmethod
    def of(cls, grace: float, list_age: float, forgetting: frozenset[str]) -> Self:
        """`list_age`: how old a copy of the status list our APIs go by."""
        offline = list_age + READ + FETCH
        return cls(grace=grace, offline=offline, forgetting=forgetting)
