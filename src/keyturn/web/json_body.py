"""JSON bodies, and queries: one object, each member once, checked against a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from keyturn.crypto.strict_json import parse_object
from keyturn.errors import InvalidRequest, Problem, UnsupportedMediaType
from keyturn.request_errors import InvalidMembers
from keyturn.web.body import BodyHead, BodyLimits, read_body, read_head

MEDIA_TYPE: Final = "application/json"
UNKNOWN: Final = "extra_forbidden"
MOST_PROBLEMS: Final = 20

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class JsonBodies:
    """Reads JSON bodies."""

    limits: BodyLimits

    async def read(self, request: Request, model: type[Model]) -> Model:
        """Return the body as `model`; an empty one is an empty object.

        The content type is demanded even then, for no page of another origin can send it
        without asking first; only a request that is not POST and has no body may leave it out.
        Raises `UnsupportedMediaType`, `InvalidRequest`, `PayloadTooLarge`, `RequestTimeout`.
        """
        head = read_head(request)
        if head.media_type != MEDIA_TYPE and not _may_lack_type(request, head):
            raise UnsupportedMediaType("content-type: not application/json")
        body = await read_body(request, head.length, self.limits)
        if body and not head.media_type:
            raise UnsupportedMediaType("content-type: none, and there is a body")
        return parse_json(body or b"{}", model)


def parse_json(body: bytes, model: type[Model]) -> Model:
    """Return the JSON object in `body` as `model`, whose members are JSON's own types.

    Raises `InvalidRequest`; its detail names members and what is wrong, never a value.
    """
    try:
        members = parse_object(body)
    except ValueError:
        raise InvalidRequest("json: not one object with each member once") from None
    return check(members, model, "json")


def parse_query(request: Request, model: type[Model]) -> Model:
    """Return the query as `model`. Raises `InvalidRequest`, as for a body."""
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidRequest("query: a parameter is repeated")
    return check(dict(pairs), model, "query")


def check(members: Mapping[str, Any], model: type[Model], source: str) -> Model:
    """Return `members` as `model`. Raises `InvalidMembers`, which says what is wrong where."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = [_problem(one) for one in problems[:MOST_PROBLEMS]]
        raise InvalidMembers(f"{source}: {_explain(problems)}", *told) from None


def _may_lack_type(request: Request, head: BodyHead) -> bool:
    return request.method != "POST" and not head.media_type


def _explain(problems: Sequence[ErrorDetails]) -> str:
    # A member nobody knows is named by the caller: its name is input, too.
    return "; ".join(
        "an unknown member"
        if problem["type"] == UNKNOWN
        else f"{'.'.join(map(str, problem['loc']))}: {problem['type']}"
        for problem in problems[:5]
    )


def _problem(found: ErrorDetails) -> Problem:
    if found["type"] == UNKNOWN:
        return Problem(_place(found["loc"][:-1]), "a member that nothing is known of")
    return Problem(_place(found["loc"]), found["msg"].removeprefix("Value error, "))


def _place(steps: Sequence[int | str]) -> str:
    place = ""
    for step in steps:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place
