"""The only way from a row of the tables to a route: nothing is let in by oversight.

In this order: who calls, with which scope, what is sent, then the door; and one audit event for
every call of somebody known, however it ends. A call without a good token is in the log and not in
the trail: it names nobody, and whoever reaches the port could fill it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.admin.bearer import Bearer, Caller
from keyturn.admin.operation import AnyOperation, Call, Done, Nothing
from keyturn.clients import syntax
from keyturn.creations.once import Once
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidRequest, NotFound, Refusal
from keyturn.request_errors import PreconditionRequired
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.callers import Actor, acting_as
from keyturn.versions import Versions
from keyturn.web.client_ip import ClientAddress
from keyturn.web.json_body import JsonBodies, parse_query
from keyturn.web.responses import empty_answer, json_answer

LONGEST_KEY: Final = 255


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets calls in."""

    bearer: Bearer
    bodies: JsonBodies
    secrets: MasterSecrets
    audit: Audit
    address: ClientAddress

    def routes(self, operations: Sequence[AnyOperation]) -> Sequence[Route]:
        """Return a route for each path, with every method there is."""
        paths: dict[str, dict[str, AnyOperation]] = {}
        for one in operations:
            paths.setdefault(one.path, {})[one.method] = one
        return [
            Route(path, Doorway(self, ways).answer, methods=list(ways))
            for path, ways in paths.items()
        ]

    async def let_in(self, request: Request, operation: AnyOperation) -> Response:
        """Answer one request, or raise why not."""
        caller = await self.bearer.check(request)
        asked: BaseModel | None = None
        with acting_as(Actor.client(caller.client.id)):
            status = Refusal.status
            try:
                caller.require(operation.scope)
                asked = await self._read(request, operation)
                done = await operation.act(self._call(request, operation, caller, asked), asked)
                status = operation.status
            except Refusal as refusal:
                status = refusal.status
                raise
            finally:
                event = self._event(request, operation, status)
                if asked is not None and operation.goes_on(asked):
                    self.audit.record_seldom(event, caller.client.id, operation.name, str(status))
                else:
                    self.audit.record(event)
        return _response(operation, done)

    def _call(
        self, request: Request, operation: AnyOperation, caller: Caller, asked: BaseModel
    ) -> Call:
        return Call(
            path=_known(request.path_params),
            seen=_seen(request, operation),
            once=self._once(request, operation, caller, asked),
        )

    async def _read(self, request: Request, operation: AnyOperation) -> BaseModel:
        if operation.method == "GET":
            query: BaseModel = parse_query(request, operation.reads)
            return query
        nothing = parse_query(request, Nothing)
        if operation.reads is Nothing and not _has_body(request):
            return nothing
        body: BaseModel = await self.bodies.read(request, operation.reads)
        return body

    def _once(
        self, request: Request, operation: AnyOperation, caller: Caller, asked: BaseModel
    ) -> Once | None:
        keys = request.headers.getlist("idempotency-key")
        if not operation.once or not keys:
            return None
        if len(keys) > 1 or not 0 < len(keys[0]) <= LONGEST_KEY or not keys[0].isascii():
            raise InvalidRequest("idempotency-key: repeated, empty, too long, or not ASCII")
        # As it was sent, less what is said by silence: a new member does not change old requests.
        body = asked.model_dump_json(exclude_unset=True)
        told = f"{operation.method} {operation.path}\n{body}".encode()
        return Once.of(self.secrets, caller.client.id, keys[0], told)

    def _event(self, request: Request, operation: AnyOperation, status: int) -> AuditEvent:
        ids = request.path_params
        return AuditEvent(
            type="admin_call",
            user_id=_uuid(ids.get("user_id")),
            client_id=_client_id(ids.get("client_id")),
            session_id=_uuid(ids.get("session_id")),
            ip=self.address.of(request),
            result="ok" if status < InvalidRequest.status else "failed",
            detail={"operation": operation.name, "status": status},
        )


@dataclass(frozen=True, slots=True)
class Doorway:
    """One path, and what may be done there."""

    gate: Gate
    ways: Mapping[str, AnyOperation]

    async def answer(self, request: Request) -> Response:
        """Answer a request by its method; HEAD is GET without the body."""
        method = "GET" if request.method == "HEAD" else request.method
        return await self.gate.let_in(request, self.ways[method])


def _response(operation: AnyOperation, done: Done) -> Response:
    if done.message is None:
        return empty_answer(operation.status)
    headers = {} if done.etag is None else {"ETag": f'"{done.etag}"'}
    if done.again:
        headers["Idempotency-Replayed"] = "true"
    return json_answer(done.message, operation.status, headers)


def _seen(request: Request, operation: AnyOperation) -> Versions:
    """Return the entity tags of `If-Match` (RFC 9110 section 13.1.1); weak ones match nothing."""
    values = request.headers.getlist("if-match")
    if not values and operation.versioned == "required":
        raise PreconditionRequired("if-match: missing")
    if not values or operation.versioned in {"no", "shown"}:
        return None
    tags = [tag.strip() for value in values for tag in value.split(",")]
    if "*" in tags:
        return None
    return [tag[1:-1] for tag in tags if tag[:1] == tag[-1:] == '"' and tag.isascii()]


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length") not in {
        None,
        "0",
    }


def _known(path: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the ids in the path. Raises `NotFound` for a client id that can be nobody's."""
    if "client_id" in path and _client_id(path["client_id"]) is None:
        raise NotFound("client_id: not an id")
    return path


def _client_id(text: str | None) -> str | None:
    try:
        return None if text is None else syntax.client_id(text)
    except ValueError:
        return None


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None
