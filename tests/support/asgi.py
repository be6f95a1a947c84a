"""Requests without a server: what a door sees, built by hand."""

from collections.abc import Iterable

from starlette.requests import Request

from keyturn.clients.model import Client


def request(
    *headers: tuple[str, str],
    body: Iterable[bytes] = (b"",),
    method: str = "POST",
    path: str = "/",
    query: bytes = b"",
    peer: str | None = "192.0.2.1",
) -> Request:
    """Return a request whose body arrives in those pieces, and then nothing more."""
    pieces = list(body)
    messages = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": (peer, 40000) if peer else None,
    }

    async def receive() -> dict[str, object]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return Request(scope, receive)


def a_client(client_id: str = "spa", *origins: str, **fields: object) -> Client:
    """Return a first-party client with those origins."""
    return Client(
        id=client_id,
        name=client_id,
        kind="public",
        grant_types=frozenset({"refresh_token"}),
        scopes=frozenset(),
        audiences=("https://api.example",),
        session_api=True,
        origins=frozenset(origins),
        **fields,
    )
