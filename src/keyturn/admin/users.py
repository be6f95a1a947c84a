"""`/admin/v1/users`: people's accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from keyturn import paths
from keyturn.admin.cursors import Cursors
from keyturn.admin.messages import (
    ChangedUserAnswer,
    NewUserBody,
    PasswordBody,
    UserAnswer,
    UserChangeBody,
    UsersQuery,
)
from keyturn.admin.operation import AnyOperation, Call, Done, Nothing, Operation
from keyturn.admin.shapes import EndedAnswer, Page
from keyturn.users.accounts import Accounts
from keyturn.users.changes import AccountChanges, Change
from keyturn.users.model import NewUser, User


@dataclass(frozen=True, slots=True)
class Users:
    """Lists, makes, changes, closes and erases accounts."""

    accounts: Accounts
    changes: AccountChanges
    cursors: Cursors

    def operations(self) -> Sequence[AnyOperation]:
        """Return the rows."""
        one = paths.ADMIN_USER
        return (
            Operation("listUsers", "GET", paths.ADMIN_USERS, "List accounts",
                      UsersQuery, self.list, Page[UserAnswer]),
            Operation("createUser", "POST", paths.ADMIN_USERS, "Add an account",
                      NewUserBody, self.create, UserAnswer, 201, "shown", once=True,
                      refusals=(409,)),
            Operation("getUser", "GET", one, "Show an account",
                      Nothing, self.get, UserAnswer, versioned="shown"),
            Operation("changeUser", "PATCH", one, "Change an account, close it or open it again",
                      UserChangeBody, self.change, ChangedUserAnswer, versioned="required",
                      refusals=(409,)),
            Operation("deleteUser", "DELETE", one, "Erase an account; its id stays taken",
                      Nothing, self.delete, EndedAnswer, versioned="required"),
            Operation("setPassword", "POST", paths.ADMIN_USER_PASSWORD,
                      "Set somebody's password; their sessions end",
                      PasswordBody, self.set_password, EndedAnswer, versioned="checked",
                      refusals=(429,)),
            Operation("endUserSessions", "POST", paths.ADMIN_USER_END_SESSIONS,
                      "Sign somebody out everywhere", Nothing, self.end_sessions, EndedAnswer),
        )  # fmt: skip

    async def list(self, _: Call, query: UsersQuery) -> Done:
        """Return a page of accounts in the order of their ids, or of their addresses."""
        if query.email is not None:
            found = await self.accounts.find_by_email(query.email)
            items = [] if found is None else [UserAnswer.model_validate(found)]
            return Done(Page[UserAnswer](items=items, next_cursor=None))
        of = f"users {query.filters()}"
        last = self.cursors.read(of, query.cursor)
        if query.after_email is None:
            users = await self.accounts.page_by_id(query.limit, UUID(last or UUID(int=0).hex))
            place = str(users[-1].id) if users else ""
        else:
            beyond = query.after_email if last is None else last
            users = await self.accounts.page(query.limit, beyond or None)
            place = users[-1].email if users else ""
        more = len(users) == query.limit
        return Done(
            Page[UserAnswer](
                items=[UserAnswer.model_validate(one) for one in users],
                next_cursor=self.cursors.make(of, place) if more else None,
            )
        )

    async def create(self, call: Call, body: NewUserBody) -> Done:
        """Add an account, once."""
        new = NewUser(body.email, body.name, body.password, body.email_verified, body.id)
        if call.once is None:
            return _shown(await self.accounts.add(new))
        user, again = await self.accounts.add_once(new, call.once)
        return _shown(user, again=again)

    async def get(self, call: Call, _: Nothing) -> Done:
        """Return an account."""
        return _shown(await self.accounts.get(call.uuid("user_id")))

    async def change(self, call: Call, body: UserChangeBody) -> Done:
        """Change what the body names."""
        change = cast("Change", body.model_dump(exclude_unset=True))
        changed = await self.changes.apply(call.uuid("user_id"), change, call.seen)
        shown = UserAnswer.model_validate(changed.user).model_dump()
        return Done(ChangedUserAnswer(**shown, ended=changed.ended), changed.user.version)

    async def delete(self, call: Call, _: Nothing) -> Done:
        """Erase an account."""
        ended = await self.accounts.delete(call.uuid("user_id"), call.seen)
        return Done(EndedAnswer(ended=ended))

    async def set_password(self, call: Call, body: PasswordBody) -> Done:
        """Replace a password."""
        user_id = call.uuid("user_id")
        ended = await self.accounts.set_password(user_id, body.password, call.seen)
        return Done(EndedAnswer(ended=ended))

    async def end_sessions(self, call: Call, _: Nothing) -> Done:
        """End everything that somebody is signed in with."""
        user = await self.accounts.get(call.uuid("user_id"))
        ended = await self.accounts.logout_everywhere(user.id, source="admin")
        return Done(EndedAnswer(ended=ended))


def _shown(user: User, *, again: bool = False) -> Done:
    return Done(UserAnswer.model_validate(user), user.version, again)
