"""What is asked of the audit trail, and answered."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from keyturn.admin.shapes import Answer, ClientId, Id, Moment, Network, Paged, Text, listed
from keyturn.telemetry.audit import EventType

LONGEST_WAIT: Final = 30


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
    wait: Annotated[int, Field(ge=0, le=LONGEST_WAIT)] | None = Field(
        None,
        description="Follow: the oldest first, from the cursor on, or from now on; seconds to wait "
        "until there is something.",
    )


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
