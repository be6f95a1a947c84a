"""Every way a request that changes something is refused for how it was made (HTTP, JSON).

As in `errors`: a code and a status of the standard, one constant public sentence, a private
detail.
"""

from keyturn.errors import InvalidRequest, Problem, Refusal


class InvalidMembers(InvalidRequest):
    """A JSON body or a query with members that are missing, unknown or of another kind."""

    def __init__(self, detail: str, *problems: Problem) -> None:
        super().__init__(detail)
        self.problems = problems
        """Every reason, not only the first one; none holds what the caller sent."""


class PreconditionRequired(Refusal):
    """A change must say which state it was decided on (RFC 6585 section 3)."""

    code = "precondition_required"
    status = 428
    sentence = "The request must carry If-Match with the ETag of what it changes."


class PreconditionFailed(Refusal):
    """What shall be changed has changed since it was read (RFC 9110 section 13.1.1)."""

    code = "precondition_failed"
    status = 412
    sentence = "The resource has changed since it was read. Read it again."


class IdempotencyKeyReused(Refusal):
    """The key was sent with another request before (Idempotency-Key, draft section 2.7)."""

    code = "idempotency_key_reused"
    status = 422
    sentence = "The Idempotency-Key belongs to another request."
