"""What is noted about a request while it is answered: for its log line, its errors and CORS."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from keyturn.clients.model import Client
from keyturn.crypto import opaque
from keyturn.telemetry.tracing import Trace

_KEY = "keyturn.notes"
_ID_BYTES = 9


@dataclass(slots=True, eq=False)
class RequestNotes:
    """One request; `error` and `detail` are those of the refusal it got."""

    request_id: str
    trace_id: str | None = None
    """Of its trace, or where it is not traced here, of the one its caller says to be in."""
    trace: Trace | None = None
    ip: str = ""
    administers: bool = False
    """It came to the admin API, on the port where there is one."""
    error: str | None = None
    detail: str | None = None
    client: Client | None = None
    dpop_nonce: str | None = None
    """The nonce that the next proof of the caller is to carry; the answer brings it."""
    again: str | None = None
    """Where the page is found that a form stood on, should this be no moment to answer it."""


def new_request_id() -> str:
    """Return an id that is good to quote to an operator."""
    return opaque.token_urlsafe(_ID_BYTES)


def notes_of(scope: MutableMapping[str, Any]) -> RequestNotes:
    """Return the notes of the request with this ASGI scope; they begin at the first call."""
    notes: RequestNotes | None = scope.get(_KEY)
    if notes is None:
        notes = scope[_KEY] = RequestNotes(new_request_id())
    return notes


def begin_notes(scope: MutableMapping[str, Any], notes: RequestNotes) -> None:
    """Attach `notes` to the request with this ASGI scope."""
    scope[_KEY] = notes


def note_client(scope: MutableMapping[str, Any], client: Client) -> None:
    """Note which client a request turned out to be of: only its own pages may read the answer."""
    notes_of(scope).client = client


def note_again(scope: MutableMapping[str, Any], address: str) -> None:
    """Note where a person whose form cannot be answered now finds the page of it again."""
    notes_of(scope).again = address
