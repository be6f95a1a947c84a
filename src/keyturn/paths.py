"""Every URL we answer, named once: used by routes, metadata and tests."""

OPENID_CONFIGURATION = "/.well-known/openid-configuration"
OAUTH_METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"

AUTHORIZE = "/oauth2/authorize"
RESUME = "/oauth2/authorize/resume"
TOKEN = "/oauth2/token"  # noqa: S105 - a path
REVOKE = "/oauth2/revoke"
INTROSPECT = "/oauth2/introspect"
USERINFO = "/oauth2/userinfo"
END_SESSION = "/oauth2/logout"

LOGIN_PAGE = "/login"
CONSENT_PAGE = "/consent"
ACCOUNT_PAGE = "/account"
SIGNED_OUT = "/logout"
STATIC = "/static/{name}"

LOGIN = "/auth/login"
REFRESH = "/auth/refresh"
LOGOUT = "/auth/logout"
ME = "/auth/me"
SESSIONS = "/auth/sessions"
SESSION = "/auth/sessions/{session_id}"
LOGOUT_ALL = "/auth/logout-all"
REAUTHENTICATE = "/auth/reauthenticate"
PASSWORD = "/auth/password"  # noqa: S105 - a path
SESSION_OPENAPI = "/auth/openapi.json"

LIVE = "/health/live"
STARTED = "/health/started"
READY = "/health/ready"
DEPENDENCIES = "/health/dependencies"
METRICS = "/metrics"
