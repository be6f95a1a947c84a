"""What the session API reads and answers: the shapes, once; its OpenAPI document is made of them.

Unknown members are refused: a misspelt `rememberMe` must not quietly mean "no".
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

MOST_TEXT = 1024
"""Characters of one text member: more is refused before anything is hashed or compared."""

Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT, pattern=r"^[^\x00]*$")]
"""Text without NUL, which PostgreSQL cannot keep: better a refusal here than a failure there."""

Token = Annotated[str, Field(min_length=1, max_length=8192, pattern=r"^[^\x00]*$")]
"""Room for an access token, too: shown in place of a session's it is wrong, and not malformed."""


class Message(BaseModel):
    """A JSON object in camelCase; unknown members are refused, the names used here among them."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class Answer(Message):
    """A message that we make: by the names used here, with every member that has a value."""

    model_config = ConfigDict(
        validate_by_name=True, json_schema_serialization_defaults_required=True
    )


def _left_out_not_null(schema: dict[str, Any]) -> None:
    del schema["default"]


class CredentialBody(Message):
    """A session credential in the body; absent when it travels in the cookie."""

    refresh_token: Token | None = Field(None, description="Absent when a cookie carries it.")


class LoginBody(Message):
    """POST /auth/login."""

    email: Text
    password: Text
    remember_me: bool | None = Field(
        None, description="true: 30 days; false: 24 hours, until the browser closes; absent: 7 days"
    )
    scope: Text | None = Field(None, description="Scopes, space-separated; absent: all allowed.")
    transport: Literal["body", "cookie"] = "body"


class LogoutAllBody(CredentialBody):
    """POST /auth/logout-all."""

    except_current: bool = Field(default=False, description="Keep the calling session.")


class ReauthenticateBody(CredentialBody):
    """POST /auth/reauthenticate."""

    password: Text


class PasswordBody(CredentialBody):
    """POST /auth/password."""

    new_password: Text


class UserAnswer(Answer):
    """A person, as the app may show them."""

    id: UUID
    email: str
    name: str | None


class AccessAnswer(Answer):
    """A fresh access token; `expires_in` in seconds."""

    access_token: str
    token_type: Literal["Bearer", "DPoP"]
    expires_in: int
    session_id: UUID


class RefreshAnswer(AccessAnswer):
    """POST /auth/refresh: `refreshToken` only when it travels in the body."""

    refresh_token: str | SkipJsonSchema[None] = Field(
        None, exclude_if=lambda token: token is None, json_schema_extra=_left_out_not_null
    )
    refresh_expires_in: int


class LoginAnswer(RefreshAnswer):
    """POST /auth/login."""

    user: UserAnswer


class SessionAnswer(Answer):
    """One line of "where am I signed in"."""

    id: UUID
    client_name: str
    device: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    current: bool


class SessionsAnswer(Answer):
    """GET /auth/sessions."""

    sessions: list[SessionAnswer]


class EndedAnswer(Answer):
    """POST /auth/logout-all."""

    ended: int


class ErrorAnswer(BaseModel):
    """Every refusal: the code, one constant sentence, and the id to quote to the operator."""

    error: str
    error_description: str
    requestId: str  # noqa: N815 - the wire's name
