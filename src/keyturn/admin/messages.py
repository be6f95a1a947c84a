"""What the admin API reads and answers: the shapes, once; its OpenAPI document is made of them."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from keyturn.admin.shapes import (
    FIRST,
    MOST_TEXT,
    Answer,
    ClientId,
    Id,
    Message,
    Moment,
    Paged,
    Text,
    left_out,
)
from keyturn.clients.definition import ClientDefinition

YEAR: Final = 31_536_000

Address = Annotated[str, Field(max_length=MOST_TEXT, pattern=r"^[^\x00]*$")]

# -- users ------------------------------------------------------------------------------------


class UsersQuery(Paged):
    """Which accounts: all, or the one with an e-mail address, in any spelling."""

    email: Text | None = None
    after_email: Address | None = Field(
        None,
        description="In the order of the addresses, not of the ids: those beyond this one; "
        "empty: from the first one on.",
    )


class NewUserBody(Message):
    """A new account; without a password nobody can sign in to it yet."""

    email: Text
    name: Text | None = None
    password: Text | None = None
    email_verified: bool = False
    id: Id | None = Field(None, description="An id of another system to keep.")


class UserChangeBody(Message):
    """What shall be different; a member that is left out stays. A new address is unverified."""

    email: Text = Field("", json_schema_extra=left_out)
    name: Text | None = Field(None, json_schema_extra=left_out)
    email_verified: bool = Field(default=False, json_schema_extra=left_out)
    disabled: bool = Field(default=False, json_schema_extra=left_out)


class PasswordBody(Message):
    """A new password for somebody."""

    password: Text


class UserAnswer(Answer):
    """An account."""

    id: UUID
    email: str
    name: str | None
    email_verified: bool
    disabled_at: datetime | None
    created_at: datetime


class ChangedUserAnswer(UserAnswer):
    """An account as it now is, and how many sessions ended with the change: none but by closing."""

    ended: int


# -- clients ----------------------------------------------------------------------------------


class SecretAnswer(Answer):
    """A secret that is accepted; what it is, nobody can see."""

    expires_at: datetime | None


class ClientAnswer(Answer):
    """A client."""

    id: str
    definition: ClientDefinition
    """As a clients file says it, and as PUT takes it."""
    declared: bool
    """A clients file names it, and describes it again at the next start."""
    self_registered: bool
    secrets: list[SecretAnswer]
    secret_set_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime
    updated_at: datetime


class IssuedClientAnswer(ClientAnswer):
    """A client, and the secret made for it: shown here and never again; null if it has none."""

    client_secret: str | None


class RotateSecretBody(Message):
    """How long the secret before stays good; absent: until it is dropped."""

    old_expires_in: int | None = Field(None, ge=0, le=YEAR, description="Seconds; 0: at once.")


# -- sessions ---------------------------------------------------------------------------------


class SessionsQuery(Paged):
    """Whose live sessions: a user's, a client's, both or all."""

    user_id: Id | None = None
    client_id: ClientId | None = None


class SessionAnswer(Answer):
    """One session."""

    id: UUID
    user_id: UUID
    client_id: str
    login_id: UUID | None
    scopes: list[str]
    audiences: list[str]
    offline: bool
    bound: bool
    auth_time: datetime
    amr: list[str]
    device: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    ends_at: datetime
    revoked_at: datetime | None
    revoke_reason: str | None


class RevokeBody(Message):
    """Which sessions end: exactly one of these."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    user_id: Id = Field(UUID(int=0), json_schema_extra=left_out)
    client_id: ClientId = Field("", json_schema_extra=left_out)
    before: Moment = Field(FIRST, json_schema_extra=left_out, description="Started before then.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of user_id, client_id and before")
        return self


# -- signing keys -----------------------------------------------------------------------------


class KeyAnswer(Answer):
    """A published key; its private half never leaves the server."""

    kid: str
    state: Literal["next", "signing", "retired"]
    since: datetime
    created_at: datetime
    public_jwk: dict[str, str]
    usable: bool
    """Whether this server can open its private half; a retired key has none."""
    secret_id: int | None
    """The master secret that its private half is sealed under."""
    may_sign_from: datetime | None
    removed_after: datetime | None


class KeysAnswer(Answer):
    """Every published key, the oldest first."""

    items: list[KeyAnswer]


class RotateKeysBody(Message):
    """Without a member, the next key signs from now on."""

    compromised: bool = Field(
        default=False,
        description="The signing key has leaked: it is published no longer, at once.",
    )
    only_due: bool = Field(
        default=False, description="Only what the server would do by itself, now."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.compromised and self.only_due:
            raise ValueError("one of compromised and only_due")
        return self


class StepAnswer(Answer):
    """Something done to a key."""

    step: Literal["add", "retire", "promote", "remove", "reseal"]
    kid: str | None = None
    state: str | None = None


class StepsAnswer(Answer):
    """What was done to the keys, in order."""

    steps: list[StepAnswer]
