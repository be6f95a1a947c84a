"""What a server's refusal means here: the same sentence and exit code as on the database."""

from typing import Final

import orjson
from pydantic import ValidationError

from keyturn.cli.exchange import Reply
from keyturn.cli.server_trouble import ServerAway, ServerRefused
from keyturn.errors import InvalidClientMetadata, NotFound, Problem, Refusal
from keyturn.web.problem import ProblemAnswer

TROUBLE: Final = 500


def refusal(reply: Reply) -> Refusal | ServerRefused:
    """Return what to raise for problem details (RFC 9457)."""
    try:
        said = ProblemAnswer.model_validate_json(reply.body)
    except ValidationError:
        return no_document(reply)
    told = f"request {said.request_id}"
    if said.status >= TROUBLE:
        return ServerAway(f"{said.detail} {told}")
    if said.code == NotFound.code:
        return NotFound(told)
    problems = [Problem(one.path, one.problem) for one in said.errors]
    if said.code == InvalidClientMetadata.code:
        return InvalidClientMetadata(*problems)
    return ServerRefused("\n  ".join([f"{said.detail} ({told})", *map(str, problems)]))


def no_document(reply: Reply) -> Refusal | ServerRefused:
    """Return what to raise for an answer that is none of ours: of a proxy, or another program."""
    if reply.status >= TROUBLE:
        return ServerAway(f"HTTP {reply.status}")
    return ServerRefused(f"this is no admin API of ours (HTTP {reply.status})")


def token_of(reply: Reply) -> str:
    """Return the access token of an answer of the token endpoint (RFC 6749 section 5.1)."""
    try:
        said = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        said = None
    if reply.status >= TROUBLE:
        raise ServerAway(f"the token endpoint: HTTP {reply.status}")
    if not isinstance(said, dict) or not isinstance(said.get("access_token"), str):
        described = said.get("error_description") if isinstance(said, dict) else None
        raise ServerRefused(f"no token: {described or f'HTTP {reply.status}'}")
    value: str = said["access_token"]
    return value
