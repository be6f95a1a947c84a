"""The values that labels of metrics take, each bounded; `metrics` counts by them."""

from typing import Final, get_args

from keyturn.telemetry.event_types import EventType
from keyturn.telemetry.instruments import OTHER

OTHER_METHOD: Final = "_OTHER"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER_METHOD)
"""The methods that have a name here, and the one of all others."""

REFRESH_RESULTS = (
    "rotated",
    "coalesced",
    "replayed",
    "healed",
    "kept",
    "reuse",
    "expired",
    "revoked",
    "unknown",
    "refused",
    "alarm",
)
TOKEN_RESULTS = (
    "ok",
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "authorization_pending",
    "slow_down",
    "access_denied",
    "expired_token",
    "unsupported_media_type",
    "request_too_large",
    "request_timeout",
    "too_many_requests",
    "temporarily_unavailable",
    "server_error",
)
"""What the token endpoint answers; a code that is missing here counts as the last one."""
AUTHORIZATION_RESULTS = (
    "code",
    "login_required",
    "consent_required",
    "unmet_authentication_requirements",
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "request_not_supported",
    "request_uri_not_supported",
    "unsafe_redirect",
    "request_over",
    "invalid_request_uri",
    "temporarily_unavailable",
    "server_error",
)
"""How requests for authorization end: what the client is told, and below that, what a page tells
the person alone. An answer that is missing here counts as the last one."""
PUSH_RESULTS = (
    "ok",
    "invalid_request",
    "invalid_request_object",
    "invalid_client",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "unsupported_media_type",
    "request_too_large",
    "request_timeout",
    "too_many_requests",
    "temporarily_unavailable",
    "server_error",
)
"""What the PAR endpoint answers; a code that is missing here counts as the last one."""
UNREADABLE = ("400", "408", "414", "431")
GRANTS = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "unsupported",
)
SESSION_API = "session_api"
"""Stands where a grant does: the tokens of our own interface."""
TOKENS_ISSUED = (
    *(("access", grant) for grant in (*GRANTS[:-1], SESSION_API)),
    ("refresh", "authorization_code"),
    ("refresh", "refresh_token"),
    ("refresh", "urn:ietf:params:oauth:grant-type:device_code"),
    ("refresh", SESSION_API),
    ("id", "authorization_code"),
    ("id", "refresh_token"),
    ("id", "urn:ietf:params:oauth:grant-type:device_code"),
)
"""Which tokens answer to what."""
REVOCATIONS = (
    ("session", "api"),
    ("session", "admin"),
    ("session", "user"),
    ("session", "system"),
    ("token", "api"),
    ("user", "admin"),
    ("user", "user"),
)
"""`api`: a client; `system`: the server by itself, because of reuse, say."""
REVOKE_REASONS = (
    "reuse",
    "logout",
    "logout_all",
    "admin",
    "password_change",
    "replaced",
    "overflow",
    "browser_logout",
    "code_reuse",
    "consent_withdrawn",
    "step_up",
    "client_deleted",
)
EXPIRING = (
    "sessions",
    "revocations",
    "logins",
    "authorization_requests",
    "authorization_codes",
    "replays",
    "creations",
    "device_authorizations",
)
PURGED = (*EXPIRING, "signing_keys")
AUDIT_LOSSES = ("queue_full", "refused", "shutdown", "stdout")
KEY_READ_RESULTS = ("ok", "failed", "blocked", "unusable", "busy")
LOGOUT_RESULTS = ("delivered", "refused", "failed", "blocked", "given_up")
SIGN_IN_RESULTS = ("ok", "bad_credentials", "throttled", "error")
LIMITS = ("account", "address", "global", "client")
LOCKOUT_SCOPES = ("account", "address")
ARGON2 = "argon2"
HASH_ALGORITHMS = (ARGON2, "bcrypt", "pbkdf2", "scrypt")
INTROSPECTIONS = (
    ("active", "cache"),
    ("active", "database"),
    ("inactive", "cache"),
    ("inactive", "database"),
    ("inactive", "none"),
    ("error", "none"),
)
"""`none`: the token itself said enough, or nobody could be asked."""
SIGNING_ALGORITHMS = ("RS256", "PS256")
COPY_RESULTS = ("copied", "late", "overtaken", "failed")
DATABASE_OPERATIONS = (
    "sessions.rotate",
    "sessions.read",
    "sessions.keep",
    "sessions.heal",
    "sessions.start",
    "sessions.end_one",
    "sessions.end_all_of_user",
    "sessions.purge_expired",
    "revocations.look_up",
    "revocations.write",
    "revocations.since",
    "users.credential_by_email",
    "users.confirm",
    "users.by_id",
    "clients.find",
    "clients.changed_since",
    "logins.find",
    "authorizations.request_progress",
    "authorizations.issue_code",
    "authorizations.consume_code",
    "replays.use",
    "logouts.claim",
    "audit.write",
    "probe.ping",
    "commit",
    OTHER,
)
"""What is asked often, or waited for: `file.query`; and `commit`, where the disk is."""
REDIS_OPERATIONS = ("ping", "zmscore", "zadd", "throttle", "copy", OTHER)
"""Commands, and scripts by whose they are."""
REDIS_ERRORS = ("timeout", "connection", "reply", "open")
AUDIT_TYPES: tuple[str, ...] = get_args(EventType)
CACHE_RESULTS = ("hit", "miss", "untrusted", "error")
