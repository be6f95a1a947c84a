"""What a FastAPI route may ask of the access token, shown in its OpenAPI document.

    app = FastAPI()
    app.add_middleware(AuthMiddleware, verifier=verifier)

    @app.get("/orders")
    async def orders(token: Annotated[AccessToken, require("orders:read")]) -> list[Order]: ...

The middleware verifies the token and words every refusal; `require` says what this route needs of
it. Needs the extra `fastapi`.
"""

from typing import Any

try:
    from fastapi import Security
    from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
    from fastapi.security.base import SecurityBase
    from starlette.requests import HTTPConnection
except ModuleNotFoundError as missing:
    raise ImportError("needs FastAPI: pip install 'keyturn-verifier[fastapi]'") from missing

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.clock import Clock
from keyturn_verifier.errors import InvalidToken, Reason
from keyturn_verifier.step_up import SYSTEM, require_max_age


class _Required(SecurityBase):
    """One route's demand. FastAPI reads `model` and `scheme_name` for its OpenAPI document."""

    def __init__(self, scopes: tuple[str, ...], max_age: int | None, clock: Clock) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT")
        self.scheme_name = "AccessToken"
        self._scopes = scopes
        self._max_age = max_age
        self._clock = clock

    async def __call__(self, connection: HTTPConnection) -> AccessToken:
        token = _token_of(connection)
        token.require_scopes(*self._scopes)
        if self._max_age is not None:
            require_max_age(token, self._max_age, clock=self._clock)
        return token


def require(*scopes: str, max_age: int | None = None, clock: Clock = SYSTEM) -> Any:
    """Return a dependency that is the request's verified `AccessToken`.

    The token must have all `scopes` (403 `insufficient_scope` otherwise), and its person must have
    proven themselves at most `max_age` seconds ago (401 `insufficient_user_authentication`).
    Works for WebSocket routes, too.
    """
    return Security(_Required(scopes, max_age, clock), scopes=scopes)


def _token_of(connection: HTTPConnection) -> AccessToken:
    if "auth" not in connection.scope:
        raise RuntimeError("require() needs keyturn_verifier.asgi.AuthMiddleware around the app")
    token = connection.scope["auth"]
    if not isinstance(token, AccessToken):
        raise InvalidToken(Reason.MISSING)
    return token
