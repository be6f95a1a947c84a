"""Every way this service says no.

A refusal has a code and a status of the standard it belongs to, one constant public sentence
without any input of the caller, and a private detail. Callers never see the detail: one
`invalid_grant` must look like every other, or it tells a thief which guess came close.
"""

from dataclasses import dataclass
from typing import ClassVar


class Refusal(Exception):
    """A request is refused; `detail` says why, for logs and tests only."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    sentence: ClassVar[str] = "The server failed to answer this request."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.sentence)
        self.detail = detail


class InvalidRequest(Refusal):
    """A parameter is missing, repeated, malformed or too long (RFC 6749 section 5.2)."""

    code = "invalid_request"
    status = 400
    sentence = "The request is missing a parameter, repeats one, or is malformed."


class InvalidClient(Refusal):
    """The client is unknown, disabled or did not prove itself (RFC 6749 section 5.2)."""

    code = "invalid_client"
    status = 401
    sentence = "Client authentication failed."

    def __init__(self, detail: str = "", *, basic_challenge: bool = False) -> None:
        super().__init__(detail)
        self.basic_challenge = basic_challenge
        """Whether the answer carries `WWW-Authenticate: Basic`: the caller used that scheme."""


class InvalidGrant(Refusal):
    """The refresh token (or code) is not, or no longer, good (RFC 6749 section 5.2)."""

    code = "invalid_grant"
    status = 400
    sentence = "The grant is invalid, expired, revoked or was issued to another client."


class InvalidScope(Refusal):
    """A scope was asked for that was not granted (RFC 6749 section 5.2)."""

    code = "invalid_scope"
    status = 400
    sentence = "The requested scope is unknown or exceeds what was granted."


class InvalidTarget(Refusal):
    """A resource was asked for that was not granted (RFC 8707 section 2)."""

    code = "invalid_target"
    status = 400
    sentence = "The requested resource is unknown or was not granted."


class InvalidDpopProof(Refusal):
    """The session is bound to a key and no proof by that key came along (RFC 9449 section 5)."""

    code = "invalid_dpop_proof"
    status = 400
    sentence = "A valid DPoP proof by the bound key is required."


class UnauthorizedClient(Refusal):
    """The client may not use this grant or endpoint (RFC 6749 section 5.2)."""

    code = "unauthorized_client"
    status = 400
    sentence = "The client may not use this grant type or endpoint."


class UnsupportedGrantType(Refusal):
    """No such grant here (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"
    status = 400
    sentence = "The grant type is not supported."


class UnsupportedTokenType(Refusal):
    """The token hint names a type that cannot be revoked here (RFC 7009 section 2.2.1)."""

    code = "unsupported_token_type"
    status = 400
    sentence = "The token type is not supported."


class InvalidToken(Refusal):
    """The bearer token is missing, malformed, expired, revoked or not ours (RFC 6750 3.1)."""

    code = "invalid_token"
    status = 401
    sentence = "The access token is missing, invalid, expired or revoked."


class InvalidCredentials(Refusal):
    """E-mail and password do not match an active account; which of them, nobody learns."""

    code = "invalid_credentials"
    status = 401
    sentence = "The e-mail address or the password is wrong."


class SessionGone(Refusal):
    """The session credential is not, or no longer, good: `invalid_grant` of the session API."""

    code = "invalid_grant"
    status = 401
    sentence = "The session is over. Sign in again."


class InsufficientUserAuthentication(Refusal):
    """The sign-in is too old for this act (RFC 9470 section 3)."""

    code = "insufficient_user_authentication"
    status = 401
    sentence = "A more recent sign-in is required."

    def __init__(self, detail: str, *, max_age: int) -> None:
        super().__init__(detail)
        self.max_age = max_age


class OriginRefused(Refusal):
    """The page that sent this request is not one of the client's (Origin, Sec-Fetch-Site)."""

    code = "origin_not_allowed"
    status = 403
    sentence = "The request's origin is not allowed for this client."


class CookieNeedsSameSite(Refusal):
    """A cookie set on a cross-site answer would be dropped by the browser: proxy /auth instead."""

    code = "cookie_needs_same_site"
    status = 400
    sentence = "Cookies work from the same site only. Proxy /auth on the origin of the app."


class WeakPassword(Refusal):
    """The new password is too short, too long or not text."""

    code = "invalid_password"
    status = 400
    sentence = "The password must have 8 to 128 characters."


class InvalidEmail(Refusal):
    """An e-mail address that is none, or is too long."""

    code = "invalid_email"
    status = 400
    sentence = "The e-mail address is malformed or too long."


class AccountExists(Refusal):
    """The e-mail address or the id belongs to an account already, perhaps a deleted one."""

    code = "account_exists"
    status = 409
    sentence = "An account with this e-mail address or id exists already."


class NotFound(Refusal):
    """There is no such thing here, or it belongs to somebody else."""

    code = "not_found"
    status = 404
    sentence = "There is no such resource."


class MethodNotAllowed(Refusal):
    """The path exists; the method does not."""

    code = "method_not_allowed"
    status = 405
    sentence = "The method is not allowed here."


class UnsupportedMediaType(Refusal):
    """The body is of a type this endpoint does not read."""

    code = "unsupported_media_type"
    status = 415
    sentence = "The content type is not supported here."


class PayloadTooLarge(Refusal):
    """The body is larger than this endpoint reads."""

    code = "request_too_large"
    status = 413
    sentence = "The request body is too large."


class UrlTooLong(Refusal):
    """The request target is longer than this server reads (RFC 9110 section 15.5.15)."""

    code = "uri_too_long"
    status = 414
    sentence = "The request target is too long."


class HeadTooLarge(Refusal):
    """The header block is larger than this server reads (RFC 6585 section 5)."""

    code = "request_header_too_large"
    status = 431
    sentence = "The request header is too large."


class RequestTimeout(Refusal):
    """The header block or the body did not arrive in time."""

    code = "request_timeout"
    status = 408
    sentence = "The request did not arrive in time."


class Throttled(Refusal):
    """Too many attempts; `retry_after` is in whole seconds."""

    code = "too_many_requests"
    status = 429
    sentence = "Too many attempts. Try again later."

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """Infrastructure trouble: never a 4xx, because clients throw tokens away on those."""

    code = "temporarily_unavailable"
    status = 503
    sentence = "The service is temporarily unavailable. Try again."

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a described client: where, and what would be right."""

    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}"


class InvalidClientMetadata(Refusal):
    """A client would not be safe or make no sense as described (RFC 7591 section 3.2.2)."""

    code = "invalid_client_metadata"
    status = 400
    sentence = "The description of the client is not acceptable."

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
        """Every reason, not only the first one; none holds a secret."""


class KeyNotReady(Refusal):
    """The next signing key cannot be promoted: published too briefly, or not to be opened."""

    code = "key_not_ready"
    status = 409
    sentence = "The next signing key may not sign yet."


class CacheUnavailable(Exception):
    """Redis did not answer in time. Never reaches a caller: whoever asks falls back."""


class SettingsRefused(Exception):
    """The process must not start like this; the message says what to change."""


class EmbeddedStartFailed(Exception):
    """An embedded server cannot be started; the message says what to do about it."""
