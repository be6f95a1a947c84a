"""Every way a request for authorization, or for what it granted, is refused.

As in `errors`: a code and a status of the standard, one constant public sentence, a private
detail. Most of these travel to the client by redirect (RFC 6749 section 4.1.2.1, OpenID Connect
Core section 3.1.2.6), where the status is of no account.
"""

from keyturn.errors import InvalidRequest, Refusal


class UnsafeRedirect(InvalidRequest):
    """Client or redirect URI is not registered so: nothing may be sent there (RFC 6749 4.1.2.1)."""

    sentence = "The application that sent you here is not registered like this."


class RequestOver(Refusal):
    """A request for authorization is finished, has expired, or was begun in another browser."""

    code = "request_over"
    status = 400
    sentence = "This sign-in is over or has expired. Go back to the application and start again."
    client_id: str | None = None
    """Which application the way back leads to, as the page that was left open named it."""
    signed_in: bool = False
    """Whether somebody is signed in, and need not start again for that."""

    def __init__(
        self, detail: str = "", *, client_id: str | None = None, signed_in: bool = False
    ) -> None:
        super().__init__(detail)
        self.client_id, self.signed_in = client_id, signed_in


class InvalidRequestUri(RequestOver):
    """A pushed request is used up, expired, unknown, or another client's (RFC 9101 section 7).

    Where its answer would go stands inside of it, so a page says so.
    """

    code = "invalid_request_uri"


class InvalidRequestObject(Refusal):
    """A request object is not what this client may have signed (RFC 9101 section 6)."""

    code = "invalid_request_object"
    status = 400
    sentence = "The request object is malformed, not validly signed, or not for this server now."


class ForgedForm(Refusal):
    """A form that did not come from a page of ours in this browser (OWASP: CSRF)."""

    code = "form_refused"
    status = 403
    sentence = "This form was not sent from a page of this server in this browser."


class UnsupportedResponseType(Refusal):
    """Only `code` is answered (RFC 6749 section 4.1.2.1)."""

    code = "unsupported_response_type"
    status = 400
    sentence = "The response type is not supported."


class AccessDenied(Refusal):
    """The person said no (RFC 6749 section 4.1.2.1)."""

    code = "access_denied"
    status = 403
    sentence = "The request was denied."


class LoginRequired(Refusal):
    """Nobody, or somebody else, is signed in, and no page may be shown (OpenID Connect 3.1.2.6)."""

    code = "login_required"
    status = 400
    sentence = "The person must sign in."


class ConsentRequired(Refusal):
    """The person has not agreed yet, and no page may be shown (OpenID Connect 3.1.2.6)."""

    code = "consent_required"
    status = 400
    sentence = "The person must agree first."


class UnmetAuthenticationRequirements(Refusal):
    """An essential `acr` cannot be reached here (OpenID Connect Unmet Authentication 1.0)."""

    code = "unmet_authentication_requirements"
    status = 400
    sentence = "The required authentication cannot be provided."


class RequestNotSupported(Refusal):
    """Request objects are read at the PAR endpoint only (OpenID Connect Core section 6.1)."""

    code = "request_not_supported"
    status = 400
    sentence = "The parameter request is not supported."


class RequestUriNotSupported(Refusal):
    """Request objects are never fetched (OpenID Connect Core section 6.2)."""

    code = "request_uri_not_supported"
    status = 400
    sentence = "The parameter request_uri is not supported."


class InsufficientScope(Refusal):
    """The bearer token is good, but not for this (RFC 6750 section 3.1)."""

    code = "insufficient_scope"
    status = 403
    sentence = "The access token lacks a scope that this request needs."

    def __init__(self, detail: str, *, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope
        """What it lacks; named in the challenge."""
