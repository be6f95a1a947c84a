"""What is asked of the audit trail, and answered."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from keyturn.admin.shapes import Answer, ClientId, Id, Moment, Network, Page, Paged, Text, listed
from keyturn.telemetry.event_types import EventType

LONGEST_WAIT: Final = 30
BEGINNING: Final = "0"

Place = Annotated[str, Field(max_length=64)]


class AuditQuery(Paged):
    """Which events: those that have all that is given."""

    type: Annotated[
        tuple[EventType, ...] | None,
        BeforeValidator(listed),
        Field(description="One type or several, separated by commas."),
    ] = None
    user_id: Id | None = None
    client_id: ClientId | None = None
    session_id: Id | None = None
    actor: Text | None = Field(None, description="`user:<id>`, `client:<id>`, `cli` or `server`.")
    ip: Annotated[Network, WithJsonSchema({"type": "string"})] | None = Field(
        None, description="An address or a network."
    )
    result: Literal["ok", "failed"] | None = None
    since: Moment | None = Field(None, description="Happened then or later.")
    until: Moment | None = Field(None, description="Happened before.")
    after: Place | None = Field(
        None, description="Beyond the event with this `cursor`; of followers: `0` is the beginning."
    )
    wait: Annotated[int, Field(ge=0, le=LONGEST_WAIT)] | None = Field(
        None,
        description="Follow: the oldest first, from the cursor on, or from now on; seconds to wait "
        "until there is something.",
    )

    def filters(self) -> str:
        """Return what a cursor belongs to; where reading began is none of that."""
        return self.model_dump_json(exclude={"limit", "cursor", "wait", "after"})

    @property
    def goes_on(self) -> bool:
        """Whether it follows where an earlier call has ended."""
        return self.wait is not None and (self.cursor or self.after) is not None


class AuditEventAnswer(Answer):
    """Something that happened."""

    id: UUID
    at: datetime
    type: str
    result: str
    actor: str | None
    user_id: UUID | None
    client_id: str | None
    session_id: UUID | None
    ip: str | None
    request_id: str | None
    detail: dict[str, str | int | bool | None]
    cursor: str
    """What `after` takes to go on from here, whatever the filters."""


class AuditPageAnswer(Page[AuditEventAnswer]):
    """Some events."""

    after: str | None
    """What `after` takes to go on from this page, whatever the filters."""
