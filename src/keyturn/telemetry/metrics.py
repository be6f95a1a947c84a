"""Every metric of the service, on one page (operations: README, Metrics).

Children are bound once, here: a label look-up per request costs more than the count itself.
Counters that alerts read start at zero, so that the first event is not lost to `rate()`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from keyturn.telemetry.labels import (
    AUDIT_LOSSES,
    AUTHORIZATION_RESULTS,
    CACHE_RESULTS,
    GRANTS,
    KEY_READ_RESULTS,
    LOGOUT_RESULTS,
    PURGED,
    PUSH_RESULTS,
    REFRESH_RESULTS,
    REVOKE_REASONS,
    SIGN_IN_RESULTS,
    TOKEN_RESULTS,
    UNREADABLE,
)

HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SLOW_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LONG_BUCKETS = (0.25, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)
FAST_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)


class Bound:
    """A labelled counter whose children exist from the start: `bound("value")` adds one."""

    def __init__(self, counter: Counter, label: str, values: Iterable[str]) -> None:
        self._children = {value: counter.labels(**{label: value}) for value in values}

    def __call__(self, value: str, amount: float = 1) -> None:
        """Add `amount` to the child; an unknown label value is a `KeyError`, on purpose."""
        self._children[value].inc(amount)


@dataclass(eq=False)
class Metrics:
    """The catalogue; one instance a process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        """Declare everything."""
        self._http()
        self._tokens()
        self._revocation()
        self._clients()
        self._logouts()
        self._people()
        self._machinery()
        self._housekeeping()

    def _counted(self, name: str, what: str, label: str, values: Iterable[str]) -> Bound:
        return Bound(Counter(name, what, (label,), registry=self.registry), label, values)

    def _http(self) -> None:
        self.http_requests = Histogram(
            "http_server_request_duration_seconds",
            "Time to answer one request (OpenTelemetry's name).",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=HTTP_BUCKETS,
            registry=self.registry,
        )
        self.active_requests = Gauge(
            "http_server_active_requests", "Requests being answered now.", registry=self.registry
        )
        self.unreadable_requests = self._counted(
            "keyturn_unreadable_requests",
            "Requests the HTTP parser refused, before any endpoint.",
            "status",
            UNREADABLE,
        )

    def _tokens(self) -> None:
        registry = self.registry
        self._token_requests = Counter(
            "keyturn_token_requests",
            "Token requests by grant and OAuth result.",
            ("grant_type", "result"),
            registry=registry,
        )
        self._token_children = {
            (grant, result): self._token_requests.labels(grant, result)
            for grant in GRANTS
            for result in TOKEN_RESULTS
        }
        self.authorizations = self._counted(
            "keyturn_authorization_answers",
            "How requests for authorization ended.",
            "result",
            AUTHORIZATION_RESULTS,
        )
        self.pushes = self._counted(
            "keyturn_pushed_requests", "Requests pushed by clients.", "result", PUSH_RESULTS
        )
        self.refreshes = self._counted(
            "keyturn_refresh_rotations", "Refreshes by outcome.", "result", REFRESH_RESULTS
        )
        self.sessions_revoked = self._counted(
            "keyturn_sessions_revoked",
            "Sessions ended before their expiry.",
            "reason",
            REVOKE_REASONS,
        )

    def _revocation(self) -> None:
        registry = self.registry
        self.introspections = self._counted(
            "keyturn_introspections",
            "Introspection answers.",
            "result",
            ("active", "inactive", "error"),
        )
        self.revocation_lookups = self._counted(
            "keyturn_revocation_cache_lookups",
            "Revocation checks by what the cache said.",
            "result",
            CACHE_RESULTS,
        )
        self.revocation_propagation = Histogram(
            "keyturn_revocation_propagation_seconds",
            "From a revocation's commit to its copy in Redis.",
            buckets=SLOW_BUCKETS,
            registry=registry,
        )
        self.revocation_copies = self._counted(
            "keyturn_revocation_copies",
            "Rounds of the copier.",
            "result",
            ("copied", "late", "overtaken", "failed"),
        )
        self.signing = Histogram(
            "keyturn_signing_duration_seconds",
            "Time of one RS256 signature.",
            buckets=FAST_BUCKETS,
            registry=registry,
        )

    def _clients(self) -> None:
        self.client_key_reads = self._counted(
            "keyturn_client_key_reads",
            "Attempts to read the keys a client publishes.",
            "result",
            KEY_READ_RESULTS,
        )

    def _logouts(self) -> None:
        registry = self.registry
        self.logout_deliveries = self._counted(
            "keyturn_logout_deliveries",
            "Attempts to tell a client of a logout.",
            "result",
            LOGOUT_RESULTS,
        )
        self.logout_delay = Histogram(
            "keyturn_logout_delay_seconds",
            "From the end of a session to the attempt that its client acknowledged.",
            buckets=LONG_BUCKETS,
            registry=registry,
        )
        self.logout_queue = Gauge(
            "keyturn_logout_queue_length", "Logouts clients are to be told of.", registry=registry
        )
        self.logout_oldest = Gauge(
            "keyturn_logout_queue_oldest_seconds",
            "How long the oldest of those has waited.",
            registry=registry,
        )

    def _people(self) -> None:
        registry = self.registry
        self.authentications = self._counted(
            "keyturn_authentications", "Password checks by result.", "result", SIGN_IN_RESULTS
        )
        self.throttled = self._counted(
            "keyturn_throttled",
            "Attempts refused by a limit.",
            "rule",
            ("account", "address", "global", "client"),
        )
        self.hash_duration = Histogram(
            "keyturn_password_hash_duration_seconds",
            "Time of one password hash, waiting included.",
            buckets=SLOW_BUCKETS,
            registry=registry,
        )
        self.hash_refused = self._counted(
            "keyturn_password_hash_refused",
            "Password hashes given up: the queue was full, or the deadline passed.",
            "reason",
            ("queue", "deadline"),
        )
        self.hash_queue = Gauge(
            "keyturn_password_hash_queue_length", "Password hashes waiting.", registry=registry
        )

    def _machinery(self) -> None:
        registry = self.registry
        self.database_connections = Gauge(
            "keyturn_db_pool_connections", "Connections by state.", ("state",), registry=registry
        )
        self.database_errors = self._counted(
            "keyturn_db_errors", "Database trouble.", "kind", ("connect", "pool", "statement")
        )
        self.redis_errors = self._counted(
            "keyturn_redis_errors",
            "Redis trouble.",
            "kind",
            ("timeout", "connection", "reply", "open"),
        )
        self.dependency_up = Gauge(
            "keyturn_dependency_up",
            "1 while the last probe was answered.",
            ("dependency",),
            registry=registry,
        )
        self.clock_skew = Gauge(
            "keyturn_clock_skew_seconds",
            "The database's clock minus this process's, at the last probe.",
            registry=registry,
        )
        self.loop_lag = Histogram(
            "keyturn_event_loop_lag_seconds",
            "How late the event loop wakes up.",
            buckets=FAST_BUCKETS,
            registry=registry,
        )

    def _housekeeping(self) -> None:
        registry = self.registry
        self.signing_keys = Gauge(
            "keyturn_signing_keys", "Signing keys by state.", ("state",), registry=registry
        )
        self.signing_keys_unopened = Gauge(
            "keyturn_signing_keys_unopened",
            "Private halves that no listed secret opens.",
            registry=registry,
        )
        self.keyring_loaded = Gauge(
            "keyturn_keyring_last_load_timestamp_seconds",
            "When the signing keys were last read, Unix seconds.",
            registry=registry,
        )
        self.purged = self._counted(
            "keyturn_purge_rows_deleted", "Expired rows deleted.", "table", PURGED
        )
        self.purge_success = Gauge(
            "keyturn_purge_last_success_timestamp_seconds",
            "When the last purge finished, Unix seconds.",
            registry=registry,
        )
        self.audit_events = Counter(
            "keyturn_audit_events", "Audit events written.", registry=registry
        )
        self.audit_failures = self._counted(
            "keyturn_audit_write_failures", "Audit events lost.", "reason", AUDIT_LOSSES
        )
        self.audit_waiting = Gauge(
            "keyturn_audit_events_waiting",
            "Audit events in memory, for the database to take.",
            registry=registry,
        )
        self.audit_months_dropped = Counter(
            "keyturn_audit_partitions_dropped",
            "Months of audit events dropped by retention.",
            registry=registry,
        )
        self.ready = Gauge("keyturn_ready", "1 while ready for traffic.", registry=registry)
        self.draining = Gauge("keyturn_draining", "1 while shutting down.", registry=registry)
        self.build = Info("keyturn_build", "Version of the server.", registry=registry)

    def authorization(self, result: str) -> None:
        """Count how a request for authorization ended; what is none of ours as the last."""
        self.authorizations(result if result in AUTHORIZATION_RESULTS else "server_error")

    def push(self, result: str) -> None:
        """Count how a pushed request was answered; what is none of ours as the last."""
        self.pushes(result if result in PUSH_RESULTS else "server_error")

    def token_request(self, grant: str, result: str) -> None:
        """Count one answer; grants and codes that are none of ours count as the last of each."""
        key = (
            grant if grant in GRANTS else "unsupported",
            result if result in TOKEN_RESULTS else "server_error",
        )
        self._token_children[key].inc()
