"""The values that labels of metrics take, each bounded; `metrics` counts by them."""

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
PURGED = (
    "sessions",
    "revocations",
    "logins",
    "authorization_requests",
    "authorization_codes",
    "replays",
    "creations",
    "device_authorizations",
    "signing_keys",
)
AUDIT_LOSSES = ("queue_full", "refused", "shutdown", "stdout")
KEY_READ_RESULTS = ("ok", "failed", "blocked", "unusable", "busy")
LOGOUT_RESULTS = ("delivered", "refused", "failed", "blocked", "given_up")
SIGN_IN_RESULTS = ("ok", "bad_credentials", "throttled", "error")
CACHE_RESULTS = ("hit", "miss", "untrusted", "error")
