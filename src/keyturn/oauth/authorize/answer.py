"""What goes back to the client: by redirect, or by a form that posts itself.

RFC 6749 section 4.1.2, RFC 9207, OAuth 2.0 Form Post Response Mode 1.0. Every answer, good or
bad, says which server it is from (`iss`): a client that talks to several must be able to tell
them apart (mix-up, RFC 9700 section 4.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from keyturn.errors import Refusal, Throttled
from keyturn.oauth.authorize import redirect
from keyturn.telemetry.metrics import Metrics
from keyturn.web.request_notes import notes_of
from keyturn.web.responses import see_other

OURS = 500
"""From this status on a refusal is about us: a page says so, and the client is not told."""


class Answers(Protocol):
    """The page by which an answer travels in a form; `keyturn.pages` makes it."""

    def posted(
        self, request: Request, redirect_uri: str, parameters: Mapping[str, str]
    ) -> Response:
        """Return a page whose form posts the parameters to the client."""
        ...

    def warned(
        self, request: Request, redirect_uri: str, link: str | None, parameters: Mapping[str, str]
    ) -> Response:
        """Return a page that says where a refusal leads, for the person to go on or not.

        By `link`, or without one by a form that posts the parameters to `redirect_uri`.
        """
        ...


class Destination(Protocol):
    """Where an answer goes, and how: an `Addressed` or a kept `AuthorizationRequest`."""

    @property
    def redirect_uri(self) -> str:
        """An address that has been found registered."""
        ...

    @property
    def response_mode(self) -> str:
        """`query` or `form_post`."""
        ...

    @property
    def state(self) -> str | None:
        """What the client wants back, as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Replies:
    """Answers clients through the browser of a person."""

    answers: Answers
    issuer: str
    metrics: Metrics

    def code(self, request: Request, to: Destination, code: str) -> Response:
        """Return the answer that carries a code (RFC 6749 section 4.1.2)."""
        self.metrics.authorizations("code")
        return self._send(request, to, {"code": code})

    def refusal(
        self, request: Request, to: Destination, refusal: Refusal, *, warns: bool = False
    ) -> Response:
        """Return a refusal (RFC 6749 section 4.1.2.1).

        `warns`: the person is asked before their browser is sent on. Raises the refusal again
        when it is about us: the person is told to wait, not the client.
        """
        if refusal.status >= OURS or isinstance(refusal, Throttled):
            raise refusal
        self.metrics.authorizations(refusal.code)
        notes = notes_of(request.scope)
        notes.error, notes.detail = refusal.code, refusal.detail
        told = {"error": refusal.code, "error_description": refusal.sentence}
        return self._send(request, to, told, warns=warns)

    def _send(
        self, request: Request, to: Destination, told: dict[str, str], *, warns: bool = False
    ) -> Response:
        if to.state is not None:
            told["state"] = to.state
        told["iss"] = self.issuer
        posted = to.response_mode == "form_post"
        link = None if posted else redirect.with_parameters(to.redirect_uri, told.items())
        if warns:
            return self.answers.warned(request, to.redirect_uri, link, told)
        if link is None:
            return self.answers.posted(request, to.redirect_uri, told)
        return see_other(link)
