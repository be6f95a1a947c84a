"""An operator changes an account: its name, its address, whether that is verified, or closes it."""

from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

from keyturn.db.trouble import Taken
from keyturn.errors import AccountExists
from keyturn.telemetry.audit import AuditEvent
from keyturn.telemetry.event_types import EventType
from keyturn.users.accounts import SQL, Accounts, Closing, end_everything, hold
from keyturn.users.email import parse_email
from keyturn.users.model import User, parse_name
from keyturn.versions import Versions


class Change(TypedDict, total=False):
    """What shall be different; a member that is not there stays as it is."""

    email: str
    name: str | None
    email_verified: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """An account as it now is, and how many sessions the change ended."""

    user: User
    ended: int


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """Changes accounts, each in one transaction."""

    accounts: Accounts

    async def apply(self, user_id: UUID, change: Change, seen: Versions) -> Changed:
        """Change an account that is still in a version its caller has seen.

        A new address is not verified, unless the change says so. Closing an account ends its
        sign-ins, as `Accounts.disable` does. Raises `InvalidEmail`, `InvalidRequest` (name),
        `AccountExists`, `NotFound`, `PreconditionFailed`, `Unavailable`.
        """
        closing = Closing("admin", seen=seen)
        try:
            async with self.accounts.database.transaction() as tx:
                before = await hold(tx, user_id, seen)
                row = await tx.fetch_row(SQL["change"], user_id, *_columns(before, change))
                closes = row is not None and row["disabled_at"] and before.is_active
                ended = await end_everything(tx, user_id, closing) if closes else []
        except Taken:
            raise AccountExists("account: the e-mail is another's") from None
        after = before if row is None else User.from_row(row)
        if closes:
            await self.accounts.ending.tell(ended, closing.reason, everything=True)
        self.accounts.audit.record(AuditEvent(_event(before, after), user_id=user_id))
        return Changed(after, len(ended))


def _columns(before: User, change: Change) -> tuple[Any, ...]:
    address = parse_email(change.get("email", before.email))
    moved = address.key != parse_email(before.email).key
    return (
        address.text,
        address.key,
        parse_name(change["name"]) if "name" in change else before.name,
        change.get("email_verified", before.email_verified and not moved),
        change.get("disabled", not before.is_active),
    )


def _event(before: User, after: User) -> EventType:
    if before.is_active != after.is_active:
        return "user_enabled" if after.is_active else "user_disabled"
    return "user_changed"
