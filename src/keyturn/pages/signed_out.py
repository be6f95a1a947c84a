"""GET /logout: where people sign out of this browser, and what they see then."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.pages.answers import Answers
from keyturn.pages.waiting import Transactions


@dataclass(frozen=True, slots=True)
class SignedOutPage:
    """A question for who is signed in, a farewell for who is not."""

    transactions: Transactions
    answers: Answers

    async def get(self, request: Request) -> Response:
        """Answer 200; the question's form is posted to the protocol's own door."""
        if await self.transactions.login(request) is not None:
            return self.answers.confirm_logout(request, {})
        return self.answers.signed_out(request)
