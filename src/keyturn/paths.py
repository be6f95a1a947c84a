"""Every URL we answer, named once: used by routes, metadata and tests."""

OPENID_CONFIGURATION = "/.well-known/openid-configuration"
OAUTH_METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"

AUTHORIZE = "/oauth2/authorize"
RESUME = "/oauth2/authorize/resume"
PAR = "/oauth2/par"
TOKEN = "/oauth2/token"  # noqa: S105 - a path
REVOKE = "/oauth2/revoke"
INTROSPECT = "/oauth2/introspect"
DEVICE_AUTHORIZATION = "/oauth2/device_authorization"
STATUS_LIST = "/oauth2/status/{number}"
USERINFO = "/oauth2/userinfo"
END_SESSION = "/oauth2/logout"
REGISTER = "/oauth2/register"
REGISTRATION = "/oauth2/register/{client_id}"

LOGIN_PAGE = "/login"
CONSENT_PAGE = "/consent"
ACCOUNT_PAGE = "/account"
DEVICE_PAGE = "/device"
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

ADMIN_OPENAPI = "/admin/v1/openapi.json"
ADMIN_USERS = "/admin/v1/users"
ADMIN_USER = "/admin/v1/users/{user_id}"
ADMIN_USER_PASSWORD = "/admin/v1/users/{user_id}/password"  # noqa: S105 - a path
ADMIN_USER_END_SESSIONS = "/admin/v1/users/{user_id}/end-sessions"
ADMIN_CLIENTS = "/admin/v1/clients"
ADMIN_CLIENT = "/admin/v1/clients/{client_id}"
ADMIN_CLIENT_DISABLE = "/admin/v1/clients/{client_id}/disable"
ADMIN_CLIENT_ENABLE = "/admin/v1/clients/{client_id}/enable"
ADMIN_CLIENT_ROTATE_SECRET = "/admin/v1/clients/{client_id}/rotate-secret"  # noqa: S105 - a path
ADMIN_CLIENT_DROP_SECRET = "/admin/v1/clients/{client_id}/drop-previous-secret"  # noqa: S105 - a path
ADMIN_REGISTRATION_TOKENS = "/admin/v1/registration-tokens"
ADMIN_REGISTRATION_TOKEN = "/admin/v1/registration-tokens/{token_id}"  # noqa: S105 - a path
ADMIN_APPLY_CLIENTS = "/admin/v1/apply-clients"
ADMIN_SESSIONS = "/admin/v1/sessions"
ADMIN_REVOKE_SESSIONS = "/admin/v1/revoke-sessions"
ADMIN_SESSION = "/admin/v1/sessions/{session_id}"
ADMIN_KEYS = "/admin/v1/keys"
ADMIN_KEYS_ROTATE = "/admin/v1/keys/rotate"
ADMIN_AUDIT_EVENTS = "/admin/v1/audit-events"
