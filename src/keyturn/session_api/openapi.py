"""GET /auth/openapi.json: the session API for machines, made from the messages it reads."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from keyturn import __version__, paths
from keyturn.session_api import messages
from keyturn.web.openapi import Schemas

Security = tuple[Mapping[str, list[str]], ...]

OPEN: Security = ()
BEARER: Security = ({"bearer": []}, {"dpop": []})
BEARER_OR_COOKIE: Security = (*BEARER, {"cookie": []})
CREDENTIAL: Security = ({"cookie": []}, {})
"""A session credential: the cookie, or nothing but `refreshToken` in the body."""

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "dpop": {
        "type": "http",
        "scheme": "dpop",
        "description": "For an access token that is bound to a key: RFC 9449 section 7.1.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-kt_00000000",
        "description": "The digits differ for each client: take the name that the sign-in set.",
    },
}

SENT = (400, 401, 403, 408, 413, 415, 503)
"""How any request with a body may be refused."""


class Operation(NamedTuple):
    """One request: what it reads, what it answers, how it is proven and may be refused."""

    name: str
    method: str
    path: str
    summary: str
    body: type[BaseModel] | None
    answer: type[BaseModel] | None
    security: Security
    refusals: tuple[int, ...] = SENT


OPERATIONS = (
    Operation("login", "post", paths.LOGIN, "Sign in",
              messages.LoginBody, messages.LoginAnswer, OPEN, (*SENT, 429)),
    Operation("refresh", "post", paths.REFRESH, "Stay signed in",
              messages.CredentialBody, messages.RefreshAnswer, CREDENTIAL),
    Operation("logout", "post", paths.LOGOUT, "Sign out here",
              messages.CredentialBody, None, CREDENTIAL),
    Operation("me", "get", paths.ME, "Who am I",
              None, messages.UserAnswer, BEARER, (401, 403, 503)),
    Operation("sessions", "get", paths.SESSIONS, "Where am I signed in",
              None, messages.SessionsAnswer, BEARER_OR_COOKIE, (400, 401, 403, 503)),
    Operation("endSession", "delete", paths.SESSION, "Sign out there",
              messages.CredentialBody, None, CREDENTIAL, (*SENT, 404)),
    Operation("logoutAll", "post", paths.LOGOUT_ALL, "Sign out everywhere",
              messages.LogoutAllBody, messages.EndedAnswer, CREDENTIAL),
    Operation("reauthenticate", "post", paths.REAUTHENTICATE, "Prove yourself again",
              messages.ReauthenticateBody, messages.AccessAnswer, CREDENTIAL, (*SENT, 429)),
    Operation("password", "post", paths.PASSWORD, "Choose a new password",
              messages.PasswordBody, None, CREDENTIAL, (*SENT, 429)),
)  # fmt: skip


def describe(issuer: str) -> Mapping[str, Any]:
    """Return the document as plain data."""
    read = {step.body for step in OPERATIONS if step.body}
    made = {step.answer for step in OPERATIONS if step.answer} | {messages.ErrorAnswer}
    schemas = Schemas.of(read, made)
    routes: dict[str, dict[str, Any]] = {}
    for step in OPERATIONS:
        routes.setdefault(step.path, {})[step.method] = _operation(step, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "keyturn session API", "version": __version__},
        "servers": [{"url": issuer}],
        "paths": routes,
        "components": {"schemas": schemas.components, "securitySchemes": SCHEMES},
    }


def _operation(step: Operation, schemas: Schemas) -> dict[str, Any]:
    client = {
        "name": "X-Keyturn-Client",
        "in": "header",
        "description": "The client's id; required with cookies, or where there are several.",
        "schema": {"type": "string"},
    }
    proof = {
        "name": "DPoP",
        "in": "header",
        "description": "A proof by the key that the session is, or will be, bound to (RFC 9449).",
        "schema": {"type": "string"},
    }
    described: dict[str, Any] = {
        "summary": step.summary,
        "operationId": step.name,
        "security": step.security,
        "parameters": [client, proof, *_path_parameters(step.path)],
        "responses": {
            "200" if step.answer else "204": schemas.answer("Done", step.answer),
            **{str(one): schemas.answer("Refused", messages.ErrorAnswer) for one in step.refusals},
        },
    }
    if step.body is not None:
        described["requestBody"] = schemas.body(step.body)
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    if "{session_id}" not in path:
        return []
    schema = {"type": "string", "format": "uuid"}
    return [{"name": "session_id", "in": "path", "required": True, "schema": schema}]
