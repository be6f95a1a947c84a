"""JSON bodies of the session API: one object, each member once, checked against a model."""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from keyturn.crypto.strict_json import parse_object
from keyturn.errors import InvalidRequest, UnsupportedMediaType
from keyturn.web.body import BodyHead, BodyLimits, read_body, read_head

MEDIA_TYPE = "application/json"

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
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise InvalidRequest(f"json: {_explain(error)}") from None


def _may_lack_type(request: Request, head: BodyHead) -> bool:
    return request.method != "POST" and not head.media_type


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    # A member nobody knows is named by the caller: its name is input, too.
    return "; ".join(
        "an unknown member"
        if problem["type"] == "extra_forbidden"
        else f"{'.'.join(map(str, problem['loc']))}: {problem['type']}"
        for problem in problems[:5]
    )
