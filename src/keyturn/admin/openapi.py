"""The OpenAPI 3.1 document of the admin API, made from the rows of its tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from keyturn import __version__
from keyturn.admin.bearer import READ, WRITE
from keyturn.admin.operation import AnyOperation, Nothing
from keyturn.web import problem
from keyturn.web.openapi import Schemas

ALWAYS: Final = (400, 401, 403, 503)
"""How any call may be refused: unknown parameters, no token, no scope, trouble."""

IDS: Final = {
    "user_id": {"type": "string", "format": "uuid"},
    "session_id": {"type": "string", "format": "uuid"},
    "token_id": {"type": "string", "format": "uuid"},
    "client_id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"},
}
IF_MATCH: Final = "The ETag of what is changed, or `*`."
KEY: Final = "Repeated with the same request within 24 hours, nothing is made twice."


def describe(issuer: str, operations: Sequence[AnyOperation]) -> Mapping[str, Any]:
    """Return the document as plain data."""
    schemas = Schemas.of(
        [one.reads for one in operations if one.method != "GET" and one.reads is not Nothing],
        [*(one.answers for one in operations if one.answers), problem.ProblemAnswer],
    )
    routes: dict[str, dict[str, Any]] = {}
    for one in operations:
        routes.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    scopes = {READ: "See everything but secrets.", WRITE: f"Change everything; includes {READ}."}
    flow = {"tokenUrl": f"{issuer}/oauth2/token", "scopes": scopes}
    return {
        "openapi": "3.1.0",
        "info": {"title": "keyturn admin API", "version": __version__},
        "servers": [{"url": "/", "description": "The management port."}],
        "paths": routes,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "admin": {"type": "oauth2", "flows": {"clientCredentials": flow}},
            },
        },
    }


def _operation(one: AnyOperation, schemas: Schemas) -> dict[str, Any]:
    refusals = sorted({*ALWAYS, *_refusals(one)})
    described: dict[str, Any] = {
        "summary": one.summary,
        "operationId": one.name,
        "security": [{"admin": [one.scope]}],
        "parameters": [*_in_path(one), *_in_query(one), *_in_headers(one)],
        "responses": {
            str(one.status): _success(one, schemas),
            **{str(status): _problem(status, schemas) for status in refusals},
        },
    }
    if one.method != "GET" and one.reads is not Nothing:
        described["requestBody"] = schemas.body(one.reads)
    return described


def _refusals(one: AnyOperation) -> Iterator[int]:
    yield from one.refusals
    if "{" in one.path:
        yield 404
    if one.method != "GET":
        yield from (408, 413, 415)
    if one.versioned in {"checked", "required"}:
        yield 412
    if one.versioned == "required":
        yield 428
    if one.once:
        yield from (404, 409, 422)


def _in_path(one: AnyOperation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", one.path):
        yield {"name": name, "in": "path", "required": True, "schema": IDS[name]}


def _in_query(one: AnyOperation) -> Iterator[dict[str, Any]]:
    if one.method != "GET":
        return
    for name, schema in one.reads.model_json_schema()["properties"].items():
        schema.pop("title", None)
        parameter = {"name": name, "in": "query", "required": False, "schema": _present(schema)}
        if parameter["schema"].get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        yield parameter


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that is there: in a query, null is only a word."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{name: schema[name] for name in schema if name == "description"}}


def _in_headers(one: AnyOperation) -> Iterator[dict[str, Any]]:
    if one.versioned in {"checked", "required"}:
        yield {
            "name": "If-Match",
            "in": "header",
            "required": one.versioned == "required",
            "description": IF_MATCH,
            "schema": {"type": "string"},
        }
    if one.once:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": KEY,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }


def _success(one: AnyOperation, schemas: Schemas) -> dict[str, Any]:
    described = schemas.answer("Done", one.answers)
    headers = {}
    if one.versioned != "no":
        headers["ETag"] = {"schema": {"type": "string"}, "description": "For `If-Match`."}
    if one.once:
        told = {"type": "string", "enum": ["true"]}
        headers["Idempotency-Replayed"] = {"schema": told, "description": "It was made before."}
    return described | ({"headers": headers} if headers else {})


def _problem(status: int, schemas: Schemas) -> dict[str, Any]:
    described = schemas.answer("Refused", problem.ProblemAnswer, problem.MEDIA_TYPE)
    if status in {401, 403}:
        described["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if status in {429, 503}:
        described["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return described
