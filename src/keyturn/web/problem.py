"""How the admin API says no: problem details (RFC 9457), made from a refusal.

As everywhere, what is told is constant; but operators also learn which members of what they sent
were wrong, and what would be right.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from keyturn.errors import InvalidClientMetadata, Refusal
from keyturn.request_errors import InvalidMembers

MEDIA_TYPE: Final = "application/problem+json"


class Wrong(BaseModel):
    """One thing wrong with what was sent."""

    path: str = Field(description="Where: a member, such as `scopes[1]`; empty: as a whole.")
    problem: str


class ProblemAnswer(BaseModel):
    """Every refusal (RFC 9457)."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    type: str = Field(description="`urn:keyturn:problem:` and the code.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="`urn:keyturn:request:` and the request's id.")
    code: str
    request_id: str
    errors: list[Wrong] = Field(description="What is wrong with the members that were sent.")


def problem_of(refusal: Refusal, request_id: str) -> ProblemAnswer:
    """Describe a refusal; `request_id` is for the operator's log."""
    told = refusal.problems if isinstance(refusal, InvalidClientMetadata | InvalidMembers) else ()
    return ProblemAnswer(
        type=f"urn:keyturn:problem:{refusal.code}",
        title=refusal.code.replace("_", " ").capitalize(),
        status=refusal.status,
        detail=refusal.sentence,
        instance=f"urn:keyturn:request:{request_id}",
        code=refusal.code,
        request_id=request_id,
        errors=[Wrong(path=one.path, problem=one.sentence) for one in told],
    )
