"""GET /auth/me: who the bearer of an access token is."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.session_api.bearer import Bearer
from keyturn.session_api.messages import UserAnswer
from keyturn.users.accounts import Accounts
from keyturn.web.responses import json_answer


@dataclass(frozen=True, slots=True)
class Me:
    """Answers with the signed-in person."""

    bearer: Bearer
    accounts: Accounts

    async def get(self, request: Request) -> Response:
        """Answer 200 with the user, or 401 `invalid_token`."""
        token = await self.bearer.check(request)
        user = await self.accounts.active(token.user_id)
        return json_answer(UserAnswer(id=user.id, email=user.email, name=user.name))
