"""One request of the admin API as a row of a table, and what its door is handed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from keyturn.admin.bearer import READ, WRITE
from keyturn.creations.once import Once
from keyturn.errors import NotFound
from keyturn.versions import Versions

Asked = TypeVar("Asked", bound=BaseModel)


class Nothing(BaseModel):
    """An empty object, or no body at all."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has been let in."""

    path: Mapping[str, str]
    seen: Versions
    """The versions of `If-Match`; None: any will do."""
    once: Once | None
    """The request under its `Idempotency-Key`, if it has one."""

    def uuid(self, name: str) -> UUID:
        """Return an id from the path. Raises `NotFound`: what is no id names nothing."""
        try:
            return UUID(self.path[name])
        except ValueError:
            raise NotFound(f"{name}: not an id") from None


@dataclass(frozen=True, slots=True)
class Done:
    """What a door answers; without a message, nothing but a status."""

    message: BaseModel | None = None
    etag: str | None = None
    """The version of what is shown, to be sent back by `If-Match`."""
    again: bool = False
    """The answer to a request that had been carried out before."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[Asked]):
    """What one request reads, answers and demands; `act` runs once all of it holds."""

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    summary: str
    reads: type[Asked]
    """Its query when it is GET, else its body."""
    act: Callable[[Call, Asked], Awaitable[Done]] = field(repr=False)
    answers: type[BaseModel] | None = None
    status: int = 200
    versioned: Literal["no", "shown", "checked", "required"] = "no"
    """Whether it shows an ETag; besides, whether `If-Match` is checked, or demanded."""
    once: bool = False
    """Whether it makes something, and takes an `Idempotency-Key`."""
    refusals: tuple[int, ...] = ()
    """How it may be refused besides what follows from the rest."""
    goes_on: Callable[[Asked], bool] = field(default=lambda _: False, repr=False)
    """Whether a request goes on with an earlier one: those are audited once in a while only. Else
    whoever follows the audit trail would cause what they see next."""

    @property
    def scope(self) -> str:
        """What a caller needs: there is no way to write by GET."""
        return READ if self.method == "GET" else WRITE


AnyOperation = Operation[Any]
