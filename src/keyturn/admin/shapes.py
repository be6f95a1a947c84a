"""The words that messages of the admin API are made of: ids, times, pages.

Names are in snake_case; times are RFC 3339 in UTC. Unknown members are refused: a misspelt
filter must not quietly mean "everything".
"""

import re
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from keyturn.clients import syntax

MOST_TEXT: Final = 1024
MOST_ITEMS: Final = 200
LONGEST_CURSOR: Final = 512

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_DATED = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:")


def _dated(value: Any) -> Any:
    if not isinstance(value, str) or not _DATED.match(value):
        raise ValueError("a time by RFC 3339, such as 2026-01-31T12:00:00Z")
    return value


def _near(value: datetime) -> datetime:
    # Far beyond them the time zone's offset leads out of the calendar.
    if not FIRST <= value <= _LAST:
        raise ValueError("a time between 1970 and 2200")
    return value


def _network(value: str) -> str:
    return str(ip_network(value))


def listed(value: Any) -> Any:
    """Take a text apart at its commas."""
    return value.split(",") if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT, pattern=r"^[^\x00]*$")]
Moment = Annotated[
    AwareDatetime, BeforeValidator(_dated), AfterValidator(_near), Field(strict=False)
]
Id = Annotated[UUID, Field(strict=False)]
ClientId = Annotated[str, AfterValidator(syntax.client_id)]
Network = Annotated[str, Field(max_length=64), AfterValidator(_network)]
Limit = Annotated[int, Field(ge=1, le=MOST_ITEMS, description="Most per page.")]
Cursor = Annotated[
    str, Field(max_length=LONGEST_CURSOR, description="`next_cursor` of the page before.")
]

Item = TypeVar("Item", bound=BaseModel)


def left_out(schema: dict[str, Any]) -> None:
    """Say of a member in a schema that it may be left out, and that null is another thing."""
    del schema["default"]


class Message(BaseModel):
    """A JSON object; unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Answer(BaseModel):
    """A message that we make, with every member."""

    model_config = ConfigDict(
        frozen=True, from_attributes=True, json_schema_serialization_defaults_required=True
    )


class Page(Answer, Generic[Item]):
    """Some of a list. A page may be short, even empty, and not be the last one."""

    items: list[Item]
    next_cursor: str | None
    """None after the last page."""


class Paged(Message):
    """Which page of a list; in a query everything is text, and read as what it shall be."""

    model_config = ConfigDict(strict=False)

    limit: Limit = 50
    cursor: Cursor | None = None

    def filters(self) -> str:
        """Return what a cursor belongs to."""
        return self.model_dump_json(exclude={"limit", "cursor", "wait"})


class EndedAnswer(Answer):
    """How many sessions have ended."""

    ended: int
