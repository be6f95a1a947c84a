"""OpenAPI 3.1 documents, made from the models that the doors read and answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from keyturn.crypto import opaque
from keyturn.web.public_document import public_document

MAX_AGE = 300

Mode = Literal["validation", "serialization"]
Model = type[BaseModel]


@dataclass(frozen=True, slots=True)
class Schemas:
    """The models of one document: what is read, and what is answered, as they are sent."""

    references: Mapping[Any, Mapping[str, Any]]
    """By model and mode."""
    components: Mapping[str, Any]

    @classmethod
    def of(cls, read: Iterable[Model], answered: Iterable[Model]) -> Self:
        """Collect them; a model that is both has two schemas where these differ."""
        pairs: list[tuple[Model, Mode]] = [
            (one, "validation") for one in sorted(set(read), key=str)
        ]
        pairs += [(one, "serialization") for one in sorted(set(answered), key=str)]
        references, schemas = models_json_schema(pairs, ref_template="#/components/schemas/{model}")
        return cls(references, schemas.get("$defs", {}))

    def body(self, model: Model) -> dict[str, Any]:
        """Describe a request body."""
        demanded = any(one.is_required() for one in model.model_fields.values())
        return {"required": demanded, "content": self._content(model, "validation")}

    def answer(
        self, description: str, model: Model | None, media_type: str = "application/json"
    ) -> dict[str, Any]:
        """Describe an answer; without a model it has no body."""
        if model is None:
            return {"description": description}
        content = self._content(model, "serialization", media_type)
        return {"description": description, "content": content}

    def _content(
        self, model: Model, mode: Mode, media_type: str = "application/json"
    ) -> dict[str, Any]:
        return {media_type: {"schema": self.references[model, mode]}}


@dataclass(frozen=True, slots=True)
class OpenApi:
    """A door to a document, which is made once: when somebody asks for it.

    Making it takes as long as the rest of a start, and few servers are ever asked.
    """

    body: Callable[[], bytes]

    @classmethod
    def of(cls, describe: Callable[[], Mapping[str, Any]]) -> Self:
        """Serve the document that `describe` makes."""
        return cls(cache(lambda: orjson.dumps(describe())))

    async def get(self, request: Request) -> Response:
        """Return the document."""
        body = self.body()
        return public_document(request, body, f'"{opaque.sha256(body).hex()[:32]}"', MAX_AGE)
