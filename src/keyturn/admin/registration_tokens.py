"""`/admin/v1/registration-tokens`: initial access tokens, by which clients register (RFC 7591)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from keyturn import paths
from keyturn.admin.cursors import Cursors
from keyturn.admin.operation import AnyOperation, Call, Done, Nothing, Operation
from keyturn.admin.shapes import Answer, Message, Page, Paged, Text
from keyturn.clients.definition import Scope
from keyturn.registrations.initial_tokens import LONGEST, LONGEST_NAME, MOST_USES, InitialTokens

WEEK: Final = 7 * 86_400
OF: Final = "registration-tokens"


class NewTokenBody(Message):
    """A new token."""

    name: Text = Field(max_length=LONGEST_NAME, description="Whom it is for; shown in lists only.")
    uses: int = Field(1, ge=1, le=MOST_USES, description="Live clients it may have.")
    expires_in: int = Field(
        WEEK, ge=1, le=int(LONGEST.total_seconds()), description="Seconds it may be used."
    )
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=100)] | None = Field(
        None, description="The most its clients may have; null: what the settings say."
    )


class TokenAnswer(Answer):
    """A token; what it is, nobody can see."""

    id: UUID
    name: str
    uses: int
    used: int
    """How many live clients it has."""
    scopes: list[str] | None
    expires_at: datetime
    revoked_at: datetime | None
    created_at: datetime


class IssuedTokenAnswer(TokenAnswer):
    """A new token: shown here and never again."""

    token: str


@dataclass(frozen=True, slots=True)
class RegistrationTokens:
    """Lists tokens, makes them and ends them."""

    tokens: InitialTokens
    cursors: Cursors

    def operations(self) -> Sequence[AnyOperation]:
        """Return the rows."""
        return (
            Operation("listRegistrationTokens", "GET", paths.ADMIN_REGISTRATION_TOKENS,
                      "List initial access tokens, the latest first",
                      Paged, self.list, Page[TokenAnswer]),
            Operation("createRegistrationToken", "POST", paths.ADMIN_REGISTRATION_TOKENS,
                      "Make an initial access token", NewTokenBody, self.create,
                      IssuedTokenAnswer, 201, once=True),
            Operation("revokeRegistrationToken", "DELETE", paths.ADMIN_REGISTRATION_TOKEN,
                      "End a token at once; its clients stay", Nothing, self.revoke, None, 204),
        )  # fmt: skip

    async def list(self, _: Call, query: Paged) -> Done:
        """Return a page of tokens, usable or not."""
        last = self.cursors.read(OF, query.cursor)
        found = await self.tokens.page(None if last is None else UUID(last), query.limit)
        more = len(found) == query.limit
        return Done(
            Page[TokenAnswer](
                items=[TokenAnswer.model_validate(one) for one in found],
                next_cursor=self.cursors.make(OF, str(found[-1].id)) if more else None,
            )
        )

    async def create(self, call: Call, body: NewTokenBody) -> Done:
        """Make a token, once."""
        lifetime = timedelta(seconds=body.expires_in)
        issued = await self.tokens.add(body.name, body.uses, lifetime, body.scopes, call.once)
        shown = TokenAnswer.model_validate(issued.token).model_dump()
        return Done(IssuedTokenAnswer(**shown, token=issued.value), again=issued.again)

    async def revoke(self, call: Call, _: Nothing) -> Done:
        """End a token; doing it again changes nothing."""
        await self.tokens.revoke(call.uuid("token_id"))
        return Done()
